"""The comparison of servers: it counts what was answered and what was not, and says of the target what is so."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import toy_models

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import peers  # noqa: E402
from benchmarks.serving import __main__ as command  # noqa: E402
from benchmarks.serving import contenders, load, page, results  # noqa: E402


async def answering(reader, writer):
    """A server that answers, fails, and hangs up in turn."""
    for status, body in 30 * [("200 OK", b'{"movie_ids": []}'), ("429 Too Many", b"{}"), ("200 OK", b'{"error": 1}')]:
        head = await reader.readuntil(b"\r\n\r\n")
        asked = json.loads(await reader.readexactly(load.content_length(head)))
        assert asked["instances"][0] in ("1", "2") and head.startswith(b"POST /p HTTP/1.1")
        answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        writer.write(answer[:20])
        await writer.drain()
        await asyncio.sleep(0.001)
        writer.write(answer[20:])
    writer.close()


def test_the_load_counts_answers_and_failures():
    async def main():
        server = await asyncio.start_server(answering, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await load.measure("127.0.0.1", port, "/p", ["1", "2"], clients=3, seconds=30)

    found = asyncio.run(asyncio.wait_for(main(), 20))
    assert found["answered"] == 3 * 30
    assert found["failures"] == 3 * (60 + 1), "two in three are no answer, and every client is hung up on"
    assert 1 < found["p50_ms"] <= found["p99_ms"] and found["per_second"] > 0


def a_pass(per_second, failures=0):
    one = {"per_second": per_second, "p50_ms": 2.0, "p99_ms": 9.0, "answered": 10, "failures": failures}
    return {"load_seconds": 3.5, "memory_mb": 600, "loads": {"1": one, "8": one, "32": one}}


def a_run(ours, kserve, litserve):
    def server(title, speeds):
        return {"title": title, "versions": {"python": "3.11"}, "passes": [a_pass(speed) for speed in speeds]}

    return {
        "commit": "abc",
        "date": "2026-01-02T03:04:05+00:00",
        "machine": {"system": "Linux x86_64", "processor": "a processor", "cores": 2, "memory_gb": 8},
        "artefact": {"name": "MovieLens 100k", "users": 943},
        "settings": command.SETTINGS,
        "servers": {
            "course": server("course serve", ours),
            "kserve": server("KServe", kserve),
            "litserve": server("LitServe", litserve),
        },
    }


def test_medians_over_the_passes_and_the_sum_of_the_failures():
    done = results.summary({"passes": [a_pass(10, 1), a_pass(1000, 2), a_pass(20)]})
    assert done["loads"]["8"]["per_second"] == 20 and done["loads"]["8"]["failures"] == 3


@pytest.mark.parametrize(
    ("ours", "says"),
    [([2000], "It is met: 2.0 times KServe at 8, 4.0 times LitServe at 8"), ([1990], "It is missed: 2.0 times KServe")],
)
def test_the_verdict(ours, says):
    assert says in results.verdict(a_run(ours, [1000], [500]))


def test_a_server_that_cannot_be_had_is_told_and_left_out():
    found = a_run([2000], [], [])
    for name in ("kserve", "litserve"):
        found["servers"][name]["error"] = "no wheel"
    assert "Not measured" in results.verdict(found)
    shown = page.render(found)
    assert "KServe could not be run: `no wheel`" in shown and "| KServe | " not in page.table(found)


def test_the_page_holds_the_figures_and_what_they_depend_on():
    shown = page.render(a_run([2400, 2600, 2500], [1000] * 3, [500] * 3))
    row = next(line for line in shown.splitlines() if line.startswith("| course serve | 2"))
    assert row == "| course serve | 2,500 (2.0, 9.0) | 2,500 (2.0, 9.0) | 2,500 (2.0, 9.0) | 0 | 600 | 3.5 |"
    for fact in ("a processor, 2 cores, 8 GB", "`abc`, 2026-01-02", "MovieLens 100k, 943 users", "3 passes"):
        assert fact in shown


def test_a_stopped_run_goes_on_and_another_begins_anew(tmp_path):
    file = tmp_path / "serving.json"
    first = results.begin(command.SETTINGS, file)
    first["servers"]["course"] = {"passes": [a_pass(1)]}
    results.write(first, file)
    assert results.begin(command.SETTINGS, file) == first
    assert results.begin(command.SETTINGS | {"seconds": 9}, file)["servers"] == {}
    results.write(first | {"finished": True}, file)
    assert results.begin(command.SETTINGS, file)["servers"] == {}
    file.write_text("{")
    assert results.begin(command.SETTINGS, file)["servers"] == {}


def test_an_environment_that_cannot_be_made_says_why(tmp_path, monkeypatch):
    def fail(command, **_):
        return subprocess.CompletedProcess(command, int("pip" in command), "", "WARNING: so\nERROR: no such package\n")

    monkeypatch.setattr(peers, "WORK", tmp_path)
    monkeypatch.setattr(peers.subprocess, "run", fail)
    with pytest.raises(peers.NotHere, match="^ERROR: no such package$"):
        contenders.CONTENDERS[1].python()
    assert not (tmp_path / "kserve" / "made-of").exists()


def test_our_server_is_started_checked_loaded_and_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "WORK", tmp_path / "logs")
    folder = toy_models.films(tmp_path / "models" / "retrieval" / "1")
    settings = {"clients": [1, 8], "seconds": 0.3, "warm_up_seconds": 0.1}
    found = command.one_pass(contenders.CONTENDERS[0], folder, ["7", "8"], settings, {})
    assert found["memory_mb"] > 100 and found["load_seconds"] > 0
    assert all(one["answered"] > 10 and one["failures"] == 0 for one in found["loads"].values())


@pytest.mark.skipif(not results.FILE.exists(), reason="make bench-serving has not been run yet")
def test_the_page_of_the_site_is_what_the_results_say():
    assert page.FILE.read_text(encoding="utf-8") == page.render(json.loads(results.FILE.read_text(encoding="utf-8")))
