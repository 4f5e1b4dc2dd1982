"""The first stage: from a history to a few hundred films that its owner has not seen."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from recsys_course.recommender.films import Films
from recsys_course.serving.retrieval_module import ExactSearch

NUM_CANDIDATES = 300  # what retrieval hands on, and so the longest page there is


class Candidates(tf.Module):
    """Reads a history, makes a query of it and searches the catalogue.

    Args:
        query_tower: from `{"history": [batch, length] string}` to `[batch, embedding_dim] float32`.
        embeddings: `[num_movies, embedding_dim] float32` candidate embeddings, in the order of the index.
        popularity: `[num_movies]` training interactions of each film.
        films: the catalogue.
    """

    def __init__(
        self, query_tower: tf.keras.Model, embeddings: np.ndarray, popularity: np.ndarray, films: Films
    ) -> None:
        super().__init__()
        self.query_tower, self.films = query_tower, films
        self.num_candidates = min(NUM_CANDIDATES, films.num_movies)
        # Each embedding gets one more number, the logarithm of its popularity. A stranger's query has a one there and
        # zeros elsewhere, so that one search serves both.
        self.search = ExactSearch(np.column_stack([embeddings, np.log1p(popularity)]))

    def __call__(self, history: tf.Tensor, seen: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The best unseen films; the most popular ones where nothing is known of a history.

        Args:
            history: `[batch, length] int32` positions, from `Films.history`.
            seen: `[batch, (num_seen)] int32` positions to leave out.

        Returns:
            `[batch, num_candidates]` float32 affinities (or logarithms of popularity), descending, `FILLED` where there
            is no film left; and int32 positions.
        """
        known = is_known(history, self.films.num_movies)[:, tf.newaxis]
        queries = self.query_tower({"history": self.films.ids(history)})
        stranger = tf.cast(~known, tf.float32)
        queries = tf.concat([tf.where(known, queries, 0.0), stranger], axis=1)
        return self.search(queries, seen, self.num_candidates)


def is_known(history: tf.Tensor, num_movies: int) -> tf.Tensor:
    """`[batch] bool`: whether a history holds a film at all."""
    return tf.reduce_any(history < num_movies, axis=1)
