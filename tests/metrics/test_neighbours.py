"""Neighbour recall on lists small enough to count by hand, and against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_course import metrics


def test_counted_by_hand():
    found = np.array([[7, 3, 9], [1, 2, 3]])
    exact = np.array([[7, 8, 3], [3, 1, 2]])
    assert metrics.neighbor_recall_at_k(found, exact) == pytest.approx((2 / 3 + 1) / 2)


def test_the_same_item_for_another_query_is_no_hit():
    assert metrics.neighbor_recall_at_k(np.array([[1], [2]]), np.array([[2], [1]])) == 0


def test_an_item_found_twice_counts_once():
    assert metrics.neighbor_recall_at_k(np.array([[5, 5]]), np.array([[5, 6]])) == 0.5


@pytest.mark.parametrize(("items", "nothing"), [([3, 4, 5], -1), (["c", "d", "e"], "")])
def test_empty_places_are_neither_found_nor_missed(items, nothing):
    a, b, c = items
    found = np.array([[a, nothing, nothing], [b, c, nothing], [a, b, c]])
    exact = np.array([[a, b, nothing], [c, nothing, nothing], [nothing, nothing, nothing]])
    assert metrics.neighbor_recall_at_k(found, exact) == pytest.approx((1 / 2 + 1) / 2)


def test_strings_of_different_lengths_are_compared_whole():
    assert metrics.neighbor_recall_at_k(np.array([["film 1"]]), np.array([["film 1234"]])) == 0


def test_agrees_with_a_plain_loop():
    random = np.random.default_rng(0)
    found, exact = (np.argsort(random.random((40, 60)), axis=1)[:, :12] for _ in range(2))
    plain = np.mean([len(set(a) & set(b)) / 12 for a, b in zip(found.tolist(), exact.tolist(), strict=True)])
    assert metrics.neighbor_recall_at_k(found, exact) == pytest.approx(plain)


@pytest.mark.parametrize(
    ("found", "exact", "message"),
    [
        ([[1, 2]], [[1, 2, 3]], r"got \(1, 2\) and \(1, 3\)"),
        ([1, 2], [1, 2], r"\[num_queries, k\]"),
        ([["1"]], [[1]], "of one type"),
        ([[1]], [[-1]], "nothing to be found"),
        (np.empty((0, 3), int), np.empty((0, 3), int), "nothing to be found"),
    ],
)
def test_bad_input_is_named(found, exact, message):
    with pytest.raises(ValueError, match=message):
        metrics.neighbor_recall_at_k(np.array(found), np.array(exact))
