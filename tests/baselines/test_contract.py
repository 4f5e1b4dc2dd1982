"""What every recommender promises, on a matrix whose right answer is known: planted taste groups."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from recsys_course import metrics
from recsys_course.baselines import EASE, ImplicitALS, ItemKNN, MostPopular, RecentPopular

NUM_GROUPS, USERS_IN_GROUP, ITEMS_IN_GROUP = 4, 25, 10
NUM_USERS, NUM_ITEMS = NUM_GROUPS * USERS_IN_GROUP, NUM_GROUPS * ITEMS_IN_GROUP
USER_GROUP, ITEM_GROUP = np.repeat(range(NUM_GROUPS), USERS_IN_GROUP), np.repeat(range(NUM_GROUPS), ITEMS_IN_GROUP)
OWN_TASTE = USER_GROUP[:, None] == ITEM_GROUP  # [NUM_USERS, NUM_ITEMS]

PERSONAL = {
    "ItemKNN": lambda: ItemKNN(k=20, shrink=1.0),
    "EASE": lambda: EASE(l2=10.0),
    "ImplicitALS": lambda: ImplicitALS(factors=NUM_GROUPS, l2=0.1),
}
ALL = PERSONAL | {"MostPopular": MostPopular, "RecentPopular": lambda: RecentPopular(half_life_days=1.0)}
DAY = 86_400


@pytest.fixture
def taste():
    """Users interact with 6 of their group's 10 items; the values are time stamps, as RecentPopular wants them."""
    generator = np.random.default_rng(0)
    keep = generator.permuted(np.tile(np.arange(ITEMS_IN_GROUP), (NUM_USERS, 1)), axis=1) < 6
    dense = np.zeros((NUM_USERS, NUM_ITEMS))
    dense[OWN_TASTE] = keep.ravel() * generator.integers(1, 10, size=keep.size) * DAY
    return sparse.csr_matrix(dense)


@pytest.fixture(params=ALL)
def make(request):
    return ALL[request.param]


@pytest.mark.parametrize("name", PERSONAL)
def test_unseen_items_of_the_own_group_come_first(name, taste):
    held_out = sparse.csr_matrix(OWN_TASTE & (taste.toarray() == 0))
    held = metrics.rank_held_out(PERSONAL[name]().fit(taste).score, held_out, seen=taste)
    # Four unseen items of the own group each, so they must fill ranks 1 to 4, for everybody.
    assert metrics.recall_at_k(held, 4) == 1.0
    popular = metrics.rank_held_out(MostPopular().fit(taste).score, held_out, seen=taste)
    assert metrics.recall_at_k(popular, 4) < 0.5


def test_fit_returns_the_recommender_and_scores_are_float32_rows(make, taste):
    recommender = make()
    assert recommender.fit(taste) is recommender
    scores = recommender.score(np.arange(NUM_USERS))
    assert scores.shape == (NUM_USERS, NUM_ITEMS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert scores.std() > 0


def test_rows_follow_the_users_asked_for(make, taste):
    recommender = make().fit(taste)
    everybody = recommender.score(np.arange(NUM_USERS))
    users = np.array([7, 3, 99, 3], np.int32)
    np.testing.assert_allclose(recommender.score(users), everybody[users], rtol=1e-5, atol=1e-6)
    assert recommender.score(np.array([], np.int64)).shape == (0, NUM_ITEMS)


def test_the_same_data_gives_the_same_scores(make, taste):
    users = np.arange(NUM_USERS)
    np.testing.assert_array_equal(make().fit(taste).score(users), make().fit(taste).score(users))


def test_fitting_again_forgets_the_first_data(make, taste):
    recommender = make().fit(taste[:, ::-1][:50])
    recommender.fit(taste)
    np.testing.assert_array_equal(recommender.score(np.arange(9)), make().fit(taste).score(np.arange(9)))


def test_the_callers_matrix_is_left_alone(make, taste):
    taste.data[4] = 0  # a stored zero, which the recommender must drop from its own copy only
    before = taste.copy()
    recommender = make().fit(taste)
    recommender.score(np.arange(3))[:] = -1
    np.testing.assert_array_equal(taste.data, before.data)
    np.testing.assert_array_equal(taste.indices, before.indices)
    assert recommender.score(np.arange(3)).max() > -1, "scores handed out are the caller's own"


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"RecentPopular"}))
def test_values_duplicates_and_stored_zeros_do_not_matter(name, taste):
    ones = (taste != 0).astype(np.float32)
    coo = taste.tocoo()
    rows, columns = np.r_[coo.row, coo.row[:5], 0], np.r_[coo.col, coo.col[:5], NUM_ITEMS - 1]
    noisy = sparse.coo_matrix((np.r_[coo.data, coo.data[:5], 0.0], (rows, columns)), taste.shape)
    users = np.arange(NUM_USERS)
    np.testing.assert_array_equal(ALL[name]().fit(noisy).score(users), ALL[name]().fit(ones).score(users))


def test_users_and_items_without_interactions_are_scored(make, taste):
    dense = taste.toarray()
    dense[5], dense[:, 7] = 0, 0
    scores = make().fit(sparse.csr_matrix(dense)).score(np.arange(NUM_USERS))
    assert np.isfinite(scores).all()
    # Nobody is known to like item 7, so it beats nothing that the user's group likes.
    own = np.flatnonzero(ITEM_GROUP == 0)
    assert (scores[0, 7] < scores[0, own[own != 7]]).all()


@pytest.mark.parametrize("name", PERSONAL)
def test_a_user_without_history_gets_one_score_for_all(name, taste):
    dense = taste.toarray()
    dense[5] = 0
    scores = PERSONAL[name]().fit(sparse.csr_matrix(dense)).score(np.array([5]))
    assert np.unique(scores).size == 1


def test_not_fitted(make):
    with pytest.raises(RuntimeError, match="not fitted yet: call fit"):
        make().score(np.array([0]))


def test_a_failed_fit_leaves_it_unfitted(make, taste):
    recommender = make().fit(taste)
    with pytest.raises(ValueError, match="no interaction"):
        recommender.fit(sparse.csr_matrix((3, 3)))
    with pytest.raises(RuntimeError, match="not fitted"):
        recommender.score(np.array([0]))


@pytest.mark.parametrize(
    ("users", "message"),
    [
        (np.array([NUM_USERS]), "0..99"),
        (np.array([-1]), "0..99"),
        (np.array([0.0]), "integers"),
        (np.array([[0]]), "1-D"),
        (np.array(["1"]), "integers"),
        (np.array([True, False]), "integers"),
    ],
)
def test_bad_users(make, taste, users, message):
    recommender = make().fit(taste)
    with pytest.raises(ValueError, match=message):
        recommender.score(users)


def test_bad_matrices(make, taste):
    with pytest.raises(ValueError, match="scipy.sparse"):
        make().fit(taste.toarray())
    taste.data[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        make().fit(taste)


@pytest.mark.parametrize(
    "make_bad",
    [
        lambda: ItemKNN(k=0),
        lambda: ItemKNN(shrink=-1),
        lambda: EASE(l2=0),
        lambda: RecentPopular(half_life_days=0),
        lambda: RecentPopular(half_life_days=float("nan")),
        lambda: ImplicitALS(factors=0),
        lambda: ImplicitALS(alpha=0),
        lambda: ImplicitALS(iterations=0),
        lambda: ImplicitALS(l2=-1),
    ],
)
def test_bad_parameters(make_bad):
    with pytest.raises(ValueError, match="must be"):
        make_bad()
