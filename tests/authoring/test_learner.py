"""A learner's script and notebook: which one counts, and that nothing is lost."""

from __future__ import annotations

import os

import nbformat
import pytest

from recsys_course.authoring.build import build_chapter
from recsys_course.authoring.learner import sync_notebook
from recsys_course.authoring.project import CourseError

STUB = 'raise NotImplementedError("Exercise 1.1: your turn")'


@pytest.fixture
def chapter(project, watcher):
    """A chapter that a learner has opened: cell 5 was run, script and notebook are equally old."""
    chapter = project.chapter(1)
    build_chapter(project, chapter, watcher)
    notebook = nbformat.read(chapter.notebook, as_version=4)
    notebook.cells[4].outputs = [nbformat.v4.new_output("stream", text="6\n")]
    notebook.cells[4].execution_count = 3
    nbformat.write(notebook, chapter.notebook)
    age(chapter.notebook, 100)
    age(chapter.script, 100)
    return chapter


def age(path, seconds: float) -> None:
    when = path.parent.parent.joinpath("pyproject.toml").stat().st_mtime + seconds
    os.utime(path, (when, when))


def answer(path, text: str, when: float) -> None:
    before = path.read_text(encoding="utf-8")
    stub = STUB.replace('"', '\\"') if path.suffix == ".ipynb" else STUB
    assert stub in before
    path.write_text(before.replace(stub, text), encoding="utf-8")
    age(path, when)


def test_a_newer_script_reaches_the_notebook_and_the_old_one_is_kept(project, chapter):
    before = chapter.notebook.read_bytes()
    ids = [cell.id for cell in nbformat.read(chapter.notebook, as_version=4).cells]
    answer(chapter.script, "return 2 * number", 200)
    done = sync_notebook(project, chapter)
    assert "took your edits from chapters/01_counting.py" in done
    notebook = nbformat.read(chapter.notebook, as_version=4)
    assert "return 2 * number" in notebook.cells[6].source
    assert [cell.id for cell in notebook.cells] == ids
    assert notebook.cells[4].outputs[0].text == "6\n"
    assert notebook.metadata.recsys_course.role == "chapter"
    (copy,) = project.kept.iterdir()
    assert copy.read_bytes() == before
    assert copy.relative_to(project.root).as_posix() in done
    assert sync_notebook(project, chapter) is None  # nothing left to do


def test_many_edits_of_the_script_keep_one_copy_but_each_edit_of_the_notebook_is_kept(project, chapter):
    answer(chapter.script, "return 2 * number", 200)
    sync_notebook(project, chapter)
    for path, when, copies in ((chapter.script, 300, 1), (chapter.script, 400, 1), (chapter.notebook, 500, 1)):
        path.write_text(
            path.read_text(encoding="utf-8").replace("2 * number", f"2 * number + {when}"), encoding="utf-8"
        )
        age(path, when)
        age(chapter.notebook, when - 1 if path == chapter.script else when)
        sync_notebook(project, chapter)
        assert len(list(project.kept.iterdir())) == copies
    before = chapter.notebook.read_bytes()
    age(chapter.script, 600)
    assert "as it was before" in sync_notebook(project, chapter)
    assert before in [path.read_bytes() for path in project.kept.iterdir()]


def test_a_newer_notebook_is_left_alone(project, chapter):
    answer(chapter.notebook, "return 2 * number", 200)
    before = chapter.notebook.read_bytes()
    assert sync_notebook(project, chapter) is None
    assert chapter.notebook.read_bytes() == before


def test_a_newer_script_that_says_the_same_changes_nothing(project, chapter):
    before = chapter.notebook.read_bytes()
    age(chapter.script, 300)
    assert sync_notebook(project, chapter) is None
    assert chapter.notebook.read_bytes() == before
    assert not project.kept.exists()


def test_a_missing_notebook_is_made_from_the_script_and_a_missing_pair_is_an_error(project, chapter):
    chapter.notebook.unlink()
    assert sync_notebook(project, chapter) == "took your edits from chapters/01_counting.py into the notebook"
    assert chapter.notebook.is_file()
    chapter.notebook.unlink()
    chapter.script.unlink()
    with pytest.raises(CourseError, match="is missing: bring it back with `git checkout"):
        sync_notebook(project, chapter)


def test_a_damaged_notebook_is_an_error_and_stays_as_it_is(project, chapter):
    chapter.notebook.write_text("{", encoding="utf-8")
    age(chapter.notebook, 100)
    age(chapter.script, 200)
    with pytest.raises(CourseError, match="cannot be compared"):
        sync_notebook(project, chapter)
    assert chapter.notebook.read_text(encoding="utf-8") == "{"
