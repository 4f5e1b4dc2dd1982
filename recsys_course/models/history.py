"""Queries from what somebody watched instead of who they are: histories, the tower that reads them, its training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import ArrayLike

from recsys_course import data, preprocessing
from recsys_course.models.retrieval import (
    TwoTower,
    candidate_embeddings,
    movie_features,
    sampling_probability,
    training_columns,
)
from recsys_course.models.towers import MovieTower

# Chosen on the validation part of leave-last-out, with histories strictly before the held-out rating.
HISTORY_RECIPE: dict[str, Any] = {
    "length": 30,
    "embedding_dim": 32,
    "l2": 0.03,
    "learning_rate": 0.01,
    "batch_size": 512,
    "epochs": 6,
    "seed": 42,
}


def histories(
    ratings: pd.DataFrame, user_ids: Iterable[str], length: int, before: ArrayLike | None = None
) -> np.ndarray:
    """The films that each user rated last, as of a moment. Built in chapter 7.

    Strictly before it: what carries the moment's own time stamp may be the very click to be predicted, or come from the
    same page. Of rows with equal time stamps the one that stands later in the table counts as the more recent.

    Args:
        ratings: needs `user_id`, `movie_id` and `timestamp`, in any order.
        user_ids: whose histories; repeated at will, for one user at several moments.
        length: how many films at most; the oldest are left out.
        before: `[len(user_ids)]` moments, or one for all, as time stamps; `None` for everything there is.

    Returns:
        `[len(user_ids), length] object` array of str: movie ids, the most recent first, filled up with "". A user
        without ratings before the moment has nothing but "".

    Raises:
        ValueError: `length` is below 1, or there are not as many moments as users.
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}.")
    users, known = pd.factorize(ratings["user_id"])
    asked = pd.Index(np.asarray(known, dtype=object)).get_indexer(np.asarray(user_ids, dtype=object))  # -1: a stranger
    moments = np.unique(ratings["timestamp"])
    earlier = np.full(len(asked), len(moments)) if before is None else np.searchsorted(moments, before)
    if earlier.shape not in ((), asked.shape):
        raise ValueError(f"one moment, or one for each of {len(asked):,} users, is needed; got shape {earlier.shape}.")
    # Users and moments in one number, sorted: a user's rows then lie side by side, and "before" is a place among them.
    keys = users * (len(moments) + 1) + np.searchsorted(moments, ratings["timestamp"])
    order = np.argsort(keys, kind="stable")
    starts = np.searchsorted(keys[order], asked * (len(moments) + 1))
    ends = np.searchsorted(keys[order], asked * (len(moments) + 1) + earlier)
    return pad_histories(ratings["movie_id"].to_numpy(object)[order], starts, ends, length)


def pad_histories(films: np.ndarray, starts: np.ndarray, ends: np.ndarray, length: int) -> np.ndarray:
    """Stretches of one long list, each turned round and filled up with "" to one length. Built in chapter 7.

    Args:
        films: `[n]` ids, a user's in the order of time.
        starts, ends: `[num_histories] int64`; a history is made of the rows `starts .. ends - 1`.
        length: films kept of each, the last ones.

    Returns:
        `[num_histories, length] object`, the last film first.
    """
    rows = np.asarray(ends)[:, np.newaxis] - 1 - np.arange(length)  # [num_histories, length]
    return np.append(films, "")[np.where(rows >= np.asarray(starts)[:, np.newaxis], rows, -1)]


def history_training_columns(
    ratings: pd.DataFrame, movies: pd.DataFrame, length: int, probability: pd.Series | None = None
) -> dict[str, np.ndarray]:
    """Every rating as a target, beside what its user had rated strictly before it: what `data.batches` takes.

    Args:
        ratings: training ratings, with time stamps.
        movies: the catalogue; holds every rated film.
        length: films a history.
        probability: as in `training_columns`.

    Returns:
        The columns of `training_columns`, and `history` `[num_ratings, length]`.

    Raises:
        ValueError: as `training_columns` and `histories`.
    """
    columns = training_columns(ratings, movies, probability)
    return columns | {"history": histories(ratings, ratings["user_id"], length, ratings["timestamp"])}


class HistoryTower(tf.keras.Model):
    """A query tower that reads films instead of an id: weighted means of what was watched. Built in chapter 7.

    Each of its heads takes one weighted mean over the history. The film in place `p` (1 is the most recent) weighs
    `p ** -decay`, with a learned decay a head: at 0 all films count alike, at 1 the second counts half. A learned
    vector for *nothing known* takes part in each mean, so that a short history stays near it and an empty one gives it.
    A dense layer mixes the heads.

    The last number of every query embedding is 1, so that the last number of a candidate embedding is its film's bias.

    Args:
        movie_ids: films of the training set; others, and "", count as nothing.
        embedding_dim: length of the query embeddings.
        decays: where each head's decay starts.
    """

    def __init__(self, movie_ids: Iterable[str], embedding_dim: int, decays: Iterable[float] = (0.0, 1.0)) -> None:
        super().__init__()
        self.lookup = preprocessing.id_lookup(movie_ids)
        self.embedding = tf.keras.layers.Embedding(self.lookup.vocabulary_size(), embedding_dim - 1)
        decays = list(decays)
        self.decay = self.add_weight("decay", (len(decays),), initializer=tf.keras.initializers.Constant(decays))
        self.nothing = self.add_weight("nothing", (len(decays), embedding_dim - 1), initializer="random_normal")
        self.mix = tf.keras.layers.Dense(embedding_dim - 1)

    def call(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns `[batch, embedding_dim] float32`.

        Args:
            features: `history` `[batch, length]` string: movie ids, the most recent first, "" where there is none.
        """
        films = self.lookup(features["history"])  # [batch, length], 0: nothing
        places = tf.range(1, tf.shape(films)[1] + 1, dtype=tf.float32)
        weights = places[:, tf.newaxis] ** -self.decay  # [length, heads]
        weights *= tf.cast(films > 0, tf.float32)[:, :, tf.newaxis]  # [batch, length, heads]
        sums = tf.einsum("blh,bld->bhd", weights, self.embedding(films)) + self.nothing
        means = sums / (1 + tf.reduce_sum(weights, axis=1))[:, :, tf.newaxis]  # [batch, heads, embedding_dim - 1]
        query = self.mix(tf.reshape(means, [-1, means.shape[1] * means.shape[2]]))
        return tf.concat([query, tf.ones_like(query[:, :1])], axis=1)


def history_two_tower(
    train: pd.DataFrame, movies: pd.DataFrame, recipe: Mapping[str, Any] = HISTORY_RECIPE
) -> TwoTower:
    """Untrained towers with their vocabularies, called once so that all weights exist.

    Args:
        train: training ratings: their films are the vocabularies of both towers.
        movies: the catalogue.
        recipe: as `HISTORY_RECIPE`.
    """
    known = movies[movies["movie_id"].isin(train["movie_id"].astype(str).unique())]
    query_tower = HistoryTower(known["movie_id"], recipe["embedding_dim"])
    model = TwoTower(query_tower, MovieTower(known, recipe["embedding_dim"]), l2=recipe["l2"])
    model.query_tower({"history": tf.constant([[""]])})
    model.candidate_tower({name: tf.constant(values) for name, values in movie_features(movies[:1]).items()})
    return model


def fit_history(
    train: pd.DataFrame,
    movies: pd.DataFrame,
    recipe: Mapping[str, Any] = HISTORY_RECIPE,
    say: Callable[[str], None] = print,
) -> TwoTower:
    """Trains the model of chapter 7: every training rating is a target, read from what its user had rated before.

    Sets the global seed, so that the same recipe gives the same model.

    Args:
        train: training ratings, with time stamps.
        movies: the catalogue.
        recipe: as `HISTORY_RECIPE`.
        say: told how the loss goes, a line an epoch.
    """
    tf.keras.utils.set_random_seed(recipe["seed"])
    tf.config.experimental.enable_op_determinism()
    model = history_two_tower(train, movies, recipe)
    columns = history_training_columns(train, movies, recipe["length"], sampling_probability(train, movies))
    say(f"training the history-reading model of chapter 7 on {len(train):,} ratings")
    return fit_towers(model, columns, recipe, say)


def fit_towers(
    model: TwoTower,
    columns: Mapping[str, np.ndarray],
    recipe: Mapping[str, Any] = HISTORY_RECIPE,
    say: Callable[[str], None] = lambda line: None,
) -> TwoTower:
    """Trains any two towers by the recipe's batch size and epochs; its learning rate sinks to 0 along a cosine.

    Args:
        model: untrained.
        columns: what the towers read, as `history_training_columns` makes it, and more if they want more.
        recipe: as `HISTORY_RECIPE`.
        say: told how the loss goes, a line an epoch.

    Returns:
        The model.
    """
    batches = data.batches(columns, recipe["batch_size"], shuffle=True)
    steps = recipe["epochs"] * len(batches)
    sinking = tf.keras.optimizers.schedules.CosineDecay(recipe["learning_rate"], steps)
    model.compile(optimizer=tf.keras.optimizers.Adam(sinking), steps_per_execution=32)

    def tell(epoch: int, logs: dict[str, float]) -> None:
        say(f"epoch {epoch + 1} of {recipe['epochs']}: softmax loss {logs['softmax_loss']:.3f}")

    told = [tf.keras.callbacks.LambdaCallback(on_epoch_end=tell)]
    model.fit(batches, epochs=recipe["epochs"], callbacks=told, verbose=0)
    return model


def query_scorer(
    model: TwoTower, index: data.InteractionIndex, movies: pd.DataFrame, features: Mapping[str, np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """Affinities of whole rows of the catalogue, for `metrics.rank_held_out`; a row is a query, whoever asks.

    Args:
        model: a trained model.
        index: says which column stands for which film.
        movies: the catalogue.
        features: the columns that the query tower reads, `[num_queries, ...]`.

    Returns:
        A function from `[b] int64` rows of `features` to `[b, num_movies] float32` affinities.
    """
    queries = np.concatenate([model.query_tower(batch).numpy() for batch in data.batches(features, 4096)])
    candidates = candidate_embeddings(model, index, movies)
    return lambda rows: queries[rows] @ candidates.T


def history_scorer(
    model: TwoTower,
    index: data.InteractionIndex,
    movies: pd.DataFrame,
    ratings: pd.DataFrame,
    before: ArrayLike | None = None,
    length: int = HISTORY_RECIPE["length"],
) -> Callable[[np.ndarray], np.ndarray]:
    """Reads every user's history once; what comes back scores users for `metrics.rank_held_out`.

    Args:
        model: a trained model whose query tower needs the `history`, and at most the `user_id` besides.
        index: says which row and which column stands for whom.
        movies: the catalogue.
        ratings: what may be read: train, as a rule.
        before: `[num_users]` moments: of each user only what is strictly earlier is read. `None` reads everything.
        length: films a history.

    Returns:
        A function from `[b] int64` rows to `[b, num_movies] float32` affinities.
    """
    read = {"user_id": index.user_ids, "history": histories(ratings, index.user_ids, length, before)}
    return query_scorer(model, index, movies, read)
