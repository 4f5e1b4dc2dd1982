"""Every chapter runs on latest-small too: other ids, half stars, nothing about the people, another size."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import latest_small

from recsys_course.authoring.notebooks import read_script
from recsys_course.authoring.project import Chapter, find_project
from recsys_course.authoring.run import execute

PROJECT = find_project(Path(__file__).parent)


class Silent:
    """Watches a run and says nothing."""

    def cell(self, chapter: Chapter, number: int, total: int, about: str) -> None: ...


@pytest.mark.parametrize("chapter", PROJECT.chapters, ids=lambda chapter: chapter.stem)
def test_the_solution_runs_on_latest_small(chapter, tmp_path):
    latest_small.prepare(tmp_path)
    solution = read_script(chapter.source.read_text(encoding="utf-8"))
    where = {"TFDS_DATA_DIR": str(tmp_path), "COURSE_DATASET": "latest-small", "MPLBACKEND": "agg"}
    executed = execute(chapter, solution, Silent(), where, folder=tmp_path)
    assert all(cell.execution_count for cell in executed.cells if cell.cell_type == "code" and cell.source)
