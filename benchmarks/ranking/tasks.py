"""What a model learns from and which pairs it is asked about, on the course's random split and on GroupLens' u1."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.ranking.u1 import split_u1
from recsys_course import data, models


class Task(NamedTuple):
    """Ratings to learn from, pairs to be asked about, and the catalogue."""

    train: pd.DataFrame
    asked: pd.DataFrame
    movies: pd.DataFrame

    @property
    def mean(self) -> float:
        return float(self.train["user_rating"].mean())

    @property
    def met(self) -> tuple[np.ndarray, np.ndarray]:
        """User and film of every rating to learn from."""
        return self.train["user_id"].to_numpy(object), self.train["movie_id"].to_numpy(object)

    def id_rows(self, with_history: bool) -> tuple[models.FeatureRows, models.FeatureRows]:
        """Ids, and the users' histories if asked for."""
        history = self.met if with_history else None
        return models.feature_rows(self.met[0], history=history), models.feature_rows(self.movies["movie_id"])

    def full_rows(self) -> tuple[models.FeatureRows, models.FeatureRows]:
        """Ids, labels and the histories of both sides."""
        return (
            models.feature_rows(self.met[0], models.user_labels(self.train), self.met),
            models.feature_rows(self.movies["movie_id"], models.movie_labels(self.movies), self.met[::-1]),
        )


def tasks(split: str, u1: str | None = None) -> tuple[Task, Task]:
    """What validation asks, and what the test asks.

    On the random split a model learns from train for both. On u1 it learns for the test from everything outside it, as
    others do who report that split.

    Args:
        split: `random` or `u1`.
        u1: path of GroupLens' file u1.test; for the split `u1` alone.
    """
    ratings, movies = data.load_ratings("100k"), data.load_movies("100k")
    if split == "random":
        cut = data.random_split(ratings)
        return Task(cut.train, cut.validation, movies), Task(cut.train, cut.test, movies)
    base, test = split_u1(ratings, Path(u1))
    held = data.random_split(base)
    train = pd.concat([held.train, held.test])
    return Task(train, held.validation, movies), Task(base, test, movies)
