from __future__ import annotations

from pathlib import Path

import pytest

from recsys_course import data
from recsys_course.data.names import VERSION, data_dir, prepared_folder


def test_the_explicit_name_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("COURSE_DATASET", "25m")
    assert data.dataset_name() == "25m"
    assert data.dataset_name("1m") == "1m"
    monkeypatch.delenv("COURSE_DATASET")
    assert data.dataset_name() == "100k"


def test_an_unknown_name_lists_the_valid_ones(monkeypatch):
    for call in (data.dataset_name, data.ensure_dataset, data.load_ratings, data.load_movies):
        with pytest.raises(ValueError, match="'10m'.*100k, latest-small, 1m, 20m, 25m"):
            call("10m")
    monkeypatch.setenv("COURSE_DATASET", "100K")
    with pytest.raises(ValueError, match="'100K'.*COURSE_DATASET"):
        data.dataset_name()


def test_tfds_own_variable_decides_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert data_dir() == tmp_path
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert data_dir() == Path.home() / "tensorflow_datasets"


def test_the_version_is_the_one_that_the_installed_tfds_writes(tmp_path):
    import tensorflow_datasets as tfds

    builder = tfds.builder("movielens/100k-ratings", data_dir=tmp_path)
    assert str(builder.version) == VERSION
    assert Path(builder.data_path) == prepared_folder(tmp_path, "100k", "ratings")
