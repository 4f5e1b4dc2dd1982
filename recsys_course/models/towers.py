"""Towers: what is known of a user or a film, turned into one embedding. Built in chapter 3.

Every tower takes a dictionary of feature columns, reads those it knows and leaves the others alone. So one batch serves
both towers, and a tower can learn to read another feature without a change anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd
import tensorflow as tf

from recsys_course import preprocessing


class IdTower(tf.keras.Model):
    """The simplest tower: one learned vector an id. Two of them are matrix factorisation. Built in chapter 3.

    Args:
        feature: name of the column that holds the id.
        ids: ids of the training set; all others share the OOV vector.
        embedding_dim: length of the vectors.
    """

    def __init__(self, feature: str, ids: Iterable[str], embedding_dim: int) -> None:
        super().__init__()
        self.feature = feature
        self.lookup = preprocessing.id_lookup(ids)
        self.embedding = tf.keras.layers.Embedding(self.lookup.vocabulary_size(), embedding_dim)

    def call(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns `[batch, embedding_dim] float32` for `[batch]` ids."""
        return self.embedding(self.lookup(features[self.feature]))


class MovieTower(tf.keras.Model):
    """A film as the sum of what its id, the words of its title and its genres say. Built in chapter 3.

    A film without a single rating still has a title and genres, and so a place among the others.

    Args:
        movies: the films that occur in the training set: `movie_id`, `movie_title`, `movie_genres` (a tuple of names).
        embedding_dim: length of the vectors.
    """

    def __init__(self, movies: pd.DataFrame, embedding_dim: int) -> None:
        super().__init__()
        self.id_tower = IdTower("movie_id", movies["movie_id"], embedding_dim)
        self.title = preprocessing.title_encoder(movies["movie_title"], embedding_dim)
        self.genres = preprocessing.genre_encoder(movies["movie_genres"])
        self.genre_embedding = tf.keras.layers.Dense(embedding_dim, use_bias=False)

    def call(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns `[batch, embedding_dim] float32`.

        Args:
            features: `movie_id` `[batch]`, `movie_title` `[batch]`, `movie_genres` `[batch, width]`, all string; see
                `preprocessing.pad_genres`.
        """
        genres = self.genre_embedding(self.genres(features["movie_genres"]))
        return self.id_tower(features) + self.title(features["movie_title"]) + genres
