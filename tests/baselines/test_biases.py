"""User and item biases: by hand, against the normal equations, unseen users and movies, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_course.baselines import UserItemBiases


def test_by_hand():
    # One user rates two movies 5 and 3: mean 4, and by symmetry the user's bias is 0. Each movie's bias is its
    # remainder +-1 over (1 rating + l2 of 1): +-1/2.
    model = UserItemBiases(l2_user=1.0, l2_item=1.0).fit([0, 0], [0, 1], [5.0, 3.0])
    assert model.mean == 4.0
    np.testing.assert_allclose(model.user_biases, [0], atol=1e-6)
    np.testing.assert_allclose(model.movie_biases, [0.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(model.predict([0, 0], [0, 1]), [4.5, 3.5], atol=1e-6)


def test_without_penalty_additive_ratings_are_predicted_exactly():
    generator = np.random.default_rng(0)
    user_effects, movie_effects = generator.normal(size=12), generator.normal(size=9)
    users, movies = np.nonzero(generator.random((12, 9)) < 0.7)
    ratings = 3.5 + user_effects[users] + movie_effects[movies]
    model = UserItemBiases(l2_user=0, l2_item=0, iterations=1000).fit(users, movies, ratings)
    np.testing.assert_allclose(model.predict(users, movies), ratings, atol=1e-4)
    # ... and so is a pair never rated.
    everything = model.predict(*map(np.ravel, np.indices((12, 9)))).reshape(12, 9)
    np.testing.assert_allclose(everything, 3.5 + user_effects[:, None] + movie_effects, atol=1e-4)


def test_equals_the_normal_equations():
    generator = np.random.default_rng(1)
    users, movies = np.nonzero(generator.random((15, 10)) < 0.4)
    ratings = generator.integers(1, 6, size=len(users)).astype(np.float32)
    l2_user, l2_item = 3.0, 2.0
    design = np.zeros((len(users), 25))
    design[np.arange(len(users)), users] = 1
    design[np.arange(len(users)), 15 + movies] = 1
    penalty = np.diag([l2_user] * 15 + [l2_item] * 10)
    solution = np.linalg.solve(design.T @ design + penalty, design.T @ (ratings - ratings.mean(dtype=np.float64)))
    model = UserItemBiases(l2_user, l2_item).fit(users, movies, ratings)
    np.testing.assert_allclose(np.r_[model.user_biases, model.movie_biases], solution, atol=1e-5)


def test_unseen_users_and_movies_have_no_bias():
    # Users 0 and 2 and movies 0 and 3 have ratings; user 1 and movies 1 and 2 lie between them without any.
    model = UserItemBiases().fit([0, 0, 2], [0, 3, 3], [5.0, 4.0, 1.0])
    known = model.mean + model.movie_biases[3]
    np.testing.assert_allclose(model.predict([1, 7, -1], [3, 3, 3]), [known] * 3, rtol=1e-6)
    np.testing.assert_allclose(model.predict([1, 7, -1], [1, 9, -1]), [model.mean] * 3, rtol=1e-6)
    assert model.predict([], []).shape == (0,)


def test_unseen_gaps_are_harmless_without_penalty():
    model = UserItemBiases(l2_user=0, l2_item=0).fit([0, 2], [0, 2], [5.0, 3.0])
    assert np.isfinite(model.predict([0, 1, 2], [2, 1, 0])).all()


@pytest.mark.parametrize(
    ("users", "movies", "ratings", "message"),
    [
        ([0, 1], [0], [1.0], "one length"),
        ([], [], [], "no rating"),
        ([-1], [0], [1.0], "at least 0"),
        ([0.5], [0], [1.0], "user_positions must be .* integers"),
        ([0], ["1"], [1.0], "movie_positions must be .* integers"),
        ([0], [0], [np.nan], "NaN"),
    ],
)
def test_bad_input(users, movies, ratings, message):
    with pytest.raises(ValueError, match=message):
        UserItemBiases().fit(users, movies, ratings)


def test_bad_use():
    with pytest.raises(ValueError, match="must be"):
        UserItemBiases(l2_user=-1)
    with pytest.raises(RuntimeError, match="not fitted"):
        UserItemBiases().predict([0], [0])
    with pytest.raises(ValueError, match="one length"):
        UserItemBiases().fit([0], [0], [1.0]).predict([0, 1], [0])
