"""Checks of the exercises. In a chapter: ``grading.check("3.2", answer)``."""

from __future__ import annotations

from recsys_course.grading.core import (
    Exercise,
    GradingError,
    Outcome,
    Verdict,
    Wrong,
    check,
    exercise,
    exercise_ids,
    find,
    grade,
    inputs,
)

__all__ = [
    "Exercise",
    "GradingError",
    "Outcome",
    "Verdict",
    "Wrong",
    "check",
    "exercise",
    "exercise_ids",
    "find",
    "grade",
    "inputs",
]
