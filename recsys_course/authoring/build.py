"""Derive everything that is derived: set-up cell, executed solution, the learner's script and notebook.

``derive`` says what the files of a chapter should be and touches none; ``build_chapter`` makes them so, and ``stale``
lists what differs, with the reason.
"""

from __future__ import annotations

import copy
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from recsys_course.authoring import notebooks
from recsys_course.authoring.files import write_if_changed
from recsys_course.authoring.project import Chapter, CourseError, Project
from recsys_course.authoring.run import DEFAULT_DATASET, Watcher, read_notebook, run_chapter, with_outputs_of
from recsys_course.authoring.setup_cell import setup_source


@dataclass(frozen=True)
class Derived:
    """What a chapter's files should be. ``solution`` lacks outputs where the code has changed since its last run."""

    source: str
    solution: NotebookNode
    is_executed: bool
    script: str
    notebook: NotebookNode


def derive(project: Project, chapter: Chapter) -> Derived:
    """Read a chapter's source and say what its files should be.

    Raises:
        CourseError: The source breaks the format; the message says where and how.
    """
    try:
        solution = notebooks.read_script(chapter.source.read_text(encoding="utf-8"))
        _set_up(solution, setup_source(project))
        source = notebooks.script_text(solution)
        # Read again, so that ids and fingerprints come from the file as it will stand.
        solution = notebooks.read_script(source)
        old = read_notebook(chapter.solution)
        solution = notebooks.keep_ids(solution, old)
        stripped = notebooks.strip_notebook(solution)
    except ValueError as error:
        raise CourseError(f"{chapter.source.relative_to(project.root).as_posix()}: {error}") from error
    code = notebooks.code_fingerprint(solution)
    is_executed = old is not None and old.metadata.get("recsys_course", {}).get("executed") == code
    if old is not None and is_executed:
        solution = with_outputs_of(solution, old)
    solution.metadata["recsys_course"] = {"role": "solution", "chapter": chapter.stem, "executed": code}
    stripped.metadata["recsys_course"] = {
        "role": "chapter",
        "chapter": chapter.stem,
        "derived": notebooks.input_fingerprint(stripped),
    }
    return Derived(source, solution, is_executed, notebooks.script_text(stripped), stripped)


def build_chapter(project: Project, chapter: Chapter, watcher: Watcher, *, force: bool = False) -> list[Path]:
    """Make a chapter's files what they should be, executing the solution only where its code has changed.

    Args:
        project: The checkout.
        chapter: The chapter.
        watcher: Is told how far the execution is.
        force: Execute even where nothing has changed.

    Returns:
        The files that were written. A learner's edits to a chapter are copied to ``kept/`` first.

    Raises:
        CourseError: The source breaks the format, or a cell failed; nothing derived is written then.
    """
    derived = derive(project, chapter)
    written = []
    if write_if_changed(chapter.source, derived.source):
        written.append(chapter.source)
    solution = derived.solution
    if force or not derived.is_executed:
        ran = run_chapter(chapter, copy.deepcopy(solution), watcher, dataset=DEFAULT_DATASET, force=force)
        solution = with_outputs_of(solution, ran)
    keep_edits(project, chapter, derived)
    for path, text in (
        (chapter.solution, notebooks.notebook_text(solution)),
        (chapter.script, derived.script),
        (chapter.notebook, notebooks.notebook_text(derived.notebook)),
    ):
        if write_if_changed(path, text):
            written.append(path)
    return written


def stale(project: Project, chapter: Chapter) -> list[str]:
    """The files of a chapter that are not what its source says, each with the reason; empty when all are fresh."""
    derived = derive(project, chapter)
    stripped = "it is not the source with the answers taken out"
    expected = {
        chapter.source: (derived.source, "its set-up cell, header or layout is not as course build writes it"),
        chapter.solution: (
            notebooks.notebook_text(derived.solution),
            "its prose, ids or metadata differ from the source",
        ),
        chapter.script: (derived.script, stripped),
        chapter.notebook: (notebooks.notebook_text(derived.notebook), stripped),
    }
    found = []
    for path, (text, reason) in expected.items():
        name = path.relative_to(project.root).as_posix()
        if not path.is_file():
            found.append(f"{name}: missing")
        elif path == chapter.solution and not derived.is_executed:
            found.append(f"{name}: its outputs were made by other code than the source's")
        elif path.read_bytes() != text.encode("utf-8"):
            found.append(f"{name}: {reason}")
    return found


def orphans(project: Project) -> list[str]:
    """Derived files whose source is gone."""
    stems = {chapter.stem for chapter in project.chapters}
    derived = (path for folder in ("solutions", "chapters") for path in sorted((project.root / folder).glob("*")))
    return [
        f"{path.relative_to(project.root).as_posix()}: no source solutions/{path.stem}.py"
        for path in derived
        if path.suffix in {".py", ".ipynb"} and path.stem not in stems
    ]


def keep_edits(project: Project, chapter: Chapter, derived: Derived) -> list[Path]:
    """Copy a learner's script or notebook aside where it holds edits that writing the chapter would lose.

    A chapter's notebook says what it was derived as. Whatever no longer matches that was edited by someone.
    """
    notebook = read_notebook(chapter.notebook)
    recorded = notebook.get("metadata", {}).get("recsys_course", {}).get("derived") if notebook else None
    fresh = notebooks.input_fingerprint(derived.notebook)
    copies = []
    for path in (chapter.script, chapter.notebook):
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
            current = notebooks.read_script(text) if path.suffix == ".py" else notebook
            edited = current is None or notebooks.input_fingerprint(current) not in {recorded, fresh}
        except ValueError:
            edited = True
        if edited:
            copies.append(back_up(project, path))
    return copies


def back_up(project: Project, path: Path) -> Path:
    """Copy a file to ``kept/`` under a name that says when, and return the copy."""
    stamp = time.strftime("%Y-%m-%d-%H%M%S")
    target = project.kept / f"{path.stem}-{stamp}{path.suffix}"
    number = 2
    while target.exists():
        target, number = target.with_name(f"{path.stem}-{stamp}-{number}{path.suffix}"), number + 1
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)
    return target


def _set_up(solution: NotebookNode, text: str) -> None:
    """Write the template into the cell tagged ``setup``, which must be the first code cell and the only such one."""
    code = [cell for cell in solution.cells if cell.cell_type == "code"]
    tagged = [cell for cell in code if "setup" in cell.metadata.get("tags", [])]
    if len(tagged) != 1 or code[0] is not tagged[0]:
        raise ValueError(
            'the first code cell, and no other, is tagged: # %% tags=["setup"] cellView="form" '
            f"(found {len(tagged)} such cells among {len(code)})"
        )
    tagged[0].source = text
    tagged[0].metadata["cellView"] = "form"
