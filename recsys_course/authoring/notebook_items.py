"""What pytest runs when it is given a notebook of the course, on nbval's own classes.

A chapter becomes one item an exercise. Running the item runs every cell down to the exercise's check cell that has not
run yet, so a selection (``-k "3.2"``, ``--lf``, ``file::3.2``) never misses what stands above it. Where only some of
the exercises are selected, cells that none of them needs stay out (see ``slicing``): the verdict is a whole run's, in
seconds. A solution stays what nbval makes of it, one item a cell with its output compared; its cells too run those
above them first.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any, cast

import pytest
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile

from recsys_course.authoring.exercises import ExerciseText, read_exercises
from recsys_course.authoring.notebooks import exercise_of_cells, strip_notebook
from recsys_course.authoring.project import CourseError, find_project
from recsys_course.authoring.run import KERNEL_ENVIRONMENT, read_notebook, temporary_files
from recsys_course.authoring.slicing import needed_cells
from recsys_course.grading import Exercise, Outcome, Verdict, exercise_ids, find
from recsys_course.grading.messages import compose, field

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr

GRADING_ENVIRONMENT = {
    **KERNEL_ENVIRONMENT,
    "COURSE_GRADING": "1",  # a failing check then raises
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as in Jupyter, whatever the tests around it have set
}
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class KernelDied(Exception):
    """The kernel's process ended while a cell was running."""


class CourseKernel(RunningKernel):
    """A kernel that notices the end of its process at once, where nbval would wait for the cell's time to run out."""

    def await_reply(self, msg_id: str, timeout: float | None = None) -> None:
        deadline = time.monotonic() + (timeout or float("inf"))
        while True:
            try:
                return super().await_reply(msg_id, timeout=max(0.0, min(1.0, deadline - time.monotonic())))
            except Empty:
                if not self.is_alive():
                    raise KernelDied from None
                if time.monotonic() >= deadline:
                    raise


class CourseFile(IPyNbFile):
    """A notebook of the course: it runs in this environment's Python, whatever kernel's name was saved with it."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.exits = contextlib.ExitStack()  # what ends with the kernels

    def setup(self) -> None:
        option = self.config.option
        variables = self.exits.enter_context(temporary_files())
        with _environment(GRADING_ENVIRONMENT | variables):
            self.kernel = CourseKernel(
                option.nbval_kernel_name or CURRENT_ENV_KERNEL_NAME,
                cwd=str(self.path.parent),
                startup_timeout=option.nbval_kernel_startup_timeout,
            )
        self.setup_sanitize_files()

    def teardown(self) -> None:
        super().teardown()
        self.exits.close()


class SolutionFile(CourseFile):
    """A solution notebook: the outputs stored in it are the reference; what stands on stderr is the machine's own."""

    skip_compare: tuple[str, ...]

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.skip_compare = (*self.skip_compare, "stderr")

    def collect(self) -> Iterator[SolutionCell]:
        self.cells = [
            SolutionCell.from_parent(self, name=cell.name, cell_num=cell.cell_num, cell=cell.cell, options=cell.options)
            for cell in super().collect()
        ]
        yield from self.cells


class SolutionCell(IPyNbCell):
    """A cell whose output must be the stored one."""

    has_run = False

    def runtest(self) -> None:
        for above in self.parent.cells[: self.cell_num]:
            if not above.has_run:
                above.options["check"] = False
                above.run_once()
        self.run_once()

    def run_once(self) -> None:
        """Run and compare the cell, as nbval does."""
        self.has_run = True
        super().runtest()


@dataclass(frozen=True)
class Failure:
    """Why a cell did not run to its end: the error's class, what to tell, and the learner's own line."""

    name: str
    text: str
    line: str = ""  # "3: return hits / 0"
    is_fatal: bool = False  # it took the kernel's process or all of its time: never run it again

    def lines(self) -> list[str]:
        return [field("raised", self.text)] + ([field("your line", self.line)] if self.line else [])


class ChapterFile(CourseFile):
    """A learner's notebook: its stored outputs count for nothing, its check cells for everything."""

    def collect(self) -> Iterator[ExerciseItem]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old formats, missing ids: whatever an editor has saved is welcome
            self.cells = list(super().collect())
        for cell in self.cells:
            cell.cell.outputs, cell.cell.execution_count = [], None  # so that nothing is compared
            cell.options = defaultdict(bool)  # so that no tag or comment skips a cell or excuses an error
        owners = exercise_of_cells(self.nb)
        self.owners = [owner for owner, cell in zip(owners, self.nb.cells, strict=True) if cell.cell_type == "code"]
        self.failures: dict[int, Failure | None] = {}  # by cell, of those that have run
        self.check_cells: dict[str, int | None] = {}  # by exercise; None where it was deleted or edited
        texts = {text.id: text for text in read_exercises(self.nb)}
        for id in self._ids(set(texts)):
            self.check_cells[id] = self._check_cell(find(id))
            yield ExerciseItem.from_parent(self, name=id, exercise=find(id), text=texts.get(id, ExerciseText(id, "")))

    def _ids(self, found: set[str]) -> list[str]:
        """The exercises of the notebook's chapter, those whose text or check cell was deleted among them."""
        for cell in self.cells:
            found.update(re.findall(r"""check\(\s*["'](\d+\.\d+)["']""", cell.cell.source))
        chapters = {id.split(".")[0] for id in found}
        if number := re.match(r"\d+", str(self.nb.metadata.get("recsys_course", {}).get("chapter", ""))):
            chapters = {str(int(number[0]))}
        return [id for chapter in sorted(chapters, key=int) for id in exercise_ids(int(chapter))]

    def grade(self, exercise: Exercise) -> Verdict:
        """Run the notebook down to the exercise's check cell, and say what came of it."""
        check = self.check_cells[exercise.id]
        if check is None:
            tried = any(re.search(rf"""check\(\s*["']{exercise.id}["']""", cell.cell.source) for cell in self.cells)
            told = "put this back, in a cell of its own below your answer, and grade again"
            lines = [field("cell", exercise.check_cell)]
            outcome: Outcome = "check cell edited" if tried else "check cell missing"
            return Verdict(outcome, compose(exercise.id, outcome, told, lines))
        self._run_down_to(check)
        failure = self.failures[check]
        if failure is None:
            return Verdict("solved", compose(exercise.id, "solved"))
        if failure.name == "GradingError" and (head := re.match(r"\S+ \S+ (not attempted|wrong|raised)", failure.text)):
            outcome = cast(Outcome, head[1])
            above = self._failure_above(exercise, check) if outcome == "raised" else None
            return self._raised(exercise, above) if above else Verdict(outcome, failure.text)
        if (above := self._failure_above(exercise, check)) is not None:
            return self._raised(exercise, above)
        if failure.name == "NameError" and f"'{exercise.answer}'" in failure.text:
            told = f"{exercise.answer} has no value here: does the exercise's cell still define it?"
            return Verdict("raised", compose(exercise.id, "raised", told))
        return self._raised(exercise, failure)

    def _check_cell(self, exercise: Exercise) -> int | None:
        canonical = ast.dump(ast.parse(exercise.check_cell))
        return next((i for i, cell in enumerate(self.cells) if _syntax(cell.cell.source) == canonical), None)

    def _failure_above(self, exercise: Exercise, check: int) -> Failure | None:
        """What went wrong in the exercise's own cells."""
        own = (self.failures[i] for i in range(check) if self.owners[i] == exercise.id)
        return next((failure for failure in own if failure is not None), None)

    def _raised(self, exercise: Exercise, failure: Failure) -> Verdict:
        if failure.name == "NotImplementedError":
            told = "write your answer in the exercise's cell, then grade again"
            return Verdict("not attempted", compose(exercise.id, "not attempted", told))
        return Verdict("raised", compose(exercise.id, "raised", "", failure.lines()))

    def trouble(self) -> str:
        """The first cell that failed and belongs to no answer, in a line; "" where all ran."""
        for i, failure in sorted(self.failures.items()):
            check = self.check_cells.get(self.owners[i] or "")
            if failure is not None and (check is None or i > check):  # below it, the section is the course's again
                return f"code cell {i + 1}: {failure.text}" + (f", in line {failure.line}" if failure.line else "")
        return ""

    @cached_property
    def _selected_cells(self) -> set[int]:
        """The cells that the selected exercises need: all, where all are selected or where less is not certain."""
        selected = {item.name for item in self.session.items if item.parent is self}
        if selected == set(self.check_cells):
            return set(range(len(self.cells)))
        courses = self._courses_own_cells(next(iter(selected)).split(".")[0])
        sources = [cell.cell.source for cell in self.cells]
        needed: set[int] = set()
        for id in selected:
            if (check := self.check_cells[id]) is not None:
                own = [i for i, owner in enumerate(self.owners) if owner == id]
                some = needed_cells(sources, check, own, courses)
                needed.update(range(check + 1) if some is None else some)
        return needed

    def _courses_own_cells(self, number: str) -> list[str]:
        """The code cells of the chapter as it is handed out; none outside the course's folder."""
        try:
            solution = read_notebook(find_project(self.path.parent).chapter(number).solution)
            handed_out = strip_notebook(solution).cells if solution is not None else []
        except (CourseError, ValueError):
            return []
        return [cell.source for cell in handed_out if cell.cell_type == "code"]

    def _run_down_to(self, last: int) -> None:
        for i in range(last + 1):
            if i in self._selected_cells and i not in self.failures:
                self._revive()
                self.failures[i] = self._run(i)

    def _revive(self) -> None:
        """Where a cell took the kernel down with it: start another, and run again what had run, but for that cell."""
        while not self.kernel.is_alive():
            with contextlib.suppress(Exception):  # what is left of the old one
                self.kernel.stop()
            self.setup()
            for i, failure in self.failures.items():
                if self.kernel.is_alive() and not (failure and failure.is_fatal):
                    self.failures[i] = self._run(i)

    def _run(self, number: int) -> Failure | None:
        cell, limit = self.cells[number], self.config.option.nbval_cell_timeout
        self.timed_out = False
        try:
            cell.runtest()
            return None
        except KernelDied:
            text = "the kernel's process ended while this cell ran: out of memory, or told to exit?"
            return Failure("KernelDied", text, is_fatal=True)
        except Exception:  # nbval's, whose text is its own; what the kernel said is in the cell's outputs
            error = cell.test_outputs[-1] if cell.test_outputs else {}
        name, text = error.get("ename", "Error"), COLOURS.sub("", error.get("evalue", ""))
        line = _own_line(error.get("traceback", []))
        if name == "GradingError":
            return Failure(name, text, is_fatal=self.timed_out)
        if self.timed_out:
            text = f"not finished after {limit:g} s: a loop that never ends? (only slow: --nbval-cell-timeout=600)"
            return Failure("Timeout", text, line, is_fatal=True)
        return Failure(name, f"{name}: " + re.sub(r" \(\S+, line \d+\)$", "", text), line)


class ExerciseItem(pytest.Item):
    """One exercise of a chapter."""

    parent: ChapterFile

    def __init__(self, *, exercise: Exercise, text: ExerciseText, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.exercise, self.text = exercise, text

    def runtest(self) -> None:
        verdict = self.parent.grade(self.exercise)
        self.user_properties.append(
            (
                "exercise",
                {
                    "id": self.exercise.id,
                    "title": self.text.title,
                    "hint": next(iter(self.text.hints), ""),
                    "outcome": verdict.outcome,
                    "message": verdict.message,
                    "notebook": str(self.path),
                    "trouble": self.parent.trouble(),
                },
            )
        )
        if verdict.outcome != "solved":
            raise NotSolved(verdict.message)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str | TerminalRepr:
        return str(excinfo.value) if isinstance(excinfo.value, NotSolved) else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"exercise {self.exercise.id}"


class NotSolved(Exception):
    """An exercise is not solved; the text is what the learner reads."""


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for as long as the block runs; a kernel inherits them when it starts."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _syntax(source: str) -> str:
    """The source as a syntax tree: spaces, comments and the kind of quotes are no edit. "" where it is not Python."""
    try:
        return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError):
        return ""


def _own_line(traceback: list[str]) -> str:
    """Return number and text of the deepest line in a notebook's cell, out of the traceback that IPython prints."""
    found, number = "", ""
    in_cell = False
    for line in COLOURS.sub("", "\n".join(traceback)).splitlines():
        if head := re.match(r"\s*(?:Cell|Input) In\s?\[\d+\], line (\d+)", line):
            in_cell, number = True, head[1]
        elif re.match(r"File .*:\d+", line):
            in_cell = False
        elif in_cell and (arrow := re.match(r"-+> (\d+) (.*)", line)):
            found = f"{arrow[1]}: {arrow[2].strip()}"
        elif in_cell and not found and not re.match(r"\s*\d+ |-", line) and line.strip():
            found = f"{number}: {line.strip()}"  # a syntax error: the line stands below its number
    return found
