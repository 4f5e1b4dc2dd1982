"""Chapters as they are handed out: a run from top to bottom finds nothing but exercises that nobody has attempted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_course.authoring.build import derive
from recsys_course.authoring.notebooks import notebook_text
from recsys_course.authoring.project import find_project
from recsys_course.grading import exercise_ids

PROJECT = find_project(Path(__file__).parent)


@pytest.mark.parametrize("chapter", PROJECT.chapters, ids=lambda chapter: chapter.stem)
def test_an_unsolved_chapter_fails_with_every_exercise_not_attempted(chapter, tmp_path):
    (tmp_path / f"{chapter.stem}.ipynb").write_text(notebook_text(derive(PROJECT, chapter).notebook), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", str(tmp_path), "--rootdir", str(tmp_path), "-p", "no:xdist"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | {"COLUMNS": "120", "PYTHONIOENCODING": "utf-8"},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    for id in exercise_ids(chapter.number):
        assert re.search(rf"(?m)^.*\b{re.escape(id)}\b.*not attempted", said), f"{id}:\n{said}"
    assert not re.search(r"\b(wrong|raised)\b *$", said, re.M), said
