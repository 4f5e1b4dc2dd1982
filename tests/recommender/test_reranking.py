"""The page: greedy choice against a plain loop, rules that hold and yield, variety that grows."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from recsys_course.recommender import Reranking
from recsys_course.serving.user_lists import FILLED


def by_hand(vectors, kinds, shares, diversity, scores, k):
    """One row, as the class describes itself, in NumPy."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    left, page = [at for at in range(len(scores)) if scores[at] > FILLED], []
    while left and len(page) < k:
        shown = kinds[page].sum(axis=0)
        full = shown >= np.ceil(np.round(shares * k, 6))

        def worth(at, full=full):
            alike = max([0.0, *(unit[at] @ unit[other] for other in page)])
            return scores[at] - diversity * alike - 1e6 * bool((kinds[at] & full).any())

        page.append(max(left, key=lambda at: (worth(at), -at)))
        left.remove(page[-1])
    return page


def pages(reranking, scores, k):
    """Places picked for each row."""
    scores = np.atleast_2d(np.asarray(scores, np.float32))
    candidates = np.tile(np.arange(scores.shape[1], dtype=np.int32), (len(scores), 1))
    lengths = np.broadcast_to(np.asarray(k, np.int32), len(scores))
    places, found = reranking(tf.constant(candidates), tf.constant(scores), tf.constant(lengths))
    return [row[ok].tolist() for row, ok in zip(places.numpy(), found.numpy(), strict=True)]


@pytest.fixture
def films():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(40, 5)) + 0.5
    return vectors, random.random((40, 6)) < 0.3, random.normal(size=(20, 40)).astype(np.float32)


@pytest.mark.parametrize("diversity", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("share", [0.2, 0.3, 1.0])
def test_it_picks_what_a_plain_loop_picks(films, diversity, share):
    vectors, kinds, scores = films
    scores[3, 5:] = FILLED
    shares = np.full(6, share)
    found = pages(Reranking(vectors, kinds, shares, diversity), scores, 10)
    assert found == [by_hand(vectors, kinds, shares, diversity, row, 10) for row in scores]


def test_without_rules_it_keeps_the_order(films):
    vectors, kinds, scores = films
    found = pages(Reranking(vectors, kinds, np.ones(6), 0.0), scores, 40)
    np.testing.assert_array_equal(found, np.argsort(-scores, axis=1))


def test_rules_count_by_each_row_s_own_length():
    kinds, vectors = np.array([[1]] * 6 + [[0]] * 6, bool), np.eye(12)
    reranking = Reranking(vectors, kinds, np.array([0.5]), 0.0)
    scores = np.tile(np.arange(12.0, 0, -1), (2, 1))
    first, second = pages(reranking, scores, [4, 8])
    assert first[:4] == [0, 1, 6, 7] and second == [0, 1, 2, 3, 6, 7, 8, 9]


def test_a_share_of_three_in_ten_is_three_and_not_four():
    kinds = np.array([[1]] * 10 + [[0]] * 10, bool)
    (page,) = pages(Reranking(np.eye(20), kinds, np.array([0.3]), 0.0), np.arange(20.0, 0, -1), 10)
    assert page == [0, 1, 2, *range(10, 17)]


def test_a_rule_yields_before_the_list_gets_shorter():
    kinds = np.ones((5, 1), bool)
    (page,) = pages(Reranking(np.eye(5), kinds, np.array([0.2]), 0.0), [1, 5, 3, 4, 2], 5)
    assert page == [1, 3, 2, 4, 0]


def test_more_variety_makes_films_less_alike(films):
    vectors, kinds, scores = films
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def alike(diversity):
        found = pages(Reranking(vectors, kinds, np.ones(6), diversity), scores, 8)
        return np.mean([(unit[page] @ unit[page].T)[np.triu_indices(8, 1)].mean() for page in found])

    assert alike(0.0) > alike(0.5) > alike(2.0)


def test_equal_films_come_in_the_order_of_retrieval():
    assert pages(Reranking(np.eye(4), np.zeros((4, 1), bool), np.ones(1), 1.0), np.zeros(4), 4) == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("share", "diversity", "message"), [(0.0, 0, "share"), (1.5, 0, "share"), (1, -1, "diversity")]
)
def test_impossible_rules_are_refused(share, diversity, message):
    with pytest.raises(ValueError, match=message):
        Reranking(np.eye(2), np.ones((2, 1), bool), np.array([share]), diversity)
