"""The benchmark of predicted ratings: what it measures, what it refuses, what it leaves behind."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import ranking
from recsys_course import data


@pytest.fixture
def task():
    world = data.synthetic.taste_groups(num_users=60, num_movies=40, num_groups=2)
    split = data.random_split(world.ratings)
    return ranking.Task(split.train, split.test, world.movies)


def test_a_row_is_measured_and_written(task, monkeypatch, tmp_path):
    monkeypatch.setattr(ranking, "splits", lambda u1: {"random": (task, task)})
    rows = ranking.run(None, (1, 2), "biases", tmp_path / "deep" / "ranking.json")
    written = json.loads((tmp_path / "deep" / "ranking.json").read_text(encoding="utf-8"))
    assert written["rows"] == rows and written["versions"]["numpy"] == np.__version__
    (row,) = rows
    assert row["seeds"] == [1]  # nothing in it is drawn at random
    rmse, _ = ranking.measure(ranking.MODELS["user and film biases"], task, seed=1)
    assert row["test_rmse"] == row["validation_rmse"] == [round(rmse, 4)]
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["ranking.json"]


@pytest.mark.parametrize("name", [name for name in ranking.MODELS if "16 members" in name or "SVD++" in name])
def test_models_predict_one_rating_a_pair(task, name):
    rmse, seconds = ranking.measure(ranking.MODELS[name], task, seed=1)
    assert 0.3 < rmse < 2 and seconds > 0


def test_what_is_not_u1_is_refused(tmp_path):
    ratings = pd.DataFrame({"user_id": ["1"], "movie_id": ["2"], "user_rating": [3.0]})
    with pytest.raises(ValueError, match="is not there: expected u1.test"):
        ranking.split_u1(ratings, tmp_path / "u1.test")
    (tmp_path / "u1.test").write_text("1\t2\t3\t4\n", encoding="utf-8")
    with pytest.raises(ValueError, match="names 1 ratings, 1 of them in MovieLens 100K"):
        ranking.split_u1(ratings, tmp_path / "u1.test")


def test_a_missing_file_ends_with_one_clear_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(data, "load_ratings", lambda name: data.synthetic.taste_groups(seed=0).ratings)
    monkeypatch.setattr(data, "load_movies", lambda name: data.synthetic.taste_groups(seed=0).movies)
    assert ranking.main(["--u1", str(tmp_path / "none"), "--output", str(tmp_path / "out.json")]) == 2
    assert "benchmark:" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_committed_results_meet_the_course_s_word():
    """What chapter 6 says of the benchmark holds in the file that is committed."""
    rows = {
        (row["split"], row["model"]): np.mean(row["test_rmse"])
        for row in json.loads(ranking.RESULTS.read_text(encoding="utf-8"))["rows"]
    }
    for split in {split for split, _ in rows}:
        machine, deep = rows[split, "factorisation machine, all features"], rows[split, "DCN-v2, all features"]
        assert abs(machine - deep) < 0.006, "crosses have little left to add"
        assert rows[split, "the same, 16 members"] < min(machine, deep)
