"""Versions come and go under a server: whole ones answer, broken ones are reported, and nobody is cut off."""

from __future__ import annotations

import asyncio
import os
import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
from support import toy_models

from recsys_course.serving.server.errors import Code, RequestError
from recsys_course.serving.server.metrics import Metrics
from recsys_course.serving.server.repository import Repository, State
from recsys_course.serving.server.servable import CannotLoad, Servable, Signature
from recsys_course.serving.server.settings import Settings
from recsys_course.serving.versions import publish


class Followed:
    """A models folder and a repository that looks when told to."""

    def __init__(self, folder: Path):
        self.folder, self.repository = folder, Repository(Settings(folder), Metrics())
        folder.mkdir(exist_ok=True)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            asyncio.run(self.repository.look())
            self.repository.looked = True

    def states(self) -> dict[int, str]:
        return {number: it.state.name for number, it in sorted(self.repository.models.get("m", {}).items())}

    def answer(self) -> int:
        """The version that answers, by its own word."""
        signature = self.repository.find("m").servable.signature("")
        return int(signature.run({"x": np.ones(1, np.float32)})["version"][0])


@pytest.fixture
def followed(tmp_path):
    (tmp_path / "models" / "m").mkdir(parents=True)
    return Followed(tmp_path / "models")


def put(followed, small, number):
    return toy_models.publish(small(number), followed.folder / "m" / str(number))


def test_the_highest_version_answers_and_the_one_below_stays(followed, small):
    put(followed, small, 1)
    followed.look()
    assert followed.answer() == 1 and followed.states() == {1: "AVAILABLE"}
    for number in (2, 10):
        put(followed, small, number)
        followed.look()
        assert followed.answer() < number, "a version that has just come is watched for one look"
        followed.look()
        assert followed.answer() == number
    assert followed.states() == {2: "AVAILABLE", 10: "AVAILABLE"}


def test_removing_a_version_goes_back_to_the_one_before(followed, small):
    for number in (1, 2, 3):
        put(followed, small, number)
    followed.look()
    assert followed.states() == {2: "AVAILABLE", 3: "AVAILABLE"}
    shutil.rmtree(followed.folder / "m" / "3")
    followed.look()
    assert followed.answer() == 2
    followed.look()
    assert followed.states() == {1: "AVAILABLE", 2: "AVAILABLE"}


def test_a_version_in_use_lives_until_its_last_answer_and_then_goes(followed, small, until):
    put(followed, small, 1)
    followed.look()
    used = followed.repository.find("m")
    gone = weakref.ref(used.servable._session)
    shutil.rmtree(followed.folder / "m")
    followed.look()
    with pytest.raises(RequestError) as caught:
        followed.repository.find("m")
    assert caught.value.code == Code.NOT_FOUND
    answer = asyncio.run(used.batchers["serving_default"].run({"x": np.ones(2, np.float32)}))
    assert answer["version"].tolist() == [1, 1]
    del used
    until(lambda: gone() is None)  # its memory is given back, as soon as the thread that ran it has let go


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: truncate(folder / "saved_model.pb"),
        lambda folder: (folder / "saved_model.pb").write_bytes(b"\x00" * 100),
        lambda folder: (folder / "saved_model.pb").unlink(),
        lambda folder: truncate(next(folder.glob("variables/*.data*"))),
        lambda folder: (folder / "variables" / "variables.index").unlink(),
        lambda folder: shutil.rmtree(folder / "variables"),
        lambda folder: [path.unlink() for path in folder.rglob("*") if path.is_file()],
    ],
)
def test_a_broken_version_is_reported_and_the_good_one_answers_on(followed, small, damage):
    put(followed, small, 1)
    folder = put(followed, small, 2)
    damage(folder)
    followed.look()
    assert followed.answer() == 1 and followed.states() == {1: "AVAILABLE", 2: "END"}
    assert followed.repository.models["m"][2].error
    with pytest.raises(RequestError):
        followed.repository.find("m", 2)


def test_a_half_copied_version_is_served_once_it_is_whole(followed, small):
    put(followed, small, 1)
    followed.look()
    source, target = small(2), followed.folder / "m" / "2"
    (target / "variables").mkdir(parents=True)
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        shutil.copy(path, target / path.relative_to(source))
        followed.look()  # something has changed since the last look: nothing is tried
        assert followed.states() == {1: "AVAILABLE", 2: "START"}
    followed.look()
    assert followed.answer() == 2


def test_a_copy_that_stalls_is_broken_until_it_goes_on(followed, small):
    put(followed, small, 1)
    followed.look()
    source, target = small(2), followed.folder / "m" / "2"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("variables.data*"))
    followed.look(2)
    assert followed.states() == {1: "AVAILABLE", 2: "END"} and followed.answer() == 1
    shutil.copytree(source, target, dirs_exist_ok=True)
    followed.look(2)
    assert followed.answer() == 2


def test_a_broken_version_is_not_tried_again_and_again(followed, small, monkeypatch):
    truncate(put(followed, small, 1) / "saved_model.pb")
    followed.look()
    tried = []
    monkeypatch.setattr("recsys_course.serving.server.repository.Servable", tried.append)
    followed.look(3)
    assert followed.states() == {1: "END"} and not tried


def test_what_is_no_version_is_passed_by(followed, small):
    put(followed, small, 1)
    for name in ("latest", ".tmp-3", "-1", "1.5", "02", "9" * 30):
        shutil.copytree(small(1), followed.folder / "m" / name)
    (followed.folder / "m" / "7").write_text("a file")
    (followed.folder / "a file").write_text("")
    (followed.folder / "empty").mkdir()
    followed.look()
    assert followed.states() == {1: "AVAILABLE"} and set(followed.repository.models) == {"m"}


def test_a_manifest_is_held_against_the_files(followed, small):
    folder = publish(followed.folder / "m", lambda to: shutil.copytree(small(1), to, dirs_exist_ok=True), {})
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "stray").write_text("")
    followed.look()
    assert "stray is not in the manifest" in followed.repository.models["m"][1].error
    assert followed.repository.models["m"][1].state == State.END


def test_warm_up_requests_are_answered_before_the_version_is_ready(tmp_path, toy, monkeypatch):
    seen, real = [], Signature.run
    monkeypatch.setattr(Signature, "run", lambda self, inputs: seen.append(self.name) or real(self, inputs))
    Servable(toy)
    assert seen == ["not_negative"]


def test_a_version_that_fails_its_own_warm_up_is_broken(tmp_path, toy):
    folder = tmp_path / "1"
    shutil.copytree(toy, folder, ignore=shutil.ignore_patterns("assets.extra"))
    toy_models.with_warm_up(folder, [-4.0])
    with pytest.raises(CannotLoad, match="its warm-up requests fail: assertion failed: .x must not be negative"):
        Servable(folder)
    truncate(folder / "assets.extra" / "tf_serving_warmup_requests")
    with pytest.raises(CannotLoad, match="its warm-up requests fail"):
        Servable(folder)


def test_a_damaged_catalogue_is_found_when_loading(tmp_path, toy):
    shutil.copytree(toy, tmp_path / "1")
    toy_models.with_catalogue(tmp_path / "1", {"movies": {}, "users": {}})
    truncate(tmp_path / "1" / "assets.extra" / "catalogue.json")
    with pytest.raises(CannotLoad, match="catalogue.json is no JSON"):
        Servable(tmp_path / "1")


def test_files_that_change_while_they_are_loaded_are_loaded_again(followed, small, monkeypatch):
    folder = put(followed, small, 1)

    def slow(path):
        os.utime(folder / "saved_model.pb", (1, 1))
        return Servable(path)

    monkeypatch.setattr("recsys_course.serving.server.repository.Servable", slow)
    followed.look()
    assert "changed while it was loaded" in followed.repository.models["m"][1].error
    monkeypatch.undo()
    followed.look(2)
    assert followed.states() == {1: "AVAILABLE"}
