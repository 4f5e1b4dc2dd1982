"""What a learner meets between chapter and grade: two views of a chapter, hints, and what the models recommend."""

from __future__ import annotations

import json

import nbformat
from nbformat import NotebookNode

from recsys_course.authoring import notebooks
from recsys_course.authoring.build import back_up
from recsys_course.authoring.exercises import ExerciseText
from recsys_course.authoring.files import write_if_changed
from recsys_course.authoring.project import Chapter, CourseError, Project
from recsys_course.authoring.run import read_notebook


def sync_notebook(project: Project, chapter: Chapter) -> str | None:
    """Carry a learner's work in the script over to the notebook, which is what gets graded.

    The script counts as the newer view when it was saved later and says something else. The notebook is copied aside
    first, unless nobody has edited it since this was done last; cells that are the same in both keep their outputs.

    Returns:
        What was done, in a sentence, or None where there was nothing to do.

    Raises:
        CourseError: Neither view is there, or one cannot be read.
    """
    script, notebook = chapter.script, chapter.notebook
    if not script.is_file():
        if not notebook.is_file():
            raise CourseError(
                f"{notebook.relative_to(project.root)} is missing: bring it back with `git checkout -- chapters`"
            )
        return None
    if notebook.is_file() and script.stat().st_mtime <= notebook.stat().st_mtime:
        return None
    try:
        new = notebooks.read_script(script.read_text(encoding="utf-8"))
        old = nbformat.read(notebook, as_version=4) if notebook.is_file() else None
    except ValueError as error:
        raise CourseError(f"{script.name} and its notebook cannot be compared: {error}") from error
    if old is not None and notebooks.input_fingerprint(new) == notebooks.input_fingerprint(old):
        return None
    merged = notebooks.keep_ids(new, old)
    done = f"took your edits from {script.relative_to(project.root).as_posix()} into the notebook"
    if old is not None:
        before = {cell.id: cell for cell in old.cells if "id" in cell}
        for cell in merged.cells:
            same = before.get(cell.id)
            if cell.cell_type == "code" and same is not None and same.source == cell.source:
                cell.outputs, cell.execution_count = same.get("outputs", []), same.get("execution_count")
        merged.metadata = old.metadata
        if old.metadata.get("recsys_course", {}).get("synced") != notebooks.input_fingerprint(old):
            copy = back_up(project, notebook)
            done += f" (as it was before: {copy.relative_to(project.root).as_posix()})"
    merged.metadata.setdefault("recsys_course", NotebookNode())["synced"] = notebooks.input_fingerprint(merged)
    write_if_changed(notebook, notebooks.notebook_text(merged))
    return done


def has_begun(chapter: Chapter) -> bool:
    """Whether the chapter's notebook differs from what was handed out, outputs aside."""
    notebook = read_notebook(chapter.notebook)
    if notebook is None:
        return chapter.notebook.is_file()  # damaged: let grading say so
    return notebooks.input_fingerprint(notebook) != notebook.metadata.get("recsys_course", {}).get("derived")


def hints_to_show(project: Project, exercise: ExerciseText, *, again: bool = False, every: bool = False) -> list[int]:
    """Which hints a learner gets now, counted from 0, and remember how far they are.

    Args:
        project: The checkout; what was shown is kept in its ``.course/hints.json``.
        exercise: The exercise with its hints.
        again: The last one shown instead of the next.
        every: All of them.
    """
    path = project.state / "hints.json"
    try:
        seen = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        seen = {}
    before = min(seen.get(exercise.id, 0), len(exercise.hints))
    if again:
        return [before - 1] if before else []
    after = len(exercise.hints) if every else min(before + 1, len(exercise.hints))
    write_if_changed(path, json.dumps(seen | {exercise.id: after}, indent=1, sort_keys=True) + "\n")
    return list(range(0 if every else before, after))


def recommendations(project: Project) -> tuple[Chapter, str]:
    """What the last chapter that recommends films printed when it ran on this machine.

    Returns:
        The chapter, and the text of the cell tagged ``recommendations``.

    Raises:
        CourseError: No chapter with such a cell has been run here.
    """
    for chapter in reversed(project.chapters):
        ran = read_notebook(chapter.run)
        for cell in ran.cells if ran is not None else []:
            if "recommendations" in cell.metadata.get("tags", []):
                texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
                if text := "\n".join(part.strip("\n") for part in texts if part):
                    return chapter, text
    raise CourseError("no model has been run here that recommends films: `course run` does it")
