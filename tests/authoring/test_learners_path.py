"""The commands a learner walks along: where am I, a fresh chapter, the answer; nothing is lost on the way."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from typer.testing import CliRunner

from recsys_course.authoring import cli
from recsys_course.authoring.build import build_chapter
from recsys_course.authoring.exercises import read_progress, record_progress
from recsys_course.authoring.start import badge, standings


@pytest.fixture
def course(project, monkeypatch):
    """Run the command in the course's folder; returns (exit status, output)."""
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(cli.out, "_width", 200)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli.app, list(arguments))
        return result.exit_code, result.output

    return run


@pytest.mark.parametrize("command", [(), ("start",)])
def test_start_counts_and_names_what_comes_next(course, project, command):
    record_progress(project.root, {"1.1": {"outcome": "solved"}, "2.1": {"outcome": "raised"}})
    status, output = course(*command)
    assert status == 0
    assert output.startswith("▰▰▰▰▰▱▱▱▱▱ 1 of 2 solved\n")
    rows = [" ".join(line.split()) for line in output.splitlines()]
    assert "1 · Counting 1 0 0" in rows and "2 · Bugs 0 1 0" in rows
    assert "Next 2.1 Find it · find the bug, about 5 minutes" in rows
    assert "chapters/02_bugs.ipynb" in output and "Grade course check 2.1" in rows


def test_start_with_everything_solved_and_a_course_never_graded(course, project):
    assert badge(standings(project)) == "▱▱▱▱▱▱▱▱▱▱ 0 of 2 solved"
    record_progress(project.root, {"1.1": {"outcome": "solved"}, "2.1": {"outcome": "solved"}})
    assert "▰▰▰▰▰▰▰▰▰▰ 2 of 2 solved" in course()[1]
    assert "Everything is solved." in course()[1]


def test_check_without_a_number_grades_what_was_begun(course, project, watcher, monkeypatch):
    assert course("check") == (
        1,
        "not begun, so not graded: chapter 1, chapter 2\nthere is nothing to grade yet; `course` says where to begin\n",
    )
    for chapter in project.chapters:
        build_chapter(project, chapter, watcher)
    answer(project.chapter(2).notebook, "total / 2", "total / len(numbers)")
    called = []
    monkeypatch.setattr(
        subprocess, "run", lambda command, cwd: called.append(command) or subprocess.CompletedProcess(command, 0)
    )
    assert course("check") == (1, "not begun, so not graded: chapter 1\n")
    answer(project.chapter(1).notebook, "You will count.", "I count.")
    assert course("check") == (0, "")
    assert [command[5:] for command in called] == [
        [str(project.chapter(2).notebook)],
        [str(chapter.notebook) for chapter in project.chapters],
    ]


def test_reset_brings_a_fresh_chapter_without_git_and_keeps_the_old_one(course, project, watcher):
    chapter = project.chapter(2)
    build_chapter(project, chapter, watcher)
    fresh = {path: path.read_bytes() for path in (chapter.script, chapter.notebook)}
    record_progress(project.root, {"1.1": {"outcome": "solved"}, "2.1": {"outcome": "wrong"}})

    for words in ("mine = 1", "mine = 2"):  # the second within the same second
        answer(chapter.script, "total = 0", words)
        answer(chapter.notebook, "total = 0", words)
        edited = {path: path.read_bytes() for path in fresh}
        status, output = course("reset", "2")
        assert status == 0 and "fresh    chapters/02_bugs.ipynb" in output
        assert {path: path.read_bytes() for path in fresh} == fresh
        copies = [project.root / line.split()[1] for line in output.splitlines() if line.startswith("kept ")]
        assert [copy.read_bytes() for copy in copies] == list(edited.values())
    assert len(list(project.kept.iterdir())) == 4
    assert read_progress(project.root) == {"1.1": {"outcome": "solved"}}
    assert "nothing to reset" in course("reset", "2")[1]

    shutil.rmtree(project.root / "chapters")  # lost altogether: comes back
    assert course("reset", "2")[0] == 0
    assert {path: path.read_bytes() for path in fresh} == fresh


def test_the_answer_is_shown_only_when_it_is_meant(course, project, monkeypatch):
    status, output = course("solution", "2.1", "--yes")
    assert status == 0
    assert "return sum(numbers) / len(numbers)" in output
    for hidden in ("SOLUTION", "STUB", "total"):
        assert hidden not in output
    assert "solutions/02_bugs.ipynb" in output
    assert course("solution", "2.1")[0] == 2  # no terminal

    monkeypatch.setattr("typer.testing._NamedTextIOWrapper.isatty", lambda self: True, raising=False)
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda self: True, raising=False)
    for said, status in (("n\n", 1), ("y\n", 0)):
        result = CliRunner().invoke(cli.app, ["solution", "2.1"], input=said)
        assert (result.exit_code, "len(numbers)" in result.output) == (status, not status)


def answer(path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    shown = json.dumps(before)[1:-1] if path.suffix == ".ipynb" else before
    assert shown in text
    path.write_text(text.replace(shown, after), encoding="utf-8")
