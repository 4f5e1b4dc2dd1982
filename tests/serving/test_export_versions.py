"""A version appears whole or not at all, whoever else writes at the same time, and whatever dies while writing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recsys_course.serving import versions
from recsys_course.serving.versions import MANIFEST, STALE_AFTER, UNFINISHED, Damaged, latest, publish, verify


def write(folder: Path) -> None:
    (folder / "variables").mkdir()
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(b"weights")


def test_numbers_go_up_from_the_highest(tmp_path):
    base = tmp_path / "model"
    assert versions.published(base) == []
    assert publish(base, write, {}) == base / "1"
    (base / "7").mkdir()
    (base / "8 copy").mkdir()
    (base / "notes.txt").write_text("no version")
    assert publish(base, write, {"dataset": "x"}) == base / "8"
    assert versions.published(base) == [1, 7, 8] and latest(base) == base / "8"
    record = verify(base / "8")
    assert record["dataset"] == "x" and set(record["files"]) == {"saved_model.pb", "variables/data"}


def test_no_version_is_told_with_what_makes_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="course export"):
        latest(tmp_path / "nothing")


def start(code: str, *arguments: object) -> subprocess.Popen:
    """A process with `versions` loaded from its file alone: TensorFlow would cost seconds."""
    load = (
        "import importlib.util, os, sys; from pathlib import Path\n"
        f"spec = importlib.util.spec_from_file_location('versions', {versions.__file__!r})\n"
        "versions = importlib.util.module_from_spec(spec); spec.loader.exec_module(versions)\n"
    )
    return subprocess.Popen([sys.executable, "-c", load + code, *map(str, arguments)])


def test_processes_that_publish_at_once_all_succeed(tmp_path):
    code = (
        "write = lambda folder: (folder / 'saved_model.pb').write_text(sys.argv[2])\n"
        "for _ in range(10): versions.publish(Path(sys.argv[1]), write, {'by': sys.argv[2]})\n"
    )
    started = [start(code, tmp_path / "model", name) for name in "abcd"]
    assert [process.wait() for process in started] == [0, 0, 0, 0]
    assert versions.published(tmp_path / "model") == list(range(1, 41))
    for number in range(1, 41):  # nobody's files are mixed with another's
        folder = tmp_path / "model" / str(number)
        assert verify(folder)["by"] == (folder / "saved_model.pb").read_text()
    assert not list((tmp_path / "model").glob(f"{UNFINISHED}*"))


def test_a_crash_leaves_nothing_but_an_unfinished_folder_which_goes_once_it_is_old(tmp_path):
    base = tmp_path / "model"
    code = (
        "def write(folder):\n"
        "    (folder / 'saved_model.pb').write_text('half'); os._exit(9)\n"
        "versions.publish(Path(sys.argv[1]), write, {})"
    )
    assert start(code, base).wait() == 9
    assert versions.published(base) == []
    (left,) = base.iterdir()
    assert left.name.startswith(UNFINISHED)
    publish(base, write, {})
    assert left.exists(), "its writer may still be at work"
    old = time.time() - STALE_AFTER - 1
    for path in (left / "saved_model.pb", left):
        os.utime(path, (old, old))
    publish(base, write, {})
    assert not left.exists() and versions.published(base) == [1, 2]


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def fails(folder: Path) -> None:
        write(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        publish(tmp_path, fails, {})
    assert list(tmp_path.iterdir()) == []


def test_a_rename_that_fails_for_another_reason_is_told(tmp_path, monkeypatch):
    def denied(*_: object) -> None:
        raise PermissionError("denied")

    monkeypatch.setattr(versions.os, "rename", denied)
    with pytest.raises(PermissionError):
        publish(tmp_path, write, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "variables" / "data").unlink(), "variables/data is missing"),
        (lambda folder: (folder / "saved_model.pb").write_bytes(b"grapH"), "saved_model.pb has changed"),
        (lambda folder: (folder / "more").write_bytes(b""), "more is not in the manifest"),
        (lambda folder: (folder / MANIFEST).unlink(), "no usable manifest"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "no usable manifest"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), "no usable manifest"),
    ],
)
def test_verify_notices_every_damage(tmp_path, damage, told):
    folder = publish(tmp_path, write, {})
    verify(folder)
    damage(folder)
    with pytest.raises(Damaged, match=told):
        verify(folder)
