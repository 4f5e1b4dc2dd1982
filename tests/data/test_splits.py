"""Each split's promises, on data with many ties in time and on shapes that go wrong easily."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from recsys_course import data

SPLITS = {
    "random": data.random_split,
    "temporal": data.temporal_split,
    "leave last out": data.leave_last_out,
}


def table(rows):
    frame = pd.DataFrame(rows, columns=["user_id", "movie_id", "timestamp"])
    return frame.astype({"user_id": "category", "movie_id": "category"})


def random_table(seed):
    """Few moments, so that ties are everywhere; users with one rating and with many; rows in no order."""
    random = np.random.default_rng(seed)
    rows = random.integers(30, 300)
    frame = table(
        {
            "user_id": random.zipf(1.5, rows).clip(max=12).astype(str),
            "movie_id": random.permutation(1000)[:rows].astype(str),
            "timestamp": random.integers(0, random.choice([12, 60, 10_000]), rows),
        }
    )
    frame["user_rating"] = random.random(rows).astype(np.float32)
    return frame


@pytest.fixture(scope="module")
def world():
    return data.synthetic.taste_groups().ratings


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("seed", range(8))
def test_the_parts_share_no_row_leave_none_out_and_keep_the_order(split, seed):
    ratings = random_table(seed)
    before = ratings.copy()
    parts = split(ratings)
    pd.testing.assert_frame_equal(ratings, before)  # the input is left alone
    assert all(len(part) for part in parts)
    for part in parts:
        assert part.dtypes.equals(ratings.dtypes)
        assert part.index.equals(pd.RangeIndex(len(part)))
        positions = ratings["movie_id"].tolist()  # movie ids are distinct here, so they name rows
        found = [positions.index(movie) for movie in part["movie_id"]]
        assert found == sorted(found)
        pd.testing.assert_frame_equal(ratings.iloc[found].reset_index(drop=True), part)
    together = pd.concat([part["movie_id"].astype(str) for part in parts])
    assert sorted(together) == sorted(ratings["movie_id"].astype(str))


def test_random_sizes_are_the_shares_asked_for(world):
    assert [len(part) for part in data.random_split(world)] == [3200, 400, 400]
    assert [len(part) for part in data.random_split(world, validation=0.05, test=0.2)] == [3000, 200, 800]


def test_the_random_split_is_the_same_on_every_machine(world):
    test = data.random_split(world).test
    rows = "\n".join(f"{user},{movie}" for user, movie in zip(test["user_id"], test["movie_id"], strict=True))
    assert (
        hashlib.sha256(rows.encode()).hexdigest() == "b0006c4cadfffae77acc73699452138a62fb31209dc6b0908bd539f15c885619"
    )


def test_seeds_differ_and_repeat(world):
    first, again, other = (data.random_split(world, seed=seed).test for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    # One row in ten is expected to be in both.
    both = len(first.merge(other, on=["user_id", "movie_id"]))
    assert 15 < both < 70


def test_random_ignores_everything_but_the_row_order(world):
    changed = world.assign(timestamp=0, user_rating=1.0)
    for part, other in zip(data.random_split(world), data.random_split(changed), strict=True):
        assert part["movie_id"].tolist() == other["movie_id"].tolist()


@pytest.mark.parametrize("seed", range(8))
def test_no_future_in_train_and_no_moment_on_both_sides_of_a_cut(seed):
    train, validation, test = data.temporal_split(random_table(seed))
    assert train["timestamp"].max() < validation["timestamp"].min()
    assert validation["timestamp"].max() < test["timestamp"].min()


def test_ties_at_a_cut_go_to_the_later_part():
    # Ten rows; the nominal cuts lie before rows 8 and 9. Row 9's moment begins at row 7.
    moments = [0, 1, 2, 3, 4, 5, 6, 8, 8, 8]
    rows = {"user_id": ["1"] * 10, "movie_id": [str(i) for i in range(10)], "timestamp": moments}
    with pytest.raises(ValueError, match="8 distinct time stamps in 10 ratings are too few"):
        data.temporal_split(table(rows))  # both cuts fall on 8, so validation would be empty
    train, validation, test = data.temporal_split(table(rows), validation=0.3)
    assert train["timestamp"].tolist() == [0, 1, 2, 3, 4, 5]
    assert validation["timestamp"].tolist() == [6]
    assert test["timestamp"].tolist() == [8, 8, 8]


@pytest.mark.parametrize("seed", range(8))
def test_the_last_of_each_user_is_held_out(seed):
    ratings = random_table(seed)
    train, validation, test = data.leave_last_out(ratings)
    counts = ratings["user_id"].astype(str).value_counts()
    enough = set(counts[counts >= 3].index)
    assert set(test["user_id"]) == set(validation["user_id"]) == enough
    assert test["user_id"].is_unique and validation["user_id"].is_unique
    for user in enough:
        latest = train.loc[train["user_id"] == user, "timestamp"].max()
        middle = validation.loc[validation["user_id"] == user, "timestamp"].item()
        last = test.loc[test["user_id"] == user, "timestamp"].item()
        assert latest <= middle <= last
    few = counts[counts < 3]
    assert (train["user_id"].astype(str).value_counts()[few.index] == few).all()


def test_within_a_moment_the_order_of_the_rows_decides_nothing():
    rows = {"user_id": ["7"] * 4, "movie_id": ["10", "9", "2", "100"], "timestamp": [5, 5, 5, 1]}
    splits = [
        [sorted(part["movie_id"]) for part in data.leave_last_out(table(rows).iloc[order].reset_index(drop=True))]
        for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1])
    ]
    assert splits[0] == splits[1] == splits[2]
    assert "100" in splits[0][0]  # the only one that is earlier


def test_within_a_moment_the_lot_is_fair_to_every_movie():
    """2,000 users rate the same five movies at once: each is held out by about a fifth, whatever its number."""
    users, movies = np.repeat(np.arange(2000), 5), np.tile([1, 2, 30, 400, 5000], 2000)
    rows = {"user_id": users.astype(str), "movie_id": movies.astype(str), "timestamp": np.zeros(10_000, dtype=int)}
    held_out = data.leave_last_out(table(rows)).test["movie_id"].astype(str).value_counts()
    # A fifth of 2,000 is 400, with a standard deviation of 18; five of them on either side.
    assert len(held_out) == 5 and held_out.between(310, 490).all()


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"validation": 0.5, "test": 0.5}, "together below 1"),
        ({"validation": 0.0}, "above 0"),
        ({"test": -0.1}, "above 0"),
        ({"test": 0.00001}, "too few"),
    ],
)
@pytest.mark.parametrize("split", [data.random_split, data.temporal_split])
def test_impossible_shares(world, split, shares, message):
    with pytest.raises(ValueError, match=message):
        split(world, **shares)


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_too_few_rows(split):
    with pytest.raises(ValueError):
        split(table({"user_id": ["1", "2"], "movie_id": ["1", "2"], "timestamp": [1, 2]}))
