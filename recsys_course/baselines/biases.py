"""Ratings explained without taste: some users rate high, some movies are rated high."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike


class UserItemBiases:
    """Predicts a rating as global mean + bias of the user + bias of the movie.

    The biases minimise `sum (r_ui - mean - b_u - b_i)^2 + l2_user sum b_u^2 + l2_item sum b_i^2`. The penalty keeps the
    bias of a user or movie with few ratings close to 0, where it knows best. Movies fixed, the best user biases are
    shrunken means of what is left, and the other way round; alternating the two converges to the one minimum.

    Source: Koren, Bell and Volinsky, "Matrix Factorization Techniques for Recommender Systems" (2009), section
    "Adding biases".

    Args:
        l2_user: Penalty on user biases, in ratings. Searched: 0 to 10.
        l2_item: Penalty on movie biases, in ratings. Searched: 0 to 10.
        iterations: Alternations at most; stops early once no bias moves by more than `TOLERANCE` rating points.
    """

    TOLERANCE = 1e-6

    def __init__(self, l2_user: float = 5.0, l2_item: float = 4.0, iterations: int = 100) -> None:
        if l2_user < 0 or l2_item < 0 or iterations < 1:
            raise ValueError(
                "l2_user and l2_item must be at least 0 and iterations at least 1; "
                f"got l2_user={l2_user}, l2_item={l2_item}, iterations={iterations}."
            )
        self.l2_user = l2_user
        self.l2_item = l2_item
        self.iterations = iterations

    def fit(self, user_positions: ArrayLike, movie_positions: ArrayLike, ratings: ArrayLike) -> Self:
        """Learns the biases.

        Args:
            user_positions: `[num_ratings]` integers of at least 0.
            movie_positions: `[num_ratings]` integers of at least 0.
            ratings: `[num_ratings]` ratings given.

        Raises:
            ValueError: Lengths differ, nothing to learn from, a negative position, or a rating that is not finite.
        """
        users, movies = _positions(user_positions, "user_positions"), _positions(movie_positions, "movie_positions")
        ratings = np.asarray(ratings, np.float64)
        if not users.shape == movies.shape == ratings.shape:
            raise ValueError(
                "user_positions, movie_positions and ratings must have one length, got "
                f"{users.shape}, {movies.shape}, {ratings.shape}."
            )
        if ratings.size == 0:
            raise ValueError("there is no rating to learn from.")
        if min(users.min(), movies.min()) < 0:
            raise ValueError("positions must be at least 0 in fit; only predict knows what to do with an unknown one.")
        if not np.isfinite(ratings).all():
            raise ValueError("ratings holds NaN or infinite values.")

        self.mean = float(ratings.mean())
        residuals = ratings - self.mean
        # An entry without ratings stays at bias 0; the 1 only keeps 0 / 0 out.
        user_weights = np.maximum(np.bincount(users) + self.l2_user, 1e-12)
        movie_weights = np.maximum(np.bincount(movies) + self.l2_item, 1e-12)
        self.user_biases, self.movie_biases = np.zeros(len(user_weights)), np.zeros(len(movie_weights))
        for _ in range(self.iterations):
            before = self.movie_biases
            self.user_biases = np.bincount(users, residuals - self.movie_biases[movies]) / user_weights
            self.movie_biases = np.bincount(movies, residuals - self.user_biases[users]) / movie_weights
            if np.abs(self.movie_biases - before).max() < self.TOLERANCE:
                break
        return self

    def predict(self, user_positions: ArrayLike, movie_positions: ArrayLike) -> np.ndarray:
        """Predicts ratings. A user or movie that `fit` never saw, or position -1, has bias 0.

        Args:
            user_positions: `[n]` integers.
            movie_positions: `[n]` integers.

        Returns:
            `[n] float32` ratings; not clipped to the scale.

        Raises:
            RuntimeError: `fit` has not run.
            ValueError: Lengths differ, or positions that are not integers.
        """
        if not hasattr(self, "movie_biases"):
            raise RuntimeError("UserItemBiases is not fitted yet: call fit(...) first.")
        users, movies = _positions(user_positions, "user_positions"), _positions(movie_positions, "movie_positions")
        if users.shape != movies.shape:
            raise ValueError(f"both must have one length, got {users.shape} users and {movies.shape} movies.")
        return (self.mean + _bias_of(users, self.user_biases) + _bias_of(movies, self.movie_biases)).astype(np.float32)


def _bias_of(positions: np.ndarray, biases: np.ndarray) -> np.ndarray:
    known = (positions >= 0) & (positions < len(biases))
    return np.where(known, biases[np.where(known, positions, 0)], 0.0)


def _positions(values: ArrayLike, name: str) -> np.ndarray:
    positions = np.asarray(values)
    if positions.ndim != 1 or not (np.issubdtype(positions.dtype, np.integer) or positions.size == 0):
        raise ValueError(f"{name} must be a 1-D array of integers, got shape {positions.shape}, {positions.dtype}.")
    return positions.astype(np.int64)
