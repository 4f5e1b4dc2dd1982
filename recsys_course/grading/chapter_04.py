"""Checks of chapter 4: neighbour recall, an inverted file, a product quantiser's scores, the seen filter, capacity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from recsys_course.grading.core import Wrong, exercise, inputs

# --- 4.1 Neighbour recall -----------------------------------------------------------------------------------------


def _neighbor_recall_at_k(found_ids, exact_ids):
    found_ids, exact_ids = np.asarray(found_ids), np.asarray(exact_ids)
    is_neighbour = exact_ids != -1
    is_found = (exact_ids[:, :, np.newaxis] == found_ids[:, np.newaxis, :]).any(axis=2) & is_neighbour
    there_are = is_neighbour.sum(axis=1)
    return (is_found.sum(axis=1)[there_are > 0] / there_are[there_are > 0]).mean()


def _common(found_ids, exact_ids, empty=()):
    """For each query the ids found, the exact ones, and those in both, without those in `empty`."""
    rows = zip(np.asarray(found_ids).tolist(), np.asarray(exact_ids).tolist(), strict=True)
    return [(found, exact, (set(found) & set(exact)) - set(empty)) for found, exact in rows]


def _counts_padding_as_found(found_ids, exact_ids):
    return np.mean([len(both) / len(set(exact)) for _, exact, both in _common(found_ids, exact_ids)])


def _divides_by_k(found_ids, exact_ids):
    return np.mean([len(both) / len(exact) for _, exact, both in _common(found_ids, exact_ids, [-1])])


def _counts_padding_and_divides_by_k(found_ids, exact_ids):
    return np.mean([np.isin(exact, found).mean() for found, exact, _ in _common(found_ids, exact_ids)])


def _divides_by_what_was_found(found_ids, exact_ids):
    common = _common(found_ids, exact_ids, [-1])
    return np.mean([len(both) / max(1, len(set(found) - {-1})) for found, _, both in common])


def _place_by_place(found_ids, exact_ids):
    found_ids, exact_ids = np.asarray(found_ids), np.asarray(exact_ids)
    width = min(found_ids.shape[1], exact_ids.shape[1])
    hits = (found_ids[:, :width] == exact_ids[:, :width]) & (exact_ids[:, :width] != -1)
    return np.mean(hits.sum(axis=1) / np.maximum(1, (exact_ids != -1).sum(axis=1)))


def _all_rows_in_one_set(found_ids, exact_ids):
    exact = set(np.ravel(exact_ids).tolist()) - {-1}
    return len(exact & set(np.ravel(found_ids).tolist())) / len(exact)


def _pools_the_queries(found_ids, exact_ids):
    common = _common(found_ids, exact_ids, [-1])
    return sum(len(both) for *_, both in common) / sum(len(set(exact) - {-1}) for _, exact, _ in common)


def _empty_rows_count_nothing(found_ids, exact_ids):
    common = _common(found_ids, exact_ids, [-1])
    return np.mean([len(both) / max(1, len(set(exact) - {-1})) for _, exact, both in common])


exercise(
    "4.1",
    answer="neighbor_recall_at_k",
    reference=_neighbor_recall_at_k,
    cases=[
        inputs(np.array([[9, 7, 1], [2, -1, -1]]), np.array([[7, 3, 9], [5, 2, -1]])),
        inputs(np.array([[1, 2, 3], [4, 5, 6], [9, 8, 7]]), np.array([[1, 2, 3], [6, 4, 0], [0, 1, 2]])),
        inputs(np.array([[5, 6, -1], [-1, -1, -1]]), np.array([[6, -1, -1], [2, 3, 4]])),  # nothing found at all
        inputs(np.array([[0, 1, 2, 3], [2, 0, 1, 9]]), np.array([[0, 4, 1, 5], [1, 0, -1, -1]])),
        inputs(np.array([[3, 1], [-1, -1]]), np.array([[1, 2], [-1, -1]])),  # a query without neighbours
    ],
    misconceptions={
        "you counted −1 as found where both rows hold it: it marks an empty place, and is nobody's neighbour": (
            _counts_padding_as_found
        ),
        "you divided by k; divide by the number of neighbours that there were to find, and −1 is none": _divides_by_k,
        "you compared with −1 among the ids and divided by k: take the −1 out of the exact row first": (
            _counts_padding_and_divides_by_k
        ),
        "you divided by the number of ids found; that is precision. Recall divides by the number of exact neighbours": (
            _divides_by_what_was_found
        ),
        "you compared place by place; an id counts as found wherever in the row it stands": _place_by_place,
        "you threw all queries into one set; an id found for one query is no find for another": _all_rows_in_one_set,
        "you pooled all neighbours; take each query's share first and then the mean, so that queries weigh the same": (
            _pools_the_queries
        ),
        "a query without any neighbour has nothing to lose: leave it out of the mean, do not count it as 0": (
            _empty_rows_count_nothing
        ),
        "this is what was missed: recall is 1 minus that": lambda found_ids, exact_ids: (
            1 - _neighbor_recall_at_k(found_ids, exact_ids)
        ),
    },
)

# --- 4.2 Search in leaves -----------------------------------------------------------------------------------------


class _Affinities:
    """Scores items by position; shown to a learner as the formula it stands for."""

    def __init__(self, embeddings, query):
        self.affinities = np.asarray(embeddings) @ np.asarray(query)

    def __call__(self, items):
        items = np.asarray(items, dtype=np.int64)
        return self.affinities[items]

    def __repr__(self):
        return "items -> " + np.array2string(self.affinities.round(2), separator=", ") + "[items]"


def _search_leaves(query, centroids, members, score, num_leaves_to_search, k):
    leaf_order = sorted(range(len(centroids)), key=lambda leaf: -float(np.dot(centroids[leaf], query)))
    gathered = np.hstack([np.asarray(members[leaf], dtype=np.int64) for leaf in leaf_order[:num_leaves_to_search]])
    scores = score(gathered)
    keep = np.argsort(scores, kind="stable")[::-1][:k]
    return gathered[keep]


def _searching(leaf_scores, places=False, ascending=False):
    """A search whose leaves are ranked by something else, or which ends in something else."""

    def search(query, centroids, members, score, num_leaves_to_search, k):
        leaves = np.argsort(-leaf_scores(np.asarray(centroids), np.asarray(query)), kind="stable")
        candidates = np.concatenate([members[leaf] for leaf in leaves[:num_leaves_to_search]]).astype(np.int64)
        scores = score(candidates)
        order = np.argsort(scores if ascending else -scores, kind="stable")[:k]
        return order if places else candidates[order]

    return search


def _affinity(centroids, query):
    return centroids @ query


def _nearest_by_euclid(centroids, query):
    return -((centroids - query) ** 2).sum(axis=1)


def _nearest_by_cosine(centroids, query):
    return centroids @ query / np.linalg.norm(centroids, axis=1)


def _scores_everything(query, centroids, members, score, num_leaves_to_search, k):
    everything = np.concatenate(members).astype(np.int64)
    return everything[np.argsort(-score(everything), kind="stable")[:k]]


def _searches_one_leaf(query, centroids, members, score, num_leaves_to_search, k):
    return _search_leaves(query, centroids, members, score, 1, k)


def _k_from_each_leaf(query, centroids, members, score, num_leaves_to_search, k):
    leaves = np.argsort(-(np.asarray(centroids) @ query))[:num_leaves_to_search]
    return np.concatenate([members[leaf][np.argsort(-score(members[leaf]))][:k] for leaf in leaves])


def _leaf_after_leaf(query, centroids, members, score, num_leaves_to_search, k):
    return _k_from_each_leaf(query, centroids, members, score, num_leaves_to_search, k)[:k]


def _leaves(*items):
    return [np.array(leaf, dtype=np.int64) for leaf in items]


# The longest centroid is not the nearest, the scores are no monotone function of the positions, one leaf is empty.
_PLANE = np.array(
    [[4.0, 1.0], [5.0, 0.5], [5.5, 2.5], [1.0, 4.0], [0.5, 5.0], [1.5, 5.0], [1.0, 1.0], [1.2, 0.7], [0.8, 1.3]]
)
_CENTRES = np.array([[4.8, 1.3], [1.0, 4.7], [1.0, 1.0], [-3.0, -3.0]])
_MEMBERS = _leaves([2, 0, 1], [4, 3, 5], [8, 6, 7], [])


def _plane(query, num_leaves_to_search, k):
    query = np.array(query)
    return inputs(query, _CENTRES, _MEMBERS, _Affinities(_PLANE, query), num_leaves_to_search, k)


exercise(
    "4.2",
    answer="search_leaves",
    reference=_search_leaves,
    cases=[
        _plane([1.0, 0.2], num_leaves_to_search=1, k=2),
        _plane([0.9, 1.1], num_leaves_to_search=1, k=2),  # the best item of all is on another leaf
        _plane([0.9, 1.1], num_leaves_to_search=2, k=4),  # and now it is found
        _plane([0.2, -1.0], num_leaves_to_search=3, k=5),  # affinities below zero
        _plane([1.0, 0.1], num_leaves_to_search=1, k=5),  # fewer members than k
        _plane([-1.0, -0.7], num_leaves_to_search=2, k=2),  # the best leaf is empty
        _plane([0.3, 1.0], num_leaves_to_search=4, k=9),  # everything: exact search
    ],
    misconceptions={
        "you ranked the leaves by distance; long embeddings have high affinities, so use centroids @ query": (
            _searching(_nearest_by_euclid)
        ),
        "you ranked the leaves by the angle alone; an item's length counts in its affinity, and a centroid's too": (
            _searching(_nearest_by_cosine)
        ),
        "you searched the leaves that fit worst: argsort runs from the lowest up": (
            _searching(lambda centroids, query: -_affinity(centroids, query))
        ),
        "these are places among the items gathered; translate them back into positions in the catalogue": (
            _searching(_affinity, places=True)
        ),
        "the list runs from the worst item up: sort by descending score": _searching(_affinity, ascending=True),
        "you scored every item; only those on the best num_leaves_to_search leaves may be scored": _scores_everything,
        "you looked into one leaf only, whatever num_leaves_to_search says": _searches_one_leaf,
        "you took k from each leaf; the answer is one list of k": _k_from_each_leaf,
        "you put the leaves' lists one after the other; items of all searched leaves compete in one order": (
            _leaf_after_leaf
        ),
        "these are leaves; return the items that stand on them": (
            lambda query, centroids, members, score, num_leaves_to_search, k: np.argsort(
                -(np.asarray(centroids) @ query)
            )[:num_leaves_to_search]
        ),
    },
)

# --- 4.3 Scores from a table --------------------------------------------------------------------------------------


def _approximate_scores(query, code_books, codes):
    num_blocks, _, block_dim = np.shape(code_books)
    parts = np.asarray(query).reshape(num_blocks, block_dim)
    total = np.zeros(len(codes))
    for block, (part, book) in enumerate(zip(parts, np.asarray(code_books), strict=True)):
        total = total + (book @ part)[np.asarray(codes)[:, block]]
    return total


def _first_book_for_all(query, code_books, codes):
    num_blocks, _, block_dim = code_books.shape
    table = query.reshape(num_blocks, block_dim) @ code_books[0].T
    return table[np.arange(num_blocks), codes].sum(axis=1)


def _interleaved(query, code_books, codes):
    num_blocks, _, block_dim = code_books.shape
    parts = query.reshape(block_dim, num_blocks).T
    return _approximate_scores(parts.ravel(), code_books, codes)


def _quantises_the_query(query, code_books, codes):
    num_blocks, _, block_dim = code_books.shape
    parts = query.reshape(num_blocks, 1, block_dim)
    nearest = ((code_books - parts) ** 2).sum(axis=2).argmin(axis=1)
    coarse = code_books[np.arange(num_blocks), nearest]
    return _approximate_scores(coarse.ravel(), code_books, codes)


def _squared_distances(query, code_books, codes):
    num_blocks, _, block_dim = code_books.shape
    table = ((code_books - query.reshape(num_blocks, 1, block_dim)) ** 2).sum(axis=2)
    return table[np.arange(num_blocks), codes].sum(axis=1)


def _adds_the_codes(query, code_books, codes):
    num_blocks, _, block_dim = code_books.shape
    best = np.einsum("bcd,bd->bc", code_books, query.reshape(num_blocks, block_dim)).max(axis=1)
    return codes @ best


def _every_code_in_every_row(query, code_books, codes):
    num_blocks, _, block_dim = code_books.shape
    table = np.einsum("bcd,bd->bc", code_books, query.reshape(num_blocks, block_dim))
    return table[:, codes].sum(axis=1)


def _not_summed(query, code_books, codes):
    num_blocks, _, block_dim = code_books.shape
    table = np.einsum("bcd,bd->bc", code_books, query.reshape(num_blocks, block_dim))
    return table[np.arange(num_blocks), codes]


def _quantised_case(num_items, num_blocks, num_codes, block_dim, seed):
    rng = np.random.default_rng(seed)
    return inputs(
        rng.normal(size=num_blocks * block_dim).round(2),
        rng.normal(size=(num_blocks, num_codes, block_dim)).round(2),
        rng.integers(num_codes, size=(num_items, num_blocks)).astype(np.uint8),
    )


_TWO_BOOKS = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])

exercise(
    "4.3",
    answer="approximate_scores",
    reference=_approximate_scores,
    cases=[
        inputs(np.array([2.0, 1.0, 1.0, 3.0]), _TWO_BOOKS, np.array([[0, 0], [1, 0], [0, 1]], np.uint8)),
        _quantised_case(num_items=4, num_blocks=3, num_codes=2, block_dim=2, seed=0),
        _quantised_case(num_items=5, num_blocks=2, num_codes=4, block_dim=3, seed=1),
        _quantised_case(num_items=2, num_blocks=5, num_codes=16, block_dim=1, seed=2),  # a block a dimension
        _quantised_case(num_items=3, num_blocks=1, num_codes=3, block_dim=4, seed=3),  # one block: no sum
    ],
    misconceptions={
        "you looked every block up in the first code book; each block has its own": _first_book_for_all,
        "you dealt the dimensions out in turn; a block is made of consecutive ones: reshape(num_blocks, block_dim)": (
            _interleaved
        ),
        "you replaced the query's blocks by their codes too; the query stays exact, only items are quantised": (
            _quantises_the_query
        ),
        "these are squared distances; a partial affinity is the inner product of two blocks": _squared_distances,
        "a code is a name, not an amount: look it up in the table, do not multiply by it": _adds_the_codes,
        "you looked every code up in the rows of all blocks; a block's code belongs to its own row of the table": (
            _every_code_in_every_row
        ),
        "these are the partial affinities; add them up over an item's blocks": _not_summed,
        "you averaged over the blocks; an inner product is their sum": (
            lambda query, code_books, codes: _not_summed(query, code_books, codes).mean(axis=1)
        ),
    },
)

# --- 4.4 The list that came out short -----------------------------------------------------------------------------


class _Search:
    """Stands for an index asked with one query: called with n, it returns the n best ids, best first."""

    def __init__(self, ranking):
        self.ranking = np.array(ranking)

    def __call__(self, n):
        if n < 1:
            raise ValueError(f"an index is asked for at least one item, got {n}.")
        return self.ranking[:n].copy()

    def __repr__(self):
        return "n -> " + np.array2string(self.ranking, separator=", ", threshold=12, edgeitems=5) + "[:n]"


def _search_unseen(search, seen, k):
    unseen: list[int] = []
    for item in search(k + len(seen)):
        if item not in seen and len(unseen) < k:
            unseen.append(int(item))
    return unseen


def _filters_a_list_of_k(search, seen, k):
    found = search(k)
    return [item for item in found if item not in seen]


def _fetches_twice_as_many(search, seen, k):
    return [item for item in search(2 * k) if item not in seen][:k]


def _fetches_a_hundred_more(search, seen, k):
    return [item for item in search(k + 100) if item not in seen][:k]


def _does_not_cut(search, seen, k):
    return [item for item in search(k + len(seen)) if item not in seen]


def _fills_up_with_seen(search, seen, k):
    found = list(search(k + len(seen)))
    return ([item for item in found if item not in seen] + [item for item in found if item in seen])[:k]


def _fetches_seen_only(search, seen, k):
    return [item for item in search(max(k, len(seen))) if item not in seen][:k]


exercise(
    "4.4",
    answer="search_unseen",
    reference=_search_unseen,
    cases=[
        inputs(search=_Search([7, 3, 5, 1, 9, 4]), seen=[3, 7], k=2),
        inputs(search=_Search([7, 3, 5, 1, 9, 4]), seen=[], k=3),  # a new user
        inputs(search=_Search(np.arange(20)), seen=[*range(10)], k=4),  # the model knows the history by heart
        inputs(search=_Search(np.arange(300)), seen=[*range(0, 260, 2)], k=120),
        inputs(search=_Search([2, 4, 6]), seen=[4, 99], k=3),  # fewer left than k; 99 has left the catalogue
        inputs(search=_Search([2, 4]), seen=[4, 2], k=1),  # nothing left
    ],
    misconceptions={
        "the list still comes out short: what the filter takes out has to be asked for on top of k": (
            _filters_a_list_of_k
        ),
        "twice as many are too few for a user who has seen more than k of the best: ask for as many more as could be "
        "filtered out": _fetches_twice_as_many,
        "a fixed number more is too few for somebody with a longer history: it depends on len(seen)": (
            _fetches_a_hundred_more
        ),
        "after filtering, more than k may be left: cut the list to k": _does_not_cut,
        "when fewer than k are left, your list is filled up with seen ones": _fills_up_with_seen,
        "the seen ones may all be among the best: ask for k *on top of* them, not for the larger of the two": (
            _fetches_seen_only
        ),
        "the seen items are still in the list": lambda search, seen, k: search(k),
    },
    planted_bug=_filters_a_list_of_k,
)

# --- 4.5 A hundred million items, on paper ------------------------------------------------------------------------

NUM_ITEMS, EMBEDDING_DIM, K = 100_000_000, 64, 100
QUERIES_A_SECOND, MAX_MILLISECONDS, MAX_BUSY, MAX_MACHINES = 3_000, 5.0, 0.6, 16
MEMORY, BANDWIDTH = 32e9, 20e9  # of one machine: bytes, bytes a second
ID_BYTES = 8
MUST_REORDER = {8: 4_000, 16: 500, 64: 200}  # bytes of an item's code -> candidates to reorder, in the pilot
ORIGINALS = (128, 256)  # bytes of an item's exact embedding: bfloat16 or float32
MIN_SHARE, MIN_LEAVES_SEARCHED = 0.01, 10

_DESIGN = ("code_bytes", "original_bytes", "num_leaves", "share_searched", "reorder", "shards", "replicas")
_WORKED_OUT = ("gigabytes_per_machine", "milliseconds_per_query")


def capacity(design: Mapping[str, float]) -> tuple[float, float]:
    """Bytes that one machine holds, and bytes that it reads for one query: the sums of exercise 4.5."""
    items = NUM_ITEMS / design["shards"]
    leaves = design["num_leaves"] * EMBEDDING_DIM * 4
    held = items * (design["code_bytes"] + design["original_bytes"] + ID_BYTES) + leaves
    read = items * design["share_searched"] * design["code_bytes"] + leaves
    return held, read + design["reorder"] * design["original_bytes"]


@exercise("4.5", answer="plan")
def _plan(answer: Any) -> None:
    design = _numbers(answer)
    _check_settings(design)
    held, read = capacity(design)
    seconds = read / BANDWIDTH
    _check_worked_out(
        "gigabytes_per_machine", design, held / 1e9, _memory_slips(design, held), "what one machine holds"
    )
    _check_worked_out(
        "milliseconds_per_query", design, 1000 * seconds, _time_slips(design, read), "bytes read / bandwidth"
    )
    if held > MEMORY:
        raise Wrong(
            "one machine cannot hold its shard: take more shards, or fewer bytes an item",
            expected=f"at most {MEMORY / 1e9:.0f} GB",
            got=f"{held / 1e9:.1f} GB",
        )
    if 1000 * seconds > MAX_MILLISECONDS:
        raise Wrong(
            "a query takes too long: read less of each item, fewer leaves' centroids, or split it over more shards",
            expected=f"at most {MAX_MILLISECONDS:g} ms",
            got=f"{1000 * seconds:.2f} ms",
        )
    busy = QUERIES_A_SECOND * seconds / design["replicas"]
    if busy > MAX_BUSY:
        raise Wrong(
            "the machines cannot keep up: each query occupies one replica of every shard, and a queue grows long well "
            "before they are busy all the time",
            expected=f"busy at most {MAX_BUSY:.0%} of the time",
            got=f"{busy:.0%}",
        )
    if design["replicas"] < 2:
        raise Wrong("one machine fails, and a shard is gone: each shard needs at least two replicas", got=1)
    machines = int(design["shards"] * design["replicas"])
    if machines > MAX_MACHINES:
        raise Wrong(
            f"it would work, on {machines} machines; {MAX_MACHINES} are paid for", expected=MAX_MACHINES, got=machines
        )


def _numbers(answer: Any) -> dict[str, float]:
    names = (*_DESIGN, *_WORKED_OUT)
    if not isinstance(answer, Mapping):
        raise Wrong("plan should be a dictionary with the names of the exercise", expected=names, got=answer)
    if missing := [name for name in names if name not in answer]:
        raise Wrong(f"the plan lacks {', '.join(missing)}", got=list(answer))
    for name in names:
        value = answer[name]
        if isinstance(value, bool) or not np.isscalar(value) or not isinstance(value, int | float | np.number):
            raise Wrong(f"{name} should be a number", got=value)
        if not math.isfinite(value) or value <= 0:
            raise Wrong(f"{name} should be above 0", got=value)
        if name in ("num_leaves", "reorder", "shards", "replicas") and value != int(value):
            raise Wrong(f"{name} counts things: it should be a whole number", got=value)
    return {name: float(answer[name]) for name in names}


def _check_settings(design: Mapping[str, float]) -> None:
    if design["code_bytes"] not in MUST_REORDER:
        told = "code_bytes should be one of the pilot's"
        if design["code_bytes"] in (128, 256):
            told += "; scanning exact embeddings instead of codes reads 16 times as much"
        raise Wrong(told, expected=list(MUST_REORDER), got=design["code_bytes"])
    if design["original_bytes"] not in ORIGINALS:
        raise Wrong(
            "original_bytes should be those of 64 numbers, in bfloat16 or float32",
            expected=list(ORIGINALS),
            got=design["original_bytes"],
        )
    if design["share_searched"] > 1:
        raise Wrong("share_searched is a share: 0.01 is one in a hundred", got=design["share_searched"])
    if design["share_searched"] < MIN_SHARE:
        raise Wrong(
            "recall would not hold: the pilot had to search one item in a hundred",
            expected=f"at least {MIN_SHARE}",
            got=design["share_searched"],
        )
    if design["reorder"] < MUST_REORDER[int(design["code_bytes"])]:
        raise Wrong(
            "recall would not hold: coarser codes need more candidates reordered, and the count does not shrink with "
            "the number of shards",
            given=f"code_bytes = {design['code_bytes']:g}",
            expected=f"at least {MUST_REORDER[int(design['code_bytes'])]:,}",
            got=design["reorder"],
        )
    if (searched := design["num_leaves"] * design["share_searched"]) < MIN_LEAVES_SEARCHED:
        raise Wrong(
            "the leaves are too large: so few of them are searched that a neighbour next door is missed",
            expected=f"num_leaves × share_searched at least {MIN_LEAVES_SEARCHED}",
            got=round(searched, 2),
        )


def _check_worked_out(
    name: str, design: Mapping[str, float], right: float, slips: Mapping[str, float], formula: str
) -> None:
    claimed = design[name]
    if math.isclose(claimed, right, rel_tol=0.02):
        return
    told = min(slips, key=lambda slip: abs(slips[slip] - claimed))
    if not math.isclose(claimed, slips[told], rel_tol=0.02):
        told = "work it out again from your other numbers"
    raise Wrong(f"{name} ({formula}): {told}", expected=f"{right:.3g}", got=claimed)


def _memory_slips(design: Mapping[str, float], held: float) -> dict[str, float]:
    items, leaves = NUM_ITEMS / design["shards"], design["num_leaves"] * EMBEDDING_DIM * 4
    without_originals = items * (design["code_bytes"] + ID_BYTES) + leaves
    return {
        "you left the exact embeddings out, and reordering needs them": without_originals / 1e9,
        "you left the exact embeddings and the ids out": (items * design["code_bytes"] + leaves) / 1e9,
        "you left the codes out": (held - items * design["code_bytes"]) / 1e9,
        "you left the ids out, 8 bytes an item": (held - items * ID_BYTES) / 1e9,
        "these are all shards together; a machine holds one": (design["shards"] * (held - leaves) / 1e9 + leaves / 1e9),
        "these are bits: divide by 8": 8 * held / 1e9,
        "a gigabyte is a thousand million bytes": held / 1e6,
        "every replica holds its shard whole; replicas do not divide memory": held / design["replicas"] / 1e9,
    }


def _time_slips(design: Mapping[str, float], read: float) -> dict[str, float]:
    items, leaves = NUM_ITEMS / design["shards"], design["num_leaves"] * EMBEDDING_DIM * 4
    milliseconds = 1000 / BANDWIDTH
    reordering = design["reorder"] * design["original_bytes"]
    scan = items * design["share_searched"] * design["code_bytes"]
    return {
        "these are seconds; a thousand milliseconds make one": read / BANDWIDTH,
        "you read every code; only the leaves searched are read": (items * design["code_bytes"] + leaves + reordering)
        * milliseconds,
        "you left the centroids out, and each query is compared with all of them": (scan + reordering) * milliseconds,
        "you left out the exact embeddings of the candidates to reorder": (scan + leaves) * milliseconds,
        "you counted the codes alone; the centroids and the candidates to reorder are read too": scan * milliseconds,
        "shards search side by side, each in its own part: divide the items by their number": (
            scan * design["shards"] + leaves + reordering
        )
        * milliseconds,
        "replicas do not make one query faster; they let more queries run at a time": read
        * milliseconds
        / design["replicas"],
    }
