"""Search by ScaNN inside the graph: for catalogues too large to multiply with. Needs ScaNN's ops to load."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from recsys_course.indices.scann import SMALLEST_CODE_BOOK, quiet_stderr
from recsys_course.serving.retrieval_module import refuse_infinite
from recsys_course.serving.user_lists import FILLED

try:
    from scann.scann_ops.py import scann_ops
except ImportError:  # no wheel for Windows and macOS
    scann_ops = None

REORDERED = 200  # at least so many candidates are scored again


class ScannSearch(tf.Module):
    """The same calls as `ExactSearch`, answered by a quantised tree.

    A catalogue of a few thousand films wants every leaf searched, and plenty of candidates scored again with their full
    vectors; chapter 4 shows what is lost otherwise, and when searching fewer leaves begins to pay.

    Args:
        embeddings: `[num_movies, embedding_dim] float32` candidate embeddings.

    Raises:
        ImportError: ScaNN is not installed; says what to use instead.
        ValueError: an embedding holds NaN or infinity, or there are too few of them.
    """

    def __init__(self, embeddings: np.ndarray) -> None:
        super().__init__()
        if not self.is_available():
            raise ImportError(
                "ScaNN is not installed (it has wheels for Linux only): pip install scann==1.4.2, or use ExactSearch."
            )
        refuse_infinite(embeddings)
        self.num_movies = len(embeddings)
        if self.num_movies < SMALLEST_CODE_BOOK:
            needs = f"ScaNN learns its codes from {SMALLEST_CODE_BOOK} films or more"
            raise ValueError(f"{needs}, got {self.num_movies}: use ExactSearch.")
        self.num_leaves = max(1, round(self.num_movies**0.5))
        builder = (
            scann_ops.builder(np.asarray(embeddings, np.float32), 10, "dot_product")
            .tree(self.num_leaves, self.num_leaves, random_init=False)  # a random start would make each export another
            .score_ah(2)
            .reorder(REORDERED)
        )
        with quiet_stderr():
            self.state = builder.build().serialize_to_module()

    @staticmethod
    def is_available() -> bool:
        """Whether ScaNN can be imported here."""
        return scann_ops is not None

    def __call__(self, queries: tf.Tensor, seen: tf.RaggedTensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As `ExactSearch`; ScaNN cannot leave films out, so as many more are fetched as could turn out to be seen."""
        most_seen = tf.cast(tf.reduce_max(tf.concat([[0], seen.row_lengths()], axis=0)), tf.int32)
        num_found = tf.minimum(k + most_seen, self.num_movies)
        reordered = tf.minimum(tf.maximum(5 * num_found, REORDERED), self.num_movies)
        num_queries = tf.shape(queries)[0]
        queries = tf.pad(queries, [[0, tf.cast(num_queries == 0, tf.int32)], [0, 0]])  # ScaNN refuses an empty batch
        searcher = scann_ops.searcher_from_module(self.state)
        found = searcher.search_batched(queries, num_found, reordered, self.num_leaves)
        # ScaNN's operation says nothing of the shape of its answer, not even that it has rows.
        movies, scores = (tf.ensure_shape(part, [None, None])[:num_queries] for part in found)
        scores = tf.where(is_seen(movies, seen, self.num_movies), FILLED, scores)
        scores, place = tf.math.top_k(scores, k)
        return scores, tf.gather(movies, place, batch_dims=1)


def is_seen(movies: tf.Tensor, seen: tf.RaggedTensor, num_movies: int) -> tf.Tensor:
    """Which of the found films stand in their user's history.

    Args:
        movies: `[batch, found] int32` positions in the catalogue.
        seen: `[batch, (num_seen)] int32` positions, ascending in each row.
        num_movies: size of the catalogue.

    Returns:
        `[batch, found] bool`.
    """
    # No film has the position num_movies: it fills the rows up, and one column of it keeps the search in bounds.
    padded = tf.pad(seen.to_tensor(num_movies), [[0, 0], [0, 1]], constant_values=num_movies)  # [batch, most seen + 1]
    place = tf.searchsorted(padded, movies)
    return tf.gather(padded, place, batch_dims=1) == movies
