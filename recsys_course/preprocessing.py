"""From raw strings and whole seconds to numbers: layers that learn their state from the training set alone.

Every function here takes values of the **training** ratings (or of the films that occur in them) and returns a Keras
layer or model that is ready to use, so that the same preprocessing runs in training and, saved with the model, in
service. Built in chapter 2; later chapters import it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

_SECONDS_A_DAY = 86_400
ADAPT_BATCH = 8_192  # rows at once: `adapt` pays a fixed price for every batch, however small


def id_lookup(ids: Iterable[str]) -> tf.keras.layers.StringLookup:
    """Lookup from an id to its index; every id that is not in the training set gets index 0. Built in chapter 2.

    The vocabulary is sorted, so the indices do not depend on the order of the rows.

    Args:
        ids: ids of the training set, as strings, repeated at will; a pandas Series of categories is fine, and only the
            categories that occur in it count.

    Returns:
        A layer from `[...]` string to `[...]` int64 in `0..num_ids`, with one OOV index: 0.

    Raises:
        TypeError: an id is not a string.
        ValueError: there is no id.
    """
    vocabulary = list(pd.Series(ids).unique())
    if not vocabulary:
        raise ValueError("id_lookup needs at least one id of the training set, got none.")
    for value in vocabulary:
        if not isinstance(value, str):
            raise TypeError(f"ids must be strings such as '42', got {value!r}; convert them with .astype(str).")
    return tf.keras.layers.StringLookup(vocabulary=sorted(vocabulary), num_oov_indices=1)


@tf.keras.utils.register_keras_serializable(package="recsys_course")
class IdDropout(tf.keras.layers.Layer):
    """In training, replaces each index by the OOV index 0 with probability `rate`. Built in chapter 2.

    This is what trains the OOV embedding: without it no training row ever reads that row of the table.

    Args:
        rate: probability in `[0, 1)`.

    Raises:
        ValueError: `rate` lies outside `[0, 1)`.

    Source: the idea of input dropout for cold start is from Volkovs, Yu & Poutanen, "DropoutNet", NeurIPS 2017,
        which drops a user's or a movie's learned input in training and leaves its content.
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate is a probability in [0, 1), got {rate!r}.")
        self.rate = rate

    def call(self, indices: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if not training or self.rate == 0:
            return indices
        hidden = tf.random.uniform(tf.shape(indices)) < self.rate
        return tf.where(hidden, tf.zeros_like(indices), indices)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"rate": self.rate}


@tf.keras.utils.register_keras_serializable(package="recsys_course")
class SecondsSince(tf.keras.layers.Layer):
    """Subtracts an origin from whole seconds while they are still integers, then casts to float32. Built in chapter 2.

    A float32 has 24 bits: near 900 million its neighbours are 64 apart, so a time stamp that is cast first loses
    everything below a minute.

    Args:
        origin: seconds since 1970, UTC.
    """

    def __init__(self, origin: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.origin = int(origin)

    def call(self, timestamps: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.cast(timestamps, tf.int64) - self.origin, tf.float32)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"origin": self.origin}


def timestamp_normalizer(timestamps: Sequence[int] | np.ndarray | pd.Series) -> tf.keras.Sequential:
    """Z-score of a time stamp, safe for float32: the training mean is 0, one training deviation is 1.

    Built in chapter 2. A training set with one single time stamp gives 0 there rather than a division by zero.

    Args:
        timestamps: `[num_ratings]` int64 seconds of the training set.

    Returns:
        A model from `[batch]` int64 seconds to `[batch]` float32.

    Raises:
        TypeError: the time stamps are not integers.
        ValueError: there is no time stamp.
    """
    seconds = np.asarray(timestamps)
    if seconds.size == 0:
        raise ValueError("timestamp_normalizer needs at least one time stamp of the training set, got none.")
    if not np.issubdtype(seconds.dtype, np.integer):
        raise TypeError(
            f"time stamps must be integers (whole seconds), got {seconds.dtype}; a float32 has already lost the "
            "seconds, so pass the original int64 column."
        )
    since = SecondsSince(round(seconds.mean()))
    normalization = tf.keras.layers.Normalization(axis=None)
    rows = tf.data.Dataset.from_tensor_slices(seconds.astype(np.int64))
    normalization.adapt(rows.batch(ADAPT_BATCH).map(since))
    return tf.keras.Sequential([tf.keras.Input((), dtype=tf.int64), since, normalization])


def daily_cycle(timestamps: tf.Tensor | np.ndarray) -> tf.Tensor:
    """The time of day as a point on a circle, so that 23:59 and 00:01 are neighbours. Built in chapter 2.

    Args:
        timestamps: `[batch]` int64 seconds since 1970, UTC. The remainder is taken while they are still integers.

    Returns:
        `[batch, 2]` float32: sine and cosine of the angle that the hour hand of a 24-hour clock has turned.
    """
    seconds = tf.math.floormod(tf.cast(timestamps, tf.int64), _SECONDS_A_DAY)
    angle = tf.cast(seconds, tf.float32) * (2 * math.pi / _SECONDS_A_DAY)
    return tf.stack([tf.sin(angle), tf.cos(angle)], axis=-1)


def masked_mean(vectors: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean of the vectors that are not padding; zeros where all are. Built in chapter 2.

    Args:
        vectors: `[batch, tokens, embedding_dim]` float32.
        mask: `[batch, tokens]` bool, True where there is a token, False on padding.

    Returns:
        `[batch, embedding_dim]` float32.
    """
    weights = tf.cast(mask, vectors.dtype)[:, :, tf.newaxis]  # [batch, tokens, 1]
    total = tf.reduce_sum(vectors * weights, axis=1)
    return total / tf.maximum(tf.reduce_sum(weights, axis=1), 1)  # an empty title: 0 / 1, not 0 / 0


@tf.keras.utils.register_keras_serializable(package="recsys_course")
class MaskedMean(tf.keras.layers.Layer):
    """`masked_mean` as a layer: reads the mask that an `Embedding(mask_zero=True)` sends along. Built in chapter 2.

    Keras' own `GlobalAveragePooling1D` returns NaN for a row that is padding throughout.
    """

    def call(self, vectors: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        if mask is None:
            raise ValueError("MaskedMean needs a mask: put it behind an Embedding(..., mask_zero=True).")
        return masked_mean(vectors, mask)


def title_encoder(titles: Iterable[str], embedding_dim: int, max_tokens: int = 1_000) -> tf.keras.Sequential:
    """Title to vector: words, their embeddings, the mean over the words. Built in chapter 2.

    Args:
        titles: titles of the films that occur in the training set, one a film.
        embedding_dim: length of a word's embedding.
        max_tokens: size of the vocabulary, padding and OOV included. Keep it below the number of words in the titles:
            the rare words then share the OOV embedding, and train it.

    Returns:
        A model from `[batch]` string to `[batch, embedding_dim]` float32. An empty title gives zeros.

    Raises:
        ValueError: there is no title.
    """
    titles = list(titles)
    if not titles:
        raise ValueError("title_encoder needs at least one title of the training set, got none.")
    words = tf.keras.layers.TextVectorization(max_tokens=max_tokens)
    words.adapt(tf.data.Dataset.from_tensor_slices(titles).batch(ADAPT_BATCH))
    return tf.keras.Sequential(
        [
            tf.keras.Input((), dtype=tf.string),
            words,
            tf.keras.layers.Embedding(words.vocabulary_size(), embedding_dim, mask_zero=True),
            MaskedMean(),
        ]
    )


def pad_genres(genres: Iterable[Sequence[str]]) -> np.ndarray:
    """Genre names as a rectangle: the shorter lists are filled up with "", which `genre_encoder` ignores.

    Built in chapter 2.

    Args:
        genres: for each film, its genre names; a film may have none.

    Returns:
        `[num_films, most genres of a film]` array of str objects, at least one column wide.
    """
    genres = list(genres)
    padded = np.full((len(genres), max([1, *map(len, genres)])), "", dtype=object)
    for row, names in zip(padded, genres, strict=True):
        row[: len(names)] = names
    return padded


def genre_encoder(genres: Iterable[Sequence[str]]) -> tf.keras.layers.StringLookup:
    """Lookup from a film's genre names to a multi-hot vector. Built in chapter 2.

    Args:
        genres: genre names of the films that occur in the training set, a sequence for each film.

    Returns:
        A layer from `[batch, width]` string, "" being padding, to `[batch, 1 + num_genres]` float32 of zeros and ones;
        column 0 stands for genres that are not in the training set, the others follow in alphabetical order.

    Raises:
        ValueError: there is no genre name.
    """
    names = sorted({name for film in genres for name in film if name})
    if not names:
        raise ValueError("genre_encoder needs at least one genre name of the training set, got none.")
    return tf.keras.layers.StringLookup(vocabulary=names, mask_token="", output_mode="multi_hot")
