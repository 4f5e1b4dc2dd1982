"""Exercises: how a check is registered, and how an answer is held against it.

A chapter's checks stand in ``recsys_course/grading/chapter_NN.py``, which is imported when one of them is asked for.
That module keeps TensorFlow out of its top level, so that a notebook can be graded from a process that never needs it.
Nothing here knows notebooks; see :mod:`recsys_course.authoring.pytest_plugin` for grading a whole chapter.
"""

from __future__ import annotations

import copy
import dis
import importlib
import inspect
import os
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, EllipsisType
from typing import Any, Literal

from recsys_course.grading import messages
from recsys_course.grading.comparison import agree, difference

Outcome = Literal["solved", "wrong", "not attempted", "raised"]
_MISSING = object()


class Wrong(Exception):
    """Raised by an open check: what is wrong, in the learner's terms, and where it helps on which input.

    Args:
        message: One or two sentences that name the mistake.
        given: The input it was seen on.
        expected: What the answer should have been.
        got: What it was.
    """

    def __init__(self, message: str, *, given: Any = _MISSING, expected: Any = _MISSING, got: Any = _MISSING):
        super().__init__(message)
        values = {"given": given, "expected": expected, "got": got}
        self.lines = [messages.field(k, messages.show(v)) for k, v in values.items() if v is not _MISSING]


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


@dataclass(frozen=True)
class Inputs:
    """Positional and named arguments of one call."""

    args: tuple
    kwargs: Mapping[str, Any]

    def copied(self) -> Inputs:
        """Return a deep copy, so that no call sees what another has changed."""
        return Inputs(tuple(_copied(arg) for arg in self.args), {k: _copied(arg) for k, arg in self.kwargs.items()})


def inputs(*args: Any, **kwargs: Any) -> Inputs:
    """Write down the arguments of one case: ``inputs([1, 2], k=2)`` stands for the call ``answer([1, 2], k=2)``."""
    return Inputs(args, kwargs)


@dataclass(frozen=True)
class Exercise:
    """A registered exercise; see :func:`exercise` for the fields."""

    id: str
    answer: str
    judge: Callable[[Any], None] | None = None
    reference: Callable | None = None
    cases: Sequence[Inputs] = ()
    misconceptions: Mapping[str, Callable] = field(default_factory=dict)
    planted_bug: Callable | None = None

    @property
    def check_cell(self) -> str:
        """The one source that this exercise's check cell may have."""
        return f'grading.check("{self.id}", {self.answer})'


_exercises: dict[str, Exercise] = {}


def exercise(
    id: str,
    *,
    answer: str,
    reference: Callable | None = None,
    cases: Sequence[Inputs] = (),
    misconceptions: Mapping[str, Callable] | None = None,
    planted_bug: Callable | None = None,
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]] | None:
    """Register an exercise.

    With a ``reference`` the answer is a function, called on every case and compared with it. Without one this is a
    decorator for a function that takes the answer, whatever it is, and raises :class:`Wrong` where a property fails.

    Args:
        id: Chapter and number, ``"3.2"``.
        answer: Name of the variable that the check cell passes.
        reference: The right function, written independently of the solution.
        cases: Arguments to call it with, from :func:`inputs`; edge cases included.
        misconceptions: What to tell the learner -> the function as someone with that misconception writes it. Shown
            when the answer agrees with it on the failing case (or raises the same error there).
        planted_bug: In a bug hunt, the function as handed out: unchanged, it counts as not attempted.

    Raises:
        ValueError: The id is malformed or taken, or a reference comes without cases, or cases without a reference.
    """
    if not re.fullmatch(r"\d+\.\d+", id):
        raise ValueError(f'an exercise\'s id is chapter and number, such as "3.2"; got {id!r}')
    if id in _exercises:
        raise ValueError(f"exercise {id} is registered twice: give the second one its own number")
    if (reference is None) != (not cases) or (misconceptions and reference is None):
        raise ValueError(f"exercise {id}: reference= and cases= belong together, and misconceptions= needs both")
    if reference is not None:
        _exercises[id] = Exercise(id, answer, None, reference, tuple(cases), dict(misconceptions or {}), planted_bug)
        return None

    def register(judge: Callable[[Any], None]) -> Callable[[Any], None]:
        _exercises[id] = Exercise(id, answer, judge=judge, planted_bug=planted_bug)
        return judge

    return register


def find(id: str) -> Exercise:
    """Return the exercise of that id, importing its chapter's checks if need be.

    Raises:
        ValueError: There is no such exercise; the message lists those that there are.
    """
    if id not in _exercises and re.fullmatch(r"\d+\.\d+", str(id)):
        _import_chapter(int(id.split(".")[0]))
    if id not in _exercises:
        known = ", ".join(exercise_ids()) or "none"
        raise ValueError(f"there is no exercise {id!r}; there are: {known}")
    return _exercises[id]


def exercise_ids(chapter: int | None = None) -> list[str]:
    """Return the ids of a chapter's exercises, or of all chapters', in the order of the course."""
    import recsys_course.grading as package

    for module in pkgutil.iter_modules(package.__path__):
        if (match := re.fullmatch(r"chapter_(\d+)", module.name)) and chapter in (None, int(match[1])):
            _import_chapter(int(match[1]))
    ids = [id for id in _exercises if chapter in (None, int(id.split(".")[0]))]
    return sorted(ids, key=lambda id: [int(part) for part in id.split(".")])


def _import_chapter(number: int) -> None:
    name = f"recsys_course.grading.chapter_{number:02d}"
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # something that the chapter's checks need is missing: that is no unknown exercise
            raise


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


def _outcome(function: Callable, given: Inputs) -> tuple[Any, BaseException | None]:
    """Call the function and return (result, None) or (None, what it raised). An interrupt passes through."""
    try:
        return function(*given.args, **given.kwargs), None
    except (Exception, SystemExit) as error:
        return None, error


def _misconception(found: Exercise, answer: Callable, failing: Inputs) -> str:
    """Return the message of the misconception that the answer shares on the failing case, and on most others; or ""."""
    best, most = "", 0
    for message, mistaken in found.misconceptions.items():
        if _same_outcome(answer, mistaken, failing):
            shared = sum(_same_outcome(answer, mistaken, case) for case in found.cases)
            if shared > most:
                best, most = message, shared
    return best


def _same_outcome(one: Callable, other: Callable, case: Inputs) -> bool:
    (got, error), (wanted, wanted_error) = _outcome(one, case.copied()), _outcome(other, case.copied())
    if error is not None or wanted_error is not None:
        return type(error) is type(wanted_error)
    return agree(got, wanted)


def _changed_argument(found: Exercise, before: Inputs, after: Inputs) -> str | None:
    """Return the name of the first argument that a call has changed; what cannot be compared counts as kept."""
    assert found.reference is not None
    bind = inspect.signature(found.reference).bind
    was, now = bind(*before.args, **before.kwargs).arguments, bind(*after.args, **after.kwargs).arguments
    return next((k for k in was if agree(_copied(was[k]), was[k]) and not agree(now[k], was[k])), None)


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # a dataset, a layer: no plain value, so nothing that a call could change unseen
        return value


def _is_open(answer: Any) -> bool:
    """Whether the answer still holds the ``...`` of the stub."""
    if isinstance(answer, Mapping):
        return any(_is_open(item) for item in answer.values())
    if isinstance(answer, list | tuple):
        return any(_is_open(item) for item in answer)
    return isinstance(answer, EllipsisType)


def _same_code(one: Any, other: Any) -> bool:
    """Whether two functions (or classes) are the same program: comments, docstrings and annotations aside."""
    return _program(one) is not None and _program(one) == _program(other)


def _program(value: Any) -> Any:
    if inspect.isclass(value):
        return {k: _program(v) for k, v in vars(value).items() if inspect.isfunction(v)}
    code = getattr(inspect.unwrap(value) if callable(value) else value, "__code__", value)
    if not isinstance(code, CodeType):
        return None
    return [(step.opname, _program(step.argval) or step.argval) for step in dis.get_instructions(code)]


def _signature(function: Callable) -> str:
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
