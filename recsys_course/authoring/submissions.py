"""A folder of submitted notebooks, graded in parallel: each in processes of its own, within limits.

The judge is ``pytest --nbval`` on a copy of the notebook in a temporary folder. Whatever a notebook does to its
kernel, its memory, its time or the files around it costs its own rows. That is no sandbox: the code runs with the
rights of whoever calls this.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from recsys_course.authoring.project import Project, UsageError
from recsys_course.authoring.run import temporary_files
from recsys_course.grading import exercise_ids

# All that the judge loads: other plugins of the environment could only change a verdict, and take a second to load.
PLUGINS = (
    "nbval.plugin",
    "recsys_course.authoring.pytest_plugin",
    "recsys_course.authoring.results_plugin",
    "no:cacheprovider",
)
CELL_SECONDS = 120  # for one cell, where the whole notebook has more
LOOK_EVERY = 0.1  # seconds between two looks at memory and time


@dataclass(frozen=True)
class Submission:
    """A notebook that somebody has handed in."""

    path: Path
    student: str
    chapter: str  # "03_retrieval"; "" where neither name nor metadata says


@dataclass(frozen=True)
class Row:
    """How one exercise of a submission did.

    ``outcome`` is the grader's ("solved", "wrong", "not attempted", "raised", "check cell missing", "check cell
    edited") or "not graded", where the notebook could not be graded to its end; ``seconds`` are those that its cells
    took, with those above that had not run yet.
    """

    student: str
    notebook: str
    exercise: str
    outcome: str
    message: str
    seconds: float


@dataclass(frozen=True)
class Limits:
    """What one notebook may use: seconds of wall-clock time, and megabytes of memory in all its processes."""

    seconds: float
    memory: float


def find_submissions(project: Project, folder: Path) -> list[Submission]:
    """The notebooks below a folder.

    A notebook belongs to the chapter whose name stands in its file's name, else the one its metadata names. Its student
    is what stands before that in the file's name, below the sub-folder it lies in: ``anna/03_retrieval.ipynb`` and
    ``anna_03_retrieval.ipynb`` are both Anna's.

    Raises:
        UsageError: There is no such folder, or no notebook in it.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    found = []
    for path in sorted(folder.rglob("*.ipynb")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):  # Jupyter's own copies
            continue
        stem = next((chapter.stem for chapter in project.chapters if chapter.stem in path.stem), "")
        prefix = path.stem.partition(stem)[0].strip("_- .") if stem else ""
        student = "/".join(part for part in (*inside.parts[:-1], prefix) if part) or path.stem
        found.append(Submission(path, student, stem or _chapter_in_metadata(path)))
    if not found:
        raise UsageError(f"there is no notebook below {folder}: expected files such as anna/03_retrieval.ipynb")
    return found


def grade_submissions(
    project: Project,
    folder: Path,
    submissions: list[Submission],
    limits: Limits,
    jobs: int,
    watcher: Callable[[Submission, list[Row]], object],
) -> list[Row]:
    """Grade submissions, so many at a time.

    Args:
        project: The course, for its chapters.
        folder: What the names of the notebooks start from.
        submissions: As found in the folder.
        limits: For each notebook.
        jobs: How many at a time.
        watcher: Is told of each notebook that is done.

    Returns:
        A row an exercise, sorted by student, notebook and exercise.
    """
    rows: list[Row] = []
    stop = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        grading = {pool.submit(_grade, project, folder, one, limits, stop): one for one in submissions}
        try:
            for future in as_completed(grading):
                rows += future.result()
                watcher(grading[future], future.result())
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return sorted(rows, key=lambda row: (row.student, row.notebook, [int(n) for n in row.exercise.split(".") if n]))


def _grade(project: Project, folder: Path, submission: Submission, limits: Limits, stop: threading.Event) -> list[Row]:
    name = submission.path.relative_to(folder).as_posix()

    def row(exercise: str, outcome: str, message: str, seconds: float = 0.0) -> Row:
        return Row(submission.student, name, exercise, outcome, message, round(seconds, 1))

    try:
        chapter = project.chapter(submission.chapter)
    except UsageError:
        return [row("", "not graded", "no chapter of the course: neither the file's name nor its metadata names one")]
    try:
        graded, reason = _judge(submission.path, chapter.stem, limits, stop)
    except Exception as error:  # whatever a stranger's file does, the others are graded
        graded, reason = {}, f"it cannot be graded: {type(error).__name__}: {error}"
    return [
        row(id, graded[id]["outcome"], graded[id]["message"], graded[id]["seconds"])
        if id in graded
        else row(id, "not graded", reason or "grading said nothing of it")
        for id in exercise_ids(chapter.number)
    ]


def _judge(path: Path, chapter: str, limits: Limits, stop: threading.Event) -> tuple[dict[str, dict[str, Any]], str]:
    """Run pytest on a copy of a notebook; returns what it said of each exercise, and why it was stopped, or ""."""
    text = _as_chapter(path, chapter)
    with (
        temporary_files() as variables,
        tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as temporary,
    ):
        judge, work = Path(temporary) / "judge", Path(temporary) / "work"
        judge.mkdir()
        work.mkdir()
        notebook, results = work / f"{chapter}.ipynb", judge / "results.jsonl"
        notebook.write_text(text, encoding="utf-8")
        (judge / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "--nbval", str(notebook), "-c", str(judge / "pytest.ini")]
        command += [f"--nbval-cell-timeout={min(CELL_SECONDS, limits.seconds):g}", "--course-results", str(results)]
        command += [part for plugin in PLUGINS for part in ("-p", plugin)]
        with (judge / "said.txt").open("wb") as said:
            process = subprocess.Popen(
                command,
                cwd=judge,
                env={**os.environ, **variables, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            reason = _wait(process, limits, stop)
        lines = results.read_text(encoding="utf-8").splitlines() if results.is_file() else []
        whole = [line for line in lines if line.endswith("}")]  # the last may have been cut off
        if not reason and process.returncode not in (0, 1):
            reason = "grading broke off: " + (judge / "said.txt").read_text(encoding="utf-8", errors="replace")[-500:]
    return {result["id"]: result for result in map(json.loads, whole)}, reason


def _wait(process: subprocess.Popen[bytes], limits: Limits, stop: threading.Event) -> str:
    """Wait for a judge, and hold it and its kernel to the limits; returns why it was stopped, or "".

    Where memory runs out, the kernel goes first: its cell is then graded as one that ended its kernel, and the next
    exercises get a new one.
    """
    deadline = time.monotonic() + limits.seconds
    judge = psutil.Process(process.pid)
    seen = {judge}  # all that it has started: once it has ended, nobody can tell whose children they were
    reason = ""
    while not reason:
        try:
            process.wait(LOOK_EVERY)
            break
        except subprocess.TimeoutExpired:
            memory = _memory(judge)
            seen |= memory.keys()
        if stop.is_set():
            reason = "grading was stopped"
        elif time.monotonic() > deadline:
            reason = f"time limit: not finished after {limits.seconds:g} s"
        elif sum(memory.values()) > limits.memory * 2**20:
            largest = max(memory, key=lambda one: memory[one])
            if largest == judge:
                reason = f"memory limit: what the notebook prints takes more than {limits.memory:g} MB"
            else:
                _kill([largest])
    _kill(seen)  # where the judge has ended by itself: what the notebook left running
    process.wait()
    return reason


def _memory(judge: psutil.Process) -> dict[psutil.Process, int]:
    """Bytes in memory of a process and of all that it has started."""
    found = {}
    try:
        processes = [judge, *judge.children(recursive=True)]
    except psutil.NoSuchProcess:
        return {}
    for one in processes:
        try:
            found[one] = one.memory_info().rss
        except psutil.Error:  # it has ended meanwhile
            continue
    return found


def _kill(processes: Iterable[psutil.Process]) -> None:
    for one in processes:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


def _as_chapter(path: Path, chapter: str) -> str:
    """A notebook's text, marked as what it is handed in as, whatever its own metadata claims."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["metadata"]["recsys_course"] = {"role": "chapter", "chapter": chapter}
    return json.dumps(notebook)


def _chapter_in_metadata(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["metadata"]["recsys_course"]["chapter"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
