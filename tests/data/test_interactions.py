from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_course import data


def test_ids_are_sorted_as_numbers_where_they_are_numbers():
    index = data.InteractionIndex(["10", "9", "9", "100"], ["b", "10", "a", "9"])
    assert index.user_ids.tolist() == ["9", "10", "100"]
    assert index.movie_ids.tolist() == ["10", "9", "a", "b"]
    assert (index.num_users, index.num_movies) == (3, 4)


@pytest.mark.parametrize(
    "ids",
    [
        ["100", "9", "9"],
        np.array(["100", "9", "9"]),
        np.array([b"100", b"9", b"9"], dtype=object),
        np.array([100, 9, 9]),
        pd.Series(["100", "9", "9"], index=[5, 5, 5]),
        pd.Series(["100", "9", "9"], dtype="category"),
        pd.Categorical(["100", "9", "9"], categories=["9", "11", "100"]),
    ],
)
def test_positions_of_any_kind_of_ids(ids):
    index = data.InteractionIndex(["10", "9", "100"], ["9", "100", "1"])
    positions = index.user_positions(ids)
    assert positions.dtype == np.int64 and positions.tolist() == [2, 0, 0]
    assert index.movie_positions(ids).tolist() == [2, 1, 1]


def test_no_ids_have_no_positions():
    index = data.InteractionIndex(["1"], ["1"])
    assert index.user_positions([]).shape == (0,)


def test_an_unknown_id_is_named():
    index = data.InteractionIndex(["1", "2"], ["5"])
    with pytest.raises(KeyError) as raised:
        index.user_positions(["2", "3", "3", "4"])
    assert str(raised.value).startswith("2 of 3 distinct user ids are not in the index, for example '3'. It holds 2")
    with pytest.raises(data.UnknownIdError, match="movie ids .*'6'"):
        index.movie_positions(["6"])
    with pytest.raises(data.UnknownIdError, match="nan"):
        index.movie_positions(["5", np.nan])
    with pytest.raises(data.UnknownIdError, match="holds no movie ids"):
        data.InteractionIndex(["1"], []).movie_positions(["6"])


def test_the_matrix_holds_ones_whatever_the_stars():
    world = data.synthetic.taste_groups(num_users=12, num_movies=40, num_groups=2)
    index = data.InteractionIndex.of(world.ratings, world.movies)
    matrix = index.matrix(world.ratings)
    assert sparse.issparse(matrix) and matrix.format == "csr"
    assert matrix.shape == (12, 40) and matrix.dtype == np.float32
    expected = np.zeros((12, 40))
    for user, movie in zip(world.ratings["user_id"], world.ratings["movie_id"], strict=True):
        expected[index.user_ids.tolist().index(user), index.movie_ids.tolist().index(movie)] = 1
    np.testing.assert_array_equal(matrix.toarray(), expected)
    # A pair twice is one interaction, and rows that are filtered away leave no trace.
    twice = pd.concat([world.ratings, world.ratings[:30]])
    assert (index.matrix(twice) != matrix).nnz == 0
    assert index.matrix(world.ratings[:7]).nnz == 7


def test_the_catalogue_gives_a_column_to_movies_that_nobody_rated():
    world = data.synthetic.taste_groups(num_users=8, num_movies=60, num_groups=2)
    some = world.ratings[world.ratings["user_id"].isin(["2", "3"])]
    index = data.InteractionIndex.of(some, world.movies)
    assert index.user_ids.tolist() == ["2", "3"]  # of a category, only the users that occur
    assert index.movie_ids.tolist() == world.movies["movie_id"].tolist()
