"""Pytest plugin: ``pytest --nbval`` on a notebook of the course.

``pytest --nbval chapters/03_retrieval.ipynb`` grades a chapter: one line an exercise, then what is wrong with a hint,
and a table. ``pytest --nbval solutions/`` compares every stored output. Other notebooks are left to nbval.
Without ``--nbval`` nothing here does anything, and nothing heavy is imported.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from recsys_course.grading.messages import field

NBVAL_CELL_TIMEOUT = 2000  # nbval's own default, in seconds: half an hour for a loop that never ends
CELL_TIMEOUT = 120
_Collectors = list[pytest.Collector]
CATEGORY = {"check cell missing": "no check cell", "check cell edited": "no check cell"}


def pytest_configure(config: pytest.Config) -> None:
    if not _runs_notebooks(config):
        return
    if config.getoption("dist", "no") == "load":  # what -n chooses; a notebook's cells must stay together
        config.option.dist = "loadfile"
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Gradebook(config), "recsys_course_gradebook")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Generator[None, _Collectors, _Collectors]:
    collectors = yield
    if not (_runs_notebooks(parent.config) and file_path.suffix == ".ipynb") or (role := _role(file_path)) is None:
        return collectors
    from nbval.plugin import IPyNbFile

    from recsys_course.authoring.notebook_items import ChapterFile, SolutionFile

    if parent.config.option.nbval_cell_timeout == NBVAL_CELL_TIMEOUT:
        parent.config.option.nbval_cell_timeout = CELL_TIMEOUT
    ours = (ChapterFile if role == "chapter" else SolutionFile).from_parent(parent, path=file_path)
    return [ours if isinstance(collector, IPyNbFile) else collector for collector in collectors]


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    if report.when != "call" or (graded := _graded(report)) is None:
        return None
    outcome = graded["outcome"]
    category = CATEGORY.get(outcome, outcome)
    return category, "\n" + _line(graded), (outcome.upper(), _colour(outcome))


class Gradebook:
    """Gathers what was graded (here, or by the workers of ``-n``), prints the table and records the progress."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.graded: list[dict[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and (graded := _graded(report)) is not None:
            self.graded.append(graded)

    def pytest_sessionfinish(self) -> None:
        self.graded.sort(key=lambda graded: (graded["notebook"], [int(part) for part in graded["id"].split(".")]))
        for notebook, exercises in groupby(self.graded, key=lambda graded: graded["notebook"]):
            _record(Path(notebook), list(exercises))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for notebook, group in groupby(self.graded, key=lambda graded: graded["notebook"]):
            terminalreporter.section(Path(notebook).name)
            _print_report(list(group), terminalreporter.line)


def _print_report(exercises: list[dict[str, str]], print_line: Callable[..., None]) -> None:
    """What is wrong and a hint, exercise by exercise; then the table."""
    unsolved = [graded for graded in exercises if graded["outcome"] != "solved"]
    for graded in unsolved:
        head, *lines = graded["message"].splitlines()
        if graded["outcome"] == "not attempted":  # the rest of its message is for the notebook
            head, lines = f"{head} · {graded['title']}", []
        elif lines:
            lines[0] = textwrap.fill(lines[0], 100, subsequent_indent=" " * (12 if lines[0][2:8] == "raised" else 2))
        print_line("")
        print_line(head, **_colour(graded["outcome"]))
        for line in lines + _hint_lines(graded):
            print_line(line)
    if trouble := exercises[-1]["trouble"]:
        print_line("")
        print_line(f"A cell outside the exercises failed, {trouble}", yellow=True)
    print_line("")
    for graded in exercises:
        print_line(_line(graded), **_colour(graded["outcome"]))
    print_line("")
    more = [graded["id"] for graded in unsolved if graded["hint"]][:1]
    print_line(
        f"{len(exercises) - len(unsolved)} of {len(exercises)} solved"
        + "".join(f"; another hint: course hint {id}" for id in more)
    )


def _runs_notebooks(config: pytest.Config) -> bool:
    return bool(config.getoption("nbval", False) or config.getoption("nbval_lax", False))


def _role(path: Path) -> str | None:
    """Return "chapter" or "solution" as ``course build`` has written, or None for a notebook that is not the course's.

    Some editors drop metadata that they do not know: then what looks like a chapter is graded as one.
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        role = notebook["metadata"].get("recsys_course", {}).get("role")
        sources = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # nbval will say what is wrong with it
    if role in ("chapter", "solution"):
        return role
    looks_like_one = re.search(r"^(### Exercise \d+\.\d+ |grading\.check\()", sources, re.MULTILINE)
    return "chapter" if role is None and looks_like_one else None


def _graded(report: pytest.TestReport) -> dict[str, str] | None:
    graded: Any = dict(report.user_properties).get("exercise")
    return graded


def _line(graded: dict[str, str]) -> str:
    mark = graded["message"][0]
    title = textwrap.shorten(graded["title"], 40, placeholder=" ...")
    return f"  {mark} {graded['id']:<5} {title:<40} {graded['outcome']}"


def _colour(outcome: str) -> dict[str, bool]:
    return {{"solved": "green", "not attempted": "yellow"}.get(outcome, "red"): True}


def _hint_lines(graded: dict[str, str]) -> list[str]:
    if graded["outcome"] in CATEGORY or not graded["hint"]:
        return []
    paragraphs = graded["hint"].split("\n\n")
    text = "\n".join(part if "```" in part else textwrap.fill(" ".join(part.split()), 88) for part in paragraphs)
    return field("hint", text).splitlines()


def _record(notebook: Path, exercises: list[dict[str, str]]) -> None:
    """Write down how the exercises did, where the notebook lies in the course's own folder."""
    from recsys_course.authoring.exercises import record_progress
    from recsys_course.authoring.project import CourseError, find_project

    try:
        root = find_project(notebook.parent).root
    except CourseError:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    path = notebook.relative_to(root).as_posix()
    record_progress(root, {g["id"]: {"outcome": g["outcome"], "notebook": path, "graded": now} for g in exercises})
