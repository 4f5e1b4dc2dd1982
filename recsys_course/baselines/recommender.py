"""The interface that all baselines share, with the checks that each would otherwise repeat."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from scipy import sparse


class Recommender(ABC):
    """Learns from a matrix of interactions; scores every item for a user.

    A subclass writes `_fit` and `_score`, and may rely on clean input in both.
    """

    _shape: tuple[int, int] | None = None

    def fit(self, interactions: sparse.csr_matrix) -> Self:
        """Learns from implicit feedback.

        Args:
            interactions: `[num_users, num_items]`; a non-zero entry says that the user interacted with the item, and
                counts once, whatever its value.

        Returns:
            The recommender itself.

        Raises:
            ValueError: Not a sparse matrix, or nothing in it.
        """
        self._shape = None  # a failed fit leaves the recommender unfitted, never half of one and half of another
        entries = self._prepare(_canonical(interactions))
        self._fit(entries)
        self._shape = entries.shape
        return self

    def score(self, users: np.ndarray) -> np.ndarray:
        """Scores every item for each of `users`; higher is better.

        A user without training interactions gets the same score for every item from the personal recommenders: they
        know nothing of that user.

        Args:
            users: `[b]` integer rows of the matrix given to `fit`.

        Returns:
            `[b, num_items] float32`.

        Raises:
            RuntimeError: `fit` has not run.
            ValueError: `users` is not a 1-D array of integers, or holds a row that the matrix does not have.
        """
        if self._shape is None:
            raise RuntimeError(f"{type(self).__name__} is not fitted yet: call fit(interactions) first.")
        users = np.asarray(users)
        if users.ndim != 1 or not np.issubdtype(users.dtype, np.integer):
            raise ValueError(
                f"users must be a 1-D array of integers (rows of the matrix), got shape {users.shape}, {users.dtype}."
            )
        if users.size and (users.min() < 0 or users.max() >= self._shape[0]):
            raise ValueError(
                f"users must lie in 0..{self._shape[0] - 1}, the rows seen in fit; got {users.min()}..{users.max()}."
            )
        return np.asarray(self._score(users), np.float32)

    def _prepare(self, entries: sparse.csr_matrix) -> sparse.csr_matrix:
        """Turns the entries given to `fit` into what `_fit` learns from: ones."""
        entries.data = np.ones(entries.nnz, np.float32)
        return entries

    @abstractmethod
    def _fit(self, interactions: sparse.csr_matrix) -> None:
        """Learns from canonical `[num_users, num_items]` entries."""

    @abstractmethod
    def _score(self, users: np.ndarray) -> np.ndarray:
        """Returns `[b, num_items]` scores for valid rows."""


def _canonical(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """A checked copy: CSR, columns ascending, neither duplicates nor stored zeros."""
    if not sparse.issparse(matrix):
        raise ValueError(
            f"expected a scipy.sparse matrix [num_users, num_items], got {type(matrix).__name__}. "
            "scipy.sparse.csr_matrix(array) makes one."
        )
    entries = sparse.csr_matrix(matrix, copy=True)
    entries.sum_duplicates()
    entries.eliminate_zeros()
    if entries.nnz == 0:
        raise ValueError(f"the {entries.shape} matrix holds no interaction: there is nothing to learn from.")
    if not np.isfinite(entries.data).all():
        raise ValueError("the matrix holds NaN or infinite values; a missing interaction is an absent entry.")
    return entries
