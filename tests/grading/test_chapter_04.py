"""Chapter 4's checks, proven: other right answers pass, typical mistakes are told by name."""

from __future__ import annotations

import heapq
import re
from pathlib import Path

import numpy as np
import pytest
from support.answers import solution_answer

from recsys_course import metrics
from recsys_course.authoring.exercises import read_exercises
from recsys_course.authoring.notebooks import read_script
from recsys_course.grading import chapter_04, find, grade

IDS = ["4.1", "4.2", "4.3", "4.4", "4.5"]
BY_REFERENCE = IDS[:4]


@pytest.mark.parametrize("id", IDS)
def test_the_solution_passes(id):
    assert grade(id, solution_answer(id)).message == f"✔ {id} solved"


def test_the_course_s_own_recall_passes():
    assert grade("4.1", metrics.neighbor_recall_at_k).message == "✔ 4.1 solved"


def assert_wrong(id, answer, told):
    verdict = grade(id, answer)
    assert verdict.outcome == "wrong", verdict.message
    assert told in verdict.message


@pytest.mark.parametrize("id", BY_REFERENCE)
def test_each_misconception_is_told_to_whoever_has_it(id):
    misconceptions = dict(find(id).misconceptions)
    if id == "4.4":  # the planted bug, found again in other words
        (told,) = (message for message, mistaken in misconceptions.items() if mistaken is find(id).planted_bug)
        del misconceptions[told]
        assert_wrong(id, lambda search, seen, k: [int(i) for i in search(k) if int(i) not in set(seen)], told)
    assert len(misconceptions) >= 3
    for message, mistaken in misconceptions.items():
        assert_wrong(id, mistaken, message)


# --- other right answers ------------------------------------------------------------------------------------------


def recall_by_counting(found_ids, exact_ids):
    shares = []
    for found, exact in zip(found_ids, exact_ids, strict=True):
        wanted = [id for id in exact if id >= 0]
        if wanted:
            shares.append(sum(id in found for id in wanted) / len(wanted))
    return sum(shares) / len(shares)


def recall_by_isin(found_ids, exact_ids):
    rows = [(found, exact[exact != -1]) for found, exact in zip(found_ids, exact_ids, strict=True)]
    return np.mean([np.isin(exact, found).mean() for found, exact in rows if len(exact)])


def leaves_by_mask(query, centroids, members, score, num_leaves_to_search, k):
    """Partial sorts throughout, and the leaves' members as a set."""
    chosen = heapq.nlargest(num_leaves_to_search, range(len(members)), key=lambda leaf: centroids[leaf] @ query)
    items = sorted({int(item) for leaf in chosen for item in members[leaf]})
    return heapq.nlargest(k, items, key=dict(zip(items, score(items), strict=True)).get)


def leaf_by_leaf(query, centroids, members, score, num_leaves_to_search, k):
    best = []
    for leaf in np.argsort(centroids @ query)[::-1][:num_leaves_to_search]:
        best += [(value, item) for value, item in zip(score(members[leaf]), members[leaf], strict=True)]
        best = sorted(best, reverse=True)[:k]
    return np.array([item for _, item in best], dtype=int)


def scores_by_rebuilding(query, code_books, codes):
    """Unpacks every item and multiplies: slower, and the same number."""
    rebuilt = [np.concatenate([book[code] for book, code in zip(code_books, row, strict=True)]) for row in codes]
    return np.stack(rebuilt) @ query


def scores_by_one_hot(query, code_books, codes):
    num_blocks, num_codes, block_dim = code_books.shape
    table = np.einsum("bcd,bd->bc", code_books, query.reshape(num_blocks, block_dim))
    return np.einsum("ibc,bc->i", np.eye(num_codes)[codes], table)


def unseen_by_doubling(search, seen, k):
    """Asks for more only where it has to."""
    seen, asked = set(seen), k
    while True:
        found = search(asked)
        unseen = [int(item) for item in found if item not in seen]
        if len(unseen) >= k or len(found) < asked:
            return unseen[:k]
        asked *= 2


def unseen_by_isin(search, seen, k):
    found = search(k + len(set(seen)))
    return found[~np.isin(found, seen)][:k]


@pytest.mark.parametrize(
    ("id", "answer"),
    [
        ("4.1", recall_by_counting),
        ("4.1", recall_by_isin),
        ("4.2", leaves_by_mask),
        ("4.2", leaf_by_leaf),
        ("4.3", scores_by_rebuilding),
        ("4.3", scores_by_one_hot),
        ("4.4", unseen_by_doubling),
        ("4.4", unseen_by_isin),
    ],
)
def test_other_right_answers_pass(id, answer):
    assert grade(id, answer).message == f"✔ {id} solved"


# --- what the others do not show ----------------------------------------------------------------------------------


def test_the_planted_bug_unchanged_is_not_attempted_and_not_wrong():
    assert grade("4.4", find("4.4").planted_bug).outcome == "not attempted"


def test_a_search_shows_what_it_stands_for():
    message = grade("4.4", lambda search, seen, k: search(k)).message
    assert "n -> [7, 3, 5, 1, 9, 4][:n]" in message
    assert "object at 0x" not in message
    message = grade("4.2", lambda query, centroids, members, score, num_leaves_to_search, k: members[0]).message
    assert "items -> [" in message and "object at 0x" not in message


# --- 4.5: the open design -----------------------------------------------------------------------------------------


def plan(**changes):
    """A plan whose two figures follow from its settings, unless they are given."""
    design = {
        "code_bytes": 16,
        "original_bytes": 256,
        "num_leaves": 4_000,
        "share_searched": 0.01,
        "reorder": 500,
        "shards": 1,
        "replicas": 5,
    }
    design |= {name: value for name, value in changes.items() if name in design}
    held, read = chapter_04.capacity(design)
    figures = {"gigabytes_per_machine": held / 1e9, "milliseconds_per_query": 1000 * read / 20e9}
    return design | figures | changes


@pytest.mark.parametrize(
    "design",
    [
        plan(),
        plan(original_bytes=128),
        plan(code_bytes=8, reorder=4_000, original_bytes=128, replicas=3),  # coarse codes, many reordered
        plan(num_leaves=20_000, shards=2, replicas=6),  # small leaves on two shards
        plan(share_searched=0.02, reorder=1_000, replicas=9),  # twice as careful
        plan(gigabytes_per_machine=28.0, milliseconds_per_query=0.86),  # rounded by hand
        {name: np.float64(value) for name, value in plan().items()},
    ],
)
def test_other_plans_that_work_pass(design):
    assert grade("4.5", design).message == "✔ 4.5 solved"


@pytest.mark.parametrize(
    ("design", "told"),
    [
        (plan(replicas=1), "cannot keep up"),
        (plan(code_bytes=8, reorder=4_000, num_leaves=1_000, shards=16, replicas=1), "needs at least two replicas"),
        (plan(code_bytes=64, reorder=200, original_bytes=256, replicas=11), "cannot hold its shard"),
        (plan(code_bytes=64, reorder=200, shards=2, replicas=9), "on 18 machines; 16 are paid for"),
        (plan(num_leaves=500_000), "a query takes too long"),
        (plan(code_bytes=256), "scanning exact embeddings"),
        (plan(code_bytes=4), "one of the pilot's"),
        (plan(original_bytes=512), "bfloat16 or float32"),
        (plan(share_searched=1.0), "a query takes too long"),
        (plan(share_searched=5), "is a share"),
        (plan(share_searched=0.001), "recall would not hold: the pilot had to search"),
        (plan(code_bytes=8), "coarser codes need more candidates"),
        (plan(shards=5, reorder=100), "does not shrink with the number of shards"),
        (plan(num_leaves=500), "the leaves are too large"),
        (plan(gigabytes_per_machine=2.4), "left the exact embeddings out"),
        (plan(gigabytes_per_machine=1.6), "left the exact embeddings and the ids out"),
        (plan(gigabytes_per_machine=27.2, original_bytes=256), "left the ids out"),
        (plan(shards=2, gigabytes_per_machine=28.0), "all shards together"),
        (plan(gigabytes_per_machine=224.0), "these are bits"),
        (plan(gigabytes_per_machine=28_001.0), "a thousand million bytes"),
        (plan(gigabytes_per_machine=5.6), "replicas do not divide memory"),
        (plan(gigabytes_per_machine=100.0), "work it out again"),
        (plan(milliseconds_per_query=0.00085), "these are seconds"),
        (plan(milliseconds_per_query=80.06), "you read every code"),
        (plan(num_leaves=40_000, milliseconds_per_query=0.806), "left the centroids out"),
        (plan(num_leaves=40_000, milliseconds_per_query=0.8), "codes alone"),
        (
            plan(code_bytes=8, reorder=40_000, milliseconds_per_query=0.4512),
            "left out the exact embeddings of the candidates",
        ),
        (plan(shards=4, replicas=2, milliseconds_per_query=0.858), "shards search side by side"),
        (plan(milliseconds_per_query=0.1715), "replicas do not make one query faster"),
        (plan(shards=1.5), "should be a whole number"),
        ({**plan(), "reorder": "500"}, "should be a number"),
        ({**plan(), "replicas": True}, "should be a number"),
        ({**plan(), "shards": 0}, "should be above 0"),
        ({**plan(), "milliseconds_per_query": float("nan")}, "should be above 0"),
        ({"shards": 1}, "the plan lacks code_bytes"),
        ([1, 5], "should be a dictionary"),
    ],
)
def test_a_plan_that_fails_is_told_why(design, told):
    assert_wrong("4.5", design, told)


def test_the_text_of_the_plan_names_the_figures_that_are_checked():
    (path,) = (Path(__file__).parents[2] / "solutions").glob("04_*.py")
    notebook = read_script(path.read_text(encoding="utf-8"))
    assert [text.id for text in read_exercises(notebook)] == IDS
    (card,) = (cell.source for cell in notebook.cells if cell.source.startswith("### Exercise 4.5"))
    text = " ".join(card.split())
    for figure in (
        f"{chapter_04.NUM_ITEMS:,} items of {chapter_04.EMBEDDING_DIM} dimensions",
        f"the best {chapter_04.K}, at {chapter_04.QUERIES_A_SECOND:,} queries a second",
        f"within {chapter_04.MAX_MILLISECONDS:g} milliseconds",
        f"{chapter_04.MEMORY / 1e9:.0f} GB of memory",
        f"reads {chapter_04.BANDWIDTH / 1e9:.0f} GB a second",
        f"at most {chapter_04.MAX_MACHINES} of them",
        f"an id of {chapter_04.ID_BYTES} bytes",
        f"{chapter_04.MIN_SHARE:.0%}".replace("%", " %") + " of the items",
        f"at least {chapter_04.MIN_LEAVES_SEARCHED} leaves",
        f"{chapter_04.MAX_BUSY:.0%}".replace("%", " %") + " of the time",
        *(f"| {code} | {reorder:,} |" for code, reorder in chapter_04.MUST_REORDER.items()),
    ):
        assert figure in text, figure
    assert all(re.search(rf"\b{size}\b", text) for size in chapter_04.ORIGINALS)
