"""What else a tower can read: the hour and the day of a request, the year of a film; and towers added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import ArrayLike

from recsys_course import preprocessing
from recsys_course.data.titles import YEAR

_ALL_AND_YEAR = rf"^.*{YEAR}"  # all of a title, so that replacing it by its group leaves the year alone


def context_columns(timestamps: ArrayLike) -> dict[str, np.ndarray]:
    """The moment of a request as words that an `IdTower` can read. Built in chapter 7.

    Args:
        timestamps: `[n]` seconds since 1970; the words are those of UTC, since MovieLens knows no other zone.

    Returns:
        `hour` ("00" to "23"), `weekday` ("Mon" to "Sun") and `month` ("1997-11"), `[n] object` arrays of str.
    """
    moments = pd.DatetimeIndex(pd.to_datetime(np.asarray(timestamps), unit="s"))
    words = {"hour": "%H", "weekday": "%a", "month": "%Y-%m"}
    return {name: moments.strftime(form).to_numpy(object) for name, form in words.items()}


class YearTower(tf.keras.Model):
    """A film's year, read off the end of its title, as a learned vector. Built in chapter 7.

    Args:
        titles: titles of the training set; other years, and titles without one, share a vector.
        embedding_dim: length of the vectors.
    """

    def __init__(self, titles: Iterable[str], embedding_dim: int) -> None:
        super().__init__()
        years = pd.Series(titles).str.extract(_ALL_AND_YEAR)[0].dropna()
        self.lookup = preprocessing.id_lookup(years)
        self.embedding = tf.keras.layers.Embedding(self.lookup.vocabulary_size(), embedding_dim)

    def call(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns `[batch, embedding_dim] float32` for `movie_title` `[batch]`."""
        return self.embedding(self.lookup(tf.strings.regex_replace(features["movie_title"], _ALL_AND_YEAR, r"\1")))


class SumTower(tf.keras.Model):
    """Towers added up: each has its say, and one that knows nothing of a row says little. Built in chapter 7.

    Args:
        towers: each from a batch's features to `[batch, embedding_dim]`.
    """

    def __init__(self, towers: Sequence[tf.keras.Model]) -> None:
        super().__init__()
        self.towers = list(towers)

    def call(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns `[batch, embedding_dim] float32`."""
        return tf.add_n([tower(features) for tower in self.towers])


class DeepTower(tf.keras.Model):
    """A tower, plus what dense layers make of it.

    The tower's own answer goes through untouched, so that the layers only need to learn what is missing.

    Args:
        tower: from a batch's features to `[batch, embedding_dim]`.
        units: widths of the hidden layers.
        embedding_dim: length of the tower's vectors.
    """

    def __init__(self, tower: tf.keras.Model, units: Sequence[int], embedding_dim: int) -> None:
        super().__init__()
        self.tower = tower
        hidden = [tf.keras.layers.Dense(width, activation="relu") for width in units]
        self.layers_above = tf.keras.Sequential([*hidden, tf.keras.layers.Dense(embedding_dim)])

    def call(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns `[batch, embedding_dim] float32`."""
        embedding = self.tower(features)
        return embedding + self.layers_above(embedding)
