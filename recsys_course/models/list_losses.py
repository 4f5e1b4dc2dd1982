"""Losses that compare the films of one user with one another, in TensorFlow. Built in chapter 6."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_recommenders as tfrs

ListLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def pointwise_loss(scores: tf.Tensor, ratings: tf.Tensor) -> tf.Tensor:
    """Mean squared error of each list: every film is judged by itself.

    Args:
        scores: `[..., list_length]` float.
        ratings: the same shape.

    Returns:
        `[...]` losses.
    """
    return tf.reduce_mean((ratings - scores) ** 2, axis=-1)


def pairwise_loss(scores: tf.Tensor, ratings: tf.Tensor) -> tf.Tensor:
    """Logistic loss of each list's pairs: the film rated higher should score higher. Built in chapter 6.

    Args:
        scores: `[..., list_length]` float.
        ratings: the same shape.

    Returns:
        `[...]` losses: the mean of `log(1 + exp(-(s_i - s_j)))` over the pairs with `r_i > r_j`; 0 where a list has
        no such pair.

    Source: Burges et al., "Learning to Rank using Gradient Descent" (2005), section 3, with certain targets.
    """
    scores, ratings = tf.convert_to_tensor(scores), tf.convert_to_tensor(ratings)
    better = tf.cast(ratings[..., :, tf.newaxis] > ratings[..., tf.newaxis, :], scores.dtype)
    losses = tf.nn.softplus(scores[..., tf.newaxis, :] - scores[..., :, tf.newaxis])
    return tf.math.divide_no_nan(tf.reduce_sum(better * losses, axis=[-2, -1]), tf.reduce_sum(better, axis=[-2, -1]))


def listwise_loss(scores: tf.Tensor, ratings: tf.Tensor) -> tf.Tensor:
    """Cross-entropy between the softmax of the ratings and the softmax of the scores, list by list.

    Args:
        scores: `[..., list_length]` float.
        ratings: the same shape.

    Returns:
        `[...]` losses, in nats; lowest where scores and ratings differ by the same number throughout a list.

    Source: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach" (2007), section 4, top-one
        probabilities.
    """
    return tf.nn.softmax_cross_entropy_with_logits(labels=tf.nn.softmax(ratings), logits=scores)


class ListModel(tfrs.Model):
    """Trains a network on lists, by any loss that compares the films of a list.

    Args:
        network: from `user_id` and `movie_id` to `[..., members]`, as `models.FactorisationMachine`.
        list_loss: from scores and ratings, both `[lists, list_length]`, to `[lists]` losses.
    """

    def __init__(self, network: tf.keras.Model, list_loss: ListLoss) -> None:
        super().__init__()
        self.network, self.list_loss = network, list_loss

    def call(self, features: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns `[...] float32` scores: ratings only if the loss compares them with ratings."""
        return tf.reduce_mean(self.network(features, training=training), axis=-1)

    def compute_loss(self, features: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean loss of the lists of a batch from `rated_lists`."""
        scores = self({"user_id": features["user_id"][:, tf.newaxis], "movie_id": features["movie_id"]}, training)
        return tf.reduce_mean(self.list_loss(scores, features["user_rating"]))


def rated_lists(ratings: pd.DataFrame, list_length: int, seed: int = 42) -> dict[str, np.ndarray]:
    """Each user's ratings, shuffled and cut into lists of one length; what is left over at the end stays out.

    Args:
        ratings: training ratings.
        list_length: films a list.
        seed: start of the shuffle.

    Returns:
        `user_id` `[lists]`, `movie_id` and `user_rating` `[lists, list_length]`: what `data.batches` takes.

    Raises:
        ValueError: `list_length` is below 2, or no user has that many ratings.
    """
    if list_length < 2:
        raise ValueError(f"a list needs at least 2 films to compare, got list_length={list_length}.")
    users = pd.factorize(ratings["user_id"])[0]
    order = np.lexsort((np.random.default_rng(seed).random(len(users)), users))
    counts = np.bincount(users)
    place = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    whole = order[place < np.repeat(counts // list_length * list_length, counts)].reshape(-1, list_length)
    if not len(whole):
        raise ValueError(f"no user has {list_length} ratings: the longest list holds {counts.max()}.")
    return {
        "user_id": ratings["user_id"].to_numpy(object)[whole[:, 0]],
        "movie_id": ratings["movie_id"].to_numpy(object)[whole],
        "user_rating": ratings["user_rating"].to_numpy(np.float32)[whole],
    }
