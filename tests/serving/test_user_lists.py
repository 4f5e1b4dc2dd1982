"""What all artefacts that list films for users share."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

from recsys_course.serving.user_lists import FILLED, SeenFilms, UserLists


class Constant(UserLists):
    """Film "a" and two reasons, as often as the longest list wants, but three times at most."""

    def recommend(self, user_id, k):
        places = tf.minimum(tf.reduce_max(k), 3)
        shape = tf.stack([tf.shape(user_id)[0], places])
        because = tf.ensure_shape(tf.fill(tf.concat([shape, [2]], axis=0), "b"), [None, None, 2])
        return {"movie_ids": tf.fill(shape, "a"), "scores": tf.fill(shape, 0.5), "because": because, "by": user_id}


def test_ten_places_are_filled_up_whatever_else_stands_in_a_place():
    module = Constant()
    answer = module.serving_default(tf.constant(["7", "8"]))
    assert answer["movie_ids"].numpy().tolist() == [[b"a"] * 3 + [b""] * 7] * 2
    assert answer["scores"].numpy().tolist() == [[0.5] * 3 + [FILLED] * 7] * 2
    assert answer["because"].numpy().tolist() == [[[b"b"] * 2] * 3 + [[b""] * 2] * 7] * 2
    assert answer["by"].numpy().tolist() == [b"7", b"8"]
    shapes = module.serving_default.get_concrete_function().structured_outputs
    assert {name: one.shape.as_list() for name, one in shapes.items()} == {
        "movie_ids": [None, 10],
        "scores": [None, 10],
        "because": [None, 10, 2],
        "by": [None],
    }


def test_what_says_nothing_of_its_lists_has_none():
    with pytest.raises(NotImplementedError, match="UserLists does not say what it recommends"):
        UserLists().recommend(tf.constant(["7"]), tf.constant([1]))


def test_what_was_seen_stands_in_a_row_a_user_and_strangers_have_the_empty_first():
    # Row "u" came with its columns in another order, as a product of matrices may.
    seen = sparse.csr_matrix((np.ones(3), [3, 0, 1], [0, 2, 2, 3]), shape=(3, 4))
    films = SeenFilms(["u", "v", "w"], seen)
    rows = films.rows.lookup(tf.constant(["w", "?", "u", "v", ""]))
    assert rows.numpy().tolist() == [3, 0, 1, 2, 0]
    kept = tf.RaggedTensor.from_row_splits(films.seen_movies, films.seen_starts)
    assert kept.to_list() == [[], [0, 3], [], [1]]
    assert tf.gather(kept, rows).to_list() == [[1], [], [0, 3], [], []]
