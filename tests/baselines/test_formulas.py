"""Each baseline's formula: by hand, and against a slow computation of the definition."""

from __future__ import annotations

import warnings

import implicit.utils
import numpy as np
import pytest
from scipy import sparse
from threadpoolctl import threadpool_info

from recsys_course.baselines import EASE, ImplicitALS, ItemKNN, MostPopular, RecentPopular, linear

DAY = 86_400


def csr(rows):
    return sparse.csr_matrix(np.array(rows))


def random_interactions(num_users, num_items, seed=0):
    return csr((np.random.default_rng(seed).random((num_users, num_items)) < 0.3).astype(np.float32))


def test_most_popular_counts_users():
    scores = MostPopular().fit(csr([[1, 0, 5], [1, 0, 0]])).score(np.array([1, 0]))
    assert scores.tolist() == [[2, 0, 1], [2, 0, 1]]


def test_recent_popular_by_hand():
    # Newest interaction: day 70. Half-life 30 days. Item 0: days 70 and 40, so 1 + 1/2. Item 1: day 10, so 1/4.
    # Item 2 has none. Most popular by count and by recency agree here; below they do not.
    stamps = csr([[70 * DAY, 10 * DAY, 0], [40 * DAY, 0, 0]])
    assert RecentPopular(half_life_days=30).fit(stamps).score(np.array([0])).tolist() == [[1.5, 0.25, 0]]


def test_yesterdays_hit_beats_an_old_favourite():
    stamps = csr([[1 * DAY, 0], [2 * DAY, 0], [3 * DAY, 100 * DAY]])
    assert RecentPopular(half_life_days=10).fit(stamps).score(np.array([0])).argmax() == 1
    assert MostPopular().fit(stamps).score(np.array([0])).argmax() == 0


def test_a_long_half_life_is_most_popular():
    stamps = random_interactions(20, 9).multiply(1e9).tocsr()
    stamps.data += np.arange(stamps.nnz)
    np.testing.assert_allclose(
        RecentPopular(half_life_days=1e9).fit(stamps).popularity, MostPopular().fit(stamps).popularity, rtol=1e-5
    )


def test_recent_popular_wants_time_stamps():
    with pytest.raises(ValueError, match="time of each interaction in seconds"):
        RecentPopular().fit(random_interactions(5, 5))


def test_item_knn_by_hand():
    # Items have 2, 3 and 1 users; items 0 and 1 share two of them, items 1 and 2 one, items 0 and 2 none.
    # With shrink 1 the similarities are 2 / (sqrt(2 * 3) + 1) and 1 / (sqrt(3 * 1) + 1).
    knn = ItemKNN(k=2, shrink=1.0).fit(csr([[1, 1, 0], [1, 1, 0], [0, 1, 1]]))
    near, far = 2 / (np.sqrt(6) + 1), 1 / (np.sqrt(3) + 1)
    np.testing.assert_allclose(knn.neighbours.toarray(), [[0, near, 0], [near, 0, far], [0, far, 0]], rtol=1e-6)
    # User 0 has items 0 and 1; each vouches for the items that it is near to.
    np.testing.assert_allclose(knn.score(np.array([0])), [[near, near, far]], rtol=1e-6)


def test_item_knn_keeps_the_k_nearest_of_each_item():
    # One neighbour each: item 1 keeps item 0 and drops item 2; item 2 still keeps item 1.
    knn = ItemKNN(k=1, shrink=1.0).fit(csr([[1, 1, 0], [1, 1, 0], [0, 1, 1]]))
    assert (knn.neighbours.toarray() > 0).tolist() == [[False, True, False], [True, False, False], [False, True, False]]


def test_item_knn_prefers_the_lower_position_among_equals():
    # Items 1, 2 and 3 have the same users, so all are equally similar to item 0.
    knn = ItemKNN(k=2, shrink=0.0).fit(csr([[1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 0, 0]]))
    assert np.flatnonzero(knn.neighbours.toarray()[0]).tolist() == [1, 2]


def test_item_knn_across_blocks_equals_the_definition(monkeypatch):
    monkeypatch.setattr("recsys_course.baselines.neighbours.BLOCK_SIZE", 4)
    x = random_interactions(30, 11)
    dense = x.toarray()
    counts = dense.sum(axis=0)
    expected = np.zeros((11, 11))
    for i in range(11):
        for j in range(11):
            if i != j:
                expected[i, j] = (dense[:, i] * dense[:, j]).sum() / (np.sqrt(counts[i] * counts[j]) + 3)
        expected[i, np.argsort(-expected[i], kind="stable")[5:]] = 0
    knn = ItemKNN(k=5, shrink=3).fit(x)
    np.testing.assert_allclose(knn.neighbours.toarray(), expected, rtol=1e-5)
    np.testing.assert_allclose(knn.score(np.arange(30)), dense @ expected.T, rtol=1e-5)


@pytest.mark.parametrize("num_users", [40, 8])  # more users than items, and fewer: two ways to one inverse
def test_ease_is_a_ridge_regression_for_each_item(num_users):
    num_items, l2 = 15, 7.0
    x = random_interactions(num_users, num_items)
    dense = x.toarray().astype(np.float64)
    expected = np.zeros((num_items, num_items))
    for j in range(num_items):
        others = np.delete(np.arange(num_items), j)
        a = dense[:, others]
        expected[others, j] = np.linalg.solve(a.T @ a + l2 * np.eye(num_items - 1), a.T @ dense[:, j])
    ease = EASE(l2).fit(x)
    np.testing.assert_allclose(ease.weights, expected, atol=1e-6)
    np.testing.assert_allclose(ease.score(np.arange(num_users)), dense @ expected, atol=1e-5)


def test_ease_by_hand():
    # Two items, both with the same 3 users: X'X is 3 everywhere. Predicting one from the other, the ridge weight is
    # 3 / (3 + l2) = 3/4 with l2 = 1.
    ease = EASE(l2=1.0).fit(csr([[1, 1], [1, 1], [1, 1]]))
    np.testing.assert_allclose(ease.weights, [[0, 0.75], [0.75, 0]], rtol=1e-6)


def test_ease_says_up_front_that_a_catalogue_is_too_large(monkeypatch):
    monkeypatch.setattr(linear, "_inverse_gram", lambda *_: pytest.fail("it began to compute"))
    too_large = sparse.csr_matrix(([1.0], ([0], [0])), shape=(10, 62_423))
    with pytest.raises(ValueError, match="62,423 x 62,423 matrices .* 73 GiB .* ItemKNN or ImplicitALS"):
        EASE().fit(too_large)


def test_als_is_at_the_minimum_of_its_objective():
    x = random_interactions(30, 20)
    l2, alpha = 0.7, 5.0
    als = ImplicitALS(factors=3, l2=l2, alpha=alpha, iterations=500).fit(x)
    users, items, preference = als.user_factors.astype(float), als.item_factors.astype(float), x.toarray().astype(float)
    confidence = np.where(preference > 0, alpha, 1.0)

    # Half the gradient of sum c (p - x.y)^2 + l2 (|x|^2 + |y|^2); the penalty's own size gives the scale.
    errors = confidence * (users @ items.T - preference)
    assert np.abs(errors @ items + l2 * users).max() < 1e-3 * np.abs(l2 * users).max()
    assert np.abs(errors.T @ users + l2 * items).max() < 1e-3 * np.abs(l2 * items).max()


def test_als_seed_decides():
    x = random_interactions(30, 20)

    def scores(seed):
        return ImplicitALS(factors=3, l2=0.1, iterations=2, seed=seed).fit(x).score(np.arange(30))

    np.testing.assert_array_equal(scores(1), scores(1))
    assert np.abs(scores(1) - scores(2)).max() > 1e-3


def test_als_warns_of_nothing_and_gives_blas_its_threads_back(monkeypatch):
    def blas_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = blas_threads()
    monkeypatch.setattr(implicit.utils, "_checked_blas_config", False)  # the library warns once a process
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ImplicitALS(factors=2).fit(random_interactions(10, 8))
    assert blas_threads() == before
