"""The learner's two views of a chapter, script and notebook, kept saying the same."""

from __future__ import annotations

import nbformat

from recsys_course.authoring import notebooks
from recsys_course.authoring.build import back_up
from recsys_course.authoring.files import write_if_changed
from recsys_course.authoring.project import Chapter, CourseError, Project


def sync_notebook(project: Project, chapter: Chapter) -> str | None:
    """Carry a learner's work in the script over to the notebook, which is what gets graded.

    The script counts as the newer view when it was saved later and says something else. The notebook is copied aside
    first; cells that are the same in both keep their outputs.

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
        copy = back_up(project, notebook)
        done += f" (as it was before: {copy.relative_to(project.root).as_posix()})"
    write_if_changed(notebook, notebooks.notebook_text(merged))
    return done
