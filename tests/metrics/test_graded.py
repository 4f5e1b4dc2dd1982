"""NDCG of held-out ratings: by hand, ties, users without an order, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_course import metrics


def test_by_hand():
    # User a: films of 5, 1 and 3 stars, predicted in the order 1, 5, 3. User b: perfect.
    predicted, actual = [2.0, 3.0, 1.0, 0.9, 0.1], [5.0, 1.0, 3.0, 4.0, 2.0]
    users = ["a", "a", "a", "b", "b"]
    found = 1 + 31 / np.log2(3) + 7 / 2
    best = 31 + 7 / np.log2(3) + 1 / 2
    assert metrics.rated_ndcg_at_k(predicted, actual, users, 10) == pytest.approx((found / best + 1) / 2)
    assert metrics.rated_ndcg_at_k(predicted, actual, users, 1) == pytest.approx((1 / 31 + 1) / 2)


def test_ties_count_against_the_model():
    gains = np.array([1, 3, 31]) / np.log2([2, 3, 4])  # 1, 2 and 5 stars: the worst order
    best = np.array([31, 3, 1]) / np.log2([2, 3, 4])
    for order in ([0, 1, 2], [2, 1, 0]):
        actual = np.array([1.0, 2.0, 5.0])[order]
        assert metrics.rated_ndcg_at_k([0.0] * 3, actual, [7] * 3, 3) == pytest.approx(gains.sum() / best.sum())


def test_users_whose_ratings_are_all_the_same_are_left_out():
    predicted, actual, users = [1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 3.0, 3.0], [1, 1, 2, 2]
    assert metrics.rated_ndcg_at_k(predicted, actual, users, 5) == 1.0
    with pytest.raises(ValueError, match="two different ratings"):
        metrics.rated_ndcg_at_k(predicted[2:], actual[2:], users[2:], 5)


@pytest.mark.parametrize(
    ("predicted", "actual", "users", "k", "message"),
    [
        ([1.0], [1.0, 2.0], [1, 1], 5, "both must be the same"),
        ([1.0, np.nan], [1.0, 2.0], [1, 1], 5, "NaN"),
        ([1.0, 2.0], [1.0, 2.0], [1], 5, "one user a rating"),
        ([1.0, 2.0], [1.0, 2.0], [1, 1], 0, "at least 1"),
        ([], [], [], 5, "no rating"),
    ],
)
def test_bad_input(predicted, actual, users, k, message):
    with pytest.raises(ValueError, match=message):
        metrics.rated_ndcg_at_k(predicted, actual, users, k)
