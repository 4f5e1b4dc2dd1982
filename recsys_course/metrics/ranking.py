"""Ranking metrics over the whole catalogue: where do the held-out items stand?

Two conventions decide what the numbers mean, and libraries differ in both:

* **Ties count against the model.** A held-out item that shares its score with other candidates stands behind all of
  them. A model that scores everything alike has found nothing, and gets nothing.
* **Seen items** (usually the user's training interactions) either compete or are taken out. Taking them out makes every
  number larger; say which one you report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse

from recsys_course.metrics.checks import whole_number

Scorer = Callable[[np.ndarray], np.ndarray]


class HeldOutRanks(NamedTuple):
    """The rank of every held-out interaction, ordered by user, then by movie.

    Attributes:
        ranks: `[num_held_out] int64`, 1 is best. The ranks of one user are distinct.
        users: `[num_held_out] int64` row of each interaction.
        movies: `[num_held_out] int64` column of each interaction.
    """

    ranks: np.ndarray
    users: np.ndarray
    movies: np.ndarray


def rank_held_out(
    score: Scorer,
    held_out: sparse.csr_matrix,
    seen: sparse.csr_matrix | None = None,
    block_size: int = 1024,
) -> HeldOutRanks:
    """Ranks each user's held-out items among all candidates.

    Users are scored in blocks, so memory is bounded by `block_size * num_items` scores however many users there are.
    Only users who have held-out items are scored.

    An item ranks behind every candidate with a higher score, and behind every candidate with an equal score that is not
    held out for the same user. Held-out items of one user that tie with each other take successive ranks in column
    order, so that two items never share a place in the list.

    Args:
        score: Takes `[b] int64` rows, returns `[b, num_items]` scores; higher is better. Called once a block.
        held_out: `[num_users, num_items]`; a non-zero entry is a held-out interaction.
        seen: Same shape; a non-zero entry takes the item out of that user's candidates. `None`: all items compete.
        block_size: Users scored at a time.

    Returns:
        The ranks, with the user and the movie each belongs to.

    Raises:
        ValueError: No held-out interaction; shapes that differ; an item both held out and seen; `score` returned the
            wrong shape or NaN; `block_size` below 1. The message says what was expected and what came.
    """
    held_out = _entries(held_out, "held_out")
    block_size = whole_number(block_size, "block_size")
    if held_out.nnz == 0:
        raise ValueError("held_out holds no interaction: there is nothing to rank. Is the test split empty?")
    if seen is not None:
        seen = _entries(seen, "seen")
        _check_disjoint(held_out, seen)

    counts = np.diff(held_out.indptr)
    users = np.flatnonzero(counts)
    ranks = []
    for start in range(0, len(users), block_size):
        block = users[start : start + block_size]
        scores = _scores_of(score, block, held_out.shape[1])
        ranks.append(_rank_block(scores, held_out[block], None if seen is None else seen[block]))
    return HeldOutRanks(
        ranks=np.concatenate(ranks),
        users=np.repeat(np.arange(len(counts)), counts),
        movies=held_out.indices.astype(np.int64),
    )


def hit_rate_at_k(held: HeldOutRanks, k: int) -> float:
    """The share of held-out interactions that rank among the first `k`.

    A mean over interactions, not over users: a user with twenty held-out items weighs twenty times one with a single
    item. TFRS calls the same number top-k categorical accuracy. (Some papers call "hit rate" the share of users with
    at least one hit; the two agree where each user has one held-out item.)
    """
    held, k = _checked(held, k)
    return float(np.mean(held.ranks <= k))


def recall_at_k(held: HeldOutRanks, k: int) -> float:
    """The share of a user's held-out items found among the first `k`, averaged over users.

    The denominator is all of the user's held-out items, so a user with more than `k` of them cannot reach 1. Averages
    run over users with at least one held-out item.
    """
    held, k = _checked(held, k)
    return _user_mean(held, held.ranks <= k, lambda num_held_out: num_held_out)


def precision_at_k(held: HeldOutRanks, k: int) -> float:
    """The share of the first `k` places that hold a held-out item, averaged over users.

    The denominator is `k`, also for users with fewer than `k` held-out items, who cannot reach 1.
    """
    held, k = _checked(held, k)
    return _user_mean(held, held.ranks <= k, lambda num_held_out: np.full_like(num_held_out, k))


def ndcg_at_k(held: HeldOutRanks, k: int) -> float:
    """Normalised discounted cumulative gain with binary relevance, averaged over users.

    A hit at rank `r` is worth `1 / log2(r + 1)`. The denominator is what the best possible list would earn: all of the
    user's held-out items, at most `k`, at the top. So every user can reach 1.

    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002), with the discount
    `log2(r + 1)` that is usual today.
    """
    held, k = _checked(held, k)
    gains = np.where(held.ranks <= k, 1 / np.log2(held.ranks + 1), 0.0)

    def ideal(num_held_out: np.ndarray) -> np.ndarray:
        longest = min(k, int(num_held_out.max()))
        best = np.cumsum(1 / np.log2(np.arange(2, longest + 2)))
        return best[np.minimum(num_held_out, longest) - 1]

    return _user_mean(held, gains, ideal)


def map_at_k(held: HeldOutRanks, k: int) -> float:
    """Mean average precision: the precision at the rank of each hit, summed, over all of the user's held-out items.

    The denominator is all held-out items, as in `recall_at_k` (and in trec_eval); some libraries divide by
    `min(num_held_out, k)` instead and report larger numbers.
    """
    held, k = _checked(held, k)
    order = np.lexsort((held.ranks, held.users))
    users, ranks = held.users[order], held.ranks[order]
    hits_so_far = _place_within_group(users) + 1  # the j-th best held-out item is the j-th hit
    precision = np.where(ranks <= k, hits_so_far / ranks, 0.0)
    return _user_mean(HeldOutRanks(ranks, users, held.movies[order]), precision, lambda num_held_out: num_held_out)


def mrr_at_k(held: HeldOutRanks, k: int) -> float:
    """Mean reciprocal rank: one over the rank of a user's first hit, 0 if none is among the first `k`; user average."""
    held, k = _checked(held, k)
    order = np.lexsort((held.ranks, held.users))
    best = held.ranks[order][_place_within_group(held.users[order]) == 0]
    return float(np.mean(np.where(best <= k, 1 / best, 0.0)))


def _rank_block(scores: np.ndarray, held_out: sparse.csr_matrix, seen: sparse.csr_matrix | None) -> np.ndarray:
    """Ranks of the held-out items of one block, in the order of its entries. Overwrites `scores`."""
    rows, columns = _rows_of(held_out), held_out.indices
    costs = np.negative(scores, out=scores)  # [b, num_items]; sorting ascending then puts the best first
    own = costs[rows, columns]

    # Only rivals stay: NaN is sorted behind everything and is never "at most" anything.
    costs[rows, columns] = np.nan
    if seen is not None:
        costs[_rows_of(seen), seen.indices] = np.nan
    costs.sort(axis=1)
    rivals_ahead = _count_at_most(costs, rows, own)

    order = np.lexsort((columns, own, rows))
    own_ahead = np.empty(len(rows), np.int64)
    own_ahead[order] = _place_within_group(rows[order])
    return 1 + rivals_ahead + own_ahead


def _count_at_most(sorted_rows: np.ndarray, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How many entries of `sorted_rows[rows[i]]` are at most `values[i]`: a binary search, all `i` in step."""
    num_columns = sorted_rows.shape[1]
    low = np.zeros(len(rows), np.int64)
    high = np.full(len(rows), num_columns)
    for _ in range(num_columns.bit_length()):
        middle = (low + high) // 2
        probe = sorted_rows[rows, np.minimum(middle, num_columns - 1)]
        right = (low < high) & (probe <= values)
        low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
    return low


def _place_within_group(groups: np.ndarray) -> np.ndarray:
    """0, 1, 2, ... within each run of equal values: `[7, 7, 9] -> [0, 1, 0]`."""
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    return np.arange(len(groups)) - np.repeat(starts, np.diff(np.r_[starts, len(groups)]))


def _user_mean(held: HeldOutRanks, gains: np.ndarray, denominator: Callable[[np.ndarray], np.ndarray]) -> float:
    """Sums `gains` for each user, divides by `denominator(num_held_out)`, averages over users."""
    _, position, num_held_out = np.unique(held.users, return_inverse=True, return_counts=True)
    return float(np.mean(np.bincount(position, weights=gains) / denominator(num_held_out)))


def _scores_of(score: Scorer, users: np.ndarray, num_items: int) -> np.ndarray:
    """A block of scores, checked, as a floating-point array that the caller may overwrite."""
    scores = np.asarray(score(users))
    if scores.shape != (len(users), num_items):
        raise ValueError(
            f"score returned shape {scores.shape} for {len(users)} users; expected {(len(users), num_items)}: "
            "one score for every item of held_out's columns."
        )
    scores = scores.astype(np.result_type(scores.dtype, np.float32), copy=True)
    if np.isnan(scores).any():
        row, column = np.argwhere(np.isnan(scores))[0]
        raise ValueError(
            f"score returned NaN (first for user {users[row]}, movie {column}), which has no place in an order. "
            "Has the model diverged?"
        )
    return scores


def _entries(matrix: sparse.csr_matrix, name: str) -> sparse.csr_matrix:
    """The non-zero entries in canonical order: no duplicates, columns ascending within a row."""
    if not sparse.issparse(matrix):
        raise ValueError(
            f"{name} must be a scipy.sparse matrix [num_users, num_items], got {type(matrix).__name__}. "
            "scipy.sparse.csr_matrix(array) makes one."
        )
    entries = sparse.csr_matrix(matrix, copy=True)
    entries.sum_duplicates()
    entries.eliminate_zeros()
    entries.data = np.ones(entries.nnz, bool)
    return entries


def _check_disjoint(held_out: sparse.csr_matrix, seen: sparse.csr_matrix) -> None:
    if held_out.shape != seen.shape:
        raise ValueError(f"held_out has shape {held_out.shape}, seen has {seen.shape}; both must be the same.")
    both = held_out.multiply(seen).tocoo()
    if both.nnz:
        raise ValueError(
            f"{both.nnz} held-out interactions are also seen (first: user {both.row[0]}, movie {both.col[0]}), so they "
            "could never be recommended. Build seen from the training split only; splits must be disjoint."
        )


def _checked(held: HeldOutRanks, k: int) -> tuple[HeldOutRanks, int]:
    held = HeldOutRanks(*map(np.asarray, held))
    if not held.ranks.shape == held.users.shape == held.movies.shape or held.ranks.ndim != 1:
        raise ValueError(f"ranks, users and movies must be 1-D and of one length, got {[a.shape for a in held]}.")
    if held.ranks.size == 0:
        raise ValueError("there is no held-out interaction, so no metric is defined.")
    if held.ranks.min() < 1:
        raise ValueError(f"ranks start at 1, got {held.ranks.min()}.")
    return held, whole_number(k, "k")


def _rows_of(matrix: sparse.csr_matrix) -> np.ndarray:
    """The row of every stored entry, `[nnz] int64`."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
