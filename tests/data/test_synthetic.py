from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recsys_course import data


def test_people_watch_and_like_their_own_group():
    world = data.synthetic.taste_groups()
    user_group = dict(zip(world.ratings["user_id"].cat.categories, world.user_group, strict=True))
    movie_group = dict(zip(world.movies["movie_id"], world.movie_group, strict=True))
    own = np.array(
        [
            user_group[user] == movie_group[movie]
            for user, movie in zip(world.ratings["user_id"], world.ratings["movie_id"], strict=True)
        ]
    )
    assert own.mean() == 0.9
    stars = world.ratings["user_rating"]
    assert set(stars[own]) == {4.0, 5.0} and set(stars[~own]) == {1.0, 2.0}


def test_the_tables_keep_what_the_loaders_promise():
    world = data.synthetic.taste_groups(num_users=30, num_movies=90, num_groups=3)
    ratings, movies = world.ratings, world.movies
    assert ratings.dtypes.map(str).to_dict() == {
        "user_id": "category",
        "movie_id": "category",
        "user_rating": "float32",
        "timestamp": "int64",
    }
    keys = pd.DataFrame({name: ratings[name].astype(str).astype(int) for name in ("user_id", "timestamp", "movie_id")})
    assert keys.equals(keys.sort_values(list(keys), ignore_index=True))
    assert not keys.duplicated(["user_id", "movie_id"]).any()
    assert movies["movie_id"].astype(int).is_monotonic_increasing and movies["movie_id"].is_unique
    assert all(isinstance(genres, tuple) for genres in movies["movie_genres"])
    assert (world.user_group.shape, world.movie_group.shape) == ((30,), (90,))
    same_moment = ratings.groupby("user_id", observed=True)["timestamp"].diff().eq(0).mean()
    assert 0.3 < same_moment < 0.7


def test_the_seed_decides():
    first, again, other = (data.synthetic.taste_groups(seed=seed).ratings for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_groups_too_small_for_the_ratings_asked_for():
    with pytest.raises(ValueError, match="groups of at least 18 movies"):
        data.synthetic.taste_groups(num_movies=40, num_groups=4)
