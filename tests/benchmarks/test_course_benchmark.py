"""The benchmark of the course itself: it sees an output that is not the same, runs a command cleanly, tells targets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from support.results import CIRCUMSTANCES

from benchmarks import running
from benchmarks.course import __main__ as command
from benchmarks.course import page
from recsys_course.authoring.project import Chapter

pytestmark = pytest.mark.skipif(os.name == "nt", reason="measured on Linux and macOS alone")
THREADS = "import os; print(os.environ['TF_NUM_INTRAOP_THREADS'], os.environ['OMP_NUM_THREADS'])"


def printing(source: str, stored: str, *tags: str) -> nbformat.NotebookNode:
    """A cell with a stored output."""
    outputs = [new_output("stream", name="stdout", text=stored)]
    return new_code_cell(source, execution_count=1, outputs=outputs, metadata={"tags": list(tags)})


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Two runs of a notebook, in which one cell is the reference's, one never, one is not compared, and one raises."""
    root = tmp_path_factory.mktemp("course")
    chapter = Chapter(root, "01_tiny")
    notebook = new_notebook(
        cells=[
            printing(THREADS, "2 2\n"),
            printing("print(os.getpid())", "no process\n"),
            printing("print(os.getpid())", "no process\n", "nbval-ignore-output"),
            printing("print(sum([20, 22]))", "42\n"),
            printing("raise ValueError('too slow')", "", "nbval-ignore-output"),
        ],
        metadata={"recsys_course": {"role": "solution", "chapter": chapter.stem}},
    )
    chapter.solution.parent.mkdir()
    nbformat.write(notebook, chapter.solution)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "WORK", root / "work")
        records = running.Records("course", command.SETTINGS, (), ())
        runs = [command.Run(chapter, threads, 1) for threads in (2, 1)]
        assert command.run_notebooks(records, runs[:1]) == 0
        assert command.run_notebooks(records, runs) == 0  # goes on with the second
    return records.content


def test_an_output_that_is_not_the_same_is_named_with_its_difference(measured):
    first, second = measured["records"].values()
    assert (first["cells"], first["compared"]) == (5, 3)
    assert [(one["cell"], one["other"]) for one in first["differences"]] == [(1, "the reference"), (4, "the reference")]
    different, raised = (one["difference"] for one in first["differences"])
    assert "no process" in different and "ValueError: too slow" in raised and "\x1b" not in raised
    # The second has one thread, which its first cell shows, and another process.
    found = [(one["cell"], one["other"]) for one in second["differences"]]
    both = [(cell, other) for cell in (0, 1) for other in ("the reference", "the first run")]
    assert found == [*both, (4, "the reference")]


def test_time_and_memory_are_the_kernels(measured):
    for found in measured["records"].values():
        assert 0 < found["wall_seconds"] < 60 and 0 < found["cpu_seconds"] < 60 and 20 < found["memory_mb"] < 2000


def test_the_page_shows_what_differs_and_the_verdict_counts_it(measured):
    assert "| 1 tiny | 2 | 5 | 3 | 3 | 2 |" in page.outputs(measured)
    assert [one.partition(" (run")[0] for one in page.differences(measured)] == [
        "chapter 1 tiny, code cell 2, against the reference",
        "chapter 1 tiny, code cell 5, against the reference",
        "chapter 1 tiny, code cell 1, against the reference",
        "chapter 1 tiny, code cell 1, against the first run",
        "chapter 1 tiny, code cell 2, against the first run",
    ]
    assert page.verdicts(measured)[0].startswith("MISSED") and page.verdicts(measured)[0].endswith("; 3 differ")


def content(seconds: float = 60.0, course: float = 400.0, status: int = 0, differences: tuple = ()) -> dict:
    """Made-up results of chapters 6 and 7."""
    run = {"cpu_seconds": 80.0, "memory_mb": 1500.0, "cells": 30, "compared": 20, "differences": list(differences)}
    records = {
        f"{chapter} / {threads} threads / {number}": run
        | {"chapter": chapter, "threads": threads, "run": number, "wall_seconds": seconds + number + 50 * (2 - threads)}
        for chapter in ("06_ranking", "07_history")
        for threads in (2, 1)
        for number in (1, 2, 3)
    }
    usage = {"status": 0, "wall_seconds": 100.0, "cpu_seconds": 150.0, "memory_mb": 900.0}
    records[page.INSTALL] = usage | {"venv_mb": 3072.0}
    left = {"folder_mb": 4096.0, "home_mb": 50.0}
    chapters = {"06_ranking": 41.0, "07_history": 60.0}
    records[page.COURSE] = usage | left | {"status": status, "wall_seconds": course, "chapters": chapters}
    records[page.TEST] = usage | left | {"wall_seconds": 840.0}
    return CIRCUMSTANCES | {
        "settings": command.SETTINGS,
        "records": records,
    }


def said(**how) -> list[str]:
    return [line[:6].strip() for line in page.verdicts(content(**how))]


def test_targets_are_met_or_missed():
    assert said() == ["met"] * 4
    assert said(seconds=88.0) == ["met", "MISSED", "met", "met"], "88 and 2 are 90, the third run is late"
    assert said(course=421.0) == ["met", "met", "MISSED", "met"], "chapter 7's minute is not counted"
    assert said(status=2) == ["met", "met", "MISSED", "met"]
    assert said(differences=({"cell": 0, "other": "the first run", "difference": "1 != 2"},))[0] == "MISSED"
    late, course = page.verdicts(content(seconds=88.0, course=421.0))[1:3]
    assert late.endswith("6 ranking 91.0 s, 7 history 91.0 s, by 1.0 s")
    assert course.endswith("6.0 min, without chapter 7's 60 s, by 1 s")


def test_the_page_is_made_from_the_results_alone(tmp_path):
    page.write(content(), tmp_path)
    text = (tmp_path / "course.md").read_text(encoding="utf-8")
    assert "| 6 ranking | 2 | 62.0 (61.0–63.0) | 80.0 (80.0–80.0) | 1,500 (1,500–1,500) |" in text
    assert "| 7 history | 1 | 112.0 (111.0–113.0) |" in text
    assert "| `make course` | 0 | 400 | 150 | 900 |" in text
    assert "takes 3.0 GiB" in text and "takes 8.3 minutes altogether" in text and "41 s (6), 60 s (7)" in text
    assert "What differed" not in text


def test_what_was_not_run_is_not_measured():
    found = content()
    for name in page.COMMANDS:
        del found["records"][name]
    assert [line[:12] for line in page.verdicts(found)[2:]] == ["not measured"] * 2


# --- the commands

MAKEFILE = """\
environment:
\t@mkdir -p .venv home-was && touch .venv/made && env > .venv/env
course:
\t@test -e .venv/made && test ! -e home-was && mkdir -p .course/notebooks
\t@echo '{"metadata": {"recsys_course": {"seconds": 7.5}}}' > .course/notebooks/01_tiny.ipynb
test:
\t@test ! -e .course && echo not so well; exit 3
"""


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """The commands of a repository whose tests fail."""
    from benchmarks.course import commands

    root = tmp_path / "root"
    root.mkdir()
    (root / "Makefile").write_text(MAKEFILE)
    (root / ".gitignore").write_text("/.venv/\n/.course/\n")
    git = ["git", "-C", str(root), "-c", "user.name=A", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "All"]):
        subprocess.run([*git, *arguments], check=True)
    monkeypatch.setattr(commands, "ROOT", root)
    monkeypatch.setattr(running, "WORK", tmp_path / "work")
    return commands


def test_commands_run_cleanly_and_one_that_failed_runs_again(commands, capsys):
    records = running.Records("course", command.SETTINGS, (), ())
    commands.measure(records, 2)
    assert [records[name]["status"] for name in page.COMMANDS] == [0, 0, 2]
    assert records[page.COURSE]["chapters"] == {"01_tiny": 7.5}
    assert records[page.INSTALL]["venv_mb"] > 0 and records[page.TEST]["wall_seconds"] > 0
    assert "not so well" in (records.folder / "make test.log").read_text()
    capsys.readouterr()
    commands.measure(records, 2)
    assert "make course: measured before" in (again := capsys.readouterr().out) and "make test: meas" not in again


def test_a_command_that_takes_too_long_is_ended_with_what_it_has_started(commands, tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "LONGEST", 2)
    (tmp_path / "started").write_text("sleep 60 & echo $! > pid; wait")
    with pytest.raises(running.Failed, match="sh started took more than"):
        commands.run("sh started", tmp_path, dict(os.environ), tmp_path / "log")
    pid = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_command_finds_an_empty_home_with_pips_settings_and_no_other_python(commands, tmp_path, monkeypatch):
    user, home = tmp_path / "user", tmp_path / "home"
    (user / ".config" / "pip").mkdir(parents=True)
    (user / ".config" / "pip" / "pip.conf").write_text("[global]\n")
    home.mkdir()
    monkeypatch.setattr(Path, "home", lambda: user)
    path = os.pathsep.join([str(Path(sys.prefix) / "bin"), "/usr/bin"])
    own = {"PATH": path, "HOME": str(user), "PYTHONPATH": "x", "TFDS_DATA_DIR": "x", "COURSE_DATASET": "1m"}
    found = commands.clean_environment(own | {"VIRTUAL_ENV": "x", "PIP_RETRIES": "1", "MAKEFLAGS": "k"}, home)
    assert found == {"PATH": "/usr/bin", "HOME": str(home), "PIP_RETRIES": "1"}
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["pip.conf"]


def test_a_run_at_the_same_commit_goes_on_from_finished_results(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "WORK", tmp_path / "work")
    for commit, expected in (("abc", True), ("abc+", False)):
        monkeypatch.setattr(running, "circumstances", lambda *_, at=commit: dict(machine={}, versions={}, commit=at))
        first = running.Records("course", {}, (), ())
        first["a"] = {"status": 0}
        first.finish(tmp_path)
        assert ("a" in running.Records("course", {}, (), (), finished=tmp_path / "course.json")) is expected
        assert "a" not in running.Records("course", {}, (), ())
