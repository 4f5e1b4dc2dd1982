"""Exact search and its top k, against a plain sort; and its preference among equals."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_course import indices
from recsys_course.indices import exact
from recsys_course.indices.exact import STRIPE, top_k


def plain(scores: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("num_columns", [1, 7, STRIPE - 1, 3 * STRIPE, 40 * STRIPE + 17])
@pytest.mark.parametrize("k", [1, 3, 10])
def test_top_k_is_the_head_of_a_stable_sort(num_columns, k):
    scores = np.random.default_rng(0).standard_normal((5, num_columns), dtype=np.float32)
    k = min(k, num_columns)
    best, columns = top_k(scores, k)
    np.testing.assert_array_equal(columns, plain(scores, k))
    np.testing.assert_array_equal(best, np.take_along_axis(scores, columns, axis=1))


def test_top_k_prefers_the_left_of_equals():
    scores = np.round(np.random.default_rng(0).standard_normal((5, 50 * STRIPE), dtype=np.float32), 1)
    np.testing.assert_array_equal(top_k(scores, 20)[1], plain(scores, 20))
    np.testing.assert_array_equal(top_k(np.zeros((2, 50 * STRIPE), np.float32), 3)[1], [[0, 1, 2]] * 2)


def test_the_best_may_stand_in_the_last_incomplete_stripe():
    scores = np.zeros((1, 50 * STRIPE + 5), np.float32)
    scores[0, -5:] = [1, 5, 3, 4, 2]
    assert top_k(scores, 5)[1].tolist() == [[50 * STRIPE + at for at in (1, 3, 2, 4, 0)]]


def test_blocks_never_change_a_result(monkeypatch):
    random = np.random.default_rng(0)
    embeddings, queries = (random.standard_normal((n, 8), dtype=np.float32) for n in (500, 33))
    index = indices.Exact().build(embeddings)
    whole = index.search(queries, 7)
    monkeypatch.setattr(exact, "SCORES_AT_A_TIME", 1500)
    np.testing.assert_array_equal(index.search(queries, 7).ids, whole.ids)
