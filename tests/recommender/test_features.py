"""What the ranker reads, against the definition of each number, on data small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy import sparse

from recsys_course import baselines, data
from recsys_course.recommender import Films, PairFeatures, features, neighbours
from recsys_course.recommender.neighbours import rated_in_one_sitting, strongest, watched_by_the_same


def dense(found, num_movies):
    """Neighbours as a square array."""
    square = np.zeros((num_movies + 1, num_movies + 1), np.float32)
    rows = np.repeat(np.arange(num_movies + 1), found.films.shape[1])
    square[rows, found.films.ravel()] = found.strengths.ravel()
    return square[:num_movies, :num_movies]


@pytest.fixture(scope="module")
def few():
    """Three users in order of time, five films, one without a year and one unrated."""
    rows = [
        ("u", "1", 5, 0),
        ("u", "2", 1, 10),
        ("u", "3", 3, 20),
        ("v", "1", 4, 5),
        ("v", "2", 2, 15),
        ("w", "4", 3, 30),
    ]
    train = pd.DataFrame(rows, columns=["user_id", "movie_id", "user_rating", "timestamp"])
    titles = ["A (1990)", "B (1980)", "C", "D (2000)", "E (1970)"]
    genres = [("Drama", "War"), ("Drama",), ("War",), ("Comedy",), ()]
    movies = pd.DataFrame({"movie_id": list("12345"), "movie_title": titles, "movie_genres": genres})
    return train, movies, data.InteractionIndex.of(train, movies)


def test_the_strongest_entries_of_a_row_and_of_equal_ones_the_first():
    matrix = sparse.csr_matrix(np.array([[0, 3, 1, 3], [0, 0, 0, 0], [1, 1, 0, 1], [0, 0, 2, 0]], np.float32))
    found = strongest(matrix, 2)
    assert found.films.tolist() == [[1, 3], [4, 4], [0, 1], [2, 4], [4, 4]]
    assert found.strengths.tolist() == [[3, 3], [0, 0], [1, 1], [2, 0], [0, 0]]
    assert strongest(sparse.csr_matrix((3, 3)), 2).films.tolist() == [[3]] * 4


def test_shared_users_are_item_knn_s_neighbours(world, monkeypatch):
    index = world.found.index
    interactions = index.matrix(world.found.train)
    knn = baselines.ItemKNN(neighbours.NEIGHBOURS, neighbours.SHRINK).fit(interactions)
    found = dense(watched_by_the_same(interactions), index.num_movies)
    np.testing.assert_allclose(interactions @ found, knn.score(np.arange(index.num_users)), rtol=1e-5)


def test_a_sitting_is_what_was_rated_shortly_after_one_another(few, monkeypatch):
    monkeypatch.setattr(neighbours, "SITTING", 1)
    train, _, index = few
    found = dense(rated_in_one_sitting(train.sample(frac=1, random_state=3), index), 5)
    expected = np.zeros((5, 5), np.float32)
    expected[0, 1] = expected[1, 0] = 2 / (2 + neighbours.SHRINK)  # u and v rated film 2 right after film 1
    expected[1, 2] = expected[2, 1] = 1 / (np.sqrt(2) + neighbours.SHRINK)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def named(pair, history, candidates, affinities):
    values = pair(tf.constant(history), tf.constant(candidates), tf.constant(affinities, tf.float32)).numpy()
    assert values.shape == (len(history), len(candidates[0]), len(PairFeatures.NAMES))
    return dict(zip(PairFeatures.NAMES, np.moveaxis(values, 2, 0), strict=True))


def test_every_feature_is_what_its_name_says(few):
    train, movies, index = few
    history, candidates = [[1, 0, 5], [5, 5, 5]], [[2, 3, 4], [0, 1, 2]]
    found = named(PairFeatures(train, movies, index), history, candidates, [[3, 2, 1], [0, 0, 0]])
    assert found["affinity"][0].tolist() == [3, 2, 1]
    np.testing.assert_allclose(found["place"][1], np.log([1, 2, 3]), rtol=1e-6)
    np.testing.assert_allclose(found["popularity"], np.log1p([[1, 1, 0], [2, 2, 1]]), rtol=1e-6)
    days = (30 - np.array([0, 5])) / 86_400
    assert found["recent popularity"][1, 0] == pytest.approx(np.log1p(np.exp2(-days / features.RECENT_DAYS).sum()))
    assert found["liking"][1, 0] > 0 > found["liking"][1, 1] and found["liking"][0, 2] == 0
    np.testing.assert_allclose(found["age"], [[0, 0, 3], [1, 2, 0]], atol=1e-6)
    # The history is films 2 (Drama) and 1 (Drama, War); film 3 is War.
    profile = np.array([1 + np.sqrt(0.5), np.sqrt(0.5)])
    assert found["genres in common"][0, 0] == pytest.approx(profile[1] / np.linalg.norm(profile), rel=1e-5)
    assert found["genres in common"][0, 1:].tolist() == [0, 0]
    shared = dense(watched_by_the_same(index.matrix(train)), 5)
    together = dense(rated_in_one_sitting(train, index), 5)
    latest = np.array([1, 2 ** (-1 / features.LATEST)])
    np.testing.assert_allclose(found["shared users"][0], shared[[1, 0]].sum(0)[2:] / np.sqrt(2), rtol=1e-5)
    np.testing.assert_allclose(found["shared users, latest"][0], (latest @ shared[[1, 0]])[2:], rtol=1e-5)
    np.testing.assert_allclose(found["same sitting"][0], (latest @ together[[1, 0]])[2:], rtol=1e-5)
    np.testing.assert_allclose(found["history"], np.log1p([[2] * 3, [0] * 3]), rtol=1e-6)
    for name in ("genres in common", "shared users", "shared users, latest", "same sitting"):
        assert (found[name][1] == 0).all(), "nothing goes with an empty history"


def test_a_catalogue_without_years_or_genres_has_features_too(few):
    train, movies, index = few
    bare = movies.assign(movie_title=movies["movie_id"], movie_genres=[()] * 5)
    found = named(PairFeatures(train, bare, index), [[0]], [[1, 2, 3, 4]], [[4, 3, 2, 1]])
    assert (found["age"] == 0).all() and (found["genres in common"] == 0).all()
    assert all(np.isfinite(values).all() for values in found.values())


def test_what_can_be_read_of_a_list_of_films(few):
    train, movies, index = few
    films = Films(movies, index, train)
    listed = films.positions(tf.constant([["3", "?", "1", "3", "5", "2", ""]]))
    assert listed.numpy().tolist() == [[2, 5, 0, 2, 4, 1, 5]]
    assert films.history(listed, 9).numpy().tolist() == [[2, 0, 1, 5, 5, 5, 5, 5, 5]]
    assert films.history(listed, 2).numpy().tolist() == [[2, 0]]
    assert films.ids(films.history(listed, 4)).numpy().tolist() == [[b"3", b"1", b"2", b""]]
