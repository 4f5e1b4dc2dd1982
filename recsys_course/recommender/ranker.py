"""The second stage: a small network that puts retrieval's candidates in order, trained on lists of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from recsys_course.serving.user_lists import FILLED

# Chosen on validation.
UNITS = 16  # of the hidden layer
DROPOUT = 0.2
L2 = 0.001
LEARNING_RATE = 0.003
BATCH_SIZE = 128  # lists
MOST_EPOCHS = 50
PATIENCE = 5  # epochs without a better loss on the lists to choose by


class CandidateLists(NamedTuple):
    """What the ranker learns from, or is judged on: a list of candidates a row.

    Attributes:
        features: `[num_lists, num_candidates, num_features] float32`.
        is_film: `[num_lists, num_candidates] bool`; False where a list has no more candidates.
        chosen: the same shape, bool: what the user really chose next.
    """

    features: np.ndarray
    is_film: np.ndarray
    chosen: np.ndarray

    def take(self, rows: np.ndarray) -> CandidateLists:
        """The lists of some rows."""
        return CandidateLists(*(part[rows] for part in (self.features, self.is_film, self.chosen)))

    @property
    def has_choice(self) -> np.ndarray:
        """`[num_lists] bool`: whether retrieval found what was chosen; without it there is nothing to learn."""
        return np.any(self.chosen, axis=1)


class Ranker(tf.keras.Model):
    """Features to scores: a weighted sum, and what a hidden layer adds to it.

    A softmax over a list turns scores into probabilities: of these candidates, which is chosen next? So scores are
    logits, in nats, and only their differences within a list mean anything.

    Args:
        num_features: of each candidate.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.mean, self.deviation = (
            self.add_weight(name, (num_features,), trainable=False, initializer=initial)
            for name, initial in (("mean", "zeros"), ("deviation", "ones"))
        )
        penalty = tf.keras.regularizers.L2(L2)
        self.hidden = tf.keras.layers.Dense(UNITS, "relu", kernel_regularizer=penalty)
        self.dropout = tf.keras.layers.Dropout(DROPOUT)
        self.added = tf.keras.layers.Dense(1, use_bias=False, kernel_regularizer=penalty)
        self.weighted = tf.keras.layers.Dense(1, use_bias=False, kernel_regularizer=penalty)

    def call(self, lists: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns `[batch, num_candidates] float32`; `FILLED` where there is no film.

        Args:
            lists: `features` and `is_film`, as in `CandidateLists`.
        """
        features = (lists["features"] - self.mean) / self.deviation
        hidden = self.dropout(self.hidden(features), training=training)
        scores = tf.squeeze(self.weighted(features) + self.added(hidden), axis=2)
        return tf.where(lists["is_film"], scores, FILLED)


def untrained_ranker(num_features: int) -> Ranker:
    """A ranker whose weights exist."""
    ranker = Ranker(num_features)
    ranker({"features": tf.zeros((1, 1, num_features)), "is_film": tf.ones((1, 1), tf.bool)})
    return ranker


def fit_ranker(learn: CandidateLists, choose: CandidateLists) -> Ranker:
    """Trains by listwise softmax: of a list's films, which one did this user choose?

    Follows TensorFlow's global seed.

    Args:
        learn: lists to learn from; those without a choice are left out.
        choose: later lists; the weights of the epoch that loses least on them are kept.

    Raises:
        ValueError: there is no list with a choice in one of them.
    """
    learn, choose = (lists.take(lists.has_choice) for lists in (learn, choose))
    if not len(learn.chosen) or not len(choose.chosen):
        raise ValueError(
            "the ranker needs lists in which retrieval has found what was chosen, some to learn from and some to "
            f"choose by; got {len(learn.chosen)} and {len(choose.chosen)}: take more users with later interactions."
        )
    ranker = untrained_ranker(learn.features.shape[2])
    rows = learn.features[learn.is_film]
    ranker.mean.assign(rows.mean(axis=0))
    ranker.deviation.assign(np.maximum(rows.std(axis=0), 1e-6))  # a feature that never differs stays at 0
    ranker.compile(
        optimizer=tf.keras.optimizers.Adam(LEARNING_RATE),
        loss=tf.keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    stop = tf.keras.callbacks.EarlyStopping("val_loss", patience=PATIENCE, restore_best_weights=True)
    ranker.fit(
        *_batch(learn),
        validation_data=_batch(choose),
        batch_size=BATCH_SIZE,
        epochs=MOST_EPOCHS,
        callbacks=[stop],
        verbose=0,
    )
    return ranker


def _batch(lists: CandidateLists) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs and labels as Keras wants them; several choices of a list share its label evenly."""
    labels = lists.chosen / lists.chosen.sum(axis=1, keepdims=True)
    return {"features": lists.features, "is_film": lists.is_film}, labels.astype(np.float32)
