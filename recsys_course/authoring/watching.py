"""``course watch``: answers are graded as they are saved, and the next exercise is named."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import nbformat

from recsys_course.authoring.exercises import ExerciseText, read_exercises
from recsys_course.authoring.notebooks import exercise_of_cells, read_script
from recsys_course.authoring.project import Chapter
from recsys_course.authoring.start import Standing

LOOK_EVERY = 0.5  # seconds


def watch(
    found: list[Standing],
    grade: Callable[[Chapter, list[str]], set[str]],
    say: Callable[[str], object],
    pause: Callable[[], object] = lambda: time.sleep(LOOK_EVERY),
) -> None:
    """Wait for chapters to be saved, and grade the exercises whose cells have changed; return once all are solved.

    Args:
        found: The chapters, and how far their learner is.
        grade: Grades exercises of a chapter by id, and returns those that are solved.
        say: Is told which exercise is next.
        pause: Waits between two looks at the files.
    """
    solved = {text.id for standing in found for text in standing.exercises if standing.kind(text.id) == "solved"}
    watched = [_Saved(standing) for standing in found]
    _say_next(found, solved, say)
    while any(_unsolved(standing, solved) for standing in found):
        pause()
        for saved in watched:
            if changed := saved.changed():
                solved = (solved - set(changed)) | grade(saved.standing.chapter, changed)
                saved.note()
                if not _unsolved(saved.standing, solved):
                    say(f"{saved.standing.title}: all {len(saved.standing.exercises)} solved")
                _say_next([saved.standing, *found], solved, say)


class _Saved:
    """A chapter's files as they were when they were last looked at."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.answers = _answers(standing.chapter) or {}
        self.note()

    def note(self) -> None:
        """Take the files as they are: grading carries a script's edits over, which is no edit of the learner's."""
        self.stamps = _stamps(self.standing.chapter)

    def changed(self) -> list[str]:
        """Return the exercises whose code is another than at the last look."""
        if (now := _stamps(self.standing.chapter)) == self.stamps:
            return []
        answers = _answers(self.standing.chapter)
        if answers is None:  # half written, or mid-edit no notebook: the next look may find it whole
            return []
        before, self.answers, self.stamps = self.answers, answers, now
        return [text.id for text in self.standing.exercises if answers.get(text.id) != before.get(text.id)]


def _unsolved(standing: Standing, solved: set[str]) -> list[ExerciseText]:
    return [text for text in standing.exercises if text.id not in solved]


def _say_next(order: list[Standing], solved: set[str], say: Callable[[str], object]) -> None:
    """Name the first exercise that is left."""
    for standing in order:
        for text in _unsolved(standing, solved):
            say(f"next: {text.id} {text.title} · {text.kind}, about {text.minutes} minutes; waiting for you to save")
            return


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
