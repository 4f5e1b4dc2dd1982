"""The real dataset, as it stands prepared on this machine, from whatever source; prepared first where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_course import data


@pytest.fixture(scope="module")
def ratings():
    return data.load_ratings("100k")


@pytest.fixture(scope="module")
def movies():
    return data.load_movies("100k")


def test_its_numbers_are_the_ones_in_grouplens_readme(ratings, movies):
    assert len(ratings) == 100_000
    assert ratings["user_id"].nunique() == 943
    assert ratings["movie_id"].nunique() == len(movies) == 1682
    assert ratings["user_rating"].value_counts().to_dict() == {1: 6110, 2: 11370, 3: 27145, 4: 34174, 5: 21201}
    assert ratings["user_id"].value_counts().min() == 20
    assert not ratings.duplicated(["user_id", "movie_id"]).any()
    assert ratings["timestamp"].agg(["min", "max"]).tolist() == [874_724_710, 893_286_638]


def test_users_and_their_ages_in_buckets(ratings):
    users = ratings.drop_duplicates("user_id").set_index("user_id")
    assert users["user_gender"].sum() == 670
    assert users.loc["1", "raw_user_age"] == 24 and users.loc["1", "user_occupation_text"] == "technician"
    starts = np.array([18, 25, 35, 45, 50, 56])
    expected = np.concatenate([[1], starts])[np.searchsorted(starts, users["raw_user_age"], side="right")]
    np.testing.assert_array_equal(users["bucketized_user_age"], expected)
    assert users["user_occupation_text"].nunique() == 21


def test_movies_have_titles_with_year_and_genres(movies):
    assert movies.loc[0].tolist() == ["1", "Toy Story (1995)", ("Animation", "Children", "Comedy")]
    assert movies["movie_title"].nunique() == 1664
    assert movies.loc[266].tolist() == ["267", "unknown", ("Unknown",)]
    assert movies["movie_title"].str.contains("Été|é|Á", regex=True).any()  # Latin-1 came through
    assert sum(len(genres) for genres in movies["movie_genres"]) == 2893


def test_tfds_gives_the_same_rows(ratings):
    import tensorflow_datasets as tfds

    prepared = data.ensure_dataset("100k")
    loaded = tfds.load("movielens/100k-ratings", split="train[:2000]", data_dir=prepared.data_dir)
    known = ratings.assign(**{name: ratings[name].astype(str) for name in ("user_id", "movie_id")})
    known = known.set_index(["user_id", "movie_id"])[["user_rating", "timestamp", "raw_user_age"]]
    for row in tfds.as_numpy(loaded.take(2000)):
        expected = known.loc[(row["user_id"].decode(), row["movie_id"].decode())]
        assert expected.tolist() == [row["user_rating"], row["timestamp"], row["raw_user_age"]]


def test_the_main_split_is_the_same_everywhere(ratings):
    split = data.random_split(ratings)
    assert [len(part) for part in split] == [80_000, 10_000, 10_000]
    # Sums over the test rows pin the rows themselves: the order of the table and the draw must both agree.
    sums = [split.test[name].astype(int).sum() for name in ("user_id", "movie_id", "timestamp")]
    assert sums == [4_649_918, 4_190_835, 8_835_559_084_585]
