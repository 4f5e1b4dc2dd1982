"""Between the ids of a request and the positions that everything inside computes with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import tensorflow as tf

from recsys_course import data
from recsys_course.serving.user_lists import NO_MOVIE


class Films(tf.Module):
    """The catalogue in the graph. The position after the last film's stands for no film, everywhere.

    Args:
        movies: the catalogue.
        index: says which position stands for which film.
        train: training ratings; a film without one is in the catalogue, but nothing is known of it.

    Attributes:
        num_movies: size of the catalogue, and the position of no film.
    """

    def __init__(self, movies: pd.DataFrame, index: data.InteractionIndex, train: pd.DataFrame) -> None:
        super().__init__()
        self.num_movies = index.num_movies
        titles = movies.set_index("movie_id")["movie_title"].loc[index.movie_ids]
        self._ids = tf.Variable(np.append(index.movie_ids, NO_MOVIE).astype(object), trainable=False)
        self._titles = tf.Variable(np.append(titles.to_numpy(object), "").astype(object), trainable=False)
        ratings = np.bincount(index.movie_positions(train["movie_id"]), minlength=index.num_movies)
        self._is_known = tf.Variable(np.append(ratings > 0, False), trainable=False)
        positions = tf.lookup.KeyValueTensorInitializer(
            tf.constant(index.movie_ids.tolist()), tf.range(index.num_movies, dtype=tf.int32)
        )
        self._positions = tf.lookup.StaticHashTable(positions, default_value=index.num_movies)

    def positions(self, ids: tf.Tensor) -> tf.Tensor:
        """`[...] int32` positions of `[...] string` ids."""
        return self._positions.lookup(ids)

    def ids(self, positions: tf.Tensor) -> tf.Tensor:
        """`[...] string` ids of `[...] int32` positions; `""` for no film."""
        return tf.gather(self._ids, positions)

    def titles(self, positions: tf.Tensor) -> tf.Tensor:
        """`[...] string` titles of `[...] int32` positions; `""` for no film."""
        return tf.gather(self._titles, positions)

    def history(self, positions: tf.Tensor, length: int) -> tf.Tensor:
        """What can be read of a list of films: those that are known, each once, from the front without gaps.

        Args:
            positions: `[batch, listed] int32`, the most recent first.
            length: how many films at most; the oldest are left out.

        Returns:
            `[batch, length] int32`.
        """
        listed = tf.shape(positions)[1]
        place = tf.range(listed)
        same = positions[:, :, tf.newaxis] == positions[:, tf.newaxis, :]  # [batch, listed, listed]
        repeated = tf.reduce_any(same & (place < place[:, tf.newaxis]), axis=2)
        kept = tf.gather(self._is_known, positions) & ~repeated
        order = tf.argsort(tf.cast(~kept, tf.int32), axis=1, stable=True)
        films = tf.gather(tf.where(kept, positions, self.num_movies), order, batch_dims=1)
        missing = tf.maximum(length - listed, 0)
        return tf.pad(films, [[0, 0], [0, missing]], constant_values=self.num_movies)[:, :length]
