"""iALS: matrix factorisation for implicit feedback, by the `implicit` library."""

from __future__ import annotations

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from recsys_course.baselines.recommender import Recommender

NUM_THREADS = 1  # BLAS sums in another order with more threads, and results would differ in the last digits


class ImplicitALS(Recommender):
    """Users and items as short vectors whose dot product says whether they meet.

    Minimises `sum_ui c_ui (p_ui - x_u . y_i)^2 + l2 (sum_u |x_u|^2 + sum_i |y_i|^2)` over all pairs, where `p_ui` is 1
    for an interaction and else 0, and the confidence `c_ui` is `alpha` for an interaction and else 1. Items fixed, the
    users are a least-squares problem, and the other way round: hence alternating.

    Source: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008); solver after
    Takács, Pilászy and Tikk, "Applications of the conjugate gradient method for implicit feedback collaborative
    filtering" (2011).

    Args:
        factors: Length of the vectors. Searched: 8 to 64.
        l2: Strength of the penalty. Searched: .01 to 60. It matters as much as `factors`: with a penalty of 30 to 40,
            24, 32 and 48 factors do alike.
        alpha: Confidence of an interaction; a pair without one has confidence 1. Searched: 1 to 10.
        iterations: Passes over users and items.
        seed: Of the starting vectors. The same seed gives the same scores.
    """

    def __init__(
        self, factors: int = 32, l2: float = 30.0, alpha: float = 5.0, iterations: int = 15, seed: int = 42
    ) -> None:
        if factors < 1 or iterations < 1 or l2 < 0 or not alpha > 0:
            raise ValueError(
                "factors and iterations must be at least 1, l2 at least 0, alpha above 0; "
                f"got factors={factors}, iterations={iterations}, l2={l2}, alpha={alpha}."
            )
        self.factors = factors
        self.l2 = l2
        self.alpha = alpha
        self.iterations = iterations
        self.seed = seed

    def _fit(self, interactions: sparse.csr_matrix) -> None:
        # One BLAS thread is also what the library asks for: its own threads and BLAS' fight over the cores.
        with threadpool_limits(NUM_THREADS, user_api="blas"):
            model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.l2,
                alpha=self.alpha,
                iterations=self.iterations,
                num_threads=NUM_THREADS,
                random_state=self.seed,
            )
            model.fit(interactions, show_progress=False)
        self.user_factors: np.ndarray = model.user_factors  # [num_users, factors]
        self.item_factors: np.ndarray = model.item_factors  # [num_items, factors]

    def _score(self, users: np.ndarray) -> np.ndarray:
        return self.user_factors[users] @ self.item_factors.T
