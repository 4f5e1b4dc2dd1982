"""What is saved: a query tower, a search over the films, and the rules between a score and a list. See chapter 5.

Everything that has to happen for an answer happens in the graph, so that whoever loads the artefact, in whichever
language, gets the same lists: the lookup of ids, the search, the seen films, the list for strangers, the bounds of `k`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from scipy import sparse

from recsys_course.serving.user_lists import FILLED, NO_MOVIE, SeenFilms, UserLists, kept

TWO_TOWER, POPULARITY = "two-tower", "popularity"


def checked_k(k: tf.Tensor, num_movies: int) -> tf.Tensor:
    """Refuses what is no length of a list, and cuts what is longer than the catalogue. Built in chapter 5.

    Args:
        k: `[batch] int32`.
        num_movies: size of the catalogue.

    Returns:
        `[batch] int32` in `1..num_movies`.

    Raises:
        tf.errors.InvalidArgumentError: a `k` is below 1; raised when the graph runs, so by whoever serves it.
    """
    with tf.control_dependencies([tf.debugging.assert_greater_equal(k, 1, "k must be at least 1")]):
        return tf.minimum(k, num_movies)


def refuse_infinite(embeddings: np.ndarray) -> None:
    """Raises a ValueError where an embedding is not finite: it would win or lose every comparison."""
    if not np.isfinite(embeddings).all():
        raise ValueError("some embeddings are not finite: the training has diverged, and there is nothing to serve.")


class ExactSearch(tf.Module):
    """Every affinity, then the best of them. Stock ops, so any TensorFlow loads it.

    Args:
        embeddings: `[num_movies, embedding_dim] float32` candidate embeddings.

    Raises:
        ValueError: an embedding holds NaN or infinity, as after a training that diverged.
    """

    def __init__(self, embeddings: np.ndarray) -> None:
        super().__init__()
        refuse_infinite(embeddings)
        self.embeddings = tf.Variable(np.asarray(embeddings, np.float64), trainable=False, name="embeddings")

    def __call__(self, queries: tf.Tensor, seen: tf.RaggedTensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The best films that are not seen. Of equal ones the film that comes first in the catalogue stands first.

        In float32 the last digits of a product depend on how many queries share the batch, and two films that nearly
        tie could change places with the company that a request happens to keep. So the sums are made in float64.

        Args:
            queries: `[batch, embedding_dim] float32`.
            seen: `[batch, (num_seen)] int32` positions to leave out, ascending in each row.
            k: how many, from 1 to the size of the catalogue.

        Returns:
            `[batch, k]` float32 affinities, descending, and int32 positions. Where fewer films than `k` are unseen,
            the rest has the score `FILLED`.
        """
        affinities = tf.matmul(tf.cast(queries, tf.float64), self.embeddings, transpose_b=True)
        out = tf.stack([tf.cast(seen.value_rowids(), tf.int32), seen.values], axis=1)  # [all seen, 2]: row, film
        scores = tf.tensor_scatter_nd_update(
            tf.cast(affinities, tf.float32), out, tf.fill(tf.shape(seen.values), FILLED)
        )
        return tf.math.top_k(scores, k)


class RetrievalModule(UserLists, SeenFilms):
    """User ids in, the best unseen films out: what `tf.saved_model.save` is given, with two signatures.

    - `serving_default`: `user_id`; ten films for each.
    - `top_k`: `user_id` and `k`; row `i` begins with the `k[i]` best films and is filled up to the longest row of the
      batch with the id `""` and the score `FILLED`. So a row does not depend on the other rows.

    Both answer `movie_ids`, `scores` and `answered_by`. Scores are affinities, and of equal ones the film that comes
    first in the catalogue stands first. A user whom the model has never met is answered by popularity, and is told so:
    the tower would give all strangers one vector that no training row has ever touched. There, scores are numbers of
    ratings.

    Args:
        query_tower: from `{"user_id": [batch] string}` to `[batch, embedding_dim] float32`.
        search: finds the best unseen films; `ExactSearch` or one that is called alike.
        user_ids: the users of the training set.
        movie_ids: the catalogue.
        seen: `[num_users, num_movies]`, in the order of the ids: the training interactions, which no list repeats.
    """

    def __init__(
        self,
        query_tower: tf.keras.Model,
        search: Callable[[tf.Tensor, tf.RaggedTensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
        user_ids: Sequence[str],
        movie_ids: Sequence[str] | np.ndarray,
        seen: sparse.csr_matrix,
    ) -> None:
        if seen.shape != (len(user_ids), len(movie_ids)):
            expected = (len(user_ids), len(movie_ids))
            raise ValueError(f"seen needs a row a user and a column a film: expected {expected}, got {seen.shape}.")
        super().__init__(user_ids, seen)
        self.query_tower, self.search, self.num_movies = query_tower, search, len(movie_ids)
        self.movie_ids = kept(np.asarray(movie_ids, dtype=object))
        popularity = np.asarray(seen.sum(axis=0), np.float32).ravel()
        by_popularity = np.argsort(-popularity, kind="stable").astype(np.int32)
        self.most_popular, self.popularity = kept(by_popularity), kept(popularity[by_popularity])

    def recommend(self, user_id: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns what both signatures answer, for `[batch]` ids and `[batch]` lengths."""
        k = checked_k(k, self.num_movies)
        longest = tf.reduce_max(tf.concat([[1], k], axis=0))
        row = self.rows.lookup(user_id)
        known = row[:, tf.newaxis] > 0
        seen = tf.RaggedTensor.from_row_splits(self.seen_movies, self.seen_starts, validate=False)
        scores, movies = self.search(self.query_tower({"user_id": user_id}), tf.gather(seen, row), longest)
        scores = tf.where(known, scores, self.popularity[:longest])  # [batch, longest]
        movies = tf.where(known, movies, self.most_popular[:longest])
        in_list = (tf.range(longest) < k[:, tf.newaxis]) & (scores > FILLED)
        return {
            "movie_ids": tf.where(in_list, tf.gather(self.movie_ids, movies), NO_MOVIE),
            "scores": tf.where(in_list, scores, FILLED),
            "answered_by": tf.where(known[:, 0], TWO_TOWER, POPULARITY),
        }
