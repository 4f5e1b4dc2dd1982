"""What holds for every exercise of every chapter: the course's answer passes, and the stub counts as not attempted."""

from __future__ import annotations

import pytest
from support.answers import solution_answer, stub_answer

from recsys_course.grading import exercise_ids, grade

every_exercise = pytest.mark.parametrize("id", exercise_ids())


@every_exercise
def test_the_solution_passes(id):
    assert grade(id, solution_answer(id)).message == f"✔ {id} solved"


@every_exercise
def test_the_stub_is_not_attempted(id):
    assert grade(id, stub_answer(id)).outcome == "not attempted"
