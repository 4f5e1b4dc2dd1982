"""Chapter 3's checks, proven: right answers pass, the stub is not attempted, typical mistakes are told by name."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from support.answers import solution_answer, stub_answer

from recsys_course.grading import grade

IDS = ["3.1", "3.2", "3.3", "3.4", "3.5"]


@pytest.mark.parametrize("id", IDS)
def test_the_solution_passes(id):
    assert grade(id, solution_answer(id)).message == f"✔ {id} solved"


@pytest.mark.parametrize("id", IDS)
def test_the_stub_is_not_attempted(id):
    assert grade(id, stub_answer(id)).outcome == "not attempted"


OTHER = {
    "3.1": lambda logits: -np.diag(log_softmax(logits, axis=1)),
    "3.2": lambda logits, q: (logits.T - np.log(q)[:, None]).T,
    "3.3": lambda logits, ids: logits - np.where((ids[:, None] == ids) & ~np.eye(len(ids), dtype=bool), np.inf, 0),
    "3.4": lambda history: len(history) > 5 and max(history[-4:]) <= max(history[:-4]),
    "3.5": lambda scores, seen, k: np.array(
        [i for i in np.argsort(-scores, kind="stable") if i not in set(seen.tolist())][:k], dtype=int
    ),
}


@pytest.mark.parametrize("id", IDS)
def test_another_right_answer_passes(id):
    verdict = grade(id, OTHER[id])
    assert verdict.outcome == "solved", verdict.message


def double_loop_over_columns(logits, ids):
    out = np.array(logits, dtype=float)
    out[:, [i for i, film in enumerate(ids) if list(ids).count(film) > 1]] = -np.inf
    out[np.diag_indices(len(ids))] = np.diag(logits)
    return out


def only_below_the_diagonal(logits, ids):
    return np.where(np.tril(ids[:, None] == ids, k=-1), -np.inf, logits)


def zero_instead_of_infinity(logits, ids):
    return np.where((ids[:, None] == ids) & ~np.eye(len(ids), dtype=bool), 0, logits)


def fills_seen_with_minus_infinity(scores, seen, k):
    scores = scores.copy()
    scores[seen] = -np.inf
    return np.argsort(-scores)[:k]


def sets_seen_to_zero(scores, seen, k):
    scores = scores.copy()
    scores[seen] = 0
    return np.argsort(-scores)[:k]


@pytest.mark.parametrize(
    ("id", "answer", "told"),
    [
        ("3.1", lambda a: -np.diag(log_softmax(a, axis=0)), "runs down the columns"),
        ("3.1", lambda a: np.diag(log_softmax(a, axis=1)), "the sign is wrong"),
        ("3.1", lambda a: -log_softmax(a, axis=1).diagonal().sum(), "added the rows up"),
        ("3.1", lambda a: -log_softmax(a, axis=1).diagonal().mean(), "averaged the rows"),
        ("3.1", lambda a: softmax(a, axis=1).diagonal(), "these are the probabilities"),
        ("3.1", lambda a: -np.log((np.exp(a) / np.exp(a).sum(1)[:, None]).diagonal()), "overflows or underflows"),
        ("3.1", lambda a: -np.diag(np.log(softmax(a))), "over the whole square"),
        ("3.1", lambda a: None, "is there a return?"),
        ("3.2", lambda a, q: np.log(q) + a, "the sign is still the wrong one"),
        ("3.2", lambda a, q: a - q, "you subtract the probability itself"),
        ("3.2", lambda a, q: (a.T - np.log(q)).T, "you correct rows"),
        ("3.2", lambda a, q: np.where(np.eye(len(a)) == 1, a, a - np.log(q)), "left the diagonal alone"),
        ("3.2", lambda a, q: a / q, "it is exp(affinity) that is weighed"),
        ("3.2", lambda a, q: a - np.log2(q), "use the natural logarithm"),
        ("3.3", lambda a, ids: np.where(ids[:, None] == ids, -np.inf, a), "you mask the diagonal too"),
        ("3.3", zero_instead_of_infinity, "is not out of the softmax"),
        ("3.3", double_loop_over_columns, "mask a repeated film for every row"),
        ("3.3", lambda a, ids: np.where(np.triu(ids[:, None] == ids, k=1), -np.inf, a), "mask in one direction"),
        ("3.3", only_below_the_diagonal, "3.3 wrong"),
        ("3.4", lambda history: len(history) >= 10, "stops while the curve rises"),
        ("3.4", lambda history: True, "after the very first epoch"),
        ("3.4", lambda history: False, "goes on too long"),
        ("3.4", lambda history: len(history) > 1 and history[-1] < history[-2], "a dip of one epoch"),
        ("3.4", lambda history: len(history) > 1 and history[-1] > history[-2], "these are no losses"),
        (
            "3.4",
            lambda history: len(history) > 3 and bool(np.all(np.diff(history[-4:]) <= 0)),
            "compare with the best",
        ),
        ("3.4", lambda history: history.pop() < 0, "changes the history"),
        ("3.5", lambda scores, seen, k: np.argsort(-scores)[:k], "seen items are still in the list"),
        ("3.5", lambda scores, seen, k: np.setdiff1d(np.argsort(-scores)[:k], seen), "cut to k first"),
        ("3.5", sets_seen_to_zero, "beats every negative score"),
        ("3.5", lambda scores, seen, k: np.argsort(-np.delete(scores, seen))[:k], "positions among the *unseen*"),
        ("3.5", fills_seen_with_minus_infinity, "filled up with seen ones"),
        ("3.5", lambda scores, seen, k: OTHER["3.5"](-scores, seen, k), "from the worst up"),
        ("3.5", lambda scores, seen, k: scores[OTHER["3.5"](scores, seen, k)], "these are the scores"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflow is what is wrong with some of them
def test_typical_mistakes_are_told_by_name(id, answer, told):
    verdict = grade(id, answer)
    assert verdict.outcome == "wrong", verdict.message
    assert told in verdict.message
