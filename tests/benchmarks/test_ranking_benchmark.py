"""The benchmark of predicted ratings: what it measures, what it refuses, what it leaves behind."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import running
from benchmarks.ranking import __main__ as command
from benchmarks.ranking import contenders, measure, page
from benchmarks.ranking.tasks import Task
from benchmarks.ranking.u1 import split_u1
from recsys_course import data


@pytest.fixture(scope="module")
def task():
    world = data.synthetic.taste_groups(num_users=60, num_movies=40, num_groups=2)
    split = data.random_split(world.ratings)
    return Task(split.train, split.test, world.movies)


def test_the_table_names_every_contender_once():
    assert list(contenders.CONTENDERS) == list(page.MODELS)
    assert set(command.QUICK_MODELS) < set(page.MODELS)


def test_what_nothing_is_drawn_for_is_measured_once(task):
    found = measure.measured(contenders.CONTENDERS["user and film biases"], task, task, [4, 5])
    assert found["seeds"] == [4] and found["test_rmse"] == found["validation_rmse"]


@pytest.mark.parametrize("name", [name for name in page.MODELS if "16 members" in name or "SVD++" in name])
def test_models_predict_one_rating_a_pair(task, name):
    rmse, seconds = measure.rmse_and_cost(contenders.CONTENDERS[name], task, seed=1)
    assert 0.3 < rmse < 2 and seconds > 0


def test_the_peer_reads_the_same_features_and_gives_one_rating_a_pair(task, monkeypatch):
    def mean_of_stars(peer, script, folder, order):
        asked = json.loads(order)
        stars = np.load(f"{folder}/stars.npy")
        for column in asked["columns"]:
            with np.load(f"{folder}/{column}-rows.npz") as rows:
                assert len(rows["learned"]) == len(stars) and rows["learned"].min() >= 0
                count = len(rows["asked"])
        np.save(f"{folder}/predicted.npy", np.full(count, stars.mean()))

    monkeypatch.setattr(type(contenders.MYFM), "run", mean_of_stars)
    predicted = contenders.CONTENDERS[page.PEER].predict(task, 1)
    assert predicted.shape == (len(task.asked),)
    assert set(np.round(predicted, 6)) == {round(task.mean, 6)}


def test_a_peer_that_cannot_be_had_says_why(task, monkeypatch):
    def missing(peer):
        raise measure.NotHere("no matching distribution")

    monkeypatch.setattr(type(contenders.MYFM), "python", missing)
    found = measure.measured(contenders.CONTENDERS[page.PEER], task, task, [1])
    assert found == {"error": "no matching distribution"}


def test_what_is_not_u1_is_refused(tmp_path):
    ratings = pd.DataFrame({"user_id": ["1"], "movie_id": ["2"], "user_rating": [3.0]})
    with pytest.raises(ValueError, match="is not there: expected u1.test"):
        split_u1(ratings, tmp_path / "u1.test")
    (tmp_path / "u1.test").write_text("1\t2\t3\t4\n", encoding="utf-8")
    with pytest.raises(ValueError, match="names 1 ratings, 1 of them in MovieLens 100K"):
        split_u1(ratings, tmp_path / "u1.test")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A whole run with figures that are made up: what was asked for, and the folder of results."""
    asked: list[str] = []

    def found(module, order, seconds):
        asked.append(f"{order['split']} / {order['model']}")
        if len(asked) == stop_at[0]:
            raise KeyboardInterrupt
        return {"seeds": [1], "validation_rmse": [0.9], "test_rmse": [0.91], "cpu_seconds": [3.0]}

    stop_at = [0]
    monkeypatch.setattr(running, "WORK", tmp_path / "work")
    monkeypatch.setattr(command, "child", found)
    monkeypatch.setattr(command.data, "ensure_dataset", lambda name: None)
    monkeypatch.setattr(running.Records.finish, "__defaults__", (tmp_path / "results", None))
    return asked, stop_at, tmp_path / "results" / "ranking.json"


def test_a_stopped_run_goes_on_where_it_stood(run, capsys):
    asked, stop_at, results = run
    stop_at[0] = 4
    assert command.main([]) == 130 and not results.exists()
    assert command.main([]) == 0
    assert asked == [f"random / {model}" for model in (*page.MODELS[:4], *page.MODELS[3:])]
    content = json.loads(results.read_text(encoding="utf-8"))
    assert list(page.of(content, "random")) == list(page.MODELS)
    assert "needs u1.test" in capsys.readouterr().out


def test_a_quick_run_keeps_nothing(run):
    asked, _, results = run
    assert command.main(["--quick"]) == 0
    assert asked == [f"random / {model}" for model in command.QUICK_MODELS] and not results.exists()


def test_a_missing_file_ends_with_one_clear_line(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command.data, "load_ratings", lambda name: data.synthetic.taste_groups(seed=0).ratings)
    assert command.main(["--u1", str(tmp_path / "none")]) == 2
    assert "benchmark:" in capsys.readouterr().err
    assert run[0] == [] and not run[2].exists()


def test_committed_results_meet_the_course_s_word():
    """What chapter 6 says of the benchmark holds in the file that is committed."""
    content = json.loads((running.RESULTS / "ranking.json").read_text(encoding="utf-8"))
    for split in page.SPLITS:
        error = {model: np.mean(record["test_rmse"]) for model, record in page.of(content, split).items()}
        machine, deep = error["factorisation machine, all features"], error["DCN-v2, all features"]
        assert abs(machine - deep) < 0.006, "crosses have little left to add"
        assert error["the same, 16 members"] < min(machine, deep)
