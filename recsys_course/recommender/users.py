"""What is stored under a user's id: their history, what they liked, and all that they have seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import tensorflow as tf

from recsys_course import data, models
from recsys_course.serving.export import is_liked
from recsys_course.serving.user_lists import SeenFilms, kept

MOST_REASONS = 100  # liked films, the latest: among so many there is one near to most others


class Users(SeenFilms):
    """Histories by user id. Whoever is not among them has an empty one.

    Args:
        train: training ratings, with stars and time stamps.
        index: says which position stands for which film.
        length: films a history.
    """

    def __init__(self, train: pd.DataFrame, index: data.InteractionIndex, length: int) -> None:
        ids = index.users_in(train)
        super().__init__(ids, index.matrix(train)[index.user_positions(ids)])
        self.length = length
        history = models.histories(train, ids, length)
        liked = models.histories(train[is_liked(train)], ids, MOST_REASONS)
        self._history, self._liked = (
            kept(history_positions(np.vstack([np.full((1, films.shape[1]), "", object), films]), index))
            for films in (history, liked)
        )

    def __call__(self, user_id: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.RaggedTensor]:
        """Looks `[batch] string` ids up.

        Returns:
            int32 positions: `[batch, length]` of the history and `[batch, MOST_REASONS]` of what the user liked, the
            most recent first; `[batch, (num_seen)]` of everything seen.
        """
        rows = self.rows.lookup(user_id)
        seen = tf.RaggedTensor.from_row_splits(self.seen_movies, self.seen_starts, validate=False)
        return tf.gather(self._history, rows), tf.gather(self._liked, rows), tf.gather(seen, rows)


def history_positions(histories: np.ndarray, index: data.InteractionIndex) -> np.ndarray:
    """Ids, as `models.histories` gives them, as positions.

    Args:
        histories: `[num_users, length] object` array of str, "" where there is none.
        index: says which position stands for which film.

    Returns:
        `[num_users, length] int32`; `num_movies` where there is none.
    """
    positions = pd.Index(index.movie_ids).get_indexer(histories.ravel()).reshape(histories.shape)
    return np.where(positions < 0, index.num_movies, positions).astype(np.int32)
