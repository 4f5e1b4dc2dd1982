"""Watching a training and ending it in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import sparse

from recsys_course import data, metrics
from recsys_course.models.retrieval import affinity_scorer


class HitRate(tf.keras.callbacks.Callback):
    """Ranks the whole catalogue for every user after each epoch, and files the hit rates with the epoch's losses.

    Once an epoch is enough to steer by; inside the training step the same numbers cost several times the training.

    Args:
        index: rows and columns of the matrices.
        movies: the catalogue.
        held_out: `[num_users, num_movies]` validation interactions.
        seen: `[num_users, num_movies]` training interactions.
        k: length of the list.

    The history gets `val_hit_rate` (seen films taken out of the candidates) and `val_hit_rate_raw` (all compete).
    """

    def __init__(
        self,
        index: data.InteractionIndex,
        movies: pd.DataFrame,
        held_out: sparse.csr_matrix,
        seen: sparse.csr_matrix,
        k: int = 100,
    ) -> None:
        super().__init__()
        self.index, self.movies, self.held_out, self.seen, self.k = index, movies, held_out, seen, k

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        score = affinity_scorer(self.model, self.index, self.movies)
        ranked = metrics.rank_held_out(score, self.held_out, self.seen)
        raw = metrics.rank_held_out(score, self.held_out)
        logs["val_hit_rate"] = metrics.hit_rate_at_k(ranked, self.k)
        logs["val_hit_rate_raw"] = metrics.hit_rate_at_k(raw, self.k)


def should_stop(history: Sequence[float], patience: int = 3) -> bool:
    """Whether to end a training: the best value is `patience` epochs old. Built in chapter 3.

    Args:
        history: one value an epoch, up to now; higher is better.
        patience: epochs to wait for a new best.

    Raises:
        ValueError: `patience` is below 1.
    """
    if patience < 1:
        raise ValueError(f"patience must be at least 1 epoch, got {patience}.")
    return len(history) > 0 and len(history) - 1 - int(np.argmax(history)) >= patience
