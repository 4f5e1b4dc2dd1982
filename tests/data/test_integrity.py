from __future__ import annotations

import os
import shutil
import threading

import pytest

from recsys_course.data.integrity import STAMP, Damaged, check, fingerprint, publish, seal, workshop
from recsys_course.data.names import DatasetError, own_folder


@pytest.fixture
def sealed(tmp_path):
    folder = tmp_path / "sealed"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"first")
    (folder / "b.bin").write_bytes(b"second")
    seal(folder, source="here")
    return folder


def test_a_sealed_folder_passes_and_gives_its_facts_back(sealed):
    assert check(sealed) == {"source": "here"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "a.bin").write_bytes(b"fir"), "3 bytes instead of 5"),
        (lambda folder: (folder / "a.bin").write_bytes(b"worst"), "content of .*a.bin has changed"),
        (lambda folder: (folder / "b.bin").unlink(), "b.bin"),
        (lambda folder: (folder / STAMP).unlink(), "no usable record"),
        (lambda folder: (folder / STAMP).write_text('{"facts": '), "no usable record"),
        (lambda folder: (folder / STAMP).write_text("[]"), "no usable record"),
        (shutil.rmtree, "no usable record"),
    ],
)
def test_damage_is_noticed_and_named(sealed, damage, message):
    damage(sealed)
    os.utime(sealed.parent)  # the parent's time plays no part
    with pytest.raises(Damaged, match=message):
        check(sealed)


def test_a_copy_with_new_times_is_read_once_and_sealed_again(sealed, monkeypatch):
    os.utime(sealed / "a.bin", ns=(1, 1))
    assert check(sealed) == {"source": "here"}
    monkeypatch.setattr("recsys_course.data.integrity.sha256", lambda path: pytest.fail("read a second time"))
    assert check(sealed) == {"source": "here"}


def test_the_fingerprint_follows_the_content_alone(sealed, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(sealed, other)
    seal(other, source="elsewhere")
    assert fingerprint(other) == fingerprint(sealed)
    (other / "a.bin").write_bytes(b"worst")
    seal(other, source="elsewhere")
    assert fingerprint(other) != fingerprint(sealed)


def test_the_workshop_sweeps_what_a_killed_process_left(tmp_path):
    left = own_folder(tmp_path) / "work" / "half-written"
    left.mkdir(parents=True)
    with workshop(tmp_path) as work:
        assert list(work.iterdir()) == []
        (work / "mine").mkdir()
    assert not work.exists()
    with pytest.raises(KeyboardInterrupt), workshop(tmp_path) as work:
        (work / "mine").mkdir()
        raise KeyboardInterrupt
    assert not work.exists()


def test_one_at_a_time_and_the_other_is_told_to_wait(tmp_path, capsys):
    entered = []

    def enter():
        with workshop(tmp_path):
            entered.append("second")

    with workshop(tmp_path):
        second = threading.Thread(target=enter)
        second.start()
        second.join(1.5)
        assert second.is_alive() and entered == []
    second.join(10)
    assert entered == ["second"]
    assert "waiting for it to finish" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(DatasetError, match="Cannot write to .*file.*TFDS_DATA_DIR"), workshop(in_the_way):
        pass


def test_publishing_replaces_the_old_folder_whole(tmp_path):
    with workshop(tmp_path) as work:
        for content in ("old", "new"):
            (work / "finished").mkdir()
            (work / "finished" / content).write_text("")
            publish(work / "finished", tmp_path / "movielens" / "table" / "0.1.1", work)
    assert [path.name for path in (tmp_path / "movielens" / "table" / "0.1.1").iterdir()] == ["new"]
