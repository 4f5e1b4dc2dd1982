"""The model of chapter 3, trained once and kept: what `course export` and chapter 5 put into an artefact."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import sparse

from recsys_course import baselines, data, metrics, models, preprocessing
from recsys_course.data.keeping import Kept

# Chosen on validation in chapter 3.
RECIPE = {"embedding_dim": 32, "learning_rate": 0.005, "l2": 0.04, "batch_size": 512, "epochs": 8, "seed": 42}
SPLIT = "random, 80 % train, 10 % validation, 10 % test, seed 42"

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained two-tower model with everything that an artefact says about it.

    Attributes:
        model: the towers.
        dataset: name of the dataset.
        train: training interactions, which are the seen films, with stars.
        movies: the catalogue.
        index: rows and columns; its films are in the catalogue's order.
        recipe: how the model was trained.
        metrics: hit rates by split, model and handling of seen films; see `hit_rates`.
    """

    model: models.TwoTower
    dataset: str
    train: pd.DataFrame
    movies: pd.DataFrame
    index: data.InteractionIndex
    recipe: dict[str, Any]
    metrics: dict[str, dict[str, float]]

    @property
    def user_ids(self) -> list[str]:
        """The users of the training set, in the order of the index; everybody else is a stranger to the model."""
        return self.index.users_in(self.train)

    def seen(self) -> sparse.csr_matrix:
        """`[num_users, num_movies]`: the training interactions, a row for each of `user_ids`."""
        return self.index.matrix(self.train)[self.index.user_positions(self.user_ids)]

    def candidate_embeddings(self) -> np.ndarray:
        """`[num_movies, embedding_dim] float32`, in the order of `index.movie_ids`."""
        return models.candidate_embeddings(self.model, self.index, self.movies)


def trained_retrieval(dataset: str | None = None, say: Say = print) -> Trained:
    """Chapter 3's model on the course's main split: from this machine's cache, or trained now.

    The cache lies beside the prepared data and holds the weights under a hash of the ratings, the recipe, TensorFlow's
    version and the code that builds and trains the model; a change in any of them trains anew.

    Args:
        dataset: see `data.dataset_name`.
        say: told what happens, a line at a time.
    """
    dataset = data.dataset_name(dataset)
    ratings, movies = data.load_ratings(dataset), data.load_movies(dataset)
    split = data.random_split(ratings)
    code = (models.retrieval, models.towers, models.training, preprocessing, sys.modules[__name__])
    kept = Kept(dataset, [RECIPE, tf.__version__], code, ratings, movies)
    if stored := kept.read():
        model = two_towers(split.train, movies, RECIPE)  # with its vocabularies, which are made from the ratings
        for at, weight in enumerate(model.trainable_variables):
            weight.assign(stored[f"weight_{at}"])
        measured = json.loads(str(stored["metrics"]))
        say(f"two-tower model of chapter 3 for {dataset}: taken from the cache")
    else:
        model = fit(split, movies, RECIPE, say)
        measured = hit_rates(model, split, movies)
        weights = {f"weight_{at}": weight.numpy() for at, weight in enumerate(model.trainable_variables)}
        kept.keep({"metrics": np.array(json.dumps(measured)), **weights}, say)
    index = data.InteractionIndex.of(ratings, movies)
    return Trained(model, dataset, split.train, movies, index, dict(RECIPE), measured)


def two_towers(train: pd.DataFrame, movies: pd.DataFrame, recipe: dict[str, Any]) -> models.TwoTower:
    """Untrained towers of chapter 3 with their vocabularies, called once so that all weights exist."""
    known = movies[movies["movie_id"].isin(train["movie_id"].unique())]
    model = models.TwoTower(
        models.IdTower("user_id", train["user_id"], recipe["embedding_dim"]),
        models.MovieTower(known, recipe["embedding_dim"]),
        l2=recipe["l2"],
    )
    model.query_tower({"user_id": tf.constant(["nobody"])})
    model.candidate_tower({name: tf.constant(values) for name, values in models.movie_features(movies[:1]).items()})
    return model


def fit(split: data.Split, movies: pd.DataFrame, recipe: dict[str, Any], say: Say = print) -> models.TwoTower:
    """Trains as chapter 3 does: hit rate on validation after each epoch, the weights of the best epoch.

    Sets the global seed, so that the same recipe gives the same model.
    """
    tf.keras.utils.set_random_seed(recipe["seed"])
    tf.config.experimental.enable_op_determinism()
    model = two_towers(split.train, movies, recipe)
    model.compile(optimizer=tf.keras.optimizers.Adam(recipe["learning_rate"]), steps_per_execution=32)
    columns = models.training_columns(split.train, movies, models.sampling_probability(split.train, movies))
    index = data.InteractionIndex.of(pd.concat(split)[["user_id", "movie_id"]], movies)
    watch = models.HitRate(index, movies, index.matrix(split.validation), index.matrix(split.train))

    def tell(epoch: int, logs: dict[str, float]) -> None:
        say(f"epoch {epoch + 1} of {recipe['epochs']}: validation hit rate at 100 {logs['val_hit_rate']:.3f}")

    say(f"training the two-tower model of chapter 3 on {len(split.train):,} ratings")
    stop = tf.keras.callbacks.EarlyStopping("val_hit_rate", mode="max", patience=3, restore_best_weights=True)
    batches = data.batches(columns, recipe["batch_size"], shuffle=True)
    watching = [watch, tf.keras.callbacks.LambdaCallback(on_epoch_end=tell), stop]
    model.fit(batches, epochs=recipe["epochs"], callbacks=watching, verbose=0)
    return model


def hit_rates(model: models.TwoTower, split: data.Split, movies: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Hit rates at 10 and 100 on validation and test, raw and with the seen films out, beside the most popular's.

    Returns:
        `{"validation": {"two-tower, seen-out @10": ..., ...}, "test": {...}}`, rounded to four digits.
    """
    index = data.InteractionIndex.of(pd.concat(split)[["user_id", "movie_id"]], movies)
    seen = index.matrix(split.train)
    scorers = {
        "two-tower": models.affinity_scorer(model, index, movies),
        "most popular": baselines.MostPopular().fit(seen).score,
    }
    found: dict[str, dict[str, float]] = {"validation": {}, "test": {}}
    for part, figures in found.items():
        held_out = index.matrix(getattr(split, part))
        for name, score in scorers.items():
            for handling, removed in (("raw", None), ("seen-out", seen)):
                ranked = metrics.rank_held_out(score, held_out, removed)
                for k in (10, 100):
                    figures[f"{name}, {handling} @{k}"] = round(metrics.hit_rate_at_k(ranked, k), 4)
    return found
