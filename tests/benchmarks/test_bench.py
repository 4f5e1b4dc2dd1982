"""All benchmarks with one command: what runs, what is kept, and the list at the end."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import __main__ as bench
from benchmarks import overview
from benchmarks.circumstances import ROOT
from benchmarks.ranking import page as ranking


@pytest.fixture
def called(monkeypatch, tmp_path):
    calls: list[tuple[str, tuple[str, ...]]] = []
    monkeypatch.setattr(bench, "DONE", tmp_path / "done.json")
    monkeypatch.setattr(overview, "PAGE", ROOT / "docs" / "results" / "no-such-page.md")
    monkeypatch.setattr(bench, "write_if_changed", lambda path, text: path == bench.DONE and path.write_text(text))
    monkeypatch.setattr(bench, "call", lambda part, arguments, seconds: calls.append((part.name, arguments)) is None)
    return calls


def test_a_quick_run_says_so_and_runs_what_keeps_nothing(called, capsys):
    assert bench.main(["--quick"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("This is the quick run") and "it wrote no results" in said
    assert [name for name, _ in called] == [part.name for part in bench.PARTS if part.quick is not None]
    kept = [arguments for _, arguments in called if not {"--quick", "small"} & set(arguments)]
    assert kept == []
    assert not bench.DONE.exists()


def test_a_full_run_goes_on_where_it_stood(called, monkeypatch):
    stop = bench.PARTS[2].name

    def stopped(part, arguments, seconds):
        if part.name == stop:
            raise KeyboardInterrupt
        called.append((part.name, arguments))
        return True

    with monkeypatch.context() as patch:
        patch.setattr(bench, "call", stopped)
        assert bench.main([]) == 130
    first = len(called)
    assert bench.main([]) == 0
    assert [name for name, _ in called] == [part.name for part in bench.PARTS] and first == 2
    assert not bench.DONE.exists()


def test_a_failed_part_is_named_and_the_others_run(called, monkeypatch, capsys):
    monkeypatch.setattr(bench, "call", lambda part, arguments, seconds: part.name != "growth")
    assert bench.main([]) == 1
    assert capsys.readouterr().out.endswith("failed: growth\n")


def test_the_list_tells_what_is_missed_and_by_how_much(tmp_path):
    rows = [
        {"split": "u1", "model": "DCN-v2, all features", "test_rmse": [0.905, 0.907], "cpu_seconds": [15]},
        {"split": "u1", "model": "the same, 16 members", "test_rmse": [0.880], "cpu_seconds": [200]},
        {"split": "u1", "model": ranking.PEER, "test_rmse": [0.8], "cpu_seconds": [1]},
    ]
    content = {"records": {row["model"]: row for row in rows}}
    (tmp_path / "ranking.json").write_text(json.dumps(content), encoding="utf-8")
    lines = bench.shortfalls(tmp_path)
    assert lines[0].startswith("Targets: 1 met, ")
    wish = "ranking, u1: RMSE ≤ 0.900 with one TensorFlow model in a minute"
    assert f"MISSED  {wish}: 0.9060 (DCN-v2, all features), by 0.0060" in lines
    assert "not measured  retrieval: no results yet" in lines


def test_the_list_can_be_made_of_the_committed_results():
    assert bench.shortfalls(bench.RESULTS)[0].startswith("Targets: ")


def test_every_part_is_a_module_and_time_ends_it_with_its_children(monkeypatch, tmp_path, capsys):
    for part in bench.PARTS:
        assert (ROOT / "benchmarks" / part.name / "__main__.py").is_file() or (
            ROOT / "benchmarks" / f"{part.name}.py"
        ).is_file()
    marker = tmp_path / "child"
    script = tmp_path / "slow.py"
    script.write_text(
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(marker)!r}, 'w').write(str(child.pid)); time.sleep(60)\n",
        encoding="utf-8",
    )
    real = bench.subprocess.Popen
    monkeypatch.setattr(bench.subprocess, "Popen", lambda command, **how: real([sys.executable, str(script)], **how))
    assert bench.call(bench.PARTS[0], (), seconds=3) is False
    import psutil

    pid = int(marker.read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
