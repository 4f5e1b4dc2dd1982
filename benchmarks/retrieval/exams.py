"""What a model learns from and is asked for: three splits, and the protocol of the `recommenders` project."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_course import data, metrics

PUBLISHED = "recommenders"  # the project's protocol; settings come from the random split
SEED = 42


class Exam:
    """One part of a split to learn from, one to be asked for.

    Attributes:
        learned: ratings.
        asked: ratings, of users who occur in `learned` alone.
        index: rows and columns of `seen` and `held_out`.
    """

    def __init__(self, learned: pd.DataFrame, asked: pd.DataFrame, movies: pd.DataFrame, strictly: bool) -> None:
        known = asked["user_id"].astype(str).isin(learned["user_id"].astype(str).unique())
        self.learned, self.asked, self.movies = learned, asked[known], movies
        self.share_known = float(known.mean())
        self.index = data.InteractionIndex.of(pd.concat([learned, self.asked])[["user_id"]], movies)
        self.seen, self.held_out = self.index.matrix(learned), self.index.matrix(self.asked)
        self._strictly = strictly

    @cached_property
    def moments(self) -> np.ndarray | None:
        """`[num_users]`: a history may be read as far as this, exclusively; `None` where all that is learned may."""
        if not self._strictly:
            return None
        moments = np.full(self.index.num_users, np.iinfo(np.int64).max)
        moments[self.index.user_positions(self.asked["user_id"])] = self.asked["timestamp"]
        return moments

    @cached_property
    def times(self) -> sparse.csr_matrix:
        """When each user met each film, for a popularity that fades."""
        rows = self.index.user_positions(self.learned["user_id"])
        columns = self.index.movie_positions(self.learned["movie_id"])
        seconds = self.learned["timestamp"].to_numpy(np.float64)
        return sparse.csr_matrix((seconds, (rows, columns)), shape=self.seen.shape)

    def ranks(self, score) -> dict[str, metrics.HeldOutRanks]:
        """Ranks of what was held out: all films compete (raw), or those that the user has not met (seen-out)."""
        return {
            "raw": metrics.rank_held_out(score, self.held_out),
            "seen-out": metrics.rank_held_out(score, self.held_out, self.seen),
        }


def exams(split: str, dataset: str, quick: bool = False) -> tuple[Exam | None, Exam]:
    """For validation and for the test; the published protocol has no validation."""
    ratings, movies = data.load_ratings(dataset), data.load_movies(dataset)
    if quick:
        few = np.unique(ratings["user_id"].astype(str))[::5]
        ratings = ratings[ratings["user_id"].astype(str).isin(few)].reset_index(drop=True)
    if split == PUBLISHED:
        return None, Exam(*by_item(ratings), movies, strictly=False)
    cut = {"random": data.random_split, "leave-last-out": data.leave_last_out, "temporal": data.temporal_split}[split]
    parts = cut(ratings)
    strictly = split == "leave-last-out"
    whole = parts.train if split == "random" else pd.concat(parts[:2], ignore_index=True)
    return Exam(parts.train, parts.validation, movies, strictly), Exam(whole, parts.test, movies, strictly)


def by_item(ratings: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Three quarters of every film's ratings, drawn by lot, to learn from; the rest to be asked for."""
    lots = pd.Series(np.random.PCG64(SEED).random_raw(len(ratings)))
    items = ratings["movie_id"].astype(str).to_numpy()
    place = lots.groupby(items).rank(method="first").to_numpy()
    is_train = place <= np.round(0.75 * lots.groupby(items).transform("size").to_numpy())
    return ratings[is_train].reset_index(drop=True), ratings[~is_train].reset_index(drop=True)
