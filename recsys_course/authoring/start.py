"""Where a learner stands: which exercises are solved, chapter by chapter, and which one comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recsys_course.authoring.exercises import ExerciseText, read_exercises, read_progress
from recsys_course.authoring.notebooks import read_script
from recsys_course.authoring.project import Chapter, Project

BADGE_WIDTH = 10


@dataclass(frozen=True)
class Standing:
    """A chapter's exercises, and how each answer did when it was last graded (absent: never)."""

    chapter: Chapter
    title: str  # "3 · Retrieval"
    exercises: tuple[ExerciseText, ...]
    outcomes: Mapping[str, str]

    def count(self, kind: str) -> int:
        """How many exercises are "solved", "wrong" or "not attempted".

        Wrong is whatever was tried and did not pass: a wrong result, an error, a check cell that was changed.
        """
        return sum(self.kind(exercise.id) == kind for exercise in self.exercises)

    def kind(self, id: str) -> str:
        """What an exercise counts as: "solved", "wrong" or "not attempted"."""
        outcome = self.outcomes.get(id, "not attempted")
        return outcome if outcome in ("solved", "not attempted") else "wrong"


def standings(project: Project) -> list[Standing]:
    """Every chapter of the course, with what is known of the learner's answers."""
    outcomes = {id: graded.get("outcome", "") for id, graded in read_progress(project.root).items()}
    found = []
    for chapter in project.chapters:
        notebook = read_script(chapter.source.read_text(encoding="utf-8"))
        title = next((line[2:] for cell in notebook.cells for line in cell.source.splitlines() if line[:2] == "# "), "")
        found.append(Standing(chapter, title, tuple(read_exercises(notebook)), outcomes))
    return found


def next_exercise(found: list[Standing]) -> tuple[Standing, ExerciseText] | None:
    """The first exercise that is not solved, or None where all are."""
    return next(
        (
            (standing, exercise)
            for standing in found
            for exercise in standing.exercises
            if standing.kind(exercise.id) != "solved"
        ),
        None,
    )


def badge(found: list[Standing]) -> str:
    """How far the learner is, in a line: ``▰▰▰▰▱▱▱▱▱▱ 12 of 31 solved``."""
    solved, total = sum(standing.count("solved") for standing in found), sum(len(s.exercises) for s in found)
    full = BADGE_WIDTH * solved // total if total else 0
    return "▰" * full + "▱" * (BADGE_WIDTH - full) + f" {solved} of {total} solved"
