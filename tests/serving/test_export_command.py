"""`course export`, for real, on a small dataset: trains once, takes the cache after that, says what it does."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from support import latest_small
from typer.testing import CliRunner

from recsys_course import models, recommender, serving
from recsys_course.authoring.cli import app
from recsys_course.data import keeping
from recsys_course.serving import trained as training


@pytest.fixture
def small(tmp_path, monkeypatch):
    latest_small.prepare(tmp_path / "data", num_users=60, num_movies=110)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COURSE_DATASET", "latest-small")
    monkeypatch.setitem(training.RECIPE, "epochs", 1)
    monkeypatch.setitem(models.HISTORY_RECIPE, "epochs", 1)
    return tmp_path


def run(*arguments: object):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_it_trains_once_and_publishes_the_next_version_each_time(small):
    first = run("--to", small / "models")
    assert first.exit_code == 0, first.output
    assert "epoch 1 of 1" in first.output and str(small / "models" / "retrieval" / "1") in first.output
    second = run("--to", small / "models")
    assert second.exit_code == 0 and "taken from the cache" in second.output and "epoch" not in second.output
    manifests = [serving.verify(small / "models" / "retrieval" / version) for version in "12"]
    assert manifests[0]["dataset"]["name"] == "latest-small"
    assert manifests[0]["hit rates"] == manifests[1]["hit rates"]
    loaded = [tf.saved_model.load(str(small / "models" / "retrieval" / version)) for version in "12"]
    lists = [model.serving_default(tf.constant(["1", "2", "3"])) for model in loaded]
    np.testing.assert_array_equal(lists[0]["scores"], lists[1]["scores"])

    assert serving.verify(small / "models" / "recommender" / "2")["dataset"]["name"] == "latest-small"

    kept = next(path for path in (small / "data" / "recsys_course" / "trained").iterdir() if "recomm" not in path.name)
    kept.write_bytes(kept.read_bytes()[:1000])
    third = run("--to", small / "models")
    assert third.exit_code == 0 and "epoch 1 of 1" in third.output, "a damaged cache is replaced"


def test_weights_that_cannot_be_kept_are_no_reason_to_lose_them(small, monkeypatch):
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(keeping.Kept, "write", denied)
    monkeypatch.setattr(recommender, "trained_recommender", lambda say: None)
    monkeypatch.setattr(recommender, "export_recommender", lambda trained, to, say: None)
    done = run("--to", small / "models")
    assert done.exit_code == 0, done.output
    assert "could not be kept (Permission denied)" in done.output and (small / "models" / "retrieval" / "1").is_dir()


def test_a_disk_that_fills_up_leaves_no_version_and_is_told(small, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    done = run("--to", small / "models")
    assert done.exit_code == 1 and "No space left on device" in done.output
    assert list((small / "models" / "retrieval").iterdir()) == []


def test_what_a_person_can_put_right_is_said_in_a_line(small, monkeypatch):
    (small / "file").write_text("in the way")
    denied = run("--to", small / "file" / "models")
    assert denied.exit_code == 1 and "choose another folder with --to" in denied.output
    monkeypatch.setenv("COURSE_DATASET", "200k")
    unknown = run("--to", small / "models")
    assert unknown.exit_code == 2 and "Choose one of: 100k" in unknown.output
