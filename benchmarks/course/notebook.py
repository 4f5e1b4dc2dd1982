"""One run of one solution notebook, in a process of its own: its time, and which of its outputs are not the same.

Nothing is compared here: `pytest --nbval` runs and compares the notebook as `make test` does, and its own cells are
then asked to compare what they have shown once more, with an earlier run's.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbval.plugin import NbCellError

from benchmarks.circumstances import ROOT
from benchmarks.course.cores import limited_to
from benchmarks.running import answer, resident_mb
from recsys_course.authoring.files import write_if_changed
from recsys_course.authoring.notebook_items import COLOURS, SolutionCell
from recsys_course.authoring.run import CELL_TIMEOUT

LONGEST_DIFFERENCE = 2000  # characters that are kept of one


class Watcher:
    """A plugin that notes how a notebook's cells went.

    Args:
        earlier: outputs of an earlier run, by cell, or `None`.
    """

    def __init__(self, earlier: dict[str, list[dict[str, Any]]] | None) -> None:
        self.earlier = earlier
        self.outputs: dict[str, list[dict[str, Any]]] = {}
        self.started = self.ended = 0.0
        self.cells = self.compared = 0
        self.differences: list[dict[str, Any]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        # The first cell's set-up starts the kernel.
        self.started = self.started or time.perf_counter()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> Generator[None, Any, Any]:
        if isinstance(item, SolutionCell) and (call.when == "call" or (call.when == "setup" and call.excinfo)):
            self.ended = time.perf_counter()
            self.note(item, call.excinfo and call.excinfo.value)
        return (yield)

    def note(self, cell: SolutionCell, error: BaseException | None) -> None:
        """Takes down a cell that has run: where it differs from the reference, and from the earlier run."""
        number, shown = cell.cell_num, cell.test_outputs or []
        is_compared = cell.options["check"] and cell.cell.execution_count is not None
        self.cells += 1
        self.compared += is_compared
        self.outputs[str(number)] = shown
        if error is not None:
            told = f"{error}\n{error.inner_traceback or ''}" if isinstance(error, NbCellError) else repr(error)
            self._differs(number, "the reference", told)
        if is_compared and self.earlier is not None:
            before = [nbformat.from_dict(one) for one in self.earlier[str(number)]]
            if not cell.compare_outputs(shown, before):
                self._differs(number, "the first run", "\n".join(cell.comparison_traceback))

    def _differs(self, number: int, other: str, difference: str) -> None:
        kept = COLOURS.sub("", difference).strip()[:LONGEST_DIFFERENCE]
        self.differences.append({"cell": number, "other": other, "difference": kept})


def measure(order: dict[str, Any]) -> dict[str, Any]:
    """Runs a notebook in a fresh kernel.

    Args:
        order: `notebook`, its path; `threads`, the cores that it may use; `outputs`, a file of the first run's outputs,
            which is written where it is not there.

    Returns:
        Seconds and memory of the kernel, the numbers of cells and of compared ones, and the differences. A cell that
        raised counts as one that differs from the reference.

    Raises:
        RuntimeError: pytest found nothing to run, or could not.
    """
    outputs = Path(order["outputs"])
    watcher = Watcher(json.loads(outputs.read_text(encoding="utf-8")) if outputs.is_file() else None)
    options = [
        "--nbval",
        f"--nbval-cell-timeout={CELL_TIMEOUT}",
        "--color=no",
        "--capture=no",
        "-p",
        "no:cacheprovider",
    ]
    options += ["-c", str(ROOT / "pyproject.toml"), f"--rootdir={ROOT}"]
    with limited_to(order["threads"]), contextlib.redirect_stdout(io.StringIO()) as said:
        status = pytest.main([*options, order["notebook"]], plugins=[watcher])
    if status == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not watcher.cells:
        raise RuntimeError(f"pytest ended with {int(status)}: {said.getvalue().strip()[-300:]}")
    if watcher.earlier is None:
        write_if_changed(outputs, json.dumps(watcher.outputs))
    # The kernel is all that this process has started, and has ended.
    kernel = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "wall_seconds": watcher.ended - watcher.started,
        "cpu_seconds": kernel.ru_utime + kernel.ru_stime,
        "memory_mb": resident_mb(kernel),
        "cells": watcher.cells,
        "compared": watcher.compared,
        "differences": watcher.differences,
    }


def main() -> None:
    order, path = answer()
    write_if_changed(path, json.dumps(measure(order)))


if __name__ == "__main__":
    main()
