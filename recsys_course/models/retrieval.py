"""The two-tower retrieval model, the columns it is trained on, and its affinities for a whole catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recsys_course import data, preprocessing


class TwoTower(tfrs.Model):
    """Learns both towers by in-batch softmax: of a batch's films, which one did this user choose? Built in chapter 3.

    Batches are dictionaries, as `training_columns` makes them: whatever the towers read; `movie_position`
    `[batch] int64`, to tell films apart; and, where the loss shall be corrected for how often a film serves as a
    negative, `sampling_probability` `[batch] float32`.

    Args:
        query_tower: from a batch's features to `[batch, embedding_dim]`.
        candidate_tower: likewise, of the same `embedding_dim`.
        l2: penalty on the squared length of the embeddings, averaged over the batch.
        remove_accidental_hits: take a user's own film out of the negatives where the batch holds it again.
    """

    def __init__(
        self,
        query_tower: tf.keras.Model,
        candidate_tower: tf.keras.Model,
        l2: float = 0.0,
        remove_accidental_hits: bool = True,
    ) -> None:
        super().__init__()
        self.query_tower = query_tower
        self.candidate_tower = candidate_tower
        self.l2 = l2
        self.task = tfrs.tasks.Retrieval(remove_accidental_hits=remove_accidental_hits)
        self.softmax_loss = tf.keras.metrics.Mean(name="softmax_loss")

    def compute_loss(self, features: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the mean loss of a training pair: softmax loss in nats, plus the penalty."""
        queries = self.query_tower(features, training=training)  # [batch, embedding_dim]
        candidates = self.candidate_tower(features, training=training)  # [batch, embedding_dim]
        total = self.task(
            queries,
            candidates,
            candidate_ids=features["movie_position"],
            candidate_sampling_probability=features.get("sampling_probability"),
            compute_metrics=False,
        )
        batch_size = tf.cast(tf.shape(queries)[0], tf.float32)
        self.softmax_loss.update_state(total / batch_size, sample_weight=batch_size)
        squared_lengths = tf.reduce_sum(queries**2) + tf.reduce_sum(candidates**2)
        return (total + self.l2 * squared_lengths) / batch_size


def sampling_probability(train: pd.DataFrame, movies: pd.DataFrame) -> pd.Series:
    """How probable it is that a random training row holds each film. Built in chapter 3.

    One is added to each count, so that a film of the catalogue without a training row, which a validation batch may
    hold, gets a small probability rather than none.

    Args:
        train: ratings with a `movie_id` column.
        movies: the catalogue.

    Returns:
        float32 by `movie_id`, in the catalogue's order; sums to 1.
    """
    counts = train["movie_id"].value_counts().reindex(movies["movie_id"], fill_value=0) + 1
    return (counts / counts.sum()).astype(np.float32)


def movie_features(movies: pd.DataFrame) -> dict[str, np.ndarray]:
    """The catalogue as the columns that a candidate tower reads.

    Returns:
        `movie_id` and `movie_title` `[num_movies]`, `movie_genres` `[num_movies, width]`, all str objects.
    """
    return {
        "movie_id": movies["movie_id"].to_numpy(object),
        "movie_title": movies["movie_title"].to_numpy(object),
        "movie_genres": preprocessing.pad_genres(movies["movie_genres"]),
    }


def training_columns(
    ratings: pd.DataFrame, movies: pd.DataFrame, probability: pd.Series | None = None
) -> dict[str, np.ndarray]:
    """One row a rating, with the film's features joined to it: what `data.batches` takes.

    Args:
        ratings: `user_id` and `movie_id` columns.
        movies: the catalogue; holds every rated film.
        probability: from `sampling_probability`; `None` leaves the column out, and so the loss uncorrected.

    Returns:
        `user_id`, the columns of `movie_features`, `movie_position` (the film's row in the catalogue: the loss compares
        every two films of a batch, and integers compare far faster than strings), and `sampling_probability` if given.

    Raises:
        ValueError: a rated film is not in the catalogue.
    """
    rows = pd.Index(movies["movie_id"]).get_indexer(ratings["movie_id"].astype(str))
    if (rows < 0).any():
        unknown = ratings["movie_id"].iloc[int(np.argmax(rows < 0))]
        raise ValueError(f"film {unknown!r} is rated, but not in the catalogue of {len(movies):,}: pass all movies.")
    columns = {name: values[rows] for name, values in movie_features(movies).items()}
    columns |= {"user_id": ratings["user_id"].to_numpy(object), "movie_position": rows.astype(np.int64)}
    if probability is not None:
        columns["sampling_probability"] = probability.reindex(movies["movie_id"]).to_numpy(np.float32)[rows]
    return columns


def candidate_embeddings(model: TwoTower, index: data.InteractionIndex, movies: pd.DataFrame) -> np.ndarray:
    """Every film of the catalogue as the candidate tower embeds it.

    Args:
        model: a trained model.
        index: says which row stands for which film.
        movies: the catalogue.

    Returns:
        `[num_movies, embedding_dim] float32`, in the order of `index.movie_ids`.
    """
    catalogue = movies.set_index("movie_id", drop=False).loc[index.movie_ids]
    return model.candidate_tower({k: tf.constant(v) for k, v in movie_features(catalogue).items()}).numpy()


def affinity_scorer(
    model: TwoTower, index: data.InteractionIndex, movies: pd.DataFrame
) -> Callable[[np.ndarray], np.ndarray]:
    """Embeds every user and every film once; what comes back scores users for `metrics.rank_held_out`.

    Args:
        model: a trained model whose query tower needs the `user_id` alone.
        index: says which row and which column stands for whom.
        movies: the catalogue.

    Returns:
        A function from `[b] int64` rows to `[b, num_movies] float32` affinities.
    """
    queries = model.query_tower({"user_id": tf.constant(index.user_ids)}).numpy()
    candidates = candidate_embeddings(model, index, movies)
    return lambda users: queries[users] @ candidates.T
