"""A learner's way back and a learner's way out: a fresh chapter with the old one kept, and the course's answer."""

from __future__ import annotations

from pathlib import Path

from recsys_course.authoring import notebooks
from recsys_course.authoring.build import back_up, derive
from recsys_course.authoring.exercises import forget_progress, read_exercises
from recsys_course.authoring.files import write_if_changed
from recsys_course.authoring.project import Chapter, Project


def reset_chapter(project: Project, chapter: Chapter) -> list[Path]:
    """Put a fresh chapter in the place of the learner's, whose script and notebook are copied to ``kept/`` first.

    The chapter is made from its solution, as ``course build`` makes it: no git is needed. Its exercises count as not
    graded from then on.

    Returns:
        The copies; none where both files were already as they should be.
    """
    derived = derive(project, chapter)
    copies = []
    for path, text in (
        (chapter.script, derived.script),
        (chapter.notebook, notebooks.notebook_text(derived.notebook)),
    ):
        if path.is_file() and path.read_bytes() != text.encode("utf-8"):
            copies.append(back_up(project, path))
        write_if_changed(path, text)
    forget_progress(project.root, {text.id for text in read_exercises(derived.notebook)})
    return copies


def answer_code(chapter: Chapter, exercise: str) -> str:
    """The course's answer to an exercise: its cell, without marks and without what the learner was given instead."""
    solution = notebooks.read_script(chapter.source.read_text(encoding="utf-8"))
    owners = notebooks.exercise_of_cells(solution)
    cells = (
        cell.source
        for cell, owner in zip(solution.cells, owners, strict=True)
        if owner == exercise and "exercise" in cell.metadata.get("tags", [])
    )
    return "\n\n\n".join(map(_without_marks, cells))


def _without_marks(source: str) -> str:
    kept, is_stub = [], False
    for line in source.split("\n"):
        marker = line.strip()
        is_stub = (is_stub or marker == notebooks.STUB) and marker != notebooks.END
        if not is_stub and marker not in (notebooks.BEGIN, notebooks.END):
            kept.append(line)
    return "\n".join(kept).strip("\n")
