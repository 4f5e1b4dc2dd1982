"""``course watch``: answers are graded as they are saved, and the next exercise is named."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import nbformat

from recsys_course.authoring.exercises import read_exercises
from recsys_course.authoring.notebooks import exercise_of_cells, read_script
from recsys_course.authoring.project import Chapter
from recsys_course.authoring.start import Standing

LOOK_EVERY = 0.5  # seconds


def watch(
    standing: Standing,
    grade: Callable[[list[str]], set[str]],
    say: Callable[[str], object],
    pause: Callable[[], object] = lambda: time.sleep(LOOK_EVERY),
) -> None:
    """Wait for a chapter to be saved, and grade the exercises whose cells have changed; return once all are solved.

    Args:
        standing: The chapter and how far its learner is.
        grade: Grades exercises by id, and returns those that are solved.
        say: Is told which exercise is next.
        pause: Waits between two looks at the files.
    """
    chapter = standing.chapter
    solved = {text.id for text in standing.exercises if standing.kind(text.id) == "solved"}
    seen, stamps = _answers(chapter), _stamps(chapter)
    _say_next(standing, solved, say)
    while len(solved) < len(standing.exercises):
        pause()
        if (now := _stamps(chapter)) == stamps:
            continue
        answers = _answers(chapter)
        if answers is None:  # half written, or mid-edit no notebook: the next look may find it whole
            continue
        stamps = now
        changed = [text.id for text in standing.exercises if answers.get(text.id) != (seen or {}).get(text.id)]
        seen = answers
        if changed:
            solved = (solved - set(changed)) | grade(changed)
            stamps = _stamps(chapter)  # grading carries a script's edits over to its notebook: no edit of the learner's
            _say_next(standing, solved, say)


def _say_next(standing: Standing, solved: set[str], say: Callable[[str], object]) -> None:
    coming = next((text for text in standing.exercises if text.id not in solved), None)
    if coming is None:
        say(f"{standing.title}: all {len(standing.exercises)} solved")
    else:
        say(
            f"next: {coming.id} {coming.title} · {coming.kind}, about {coming.minutes} minutes; waiting for you to save"
        )


def _stamps(chapter: Chapter) -> list[tuple[int, int] | None]:
    """When each of a chapter's two files was last written, and its size."""
    return [_stamp(path) for path in (chapter.script, chapter.notebook)]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:  # an editor is just putting another in its place
        return None
    return found.st_mtime_ns, found.st_size


def _answers(chapter: Chapter) -> dict[str, str] | None:
    """The code below each exercise's heading, from the file that was saved last; None where it cannot be read."""
    found = [path for path in (chapter.notebook, chapter.script) if path.is_file()]
    if not found:
        return None
    newest = max(found, key=lambda path: path.stat().st_mtime_ns)
    try:
        text = newest.read_text(encoding="utf-8")
        notebook = read_script(text) if newest.suffix == ".py" else nbformat.reads(text, as_version=4)
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    answers: dict[str, str] = {text.id: "" for text in read_exercises(notebook)}
    for cell, owner in zip(notebook.cells, exercise_of_cells(notebook), strict=True):
        if owner is not None and cell.cell_type == "code":
            answers[owner] += cell.source.rstrip() + "\n"
    return answers
