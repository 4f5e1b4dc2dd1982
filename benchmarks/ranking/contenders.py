"""Who takes part: the models of chapter 6, with the settings that validation chose, and a peer."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import sparse

from benchmarks.peers import Peer
from benchmarks.ranking.page import PEER
from benchmarks.ranking.tasks import Task
from recsys_course import baselines, data, models

MYFM = Peer("myfm", "myFM", ("myfm==0.4.0",))


class Contender(NamedTuple):
    """One model.

    Attributes:
        predict: from a task and a seed to a rating for every pair asked about.
        random: whether a seed changes it.
        peer: whose environment it needs.
    """

    predict: Callable[[Task, int], np.ndarray]
    random: bool = True
    peer: Peer | None = None


def _fit(task: Task, network: tf.keras.Model, optimizer: tf.keras.optimizers.Optimizer, epochs: int, batch: int):
    model = models.RatingModel(network)
    model.compile(optimizer=optimizer, steps_per_execution=16)
    model.fit(data.batches(models.rating_columns(task.train), batch, shuffle=True), epochs=epochs, verbose=0)
    return models.predict_ratings(model, task.asked)


def _sinking(task: Task, learning_rate: float, epochs: int, batch: int) -> tf.keras.optimizers.Optimizer:
    steps = epochs * -(-len(task.train) // batch)
    return tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(learning_rate, steps))


def _biases(task: Task, seed: int) -> np.ndarray:
    index = data.InteractionIndex(
        pd.concat([task.train.user_id, task.asked.user_id]).astype(str), task.movies["movie_id"]
    )
    learned, asked = ((index.user_positions(t.user_id), index.movie_positions(t.movie_id)) for t in task[:2])
    return baselines.UserItemBiases().fit(*learned, task.train["user_rating"]).predict(*asked)


def _dense(optimizer: Callable, epochs: int, batch: int) -> Contender:
    return Contender(lambda task, seed: _fit(task, models.DenseRating(*task.met), optimizer(), epochs, batch))


def _machine(rows: Callable, epochs: int = 20, learning_rate: float = 0.01, **options) -> Contender:
    def predict(task: Task, seed: int) -> np.ndarray:
        network = models.FactorisationMachine(*rows(task), task.mean, **options)
        return _fit(task, network, _sinking(task, learning_rate, epochs, 4096), epochs, 4096)

    return Contender(predict)


def _deep_cross(task: Task, seed: int) -> np.ndarray:
    network = models.CrossRating(*task.full_rows(), task.mean)
    return _fit(task, network, _sinking(task, 0.003, 15, 1024), 15, 1024)


def _bayesian(task: Task, seed: int) -> np.ndarray:
    """In a process of its own environment. Raises NotHere where it cannot be had."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for rows, column in zip(task.full_rows(), ("user_id", "movie_id"), strict=True):
            features = sparse.hstack([sparse.identity(len(rows.ids)), rows.matrix]).tocsr()
            sparse.save_npz(folder / f"{column}.npz", features)
            index = pd.Index(rows.ids)
            learned, asked = (index.get_indexer(part[column].astype(str)) for part in task[:2])
            np.savez(folder / f"{column}-rows.npz", learned=learned, asked=asked)
        np.save(folder / "stars.npy", task.train["user_rating"].to_numpy(float))
        order = json.dumps({"columns": ["user_id", "movie_id"], "rank": 10, "seed": seed, "iterations": 500})
        MYFM.run(Path(__file__).with_name("myfm_peer.py"), str(folder), order)
        return np.load(folder / "predicted.npy")


CONTENDERS: dict[str, Contender] = {
    "user and film biases": Contender(_biases, random=False),
    "dense 256-64-1, as published": _dense(lambda: tf.keras.optimizers.Adagrad(0.1), 3, 8192),
    "dense 256-64-1, tuned": _dense(lambda: tf.keras.optimizers.Adam(0.002), 9, 1024),
    "factorisation machine, ids": _machine(lambda task: task.id_rows(with_history=False)),
    "SVD++-like: ids and users' histories": _machine(lambda task: task.id_rows(with_history=True)),
    "DCN-v2, all features": Contender(_deep_cross),
    "factorisation machine, all features": _machine(Task.full_rows, 12, 0.015),
    "the same, 16 members": _machine(Task.full_rows, members=16),
    PEER: Contender(_bayesian, peer=MYFM),
}
