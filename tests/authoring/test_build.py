"""From a source to everything derived: real kernels, tiny chapters."""

from __future__ import annotations

import nbformat
import pytest

from recsys_course.authoring import build
from recsys_course.authoring.build import build_chapter, orphans, stale
from recsys_course.authoring.project import CourseError, Project
from recsys_course.authoring.run import CellFailed


def contents(project: Project) -> dict[str, bytes]:
    """Every file of the course but the commands' own state."""
    files = (path for path in project.root.rglob("*") if path.is_file() and ".course" not in path.parts)
    return {path.relative_to(project.root).as_posix(): path.read_bytes() for path in files}


def edit(path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def test_a_build_derives_all_files_and_a_second_one_changes_no_byte(project, watcher):
    chapter = project.chapter(1)
    written = build_chapter(project, chapter, watcher)
    assert {path.name for path in written} == {"01_counting.py", "01_counting.ipynb"}
    assert len(written) == 4
    solution = nbformat.read(chapter.solution, as_version=4)
    learner = nbformat.read(chapter.notebook, as_version=4)
    nbformat.validate(solution)
    nbformat.validate(learner)

    assert [cell.id for cell in learner.cells] == [cell.id for cell in solution.cells]
    differing = [a.metadata.tags for a, b in zip(solution.cells, learner.cells, strict=True) if a.source != b.source]
    assert differing == [["exercise"]]
    assert 'raise NotImplementedError("Exercise 1.1: your turn")' in chapter.script.read_text(encoding="utf-8")
    assert not any(cell.get("outputs") for cell in learner.cells)
    assert solution.cells[4].outputs[0].text == "6\n"
    assert solution.metadata.recsys_course.role == "solution"
    assert learner.metadata.recsys_course.role == "chapter"
    assert stale(project, chapter) == []

    before, told = contents(project), len(watcher.told)
    assert build_chapter(project, chapter, watcher) == []
    assert contents(project) == before
    assert len(watcher.told) == told  # nothing was executed, nor looked up

    # The outputs hold nothing of the machine: no stderr, no folder, no address in memory.
    text = chapter.solution.read_text(encoding="utf-8")
    assert "<object object> ./solutions/x" in text
    assert '"name": "stderr"' not in text
    assert str(project.root) not in text

    # Prose is carried over without an execution, code is not; ids stay.
    edit(chapter.source, "*Predict* the output.", "Predict the output, then run the cell.")
    assert stale(project, chapter) != []
    build_chapter(project, chapter, watcher)
    assert len(watcher.told) == told
    assert "then run the cell" in chapter.notebook.read_text(encoding="utf-8")
    edit(chapter.source, "sum([1, 2, 3])", "sum([1, 2, 3, 4])")
    reasons = stale(project, chapter)
    assert any("outputs were made by other code" in reason for reason in reasons)
    build_chapter(project, chapter, watcher)
    assert len(watcher.told) > told
    again = nbformat.read(chapter.solution, as_version=4)
    assert again.cells[4].outputs[0].text == "10\n"
    assert [cell.id for cell in again.cells] == [cell.id for cell in solution.cells]
    assert stale(project, chapter) == []


def test_a_failing_cell_is_named_and_leaves_everything_as_it_was(project, watcher):
    chapter = project.chapter(1)
    build_chapter(project, chapter, watcher)
    edit(chapter.source, "print(total)", "raise KeyError('no such film')")
    before = contents(project)
    with pytest.raises(CellFailed) as error:
        build_chapter(project, chapter, watcher)
    message = str(error.value)
    assert "01_counting, cell 5 of 10, under 'How many': KeyError: 'no such film'" in message
    assert "raise KeyError('no such film')" in message
    assert "Traceback" not in message
    assert contents(project) == before
    assert list(project.root.rglob(".*.ipynb.*")) == []  # no half-written file


def test_an_interrupt_stops_the_kernel_and_leaves_everything_as_it_was(project, watcher):
    chapter = project.chapter(1)

    class Impatient(type(watcher)):
        def cell(self, chapter, number, total, about):
            if number > 3:
                raise KeyboardInterrupt

    edit(chapter.source, "print(total)", "import time; time.sleep(60)")
    with pytest.raises(KeyboardInterrupt):
        build_chapter(project, chapter, Impatient())
    assert not chapter.solution.exists() and not chapter.run.exists() and not chapter.notebook.exists()


def test_a_bug_hunt_hands_out_the_buggy_code(project, watcher):
    derived = build.derive(project, project.chapter(2))
    assert "return total / 2" in derived.script
    assert "# return total / 2" not in derived.script
    assert "len(numbers)" not in derived.script
    assert "STUB" not in derived.script


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("    # END SOLUTION\n", "", "without '# END SOLUTION'"),
        ('tags=["setup"] cellView="form"', "", "the first code cell, and no other, is tagged"),
    ],
)
def test_a_source_that_breaks_the_format_is_named(project, watcher, before, after, complaint):
    chapter = project.chapter(1)
    edit(chapter.source, before, after)
    with pytest.raises(CourseError) as error:
        build_chapter(project, chapter, watcher)
    assert str(error.value).startswith("solutions/01_counting.py: ")
    assert complaint in str(error.value)


def test_every_kind_of_stale_file_is_listed_with_its_reason(project, watcher):
    chapter = project.chapter(2)
    build_chapter(project, chapter, watcher)
    assert stale(project, chapter) == []
    edit(chapter.script, "total / 2", "total / 3")
    edit(chapter.notebook, "total / 2", "total / 3")
    edit(chapter.solution, "Find it", "Find the bug")
    edit(chapter.source, "# @title Set-up", "# @title Setup")
    assert [line.split(":")[0] for line in stale(project, chapter)] == [
        "solutions/02_bugs.py",
        "solutions/02_bugs.ipynb",
        "chapters/02_bugs.py",
        "chapters/02_bugs.ipynb",
    ]
    chapter.script.unlink()
    assert "chapters/02_bugs.py: missing" in stale(project, chapter)
    chapter.source.unlink()
    assert orphans(project)[0] == "solutions/02_bugs.ipynb: no source solutions/02_bugs.py"


def test_a_learners_edits_are_copied_aside_before_a_build_writes_over_them(project, watcher):
    chapter = project.chapter(2)
    build_chapter(project, chapter, watcher)
    backups = project.kept
    assert not backups.exists()
    edit(chapter.notebook, "total / 2", "total / len(numbers)")
    build_chapter(project, chapter, watcher)
    (copy,) = backups.iterdir()
    assert "total / len(numbers)" in copy.read_text(encoding="utf-8")
    assert "total / len(numbers)" not in chapter.notebook.read_text(encoding="utf-8")
    edit(chapter.source, "Find it", "Find the bug")  # an author's change alone leaves nothing behind
    build_chapter(project, chapter, watcher)
    assert len(list(backups.iterdir())) == 1


def test_a_new_address_in_pyproject_reaches_every_file_without_an_execution(project, watcher):
    from recsys_course.authoring.project import find_project

    chapter = project.chapter(2)
    build_chapter(project, chapter, watcher)
    told = len(watcher.told)
    edit(project.root / "pyproject.toml", "someone/their-course", "other/place")
    moved = find_project(project.root)
    assert any("solutions/02_bugs.py" in line for line in stale(moved, chapter))
    build_chapter(moved, chapter, watcher)
    assert len(watcher.told) == told
    for path in (chapter.source, chapter.solution, chapter.script, chapter.notebook):
        text = path.read_text(encoding="utf-8")
        assert "github.com/other/place/archive" in text and "someone/their-course" not in text
