"""Recommenders that show everybody the same list."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recsys_course.baselines.recommender import Recommender

SECONDS_PER_DAY = 24 * 60 * 60


class MostPopular(Recommender):
    """Scores an item by how many users interacted with it. Built in chapter 1."""

    def _fit(self, interactions: sparse.csr_matrix) -> None:
        self.popularity = np.asarray(interactions.sum(axis=0), np.float32).ravel()  # [num_items]

    def _score(self, users: np.ndarray) -> np.ndarray:
        return np.tile(self.popularity, (len(users), 1))


class RecentPopular(Recommender):
    """Popularity that fades: an interaction loses half of its weight every `half_life_days`.

    Unlike the others, its `fit` reads the entries' values: each is the time of the interaction in seconds, as in
    `csr_matrix((ratings.timestamp, (user_positions, movie_positions)), shape)`. Ages are counted back from the newest
    interaction in the training data, never from today, so the result does not depend on when it is computed.

    Source: the idea of counting only what was popular at the time, Ji et al., "A Re-visit of the Popularity Baseline in
    Recommender Systems" (2020); an exponential weight in place of their window.

    Args:
        half_life_days: After how many days an interaction counts half. Searched: 1 to 365.
    """

    def __init__(self, half_life_days: float = 30.0) -> None:
        if not half_life_days > 0:
            raise ValueError(f"half_life_days must be above 0, got {half_life_days}.")
        self.half_life_days = half_life_days

    def _prepare(self, entries: sparse.csr_matrix) -> sparse.csr_matrix:
        if (entries.data == 1).all():
            raise ValueError(
                "every entry is 1, so this is a matrix of interactions; RecentPopular needs the time of each "
                "interaction in seconds as the entry's value."
            )
        return entries

    def _fit(self, timestamps: sparse.csr_matrix) -> None:
        seconds = timestamps.data.astype(np.float64)
        age_days = (seconds.max() - seconds) / SECONDS_PER_DAY
        weights = np.exp2(-age_days / self.half_life_days)
        self.popularity = np.bincount(timestamps.indices, weights, minlength=timestamps.shape[1]).astype(np.float32)

    def _score(self, users: np.ndarray) -> np.ndarray:
        return np.tile(self.popularity, (len(users), 1))
