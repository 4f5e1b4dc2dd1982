"""Chapters as they are handed out: ``pytest --nbval`` finds nothing but exercises that nobody has attempted.

One chapter is graded whole. The others are graded on the cells that their exercises need, which takes a tenth of the
time: that the verdicts are a whole run's, and that every other cell runs below unanswered exercises, is proved of each
chapter in ``authoring/test_slicing.py``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_course.authoring.build import derive
from recsys_course.authoring.notebooks import notebook_text
from recsys_course.authoring.project import find_project
from recsys_course.grading import exercise_ids

PROJECT = find_project(Path(__file__).parent)
WHOLE = 2  # the quickest
OUTSIDE = "A cell outside the exercises failed"


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A course's folder with the chapters as they are derived now, twice: in ``first`` and in ``second``.

    Of a notebook whose exercises are all selected every cell runs, so each is graded in two parts.
    """
    root = tmp_path_factory.mktemp("course")
    shutil.copyfile(PROJECT.root / "pyproject.toml", root / "pyproject.toml")
    shutil.copytree(PROJECT.root / "solutions", root / "solutions")
    for part in ("first", "second"):
        (root / part).mkdir()
        for chapter in PROJECT.chapters:
            text = notebook_text(derive(PROJECT, chapter).notebook)
            (root / part / f"{chapter.stem}.ipynb").write_text(text, encoding="utf-8")
    return root


def grade(course: Path, *what: str) -> str:
    """What the command prints, exercises that nobody has attempted being no success."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", *what, "--rootdir", str(course), "-p", "no:xdist"],
        cwd=course,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | {"COLUMNS": "120", "PYTHONIOENCODING": "utf-8"},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    return said


def not_attempted(said: str, ids: list[str]) -> None:
    """Every exercise is in the report as such, and none as anything else."""
    for id in ids:
        assert re.search(rf"(?m)^.*\b{re.escape(id)}\b.*not attempted", said), f"{id}:\n{said}"
    assert not re.search(r"\b(solved|wrong|raised)\b *$", said, re.M), said
    assert re.search(rf"(?m)^=+ {len(ids)} not attempted in ", said), said


def test_an_unsolved_chapter_fails_with_every_exercise_not_attempted(course):
    chapter = PROJECT.chapter(WHOLE)
    said = grade(course, f"first/{chapter.stem}.ipynb")
    not_attempted(said, exercise_ids(chapter.number))
    assert OUTSIDE not in said, said


def test_in_every_chapter_no_exercise_counts_as_attempted(course):
    others = [chapter for chapter in PROJECT.chapters if chapter.number != WHOLE]
    ids = [id for chapter in others for id in exercise_ids(chapter.number)]
    selected = [
        f"{'first' if at == 0 else 'second'}/{chapter.stem}.ipynb::{id}"
        for chapter in others
        for at, id in enumerate(exercise_ids(chapter.number))
    ]
    said = grade(course, *selected)
    not_attempted(said, ids)
    assert OUTSIDE not in said, said
