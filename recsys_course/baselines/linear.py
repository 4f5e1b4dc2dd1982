"""EASE: a linear model from a user's history to every item, in closed form."""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse

from recsys_course.baselines.recommender import Recommender

MAX_GIB = 8.0


class EASE(Recommender):
    """Predicts each item from all others by ridge regression; an item may not predict itself.

    Minimises `|X - X B|^2 + l2 * |B|^2` subject to `diag(B) = 0`. With `P = (X'X + l2 I)^-1` the solution is
    `B_ij = -P_ij / P_jj` off the diagonal. The scores of a user are that user's row of `X B`.

    Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (2019), equation 8.

    Args:
        l2: Strength of the penalty, in users. Searched: 50 to 2000; 200 to 700 are within .005 of each other.
    """

    def __init__(self, l2: float = 300.0) -> None:
        if not l2 > 0:
            raise ValueError(f"l2 must be above 0, got {l2}.")
        self.l2 = l2

    def _fit(self, interactions: sparse.csr_matrix) -> None:
        _check_memory(interactions.shape[1])
        self._interactions = interactions
        x = interactions.astype(np.float64)
        precision = _inverse_gram(x, self.l2)  # P, [num_items, num_items]
        self.weights = (precision / -np.diag(precision)).astype(np.float32)  # B: column j predicts item j
        np.fill_diagonal(self.weights, 0)

    def _score(self, users: np.ndarray) -> np.ndarray:
        return self._interactions[users] @ self.weights


def _inverse_gram(x: sparse.csr_matrix, l2: float) -> np.ndarray:
    """`(X'X + l2 I)^-1`, by whichever of the two equal forms inverts the smaller matrix."""
    num_users, num_items = x.shape
    if num_users >= num_items:
        gram = (x.T @ x).toarray()
        gram[np.diag_indices(num_items)] += l2
        return linalg.inv(gram, overwrite_a=True, check_finite=False)
    # Woodbury's identity: (X'X + l2 I)^-1 = (I - X' (XX' + l2 I)^-1 X) / l2
    kernel = (x @ x.T).toarray()
    kernel[np.diag_indices(num_users)] += l2
    inverse = x.T @ linalg.solve(kernel, x.toarray(), assume_a="pos", overwrite_a=True, overwrite_b=True)
    inverse /= -l2
    inverse[np.diag_indices(num_items)] += 1 / l2
    return inverse


def _check_memory(num_items: int) -> None:
    gib = num_items**2 * (2 * 8 + 4) / 2**30  # the matrix and its inverse in float64, the weights in float32
    if gib > MAX_GIB:
        raise ValueError(
            f"EASE holds dense {num_items:,} x {num_items:,} matrices and would need about {gib:.0f} GiB of memory, "
            f"more than its limit of {MAX_GIB:.0f} GiB. Use ItemKNN or ImplicitALS, or fewer items."
        )
