"""Models that predict a rating, and how they are trained. Built in chapter 6.

A network takes a dictionary with `user_id` and `movie_id` and returns one predicted rating for each, or several, by as
many members. `RatingModel` trains it, whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_recommenders as tfrs
from numpy.typing import ArrayLike

from recsys_course import data, preprocessing
from recsys_course.models.feature_rows import FeatureRows

DENSE_CELLS = 16_000_000  # up to 64 MB a matrix: a dense product is then 2 to 3 times faster than a sparse one


class RatingModel(tfrs.Model):
    """Trains a network on the squared error of its ratings. Built in chapter 6.

    Batches are dictionaries: whatever the network reads, and `user_rating` `[batch] float32`.

    Args:
        network: from a batch's features to `[batch, members]` ratings. Each member is trained for itself; what the
            model predicts is their mean.
    """

    def __init__(self, network: tf.keras.Model) -> None:
        super().__init__()
        self.network = network
        self.task = tfrs.tasks.Ranking(loss=tf.keras.losses.MeanSquaredError())
        self.rmse = tf.keras.metrics.RootMeanSquaredError(name="rmse")

    def call(self, features: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns `[batch] float32` predicted ratings."""
        return tf.reduce_mean(self.network(features, training=training), axis=-1)

    def compute_loss(self, features: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean squared error of a member; `fit` adds the penalties of the network's layers."""
        ratings = self.network(features, training=training)  # [batch, members]
        given = features["user_rating"]
        self.rmse.update_state(given, tf.reduce_mean(ratings, axis=-1))
        return self.task(labels=tf.repeat(given[:, tf.newaxis], tf.shape(ratings)[1], axis=1), predictions=ratings)


class DenseRating(tf.keras.Model):
    """Two embeddings beside each other, then dense layers of 256, 64 and 1. Built in chapter 6.

    Args:
        user_ids: ids of the training set.
        movie_ids: ids of the training set.
        embedding_dim: length of each embedding.
    """

    def __init__(self, user_ids: Iterable[str], movie_ids: Iterable[str], embedding_dim: int = 32) -> None:
        super().__init__()
        self.users, self.movies = preprocessing.id_lookup(user_ids), preprocessing.id_lookup(movie_ids)
        self.user_embedding = tf.keras.layers.Embedding(self.users.vocabulary_size(), embedding_dim)
        self.movie_embedding = tf.keras.layers.Embedding(self.movies.vocabulary_size(), embedding_dim)
        self.layers_above = tf.keras.Sequential(
            [
                tf.keras.layers.Dense(256, activation="relu"),
                tf.keras.layers.Dense(64, activation="relu"),
                tf.keras.layers.Dense(1),
            ]
        )

    def call(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns `[batch, 1] float32`."""
        user = self.user_embedding(self.users(features["user_id"]))
        movie = self.movie_embedding(self.movies(features["movie_id"]))
        return self.layers_above(tf.concat([user, movie], axis=-1))


class FeatureVectors(tf.keras.layers.Layer):
    """A vector for each id: one of its own, plus those of its features, each times its value. Built in chapter 6.

    All vectors are computed at once, and a batch picks its own: a busy user's history is summed once a step and not
    once for each of their ratings.

    Args:
        rows: the ids and their features.
        embedding_dim: length of the vectors.
        l2: penalty on the squared length of every learned vector.
    """

    def __init__(self, rows: FeatureRows, embedding_dim: int, l2: float = 0.0) -> None:
        super().__init__()
        self.lookup = tf.keras.layers.StringLookup(vocabulary=rows.ids.tolist(), num_oov_indices=1)
        self.matrix = _constant(rows)
        self.own, self.shared = (
            self.add_weight(
                name,
                (count, embedding_dim),
                initializer=tf.keras.initializers.RandomNormal(stddev=0.1),  # one each: an instance repeats its numbers
                regularizer=tf.keras.regularizers.L2(l2),
            )
            for name, count in (("own", len(rows.ids)), ("shared", rows.matrix.shape[1]))
        )

    def table(self) -> tf.Tensor:
        """Returns `[1 + num_rows, embedding_dim]`: zeros for an id that is not known, then every row's vector."""
        if isinstance(self.matrix, tf.SparseTensor):
            described = tf.sparse.sparse_dense_matmul(self.matrix, self.shared)
        else:
            described = self.matrix @ self.shared
        return tf.pad(self.own + described, [[1, 0], [0, 0]])

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns `[..., embedding_dim]` for `[...]` ids."""
        return tf.gather(self.table(), self.lookup(ids))


class FactorisationMachine(tf.keras.Model):
    """Mean + bias of the user + bias of the film + dot product of their vectors, by several members.

    Built in chapter 6.

    The members differ in nothing but the random numbers they start from. Where the ratings decide, they agree; where
    the ratings leave room, each fills it in its own way, and the mean of all is closer than most of them.

    Args:
        users: rows of the users.
        movies: rows of the films.
        mean: mean of the training ratings.
        embedding_dim: length of a member's vectors.
        members: how many there are.
        l2: penalty on the squared length of every learned vector, biases included; a member's share of the loss.

    Source: Rendle, "Factorization Machines" (2010), with features in two groups, and only products between the groups.
    """

    def __init__(
        self,
        users: FeatureRows,
        movies: FeatureRows,
        mean: float,
        embedding_dim: int = 10,
        members: int = 1,
        l2: float = 0.0002,
    ) -> None:
        super().__init__()
        self.members, self.embedding_dim = members, embedding_dim
        width = members * (embedding_dim + 1)  # of each member's numbers the last is the bias
        self.users = FeatureVectors(users, width, l2 / members)
        self.movies = FeatureVectors(movies, width, l2 / members)
        self.mean = self.add_weight("mean", (), initializer=tf.keras.initializers.Constant(mean))

    def call(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns `[..., members] float32` for `user_id` and `movie_id`, whose shapes may be broadcast."""
        user, movie = (
            tf.reshape(vectors, tf.concat([tf.shape(vectors)[:-1], [self.members, self.embedding_dim + 1]], axis=0))
            for vectors in (self.users(features["user_id"]), self.movies(features["movie_id"]))
        )
        affinity = tf.reduce_sum(user[..., :-1] * movie[..., :-1], axis=-1)
        return self.mean + user[..., -1] + movie[..., -1] + affinity


class CrossRating(tf.keras.Model):
    """A factorisation machine's answer, plus what cross layers and dense layers add to it (DCN-v2). Built in chapter 6.

    Args:
        users: rows of the users.
        movies: rows of the films.
        mean: mean of the training ratings.
        embedding_dim: length of the vectors.
        cross_layers: how many; each raises the degree of the polynomial by one.
        dense_units: sizes of the dense layers after them; none is fine.
        dropout: share of the numbers that training silences, before the cross layers and after each dense one.
        l2: penalty on the squared length of every learned vector.

    Source: Wang et al., "DCN V2: Improved Deep & Cross Network" (2021), stacked structure.
    """

    def __init__(
        self,
        users: FeatureRows,
        movies: FeatureRows,
        mean: float,
        embedding_dim: int = 16,
        cross_layers: int = 2,
        dense_units: Iterable[int] = (128, 64),
        dropout: float = 0.3,
        l2: float = 0.0002,
    ) -> None:
        super().__init__()
        self.users = FeatureVectors(users, embedding_dim + 1, l2)
        self.movies = FeatureVectors(movies, embedding_dim + 1, l2)
        self.mean = self.add_weight("mean", (), initializer=tf.keras.initializers.Constant(mean))
        self.dropout = tf.keras.layers.Dropout(dropout)
        self.cross = [tfrs.layers.dcn.Cross() for _ in range(cross_layers)]
        self.dense = tf.keras.Sequential()
        for units in dense_units:
            self.dense.add(tf.keras.layers.Dense(units, activation="relu"))
            self.dense.add(tf.keras.layers.Dropout(dropout))
        self.dense.add(tf.keras.layers.Dense(1))

    def call(self, features: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns `[batch, 1] float32`."""
        user, movie = self.users(features["user_id"]), self.movies(features["movie_id"])
        machine = self.mean + user[:, -1:] + movie[:, -1:]
        machine += tf.reduce_sum(user[:, :-1] * movie[:, :-1], axis=-1, keepdims=True)
        first = crossed = self.dropout(tf.concat([user[:, :-1], movie[:, :-1]], axis=-1), training=training)
        for cross in self.cross:
            crossed = cross(first, crossed)
        return machine + self.dense(crossed, training=training)


def cross_layer(first: ArrayLike, x: ArrayLike, kernel: ArrayLike, bias: ArrayLike) -> np.ndarray:
    """One cross layer of DCN-v2 in numpy: `first * (x @ kernel + bias) + x`. Built in chapter 6.

    Args:
        first: `[batch, d]`: what went into the first of all cross layers.
        x: `[batch, d]`: what comes out of the layer before, which for the first layer is `first` again.
        kernel: `[d, d]`.
        bias: `[d]`.

    Returns:
        `[batch, d] float64`.

    Source: Wang et al. (2021), equation 1.
    """
    first, x = np.asarray(first, np.float64), np.asarray(x, np.float64)
    return first * (x @ np.asarray(kernel, np.float64) + np.asarray(bias, np.float64)) + x


def rating_columns(ratings: pd.DataFrame) -> dict[str, np.ndarray]:
    """`user_id`, `movie_id` and `user_rating` of each rating: what `data.batches` takes and `RatingModel` reads."""
    return {
        "user_id": ratings["user_id"].to_numpy(object),
        "movie_id": ratings["movie_id"].to_numpy(object),
        "user_rating": ratings["user_rating"].to_numpy(np.float32),
    }


def predict_ratings(model: tf.keras.Model, ratings: pd.DataFrame, batch_size: int = 8192) -> np.ndarray:
    """Returns the `[num_ratings] float32` ratings that a model predicts for the pairs of a table."""
    columns = rating_columns(ratings)
    del columns["user_rating"]
    return np.concatenate([model(batch).numpy() for batch in data.batches(columns, batch_size)])


def rating_scorer(network: FactorisationMachine, index: data.InteractionIndex) -> Callable[[np.ndarray], np.ndarray]:
    """Predicted ratings of whole rows of the catalogue, for `metrics.rank_held_out`.

    The mean of the members' dot products is one dot product of all their numbers in a row, so that every user and every
    film is looked up once and the rest is a matrix product.

    Args:
        network: a trained factorisation machine.
        index: says which row and which column stands for whom.

    Returns:
        A function from `[b] int64` rows to `[b, num_movies] float32` predicted ratings.
    """
    (user, user_bias), (movie, movie_bias) = (
        _taken_apart(vectors(tf.constant(ids)).numpy(), network.members)
        for vectors, ids in ((network.users, index.user_ids), (network.movies, index.movie_ids))
    )
    mean = float(network.mean.numpy())
    return lambda rows: mean + user_bias[rows, np.newaxis] + movie_bias + user[rows] @ movie.T / network.members


def _taken_apart(vectors: np.ndarray, members: int) -> tuple[np.ndarray, np.ndarray]:
    """`[n, members * (dim + 1)]` as `[n, members * dim]` vectors and the `[n]` mean of the biases."""
    split = vectors.reshape(len(vectors), members, -1)
    return split[..., :-1].reshape(len(vectors), -1), split[..., -1].mean(axis=1)


def _constant(rows: FeatureRows) -> tf.Tensor | tf.SparseTensor:
    matrix = rows.matrix
    if np.prod(matrix.shape, dtype=np.int64) <= DENSE_CELLS:
        return tf.constant(matrix.toarray())
    entries = matrix.tocoo()
    places = np.stack([entries.row, entries.col], axis=1).astype(np.int64)
    return tf.sparse.reorder(tf.SparseTensor(places, entries.data, matrix.shape))
