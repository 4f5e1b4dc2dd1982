"""Between ids, which are names, and positions, which matrices have."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import sparse


class UnknownIdError(KeyError):
    """An id that the index does not hold."""

    def __str__(self) -> str:  # KeyError would show the message quoted and escaped
        return self.args[0]


class InteractionIndex:
    """Positions of users (rows) and movies (columns) in matrices of interactions.

    Attributes:
      user_ids: ``[num_users] object`` array of str; integers in the order of their values, other ids in text order.
      movie_ids: ``[num_movies] object`` array of str, likewise.
    """

    def __init__(self, user_ids: Iterable[str], movie_ids: Iterable[str]):
        """Takes the ids in any order, repeated or not."""
        self.user_ids = sorted_ids(user_ids)
        self.movie_ids = sorted_ids(movie_ids)
        self._users = pd.Index(self.user_ids)
        self._movies = pd.Index(self.movie_ids)

    @classmethod
    def of(cls, ratings: pd.DataFrame, movies: pd.DataFrame) -> InteractionIndex:
        """Every user of ``ratings`` and every movie of the catalogue, rated or not.

        This index serves evaluation and is no fitted statistic: it may be made from all ratings. A vocabulary that a
        model learns from is fitted on train alone.
        """
        return cls(_distinct(ratings["user_id"]), _distinct(movies["movie_id"]))

    @property
    def num_users(self) -> int:
        return len(self.user_ids)

    @property
    def num_movies(self) -> int:
        return len(self.movie_ids)

    def user_positions(self, ids: Iterable[str]) -> np.ndarray:
        """Row of each user id, ``int64``.

        Raises:
          UnknownIdError: names the first id that is not in the index.
        """
        return _positions(self._users, ids, "user")

    def movie_positions(self, ids: Iterable[str]) -> np.ndarray:
        """Column of each movie id, ``int64``.

        Raises:
          UnknownIdError: names the first id that is not in the index.
        """
        return _positions(self._movies, ids, "movie")

    def users_in(self, ratings: pd.DataFrame) -> list[str]:
        """The ids of those users who occur in ``ratings``, in the order of the index."""
        known = set(ratings["user_id"].astype(str))
        return [user for user in self.user_ids if user in known]

    def matrix(self, ratings: pd.DataFrame) -> sparse.csr_matrix:
        """Who interacted with what: ``[num_users, num_movies] float32`` of ones, whatever the stars.

        Args:
          ratings: needs ``user_id`` and ``movie_id``; a pair that occurs twice still counts one.

        Raises:
          UnknownIdError: as `user_positions` and `movie_positions`.
        """
        rows, columns = self.user_positions(ratings["user_id"]), self.movie_positions(ratings["movie_id"])
        ones = np.ones(len(rows), dtype=np.float32)
        matrix = sparse.csr_matrix((ones, (rows, columns)), shape=(self.num_users, self.num_movies))
        matrix.data[:] = 1.0  # scipy has added repeated pairs up
        return matrix


def sorted_ids(ids: Iterable[str]) -> np.ndarray:
    """The distinct ids as an ``object`` array of str, by value where all are whole numbers, else as text."""
    distinct = sorted({_text(value) for value in ids})
    if all(text.isdecimal() for text in distinct):
        distinct.sort(key=int)
    return np.array(distinct, dtype=object)


def id_ranks(ids: pd.Series) -> np.ndarray:
    """The place of each id in the order of `sorted_ids`, ``[len(ids)] int64``."""
    return _positions(pd.Index(sorted_ids(_distinct(ids))), ids, "id")


def _distinct(ids: pd.Series) -> Iterable[str]:
    return ids.unique()


def _positions(index: pd.Index, ids: Iterable[str], what: str) -> np.ndarray:
    # Text is looked up once for each distinct id: a million ratings have a few thousand.
    codes, distinct = pd.factorize(pd.Series(ids), use_na_sentinel=False)
    texts = np.array([_text(value) for value in distinct], dtype=object)
    positions = index.get_indexer(texts)
    if (positions < 0).any():
        unknown = texts[positions < 0]
        raise UnknownIdError(
            f"{len(unknown):,} of {len(texts):,} distinct {what} ids are not in the index, for example {unknown[0]!r}. "
            f"It holds {len(index):,}, for example {index[0]!r}: build it from the data that you look up."
            if len(index)
            else f"The index holds no {what} ids."
        )
    return positions[codes].astype(np.int64)


def _text(value: object) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
