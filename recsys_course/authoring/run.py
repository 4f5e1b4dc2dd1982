"""Execute chapters on this machine, show how far they are, and reuse what is still valid.

A run is a notebook in ``.course/notebooks``. It carries a fingerprint of what it was made from (its code, the
package's code, the dataset, the libraries), and is made anew only when that has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from recsys_course.authoring import notebooks
from recsys_course.authoring.cleaning import clean_outputs
from recsys_course.authoring.files import write_if_changed
from recsys_course.authoring.project import Chapter, CourseError

DEFAULT_DATASET = "100k"  # what the committed outputs are made with
CELL_TIMEOUT = 600  # seconds; a whole chapter is meant to take 90
LIBRARIES = ("tensorflow", "tensorflow-recommenders", "numpy")
PACKAGE = Path(__file__).resolve().parents[1]

# What every kernel gets: no accelerator (results then do not depend on having one), no log of TensorFlow's.
KERNEL_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_USE_LEGACY_KERAS": "1",
    "PYTHONHASHSEED": "0",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


class Watcher(Protocol):
    """Is told how far a run is."""

    def reused(self, chapter: Chapter, seconds: float) -> None:
        """An earlier run of the chapter is still valid; it took so long."""

    def cell(self, chapter: Chapter, number: int, total: int, about: str) -> None:
        """Cell ``number`` of ``total`` starts; ``about`` is the heading above it."""

    def finished(self, chapter: Chapter, total: int, seconds: float) -> None:
        """All cells have run."""


class CellFailed(CourseError):
    """A cell raised, died or took too long."""


def run_chapter(
    chapter: Chapter,
    notebook: NotebookNode,
    watcher: Watcher,
    *,
    dataset: str | None = None,
    force: bool = False,
) -> NotebookNode:
    """Execute a chapter's notebook, or take the outputs of an earlier run of the same thing.

    Args:
        chapter: Where the run is kept.
        notebook: The solution notebook, without outputs.
        watcher: Is told how far the run is.
        dataset: MovieLens by name; what ``COURSE_DATASET`` says by default, else 100k.
        force: Execute even where an earlier run is valid.

    Returns:
        The executed notebook, cleaned, as written to ``chapter.run``.

    Raises:
        CellFailed: A cell failed. Nothing is written then, and an earlier run stays as it was.
    """
    dataset = dataset or os.environ.get("COURSE_DATASET") or DEFAULT_DATASET
    fingerprint = run_fingerprint(notebook, dataset)
    earlier = read_notebook(chapter.run)
    if earlier is not None and not force and _ours(earlier).get("fingerprint") == fingerprint:
        executed = with_outputs_of(notebook, earlier)
        seconds = _ours(earlier)["seconds"]
        watcher.reused(chapter, seconds)
    else:
        started = time.monotonic()
        executed = execute(chapter, notebook, watcher, {"COURSE_DATASET": dataset})
        seconds = round(time.monotonic() - started, 1)
        executed = clean_outputs(executed, chapter.root)
        watcher.finished(chapter, len(executed.cells), seconds)
    executed.metadata["recsys_course"] = {
        "role": "run",
        "chapter": chapter.stem,
        "dataset": dataset,
        "fingerprint": fingerprint,
        "seconds": seconds,
    }
    write_if_changed(chapter.run, notebooks.notebook_text(executed))
    return executed


def execute(
    chapter: Chapter,
    notebook: NotebookNode,
    watcher: Watcher,
    environment: Mapping[str, str],
    *,
    folder: Path | None = None,
    kernel: str = "python3",
) -> NotebookNode:
    """Run all cells in a fresh kernel.

    Args:
        chapter: Named in what is shown and in errors.
        notebook: What to run; stays as it is.
        watcher: Is told how far the run is.
        environment: Variables for the kernel, besides this process' own.
        folder: Where the kernel runs; the folder of the solutions by default.
        kernel: A kernel's name.

    Returns:
        A copy with outputs.

    Raises:
        CellFailed: Names the first cell that failed.
    """
    notebook = nbformat.from_dict(notebook)
    client = NotebookClient(
        notebook,
        kernel_name=kernel,
        timeout=CELL_TIMEOUT,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder or chapter.source.parent)}},
    )
    sections = notebooks.section_of_cells(notebook)
    # The kernel program's own log says nothing of use; what cells write to stderr arrives as their output.
    with (
        temporary_files() as variables,
        client.setup_kernel(
            env={**os.environ, **KERNEL_ENVIRONMENT, **variables, **environment}, stderr=subprocess.DEVNULL
        ),
    ):
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            watcher.cell(chapter, index + 1, len(notebook.cells), sections[index])
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as error:
                reason = f"{error.ename}: {_plain(error.evalue)}"
            except CellTimeoutError:
                reason = f"it ran for more than {CELL_TIMEOUT} seconds and was stopped"
            except DeadKernelError:
                reason = "its Python process died; most often that means that the memory was used up"
            else:
                continue
            raise CellFailed(
                f"{chapter.stem}, cell {index + 1} of {len(notebook.cells)}, under {sections[index]!r}: {reason}\n\n"
                f"{_indented(cell.source)}{_warnings(cell)}"
            )
    return notebook


@contextlib.contextmanager
def temporary_files() -> Iterator[dict[str, str]]:
    """A folder for a kernel's temporary files, as the variables that name it; it goes with everything in it at the end.

    TensorFlow writes each function that it converts to a file, and a kernel that is stopped leaves them behind.
    """
    with tempfile.TemporaryDirectory(prefix="course-", ignore_cleanup_errors=True) as folder:
        yield dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)


def run_fingerprint(notebook: NotebookNode, dataset: str) -> str:
    """Hash of what determines a run's outputs."""
    parts = [notebooks.code_fingerprint(notebook), dataset, *_content_of_own(dataset)]
    parts += [f"{library} {_version(library)}" for library in LIBRARIES]
    for path in sorted(PACKAGE.rglob("*")):
        inside = path.relative_to(PACKAGE)
        if path.suffix in {".py", ".svg"} and inside.parts[0] != "authoring":
            parts.append(f"{inside.as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _content_of_own(dataset: str) -> list[str]:
    """Hashes of the tables of a dataset of the reader's own, which may be imported anew under its name.

    MovieLens is what its name says.
    """
    if dataset == DEFAULT_DATASET:
        return []
    from recsys_course.data.integrity import fingerprint
    from recsys_course.data.names import TABLES, data_dir, imported_names, prepared_folder

    root = data_dir()
    if dataset not in imported_names(root):
        return []
    return [fingerprint(prepared_folder(root, dataset, table)) for table in TABLES]


def with_outputs_of(notebook: NotebookNode, executed: NotebookNode) -> NotebookNode:
    """A copy of a notebook with the outputs of a run of the same code cells; prose may differ."""
    notebook = nbformat.from_dict(notebook)
    sources = (cell for cell in executed.cells if cell.cell_type == "code")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            ran = next(sources)
            cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
    return notebook


def read_notebook(path: Path) -> NotebookNode | None:
    """A notebook from a file, or None where there is none or it cannot be read (it is derived; it is made again)."""
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError):
        return None


def _ours(notebook: NotebookNode) -> dict[str, Any]:
    return notebook.metadata.get("recsys_course", {})


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _plain(text: str, limit: int = 2000) -> str:
    """An error's message without terminal colours, at a length that fits a screen."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).strip()
    return text if len(text) <= limit else text[:limit] + " ..."


def _warnings(cell: NotebookNode) -> str:
    """What the cell wrote to stderr before it failed: often the cause of what it failed with."""
    texts = [output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stderr"]
    return "\n\nbefore, on stderr:\n" + _plain("".join(texts)) if texts else ""


def _indented(source: str, most: int = 15) -> str:
    lines = source.splitlines()
    shown = [f"    {line}" for line in lines[:most]]
    return "\n".join(shown + ["    ..."] * (len(lines) > most))
