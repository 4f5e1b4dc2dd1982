"""What every artefact has that answers users with lists of films: two signatures, and what each user has seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from scipy import sparse

LIST_LENGTH = 10  # what `serving_default` returns
FILLED = float(np.finfo(np.float32).min)  # score of an empty place; finite, since JSON knows no infinity
NO_MOVIE = ""  # id of an empty place


class UserLists(tf.Module):
    """User ids in, a list of films for each out. Whoever inherits it says in `recommend` what is listed.

    - `serving_default`: `user_id`; ten films for each.
    - `top_k`: `user_id` and `k`; `k[i]` films for user `i`.
    """

    def recommend(self, user_id: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """What both signatures answer.

        Args:
            user_id: `[batch] string`.
            k: `[batch] int32` lengths.

        Returns:
            By name, `[batch]`, or `[batch, longest, ...]` with as many places a row as its longest list needs; empty
            places hold `FILLED` in `scores`, and `NO_MOVIE` everywhere else.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what it recommends.")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="user_id")])
    def serving_default(self, user_id: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ten films for each user."""
        answer = self.recommend(user_id, tf.fill(tf.shape(user_id), LIST_LENGTH))
        # A catalogue of fewer films still gives ten places, so that the graph knows the shape in advance: a server may
        # then run the rows of several requests together.
        for name, value in answer.items():
            if value.shape.rank > 1:
                missing = [[0, 0], [0, LIST_LENGTH - tf.shape(value)[1]], *([[0, 0]] * (value.shape.rank - 2))]
                padded = tf.pad(value, missing, constant_values=FILLED if name == "scores" else NO_MOVIE)
                answer[name] = tf.ensure_shape(padded, [None, LIST_LENGTH, *value.shape[2:]])
        return answer

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="user_id"),
            tf.TensorSpec([None], tf.int32, name="k"),
        ]
    )
    def top_k(self, user_id: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """`k[i]` films for user `i`."""
        same = tf.debugging.assert_equal(tf.shape(k), tf.shape(user_id), "k and user_id must be equally long")
        with tf.control_dependencies([same]):
            return self.recommend(user_id, k)

    @property
    def signatures(self) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
        """What `tf.saved_model.save` takes as `signatures`."""
        return {"serving_default": self.serving_default, "top_k": self.top_k}


class SeenFilms(tf.Module):
    """What each user has seen, by user id.

    Args:
        user_ids: the users of the training set.
        seen: `[num_users, num_movies]`, in the order of the ids; a stored entry is a film that was seen.

    Attributes:
        rows: from user ids to int32 rows, from 1 on. Row 0 belongs to everybody else: nothing seen, nothing known.
        seen_movies: `[all seen] int32` positions, row after row, ascending in each.
        seen_starts: `[num_users + 2] int64`: where in `seen_movies` each row begins, and where the last one ends.
    """

    def __init__(self, user_ids: Sequence[str], seen: sparse.csr_matrix) -> None:
        super().__init__()
        seen = sparse.csr_matrix(seen)
        seen.sort_indices()
        rows = tf.lookup.KeyValueTensorInitializer(tf.constant(list(user_ids)), tf.range(1, len(user_ids) + 1))
        self.rows = tf.lookup.StaticHashTable(rows, default_value=0)
        self.seen_movies = kept(seen.indices.astype(np.int32))
        self.seen_starts = kept(np.concatenate([[0], seen.indptr]).astype(np.int64))


def kept(values: np.ndarray) -> tf.Variable:
    """An array kept among the artefact's variables: as a constant it would stand in the graph, which has a limit."""
    return tf.Variable(values, trainable=False)
