"""The comparison with the original tutorial: both ways learn from the same rows, and the page says what was counted."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import tensorflow as tf
from support.results import CIRCUMSTANCES

from benchmarks import running
from benchmarks.original import __main__ as command
from benchmarks.original import page, work
from recsys_course import data


@pytest.fixture
def world(monkeypatch):
    """A small world in the place of MovieLens, by rows and by columns."""
    drawn = data.synthetic.taste_groups(num_users=40, num_movies=40, num_groups=2, ratings_per_user=20)
    title = drawn.movies.set_index("movie_id")["movie_title"]
    ratings = {name: drawn.ratings[name].astype(str).to_numpy(object) for name in ("user_id", "movie_id")}
    ratings |= {name: drawn.ratings[name].to_numpy() for name in ("user_rating", "timestamp")}
    ratings["movie_title"] = title.loc[ratings["movie_id"]].to_numpy(object)
    movies = {"movie_title": drawn.movies["movie_title"].to_numpy(object)}

    def load(name, split):
        columns = ratings if "ratings" in name else movies
        return tf.data.Dataset.from_tensor_slices({key: tf.constant(values) for key, values in columns.items()})

    monkeypatch.setattr(work.tfds, "load", load)
    monkeypatch.setattr(data, "load_ratings", lambda name: drawn.ratings)
    monkeypatch.setattr(data, "load_movies", lambda name: drawn.movies)
    return drawn


@pytest.mark.parametrize("way", [page.THEIRS, "ranks once an epoch, not metrics in every step", page.OURS])
def test_each_way_does_all_of_the_work(world, tmp_path, way):
    order = {"dataset": "small", "limit": len(world.ratings), "split": str(tmp_path / "split.npz")}
    work.write_split(order["dataset"], order["limit"], tmp_path / "split.npz")
    found = work.work(order | {"changes": page.WAYS[way], "epochs": 2, "seed": 1}, running.Clock("importing libraries"))
    assert list(found["phases"]) == list(work.PHASES)
    assert all(spent["cpu"] > 0 for spent in found["phases"].values())
    assert found["quality"].keys() == {"raw @10", "raw @100", "seen-out @10", "seen-out @100", "RMSE"}
    assert {name: len(epochs) for name, epochs in found["epochs"].items()} == {work.RETRIEVAL: 2, work.RANKING: 2}
    for name, epochs in found["epochs"].items():
        assert min(epochs) > 0 and sum(epochs) <= found["phases"][name]["cpu"]
    assert found["quality"]["raw @100"] == 1.0  # 40 films
    json.dumps(found)


def test_ways_that_held_out_other_rows_are_not_compared(world, tmp_path):
    split = tmp_path / "split.npz"
    work.write_split("small", len(world.ratings), split)
    with np.load(split) as drawn:
        parts = dict(drawn)
    parts["test_user_id"] = parts["test_user_id"][::-1]
    np.savez(split, **parts)
    order = {"dataset": "small", "limit": len(world.ratings), "split": str(split), "changes": ["adapt"]}
    with pytest.raises(RuntimeError, match="not those of the split"):
        work.work(order | {"epochs": 1, "seed": 1}, running.Clock("importing libraries"))


def content(ours: float) -> dict:
    def record(way, seed, seconds):
        phases = {"importing libraries": {"cpu": 5.0, "wall": 5.0}, "retrieval: training": {"cpu": seconds, "wall": 1}}
        quality = {"raw @10": 0.05, "RMSE": 1.0}
        epochs = {"retrieval: training": [seconds / 2, seconds / 4, seconds / 4]}
        return {
            "way": way,
            "seed": seed,
            "phases": phases,
            "epochs": epochs,
            "peak_memory_mb": 900,
            "quality": quality,
        }

    seconds = {page.THEIRS: 400.0, "adapt in batches": 100.0, page.OURS: ours}
    return CIRCUMSTANCES | {
        "settings": {"dataset": "100k", "limit": 100_000, "epochs": 5, "seeds": [1, 2]},
        "records": {f"{way} / {seed}": record(way, seed, spent) for way, spent in seconds.items() for seed in (1, 2)},
    }


def test_the_verdict_counts_the_work_and_tells_the_whole():
    (missed,) = page.verdicts(content(ours=10.0))
    assert missed.startswith("MISSED") and "40.0 times (27.0 times with the import" in missed
    assert missed.endswith("short by 10.0")
    assert page.verdicts(content(ours=8.0))[0].startswith("met") and "50.0 times" in page.verdicts(content(8.0))[0]


def test_the_page_is_made_from_the_results_alone(tmp_path):
    page.write(content(ours=10.0), tmp_path)
    text = (tmp_path / "original.md").read_text(encoding="utf-8")
    assert "training takes 10.0; 2.5 of those" in text and "would be 8.0 seconds" in text
    assert "| adapt in batches | 100.0 | 300.0 | 77% |" in text
    assert "| **all but importing, cpu s** | 400.0 | 10.0 | 40.0 |" in text
    assert (tmp_path / "original_steps.svg").read_text(encoding="utf-8").count("<svg") == 1


def test_the_ends_take_turns_and_a_quick_run_leaves_the_rest_out():
    whole, quick = command.plan([1, 2]), command.plan([1], quick=True)
    assert whole[:4] == [(page.THEIRS, 1), (page.OURS, 1), (page.THEIRS, 2), (page.OURS, 2)]
    assert len(whole) == 4 + 3 and quick == whole[:2]


# --- What all benchmarks share ------------------------------------------------------------------------------------


def test_a_clock_counts_every_moment_once():
    clock = running.Clock("before")
    with clock.phase("outer"):
        burn(0.05)
        with clock.phase("inner"):
            burn(0.1)
        burn(0.05)
    outer, inner = clock.phases["outer"]["cpu"], clock.phases["inner"]["cpu"]
    assert outer == pytest.approx(0.1, abs=0.06) and inner == pytest.approx(0.1, abs=0.06)
    assert clock.phases["before"]["cpu"] > 0


def burn(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_a_stopped_run_goes_on_and_a_changed_one_starts_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "WORK", tmp_path)
    first = running.Records("try", {"seeds": (1, 2)}, (), ("numpy",))
    first["a"] = {"value": 1}
    again = running.Records("try", {"seeds": (1, 2)}, (), ("numpy",))
    assert "a" in again and again["a"] == {"value": 1}
    assert "a" not in running.Records("try", {"seeds": (1, 3)}, (), ("numpy",))
    again.finish(tmp_path / "results")
    assert json.loads((tmp_path / "results" / "try.json").read_text(encoding="utf-8"))["records"] == {"a": {"value": 1}}
    assert "a" not in running.Records("try", {"seeds": (1, 2)}, (), ("numpy",))


def test_a_quick_run_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "WORK", tmp_path / "work")
    quick = running.Records("try", {}, (), (), quick=True)
    quick["a"] = {}
    assert quick.finish(tmp_path / "results")["records"] == {"a": {}}
    assert not (tmp_path / "results").exists()


def test_a_child_s_last_words_are_told():
    with pytest.raises(running.Failed, match="No module named"):
        running.child("benchmarks.no_such_module", {}, 60)
