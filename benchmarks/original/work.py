"""The work itself, in a process of its own: five epochs of retrieval and five of ranking, in one of several ways.

The original way is written from its description, as notebooks on TensorFlow Recommenders and MovieLens do it: rows from
TFDS one by one, `adapt` row by row, full-corpus `FactorizedTopK` inside every training step, batches of 8192, Adagrad.
Each change takes one step from there to the course's way; all together are the course's way.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_datasets as tfds
import tensorflow_recommenders as tfrs

from benchmarks.running import Clock, answer, cpu_seconds, peak_memory_mb
from recsys_course import data, metrics, models, preprocessing
from recsys_course.authoring.files import write_if_changed
from recsys_course.serving.trained import RECIPE

CHANGES = ("adapt", "columns", "metrics", "models")  # in this order, each on top of those before
EMBEDDING_DIM = 32
KS = (1, 5, 10, 50, 100)  # of FactorizedTopK
IMPORTING, READING, VOCABULARIES = "importing libraries", "reading", "vocabularies"
RETRIEVAL, RETRIEVAL_EVALUATED = "retrieval: training", "retrieval: evaluation"
RANKING, RANKING_EVALUATED = "ranking: training", "ranking: evaluation"
PHASES = (IMPORTING, READING, VOCABULARIES, RETRIEVAL, RETRIEVAL_EVALUATED, RANKING, RANKING_EVALUATED)


class Rows:
    """The dataset as the original reads it: parsed row by row, whenever somebody iterates."""

    def __init__(self, name: str, limit: int) -> None:
        self.limit = limit
        self.ratings = tfds.load(f"movielens/{name}-ratings", split="train").take(limit)
        self.movies = tfds.load(f"movielens/{name}-movies", split="train").map(lambda row: row["movie_title"])

    def split(self, *names: str) -> tuple[tf.data.Dataset, tf.data.Dataset]:
        """Four fifths and one fifth of the rows in an order drawn by lot, the same in every process."""
        tf.random.set_seed(42)
        rows = self.ratings.map(lambda row: {name: row[name] for name in names})
        shuffled = rows.shuffle(100_000, seed=42, reshuffle_each_iteration=False)
        return shuffled.take(self.limit * 4 // 5), shuffled.skip(self.limit * 4 // 5)


def write_split(name: str, limit: int, path: Path) -> None:
    """Which ratings the original's shuffle sets aside, so that every way learns from the same rows."""
    parts = {}
    for part, rows in zip(("train", "test"), Rows(name, limit).split("user_id", "movie_id"), strict=True):
        read = list(rows.batch(8192).as_numpy_iterator())
        parts |= {
            f"{part}_{column}": np.concatenate([batch[column] for batch in read]).astype(str)
            for column in ("user_id", "movie_id")
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **parts)


class Tables:
    """The same ratings as columns, in the same two parts."""

    def __init__(self, name: str, split: Path) -> None:
        ratings, self.movies = data.load_ratings(name), data.load_movies(name)
        ratings = ratings.merge(self.movies[["movie_id", "movie_title"]], on="movie_id", how="left")
        pairs = pd.MultiIndex.from_arrays([ratings[column].astype(str) for column in ("user_id", "movie_id")])
        with np.load(split) as drawn:
            self.train, self.test = (
                ratings[
                    pairs.isin(pd.MultiIndex.from_arrays([drawn[f"{part}_{name}"] for name in ("user_id", "movie_id")]))
                ]
                for part in ("train", "test")
            )
        self.index = data.InteractionIndex.of(ratings, self.movies)
        self.titles = self.movies.set_index("movie_id").loc[self.index.movie_ids, "movie_title"].to_numpy(object)
        self.seen, self.held_out = self.index.matrix(self.train), self.index.matrix(self.test)

    def columns(self, part: pd.DataFrame) -> dict[str, np.ndarray]:
        """What the original's models read."""
        columns = {name: part[name].to_numpy(object) for name in ("user_id", "movie_title")}
        return columns | {"user_rating": part["user_rating"].to_numpy(np.float32)}


def id_model(vocabulary: np.ndarray) -> tf.keras.Model:
    """A vector for each word of a vocabulary, and one for all others."""
    return tf.keras.Sequential(
        [
            tf.keras.Input((), dtype=tf.string),
            tf.keras.layers.StringLookup(vocabulary=vocabulary, mask_token=None),
            tf.keras.layers.Embedding(len(vocabulary) + 1, EMBEDDING_DIM),
        ]
    )


class OriginalRetrieval(tfrs.Model):
    """Two tables of vectors, in-batch softmax without corrections; top-k metrics in each step where candidates come."""

    def __init__(self, users: np.ndarray, titles: np.ndarray, candidates: tf.data.Dataset | None) -> None:
        super().__init__()
        self.user_model, self.movie_model = id_model(users), id_model(titles)
        top_k = candidates and tfrs.metrics.FactorizedTopK(candidates.batch(128).map(self.movie_model), ks=KS)
        self.task = tfrs.tasks.Retrieval(metrics=top_k)

    def compute_loss(self, features: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        return self.task(self.user_model(features["user_id"]), self.movie_model(features["movie_title"]))


class OriginalRanking(tfrs.Model):
    """Two vectors beside each other, then dense layers of 256, 64 and 1."""

    def __init__(self, users: np.ndarray, titles: np.ndarray) -> None:
        super().__init__()
        self.user_model, self.movie_model = id_model(users), id_model(titles)
        self.above = tf.keras.Sequential(
            [tf.keras.layers.Dense(256, "relu"), tf.keras.layers.Dense(64, "relu"), tf.keras.layers.Dense(1)]
        )
        self.task = tfrs.tasks.Ranking(
            loss=tf.keras.losses.MeanSquaredError(), metrics=[tf.keras.metrics.RootMeanSquaredError()]
        )

    def call(self, features: dict[str, tf.Tensor]) -> tf.Tensor:
        vectors = [self.user_model(features["user_id"]), self.movie_model(features["movie_title"])]
        return self.above(tf.concat(vectors, axis=1))

    def compute_loss(self, features: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        return self.task(labels=features["user_rating"], predictions=self(features))


class Evaluating(tf.keras.callbacks.Callback):
    """Counts the validation that `fit` does, or does it itself, as another phase; and the training of each epoch.

    Attributes:
        epochs: processor seconds of each epoch's training.
    """

    def __init__(self, clock: Clock, phase: str, evaluate=None) -> None:
        super().__init__()
        self.clock, self.phase, self.evaluate = clock, phase, evaluate
        self.epochs: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._spent = -cpu_seconds()

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._spent += cpu_seconds()
        self._open = self.clock.phase(self.phase)
        self._open.__enter__()

    def on_test_end(self, logs: dict | None = None) -> None:
        self._open.__exit__(None, None, None)
        self._spent -= cpu_seconds()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.epochs.append(self._spent + cpu_seconds())
        if self.evaluate:
            with self.clock.phase(self.phase):
                self.evaluate()
        print(f"    {self.phase.partition(':')[0]}, epoch {epoch + 1}", flush=True)


def work(order: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """Does all of it, phase by phase, then judges both models by the same metrics, which no phase counts.

    Args:
        order: `dataset`, `limit` (ratings), `split` (file), `changes` (a beginning of `CHANGES`), `epochs`, `seed`.
        clock: counts.
    """
    changes, epochs, seed = order["changes"], order["epochs"], order["seed"]
    tf.keras.utils.set_random_seed(seed)
    with clock.phase(READING):
        if "columns" in changes:
            tables = Tables(order["dataset"], Path(order["split"]))
        else:
            rows = Rows(order["dataset"], order["limit"])
    with clock.phase(VOCABULARIES):
        if "columns" in changes:
            learn_words(tables.train["user_id"], tables.train["movie_title"], tables.train["timestamp"])
            users, titles = tables.train["user_id"].astype(str).unique(), tables.movies["movie_title"].unique()
        else:
            stream_words(rows, in_batches="adapt" in changes)
            users, titles = distinct(rows.ratings.map(lambda row: row["user_id"])), distinct(rows.movies)
    if "columns" not in changes:
        train, test = rows.split("movie_title", "user_id", "user_rating")
        train, test = train.shuffle(100_000).batch(8192).cache(), test.batch(4096).cache()
    elif "models" not in changes:
        train = data.batches(tables.columns(tables.train), 8192, shuffle=True)
        test = data.batches(tables.columns(tables.test), 4096)

    tf.keras.utils.set_random_seed(seed)
    with clock.phase(RETRIEVAL):
        if "models" in changes:
            score, retrieval_epochs = our_retrieval(tables, epochs, clock)
        else:
            whole = tf.data.Dataset.from_tensor_slices(tables.titles) if "columns" in changes else rows.movies
            retrieval = OriginalRetrieval(users, titles, None if "metrics" in changes else whole)
            retrieval.compile(optimizer=tf.keras.optimizers.Adagrad(0.1))
            if "metrics" in changes:
                own = Evaluating(
                    clock, RETRIEVAL_EVALUATED, lambda: rank_all(original_scorer(retrieval, tables), tables)
                )
                retrieval.fit(train, epochs=epochs, callbacks=[own], verbose=0)
            else:
                own = Evaluating(clock, RETRIEVAL_EVALUATED)
                retrieval.fit(train, validation_data=test, epochs=epochs, callbacks=[own], verbose=0)
            retrieval_epochs = own.epochs
    with clock.phase(RANKING):
        if "models" in changes:
            predict, ranking_epochs = our_ranking(tables, epochs, clock)
        else:
            ranking = OriginalRanking(users, titles)
            ranking.compile(optimizer=tf.keras.optimizers.Adagrad(0.1))
            own = Evaluating(clock, RANKING_EVALUATED)
            ranking.fit(train, validation_data=test, epochs=epochs, callbacks=[own], verbose=0)
            ranking_epochs = own.epochs
    memory = peak_memory_mb()

    if "columns" not in changes:
        tables = Tables(order["dataset"], Path(order["split"]))
        drawn = [batch["user_id"] for batch in test.as_numpy_iterator()]
        with np.load(order["split"]) as split:
            if not np.array_equal(np.concatenate(drawn).astype(str), split["test_user_id"]):
                raise RuntimeError("the rows held out are not those of the split, so nothing could be compared.")
    if "models" not in changes:
        score = original_scorer(retrieval, tables)
        predict = lambda: np.concatenate(  # noqa: E731
            [ranking(batch).numpy().ravel() for batch in data.batches(tables.columns(tables.test), 4096)]
        )
    return {
        "phases": clock.phases,
        "epochs": {RETRIEVAL: retrieval_epochs, RANKING: ranking_epochs},
        "peak_memory_mb": round(memory),
        "quality": judged(score, predict, tables),
    }


def stream_words(rows: Rows, in_batches: bool) -> None:
    """Preprocessing learned from the stream of ratings: two lookups, the words of titles, the mean of time stamps."""
    layers = {
        "user_id": tf.keras.layers.StringLookup(),
        "movie_title": tf.keras.layers.StringLookup(),
        "words": tf.keras.layers.TextVectorization(),
    }
    for name, layer in layers.items():
        column = "movie_title" if name == "words" else name
        stream = rows.ratings.map(lambda row, column=column: row[column])  # not batched in the original
        layer.adapt(stream.batch(preprocessing.ADAPT_BATCH) if in_batches else stream)
    seconds = rows.ratings.map(lambda row: row["timestamp"]).batch(1024)  # the one that is batched in the original too
    tf.keras.layers.Normalization(axis=None).adapt(seconds)


def learn_words(users: pd.Series, titles: pd.Series, seconds: pd.Series) -> None:
    """The same from columns, as chapter 2 does it."""
    preprocessing.id_lookup(users)
    preprocessing.id_lookup(titles)
    preprocessing.title_encoder(titles, EMBEDDING_DIM)
    preprocessing.timestamp_normalizer(seconds)


def distinct(words: tf.data.Dataset) -> np.ndarray:
    """The original's vocabulary: everything in memory at once, then sorted."""
    return np.unique(np.concatenate(list(words.batch(1_000_000).as_numpy_iterator())))


def original_scorer(model: OriginalRetrieval, tables: Tables):
    """Affinities of users and films by row and column."""
    queries = model.user_model(tf.constant(tables.index.user_ids)).numpy()
    candidates = model.movie_model(tf.constant(tables.titles)).numpy()
    return lambda rows: queries[rows] @ candidates.T


def our_retrieval(tables: Tables, epochs: int, clock: Clock):
    """Chapter 3's two towers of ids: as many numbers as the original's, no metrics in the step, small batches.

    Returns:
        Affinities by row and column, and the processor seconds of each epoch's training.
    """
    model = models.TwoTower(
        models.IdTower("user_id", tables.train["user_id"], EMBEDDING_DIM),
        models.IdTower("movie_id", tables.train["movie_id"], EMBEDDING_DIM),
        l2=RECIPE["l2"],
    )
    model.compile(optimizer=tf.keras.optimizers.Adam(RECIPE["learning_rate"]), steps_per_execution=32)
    every = models.training_columns(
        tables.train, tables.movies, models.sampling_probability(tables.train, tables.movies)
    )
    columns = {name: every[name] for name in ("user_id", "movie_id", "movie_position", "sampling_probability")}
    score = lambda: models.affinity_scorer(model, tables.index, tables.movies)  # noqa: E731
    own = Evaluating(clock, RETRIEVAL_EVALUATED, lambda: rank_all(score(), tables))
    model.fit(data.batches(columns, RECIPE["batch_size"], shuffle=True), epochs=epochs, callbacks=[own], verbose=0)
    return score(), own.epochs


def our_ranking(tables: Tables, epochs: int, clock: Clock):
    """Chapter 6's dense network of the original's size, as tuned there.

    Returns:
        What predicts the ratings held out, and the processor seconds of each epoch's training.
    """
    model = models.RatingModel(models.DenseRating(tables.train["user_id"], tables.train["movie_id"], EMBEDDING_DIM))
    model.compile(optimizer=tf.keras.optimizers.Adam(0.002), steps_per_execution=16)
    predict = lambda: models.predict_ratings(model, tables.test)  # noqa: E731
    own = Evaluating(clock, RANKING_EVALUATED, lambda: metrics.rmse(predict(), tables.test["user_rating"]))
    columns = models.rating_columns(tables.train)
    model.fit(data.batches(columns, 1024, shuffle=True), epochs=epochs, callbacks=[own], verbose=0)
    return predict, own.epochs


def rank_all(score, tables: Tables) -> None:
    """What FactorizedTopK tells after an epoch: hit rates at five depths, on what was learned and on what was not."""
    for part in (tables.seen, tables.held_out):
        held = metrics.rank_held_out(score, part)
        for k in KS:
            metrics.hit_rate_at_k(held, k)


def judged(score, predict, tables: Tables) -> dict[str, float]:
    """Both models by the course's metrics, on the rows that neither way has learned from."""
    found = {}
    for handling, seen in (("raw", None), ("seen-out", tables.seen)):
        held = metrics.rank_held_out(score, tables.held_out, seen)
        found |= {f"{handling} @{k}": round(metrics.hit_rate_at_k(held, k), 4) for k in (10, 100)}
    return found | {"RMSE": round(metrics.rmse(predict(), tables.test["user_rating"]), 4)}


def main() -> None:
    clock = Clock(IMPORTING)
    order, path = answer()
    if "changes" in order:
        write_if_changed(path, json.dumps(work(order, clock)))
    else:
        write_split(order["dataset"], order["limit"], Path(order["split"]))
        write_if_changed(path, "{}")


if __name__ == "__main__":
    main()
