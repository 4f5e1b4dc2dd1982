"""From any source to ``tfds.load``: once, whole, and in TFDS' own form."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple

import pytest
from support.archives import FILES_1M, FILES_100K, write_files

from recsys_course import data
from recsys_course.data import preparation, sources
from recsys_course.data.integrity import STAMP
from recsys_course.data.names import TABLES, prepared_folder


@pytest.fixture
def archive(tmp_path):
    return write_files(tmp_path / "archive" / "ml-100k", FILES_100K)


@pytest.fixture
def fetched(archive, monkeypatch):
    """In place of the sources: the small archive. Counts how often it was asked for."""
    calls = []

    def fetch(name, url, sha256, work):
        calls.append((name, url, sha256))
        return archive, "a double"

    monkeypatch.setattr(sources, "fetch", fetch)
    return calls


def shard(root, table="ratings"):
    return next(prepared_folder(root, "100k", table).glob("*.tfrecord*"))


def left_overs(root):
    """Files that are neither a prepared dataset nor the lock."""
    known = {prepared_folder(root, "100k", table) for table in TABLES}
    files = [path for path in root.rglob("*") if path.is_file()]
    return [path for path in files if path.parent not in known and path != root / "recsys_course" / "lock"]


def test_first_it_is_fetched_then_it_is_there(root, fetched, capsys):
    prepared = data.ensure_dataset("100k")
    assert prepared == ("100k", "a double", root)
    assert capsys.readouterr().out == f"MovieLens 100k is ready in {root}; source: a double.\n"
    assert data.ensure_dataset("100k") == prepared
    # Address and hash are the ones TFDS knows.
    url = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
    assert fetched == [("100k", url, "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229")]
    assert left_overs(root) == []


def test_plain_tfds_reads_it_in_another_process(root, fetched):
    data.ensure_dataset("100k")
    script = """
import tensorflow_datasets as tfds
ratings = sorted(tfds.as_numpy(tfds.load("movielens/100k-ratings", split="train", download=False)), key=str)
movies = list(tfds.as_numpy(tfds.load("movielens/100k-movies", split="train")))
student, = [row for row in ratings if row["user_id"] == b"10"]
print(len(ratings), len(movies), *[student[name] for name in ("bucketized_user_age", "raw_user_age", "movie_genres")],
      student["user_occupation_label"], sorted(row["movie_title"].decode() for row in movies)[0])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, encoding="utf-8", check=True)
    assert run.stdout.strip() == "5 4 1.0 17.0 [17] 17 Café, Le (1994)"


def test_what_tfds_alone_has_prepared_is_accepted(root, fetched):
    data.ensure_dataset("100k")
    for table in TABLES:
        (prepared_folder(root, "100k", table) / STAMP).unlink()
    before = shard(root).stat().st_mtime_ns
    assert data.ensure_dataset("100k").source == "prepared earlier by TFDS"
    assert shard(root).stat().st_mtime_ns == before
    assert len(fetched) == 1


def truncate(root):
    with shard(root).open("r+b") as file:
        file.truncate(shard(root).stat().st_size // 2)


def flip_a_byte(root):
    content = bytearray(shard(root).read_bytes())
    content[len(content) // 2] ^= 1
    shard(root).write_bytes(content)


def half_written(root):
    """As a copy that was interrupted: no record, and one of the files missing."""
    (prepared_folder(root, "100k", "ratings") / STAMP).unlink()
    (prepared_folder(root, "100k", "ratings") / "features.json").unlink()


def fewer_than_stated(root):
    """Readable, not sealed, and not all of it: two shards are stated and one is there."""
    folder = prepared_folder(root, "100k", "ratings")
    (folder / STAMP).unlink()
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = ["6"]
    (folder / "dataset_info.json").write_text(json.dumps(info))


@pytest.mark.parametrize("damage", [truncate, flip_a_byte, half_written, fewer_than_stated])
def test_a_damaged_table_is_replaced_and_the_whole_one_kept(root, fetched, capsys, damage):
    data.ensure_dataset("100k")
    movies_before = shard(root, "movies").stat().st_mtime_ns
    damage(root)
    capsys.readouterr()
    assert data.ensure_dataset("100k").source == "a double"
    assert "damaged and will be replaced" in capsys.readouterr().out
    assert len(fetched) == 2
    assert shard(root, "movies").stat().st_mtime_ns == movies_before
    assert len(data.load_ratings("100k")) == 5


def test_an_error_or_ctrl_c_leaves_what_was_there(root, fetched, monkeypatch):
    data.ensure_dataset("100k")
    truncate(root)
    files = sorted(root.rglob("*"))
    for interruption in (KeyboardInterrupt, data.DatasetError("no source")):

        def fetch(name, url, sha256, work, interruption=interruption):
            (work / "half").write_text("")
            raise interruption

        monkeypatch.setattr(sources, "fetch", fetch)
        with pytest.raises((KeyboardInterrupt, data.DatasetError)):
            data.ensure_dataset("100k")
        assert sorted(root.rglob("*")) == files


def test_ctrl_c_while_tfds_writes_leaves_nothing(root, fetched, monkeypatch):
    def interrupted(examples, progress):
        yield next(iter(examples))
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "_counted", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.ensure_dataset("100k")
    assert not (root / "movielens").exists() and left_overs(root) == []


PREPARE = """
import sys, time, pathlib
from recsys_course import data
from recsys_course.data import sources
def fetch(name, url, sha256, work):
    (work / "raw").mkdir()
    pathlib.Path(sys.argv[2]).open("a").write("fetched\\n")
    time.sleep(float(sys.argv[3]))
    return pathlib.Path(sys.argv[1]), "a double"
sources.fetch = fetch
data.ensure_dataset("100k")
"""


def start(archive, log, seconds):
    command = [sys.executable, "-c", PREPARE, str(archive), str(log), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(log):
    until = time.monotonic() + 60
    while not log.exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_two_processes_at_once_prepare_it_once(root, archive, tmp_path):
    log = tmp_path / "log"
    first = start(archive, log, 1.5)
    wait_for(log)
    second = start(archive, log, 0)
    outputs = [process.communicate(timeout=120) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert log.read_text() == "fetched\n"
    assert all("source: a double." in out for out, _ in outputs)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_is_in_nobodys_way(root, archive, tmp_path, fetched):
    log = tmp_path / "log"
    killed = start(archive, log, 600)
    wait_for(log)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert (root / "recsys_course" / "work" / "raw").exists()
    assert data.ensure_dataset("100k").source == "a double"
    assert left_overs(root) == []


def test_too_little_space_is_said_before_anything_is_fetched(root, fetched, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(preparation.shutil, "disk_usage", lambda path: usage(0, 0, 50_000_000))
    with pytest.raises(data.DatasetError, match="needs 150 MB free in .*has 50 MB.*TFDS_DATA_DIR"):
        data.ensure_dataset("100k")
    assert fetched == []


def test_a_disk_that_fills_up_is_explained(root, fetched, monkeypatch):
    def full(examples, progress):
        yield next(iter(examples))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(preparation, "_counted", full)
    with pytest.raises(data.DatasetError, match="disk filled up .*nothing half done was left"):
        data.ensure_dataset("100k")
    assert not (root / "movielens").exists() and left_overs(root) == []


def test_a_dataset_in_another_file_format_is_left_alone(root, fetched):
    data.ensure_dataset("100k")
    folder = prepared_folder(root, "100k", "ratings")
    (folder / STAMP).unlink()
    info = json.loads((folder / "dataset_info.json").read_text())
    info["fileFormat"] = "riegeli"
    (folder / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(data.DatasetError, match="riegeli.*reads tfrecord"):
        data.ensure_dataset("100k")
    assert folder.exists()


def test_an_archive_in_a_folder_replaces_what_was_prepared(root, archive, tmp_path):
    preparation.prepare_from_archive("100k", archive, root)
    fewer = write_files(tmp_path / "fewer", FILES_100K | {"u.data": b"1\t1\t5\t880000000\n"})
    assert len(data.load_ratings("100k")) == 5
    preparation.prepare_from_archive("100k", fewer, root)
    assert len(data.load_ratings("100k")) == 1
    shutil.rmtree(tmp_path / "fewer")
    one_m = write_files(tmp_path / "ml-1m", FILES_1M)
    assert preparation.prepare_from_archive("1m", one_m, root).source == "the folder ml-1m"
    assert len(data.load_ratings("1m")) == 2
