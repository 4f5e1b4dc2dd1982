"""How an answer is held against its exercise, and what the learner is told.

Exercises are registered in ``recsys_course/grading/chapter_NN.py``; all that this takes is imported from here.
Nothing here knows notebooks: see :mod:`recsys_course.authoring.pytest_plugin` for grading a whole chapter.
"""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, Literal

from recsys_course.grading import messages
from recsys_course.grading.comparison import agree, difference
from recsys_course.grading.registry import (
    Exercise,
    Function,
    Inputs,
    Wrong,
    copied,
    exercise,
    exercise_ids,
    find,
    inputs,
)

__all__ = [
    "Exercise",
    "GradingError",
    "Verdict",
    "Wrong",
    "check",
    "exercise",
    "exercise_ids",
    "find",
    "grade",
    "inputs",
]

# The last two come from the grading of a whole notebook alone.
Outcome = Literal["solved", "wrong", "not attempted", "raised", "check cell missing", "check cell edited"]


class GradingError(AssertionError):
    """An exercise is not solved: raised by :func:`check` while a notebook is graded, with the verdict's message."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback: the message alone, no line of the course's own code."""
        return [str(self)]


@dataclass(frozen=True)
class Verdict:
    """How an answer did: ``outcome`` and the ``message`` a learner reads."""

    outcome: Outcome
    message: str


def check(id: str, answer: Any) -> None:
    """Check the answer to an exercise and print what came of it: ``✔ 3.2 solved``, or what is wrong and where.

    A failing check does not raise, so that "Run all" goes on. While a notebook is being graded (the environment holds
    ``COURSE_GRADING=1``) it does: then the notebook must fail.

    Raises:
        ValueError: There is no such exercise.
        GradingError: Not solved, while grading.
    """
    try:
        verdict = _courses_own(find(id), answer) or grade(id, answer)
    except KeyboardInterrupt as interrupt:
        lines = [*getattr(interrupt, "__notes__", []), *messages.describe_error(interrupt)]
        verdict = _verdict(find(id), "raised", lines=lines)
        if os.environ.get("COURSE_GRADING") != "1":
            print(verdict.message)
            raise
    if verdict.outcome != "solved" and os.environ.get("COURSE_GRADING") == "1":
        raise GradingError(verdict.message) from None
    print(verdict.message)


def _courses_own(found: Exercise, answer: Any) -> Verdict | None:
    """A verdict where the chapter has gone on: its next cell puts the course's own version in the answer's place."""
    own = found.reference is not None and str(getattr(answer, "__module__", "")).startswith("recsys_course.")
    told = f"{found.answer} is now the course's own version: run the exercise's cell again, then this one"
    return _verdict(found, "not attempted", told) if own else None


def grade(id: str, answer: Any) -> Verdict:
    """Hold an answer against an exercise.

    Args:
        id: The exercise, ``"3.2"``.
        answer: The learner's function or value.

    Returns:
        The verdict; its message is complete, several lines where something is wrong.

    Raises:
        ValueError: There is no such exercise.
    """
    found = find(id)
    if _is_open(answer) or (found.planted_bug is not None and _same_code(answer, found.planted_bug)):
        return _not_attempted(found)
    if answer is None:
        return _verdict(found, "wrong", f"{found.answer} is None: does the cell above give it a value?")
    return _judge_by_properties(found, answer) if found.judge else _judge_by_reference(found, answer)


def _judge_by_properties(found: Exercise, answer: Any) -> Verdict:
    assert found.judge is not None
    try:
        found.judge(answer)
    except Wrong as wrong:
        return _verdict(found, "wrong", str(wrong), wrong.lines)
    except NotImplementedError:
        return _not_attempted(found)
    except (Exception, SystemExit) as error:
        checked_by = found.judge.__code__.co_filename
        lines, told = messages.describe_error(error, checked_by), ""
        if messages.learners_line(error, checked_by) is None:
            told = f"{found.answer} is not what this exercise can use"
            lines.append(messages.field("got", messages.show(answer)))
        return _verdict(found, "raised", told, lines)
    return _verdict(found, "solved")


def _judge_by_reference(found: Exercise, answer: Any) -> Verdict:
    assert found.reference is not None
    if not callable(answer):
        return _verdict(
            found, "wrong", f"{found.answer} should be a function", [messages.field("got", messages.show(answer))]
        )
    for number, case in enumerate(found.cases, start=1):
        expected = found.reference(*case.copied().args, **case.copied().kwargs)
        given = case.copied()
        where = f"case {number} of {len(found.cases)}"
        lines = [messages.field("called", messages.call(found.answer, found.reference, case.args, case.kwargs))]
        try:
            got, error = _outcome(answer, given)
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(lines[0])
            raise
        if isinstance(error, NotImplementedError) or got is Ellipsis:
            return _not_attempted(found)
        if error is not None:
            lines += messages.describe_error(error)
            if isinstance(error, TypeError) and messages.learners_line(error) is None:
                lines.append(messages.field("yours is", f"{found.answer}{_signature(answer)}"))
            return _verdict(found, "raised", _misconception(found, answer, case), lines, where)
        if (reason := difference(got, expected)) is not None:
            told = _misconception(found, answer, case)
            if got is None:
                told = "your function returned None: is there a return?"
            lines += _comparison_lines(got, expected, reason)
            return _verdict(found, "wrong", told, lines, where)
        if changed := _changed_argument(found, case, given):
            told = f"the result is right, but your function changed its argument {changed}: work on a copy"
            return _verdict(found, "wrong", told, lines, where)
    return _verdict(found, "solved")


def _outcome(function: Function, given: Inputs) -> tuple[Any, BaseException | None]:
    """Call the function and return (result, None) or (None, what it raised). An interrupt passes through."""
    try:
        return function(*given.args, **given.kwargs), None
    except (Exception, SystemExit) as error:
        return None, error


def _misconception(found: Exercise, answer: Function, failing: Inputs) -> str:
    """Return the message of the misconception that the answer shares on the failing case, and on most others; or ""."""
    best, most = "", 0
    for message, mistaken in found.misconceptions.items():
        if _same_outcome(answer, mistaken, failing):
            shared = sum(_same_outcome(answer, mistaken, case) for case in found.cases)
            if shared > most:
                best, most = message, shared
    return best


def _same_outcome(one: Function, other: Function, case: Inputs) -> bool:
    (got, error), (wanted, wanted_error) = _outcome(one, case.copied()), _outcome(other, case.copied())
    if error is not None or wanted_error is not None:
        return type(error) is type(wanted_error)
    return agree(got, wanted)


def _changed_argument(found: Exercise, before: Inputs, after: Inputs) -> str | None:
    """Return the name of the first argument that a call has changed; what cannot be compared counts as kept."""
    assert found.reference is not None
    bind = inspect.signature(found.reference).bind
    was, now = bind(*before.args, **before.kwargs).arguments, bind(*after.args, **after.kwargs).arguments
    return next((k for k in was if agree(copied(was[k]), was[k]) and not agree(now[k], was[k])), None)


def _is_open(answer: Any) -> bool:
    """Whether the answer still holds the ``...`` of the stub."""
    if isinstance(answer, Mapping):
        return any(_is_open(item) for item in answer.values())
    if isinstance(answer, list | tuple):
        return any(_is_open(item) for item in answer)
    return isinstance(answer, EllipsisType)


def _same_code(one: Any, other: Any) -> bool:
    """Whether two functions are the same program: their names, comments, docstrings and annotations aside.

    By syntax tree; equal sources may compile to unequal bytecode, depending on what else stands in their file or cell.
    """
    return _program(one) is not None and _program(one) == _program(other)


def _program(function: Any) -> str | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body[0]
    except (OSError, TypeError, SyntaxError):  # a value, or a function whose source is not kept
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns, node.decorator_list = None, []
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        elif isinstance(node, ast.arg):
            node.annotation = None
    if isinstance(tree, ast.FunctionDef):
        tree.name = ""
    return ast.dump(tree)


def _signature(function: Function) -> str:
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return "(...)"


def _comparison_lines(got: Any, expected: Any, reason: str) -> list[str]:
    texts = [messages.show(expected), messages.show(got)]
    if texts[0] == texts[1]:  # alike once rounded, or of another type
        texts = [f"{value!r} ({type(value).__name__})" for value in (expected, got)]
    lines = [messages.field("expected", texts[0]), messages.field("got", texts[1])]
    return lines + ([messages.field("differs", reason)] if reason else [])


def _not_attempted(found: Exercise) -> Verdict:
    told = "write your answer in the exercise's cell above and run it, then run this cell again"
    return _verdict(found, "not attempted", told)


def _verdict(found: Exercise, outcome: Outcome, told: str = "", lines: Sequence[str] = (), where: str = "") -> Verdict:
    return Verdict(outcome, messages.compose(found.id, outcome, told, lines, where))
