"""The columnar cache: what it holds, that it is fast, and that it never serves what is stale or damaged."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from support.archives import FILES_1M, FILES_100K, write_files

from recsys_course import data
from recsys_course.data import columns
from recsys_course.data.preparation import prepare_from_archive


@pytest.fixture
def small_100k(root, tmp_path):
    prepare_from_archive("100k", write_files(tmp_path / "ml-100k", FILES_100K), root)
    return root


def cache(root, kind="ratings"):
    return root / "recsys_course" / f"columns-{columns.SCHEMA}" / f"100k-{kind}" / "table.parquet"


def test_ratings_in_the_canonical_order(small_100k):
    for _ in ("decoded", "from the cache"):
        ratings = data.load_ratings("100k")
        # By user as an integer (10 after 2), then time, then movie as an integer (10 after 2).
        rows = ratings[["user_id", "timestamp", "movie_id", "user_rating"]].to_numpy().tolist()
        assert rows == [
            ["1", 880_000_000, "2", 3.0],
            ["1", 880_000_000, "10", 5.0],
            ["1", 880_000_009, "1", 2.0],
            ["2", 880_000_005, "10", 4.0],
            ["10", 870_000_000, "3", 1.0],
        ]
        assert list(ratings["user_id"].cat.categories) == ["1", "2", "10"]
        assert list(ratings["movie_id"].cat.categories) == ["1", "2", "3", "10"]
        assert ratings.dtypes.drop(["user_id", "movie_id", "user_occupation_text", "user_zip_code"]).map(
            str
        ).to_dict() == {
            "user_rating": "float32",
            "timestamp": "int64",
            "raw_user_age": "float32",
            "bucketized_user_age": "float32",
            "user_gender": "bool",
        }
        last = ratings.iloc[-1]
        assert (last["raw_user_age"], last["bucketized_user_age"], last["user_gender"]) == (17.0, 1.0, False)
        assert (last["user_occupation_text"], last["user_zip_code"]) == ("student", "V0R2M")
        assert all(
            isinstance(ratings[name].dtype, pd.CategoricalDtype)
            and ratings[name].cat.categories.is_monotonic_increasing
            for name in ("user_occupation_text", "user_zip_code")
        )


def test_movies_by_number_with_their_genres(small_100k):
    for _ in ("decoded", "from the cache"):
        assert data.load_movies("100k").to_numpy().tolist() == [
            ["1", "Toy Film (1995)", ("Animation", "Children", "Comedy")],
            ["2", "Café, Le (1994)", ("Action", "Thriller")],
            ["3", "unknown", ("Unknown",)],
            ["10", "Café, Le (1994)", ("Action", "Thriller")],
        ]


def test_1m_has_demographics_but_no_exact_age(root, tmp_path):
    prepare_from_archive("1m", write_files(tmp_path / "ml-1m", FILES_1M), root)
    ratings = data.load_ratings("1m")
    assert "raw_user_age" not in ratings
    assert ratings.to_dict("records")[0] == {
        "user_id": "1",
        "movie_id": "3",
        "user_rating": 4.0,
        "timestamp": 978_300_001,
        "bucketized_user_age": 1.0,
        "user_gender": False,
        "user_occupation_text": "K-12 student",
        "user_zip_code": "48067",
    }
    assert data.load_movies("1m")["movie_title"].tolist() == ["Amélie (2001)", "B (1990)"]
    assert data.load_movies("1m")["movie_genres"].tolist() == [("Children", "Comedy"), ("Drama",)]


def test_latest_small_and_its_oddities(latest_small_root, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(latest_small_root))
    monkeypatch.setenv("COURSE_DATASET", "latest-small")
    ratings, movies = data.load_ratings(), data.load_movies()
    assert list(ratings) == ["user_id", "movie_id", "user_rating", "timestamp"]
    assert set(ratings["user_rating"]) == {0.5, 1.0, 1.5, 2.0, 3.5, 4.0, 4.5, 5.0}
    assert movies["movie_title"][:3].tolist() == [
        "Film, The (1950)",
        'The "Other" Film (a.k.a. Autre, L\') (1951)',
        "Film without a year",
    ]
    assert movies["movie_genres"][4] == ("(no genres listed)",)
    assert set(ratings["movie_id"]) < set(movies["movie_id"])  # some movies nobody rated
    synthetic = data.synthetic.taste_groups()
    for real, planted in ((ratings, synthetic.ratings), (movies, synthetic.movies)):
        assert list(real) == list(planted)
        assert real.dtypes.map(str).to_dict() == planted.dtypes.map(str).to_dict()


def test_loading_from_the_cache_needs_no_tensorflow(latest_small_root):
    environment = os.environ | {"TFDS_DATA_DIR": str(latest_small_root), "COURSE_DATASET": "latest-small"}
    script = """
import sys, time
started = time.perf_counter()
from recsys_course import data
ratings, movies = data.load_ratings(), data.load_movies()
print(time.perf_counter() - started, *[name for name in ("tensorflow", "tensorflow_datasets") if name in sys.modules])
"""
    for _ in ("the cache may still be to make", "now it is there"):
        run = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
    seconds, *imported = run.stdout.split()
    assert imported == []
    assert float(seconds) < 5  # a fraction of a second where nothing else runs


def test_a_later_load_does_not_decode(small_100k, monkeypatch):
    first = data.load_ratings("100k"), data.load_movies("100k")
    monkeypatch.setattr(columns.decoding, "read_batches", lambda *args: pytest.fail("decoded again"))
    for before, after in zip(first, (data.load_ratings("100k"), data.load_movies("100k")), strict=True):
        pd.testing.assert_frame_equal(before, after)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-10]),
        lambda path: path.write_bytes(bytes(len(path.read_bytes()))),
        lambda path: path.unlink(),
        lambda path: (path.parent / "recsys_course.json").unlink(),
    ],
)
def test_a_damaged_cache_is_made_anew(small_100k, damage):
    before = data.load_ratings("100k"), data.load_movies("100k")
    for kind in ("ratings", "movies"):
        damage(cache(small_100k, kind))
    for _ in ("decoded", "from the cache"):
        for expected, found in zip(before, (data.load_ratings("100k"), data.load_movies("100k")), strict=True):
            pd.testing.assert_frame_equal(expected, found)
    assert not (small_100k / "recsys_course" / "work").exists()


def test_another_schema_number_reads_no_old_cache(small_100k, monkeypatch):
    data.load_ratings("100k")
    cache(small_100k).write_bytes(b"")
    monkeypatch.setattr(columns, "SCHEMA", columns.SCHEMA + 1)
    assert len(data.load_ratings("100k")) == 5
    assert cache(small_100k).exists()


def test_many_batches_give_what_one_gives(small_100k, monkeypatch):
    at_once = data.load_ratings("100k")
    monkeypatch.setattr(columns.decoding, "BATCH_SIZE", 2)
    cache(small_100k).unlink()
    pd.testing.assert_frame_equal(data.load_ratings("100k"), at_once)


def test_integers_become_categories_in_their_order():
    values = np.array([10, 2, 10, 7], dtype=np.int32)
    result = columns._categories_of_integers(values)
    assert list(result) == ["10", "2", "10", "7"] and list(result.categories) == ["2", "7", "10"]
