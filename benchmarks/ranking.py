"""Predicted ratings: every model of chapter 6 beside its baselines, on two splits, with three seeds.

    python -m benchmarks.ranking                      # the course's random split of MovieLens 100K
    python -m benchmarks.ranking --u1 ml-100k/u1.test # and GroupLens' own split u1

MovieLens' terms forbid passing 100K on, and u1 cannot be derived from the ratings: take `u1.test` out of GroupLens'
archive ml-100k.zip, and name it here or in the environment variable COURSE_U1_TEST.

All settings were chosen on the validation part. On the random split a model learns from train and is read on test; on
u1 it learns from train and validation together, as others do who report that split. A Bayesian factorisation machine
takes part where the package `myfm` is installed. Results go to `benchmarks/results/ranking.json`, after every model.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.circumstances import QUIET, circumstances

os.environ.update(QUIET)  # before TensorFlow is imported

import numpy as np
import pandas as pd
import tensorflow as tf

from recsys_course import baselines, data, metrics, models
from recsys_course.authoring.files import write_if_changed

RESULTS = Path(__file__).parent / "results" / "ranking.json"
SEEDS = (1, 2, 3)


class Task(NamedTuple):
    """What a model learns from, and which pairs it is asked about."""

    train: pd.DataFrame
    asked: pd.DataFrame
    movies: pd.DataFrame

    @property
    def mean(self) -> float:
        return float(self.train["user_rating"].mean())

    @property
    def met(self) -> tuple[np.ndarray, np.ndarray]:
        return self.train["user_id"].to_numpy(object), self.train["movie_id"].to_numpy(object)

    def id_rows(self, with_history: bool) -> tuple[models.FeatureRows, models.FeatureRows]:
        """Ids, and the users' histories if asked for."""
        history = self.met if with_history else None
        return models.feature_rows(self.met[0], history=history), models.feature_rows(self.movies["movie_id"])

    def full_rows(self) -> tuple[models.FeatureRows, models.FeatureRows]:
        """Ids, labels and the histories of both sides."""
        return (
            models.feature_rows(self.met[0], models.user_labels(self.train), self.met),
            models.feature_rows(self.movies["movie_id"], models.movie_labels(self.movies), self.met[::-1]),
        )


Predict = Callable[[Task, int], np.ndarray]


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


def _dense(optimizer: Callable, epochs: int, batch: int) -> Predict:
    return lambda task, seed: _fit(task, models.DenseRating(*task.met), optimizer(), epochs, batch)


def _machine(rows: Callable, epochs: int = 20, learning_rate: float = 0.01, **options) -> Predict:
    def predict(task: Task, seed: int) -> np.ndarray:
        network = models.FactorisationMachine(*rows(task), task.mean, **options)
        return _fit(task, network, _sinking(task, learning_rate, epochs, 4096), epochs, 4096)

    return predict


def _deep_cross(task: Task, seed: int) -> np.ndarray:
    network = models.CrossRating(*task.full_rows(), task.mean)
    return _fit(task, network, _sinking(task, 0.003, 15, 1024), 15, 1024)


def _bayesian(task: Task, seed: int) -> np.ndarray:
    from myfm import MyFMRegressor, RelationBlock
    from scipy import sparse

    blocks = []
    for rows, column in zip(task.full_rows(), ("user_id", "movie_id"), strict=True):
        features = sparse.hstack([sparse.identity(len(rows.ids)), rows.matrix]).tocsr()
        index = pd.Index(rows.ids)
        blocks.append([RelationBlock(index.get_indexer(part[column].astype(str)), features) for part in task[:2]])
    learned, asked = zip(*blocks, strict=True)
    model = MyFMRegressor(rank=10, random_seed=seed)
    stars = task.train["user_rating"].to_numpy(float)
    model.fit(None, stars, X_rel=list(learned), n_iter=500, n_kept_samples=450)
    return model.predict(None, list(asked))


MODELS: dict[str, Predict] = {
    "user and film biases": _biases,
    "dense 256-64-1, as published": _dense(lambda: tf.keras.optimizers.Adagrad(0.1), 3, 8192),
    "dense 256-64-1, tuned": _dense(lambda: tf.keras.optimizers.Adam(0.002), 9, 1024),
    "factorisation machine, ids": _machine(lambda task: task.id_rows(with_history=False)),
    "SVD++-like: ids and users' histories": _machine(lambda task: task.id_rows(with_history=True)),
    "DCN-v2, all features": _deep_cross,
    "factorisation machine, all features": _machine(Task.full_rows, 12, 0.015),
    "the same, 16 members": _machine(Task.full_rows, members=16),
    "Bayesian factorisation machine (myFM), all features": _bayesian,
}


def splits(u1: Path | None) -> dict[str, tuple[Task, Task]]:
    """For each split what validation asks, and what the test asks."""
    ratings, movies = data.load_ratings("100k"), data.load_movies("100k")
    random = data.random_split(ratings)
    found = {"random": (Task(random.train, random.validation, movies), Task(random.train, random.test, movies))}
    if u1 is not None:
        base, test = split_u1(ratings, u1)
        held = data.random_split(base)
        train = pd.concat([held.train, held.test])
        found["u1"] = (Task(train, held.validation, movies), Task(base, test, movies))
    return found


def split_u1(ratings: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """GroupLens' split u1: the ratings that the file names are the test, all others train.

    Raises:
        ValueError: the file is not there, or is not u1.test.
    """
    if not path.is_file():
        raise ValueError(f"{path} is not there: expected u1.test, from GroupLens' archive ml-100k.zip.")
    named = pd.read_csv(path, sep="\t", header=None, names=["user", "movie", "rating", "time"], dtype=str)
    pairs = pd.MultiIndex.from_frame(ratings[["user_id", "movie_id"]].astype(str))
    is_test = pairs.isin(pd.MultiIndex.from_frame(named[["user", "movie"]]))
    if len(named) != 20_000 or is_test.sum() != 20_000:
        raise ValueError(
            f"{path} names {len(named):,} ratings, {is_test.sum():,} of them in MovieLens 100K; u1.test names 20,000."
        )
    return ratings[~is_test].reset_index(drop=True), ratings[is_test].reset_index(drop=True)


def measure(predict: Predict, task: Task, seed: int) -> tuple[float, float]:
    """RMSE with predictions cut to the scale, and the CPU seconds of learning and predicting."""
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    started = time.process_time()
    predicted = np.clip(predict(task, seed), task.train["user_rating"].min(), task.train["user_rating"].max())
    return metrics.rmse(predicted, task.asked["user_rating"]), time.process_time() - started


def write(rows: list[dict], path: Path) -> None:
    """Puts the results into the file in one step."""
    packages = ("tensorflow", "tensorflow-recommenders", "numpy", "myfm")
    made = circumstances(packages, "recsys_course", "benchmarks/ranking.py")
    write_if_changed(path, json.dumps(made | {"rows": rows}, indent=1) + "\n")


def run(u1: Path | None, seeds: tuple[int, ...], wanted: str, path: Path) -> list[dict]:
    """Measures every model whose name holds `wanted`; prints and writes a row as soon as it is there."""
    rows: list[dict] = []
    for split, (validation, test) in splits(u1).items():
        for name, predict in MODELS.items():
            if wanted not in name:
                continue
            own_seeds = seeds[:1] if predict is _biases else seeds
            try:
                chosen = [measure(predict, validation, seed)[0] for seed in own_seeds]
                read = [measure(predict, test, seed) for seed in own_seeds]
            except ImportError as error:
                print(f"{split:7s} {name:52s} left out: {error}", flush=True)
                continue
            row = {"split": split, "model": name, "seeds": list(own_seeds)}
            row |= {"validation_rmse": [round(value, 4) for value in chosen]}
            row |= {"test_rmse": [round(value, 4) for value, _ in read]}
            row |= {"cpu_seconds": [round(seconds, 1) for _, seconds in read]}
            rows.append(row)
            write(rows, path)
            means = [np.mean(row[key]) for key in ("validation_rmse", "test_rmse", "cpu_seconds")]
            print(f"{split:7s} {name:52s} {means[0]:.4f} {means[1]:.4f} {means[2]:6.1f} cpu-s", flush=True)
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranking", description=__doc__.splitlines()[0])
    parser.add_argument("--u1", type=Path, default=os.environ.get("COURSE_U1_TEST"), help="GroupLens' file u1.test")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--only", default="", help="models whose name holds this")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    try:
        print(f"{'split':7s} {'model':52s} validation and test RMSE, mean of the seeds")
        run(options.u1 and Path(options.u1), tuple(options.seeds), options.only, options.output)
    except ValueError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
