"""The register of exercises: how a chapter writes its checks down, and how they are found.

A chapter's checks stand in ``recsys_course/grading/chapter_NN.py``, which is imported when one of them is asked for.
That module keeps TensorFlow out of its top level, so that a notebook can be graded from a process that never needs it.
"""

from __future__ import annotations

import copy
import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from recsys_course.grading import messages

Function = Callable[..., Any]  # an answer, or what it is held against
Judge = Callable[[Any], None]
_MISSING = object()


class Wrong(Exception):
    """Raised by an open check: what is wrong, in the learner's terms, and where it helps on which input.

    Args:
        message: One or two sentences that name the mistake.
        given: The input it was seen on. A text is shown as it is, any other value as a value.
        expected: What the answer should have been.
        got: What it was.
    """

    def __init__(self, message: str, *, given: Any = _MISSING, expected: Any = _MISSING, got: Any = _MISSING):
        super().__init__(message)
        values = {"given": given, "expected": expected, "got": got}
        texts = {k: v if isinstance(v, str) else messages.show(v) for k, v in values.items() if v is not _MISSING}
        self.lines = [messages.field(k, text) for k, text in texts.items()]


@dataclass(frozen=True)
class Inputs:
    """Positional and named arguments of one call."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def copied(self) -> Inputs:
        """Return a deep copy, so that no call sees what another has changed."""
        return Inputs(tuple(copied(arg) for arg in self.args), {k: copied(arg) for k, arg in self.kwargs.items()})


def inputs(*args: Any, **kwargs: Any) -> Inputs:
    """Write down the arguments of one case: ``inputs([1, 2], k=2)`` stands for the call ``answer([1, 2], k=2)``."""
    return Inputs(args, kwargs)


@dataclass(frozen=True)
class Exercise:
    """A registered exercise; see :func:`exercise` for the fields."""

    id: str
    answer: str
    judge: Judge | None = None
    reference: Function | None = None
    cases: Sequence[Inputs] = ()
    misconceptions: Mapping[str, Function] = field(default_factory=dict)
    planted_bug: Function | None = None

    @property
    def check_cell(self) -> str:
        """The one source that this exercise's check cell may have."""
        return f'grading.check("{self.id}", {self.answer})'


_exercises: dict[str, Exercise] = {}


@overload
def exercise(id: str, *, answer: str, planted_bug: Function | None = None) -> Callable[[Judge], Judge]: ...


@overload
def exercise(
    id: str,
    *,
    answer: str,
    reference: Function,
    cases: Sequence[Inputs],
    misconceptions: Mapping[str, Function] | None = None,
    planted_bug: Function | None = None,
) -> None: ...


def exercise(
    id: str,
    *,
    answer: str,
    reference: Function | None = None,
    cases: Sequence[Inputs] = (),
    misconceptions: Mapping[str, Function] | None = None,
    planted_bug: Function | None = None,
) -> Callable[[Judge], Judge] | None:
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

    def register(judge: Judge) -> Judge:
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


def copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # a dataset, a layer: no plain value, so nothing that a call could change unseen
        return value
