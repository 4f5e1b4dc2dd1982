"""Exact search in NumPy: one matrix product and a top k."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys_course.indices.interface import Index

SCORES_AT_A_TIME = 1 << 24  # 64 MB of float32 affinities: bounds memory, whatever the number of queries
STRIPE = 64  # a top k first compares the maxima of so many items each


@dataclass(kw_only=True, eq=False)
class Exact(Index):
    """Scores every item and keeps the best: always right, and the measure of every other index.

    The cost of one query is that of reading all embeddings from memory once, so time grows with the catalogue. Of items
    with equal scores the one that came first is preferred. Removing items copies the rest.
    """

    @property
    def is_exact(self) -> bool:
        return True

    def _build(self, embeddings: np.ndarray) -> None:
        self._embeddings, self._keys = embeddings.copy(), np.arange(len(embeddings))

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        scores = np.empty((len(queries), k), np.float32)
        rows = np.empty((len(queries), k), np.int64)
        step = max(1, SCORES_AT_A_TIME // len(self._embeddings))
        for start in range(0, len(queries), step):
            block = slice(start, start + step)
            scores[block], rows[block] = top_k(queries[block] @ self._embeddings.T, k)  # [step, num_items]
        return scores, self._keys[rows]

    def _add(self, embeddings: np.ndarray, keys: np.ndarray) -> None:
        self._embeddings = np.concatenate([self._embeddings, embeddings])
        self._keys = np.concatenate([self._keys, keys])

    def _remove(self, keys: np.ndarray) -> None:
        stays = ~np.isin(self._keys, keys)
        self._embeddings, self._keys = self._embeddings[stays], self._keys[stays]

    def _write(self, folder: Path) -> None:
        np.save(folder / "embeddings.npy", self._embeddings)
        np.save(folder / "keys.npy", self._keys)

    def _read(self, folder: Path) -> None:
        self._embeddings = np.load(folder / "embeddings.npy", allow_pickle=False)
        self._keys = np.load(folder / "keys.npy", allow_pickle=False)


def top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` highest of each row, in descending order; of equal ones those further left.

    Sorting, or even partitioning, a million scores takes as long as computing them. So the row is first cut into
    stripes and the k-th highest of the stripes' maxima is taken: at least `k` scores reach it, and few more do. Only
    those are sorted.

    Args:
        scores: `[num_rows, num_columns] float32`, no NaN.
        k: At most `num_columns`.

    Returns:
        The scores and their columns, each `[num_rows, k]`.
    """
    num_rows, num_columns = scores.shape
    num_stripes = num_columns // STRIPE
    maxima = scores
    if num_stripes >= 2 * k:
        maxima = scores[:, : num_stripes * STRIPE].reshape(num_rows, STRIPE, num_stripes).max(axis=1)
    bound = np.partition(maxima, -k, axis=1)[:, -k]
    best = np.empty((num_rows, k), np.float32)
    columns = np.empty((num_rows, k), np.int64)
    for row in range(num_rows):
        candidates = np.flatnonzero(scores[row] >= bound[row])
        order = np.argsort(-scores[row, candidates], kind="stable")[:k]
        columns[row] = candidates[order]
        best[row] = scores[row, columns[row]]
    return best, columns
