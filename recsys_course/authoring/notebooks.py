"""Notebooks as values: read the author's source, strip the answers, keep cell ids, write text.

A solution source is a percent-format script. Everything else is derived from it, and every derivation here is a
function from notebook to notebook (or to text) that touches no file.
"""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
import re
from collections.abc import Iterator

import jupytext
import nbformat
from nbformat import NotebookNode

EXERCISE_HEADING = re.compile(r"^### Exercise (\d+\.\d+) · (.+?)\s*$", re.MULTILINE)
BEGIN, END, STUB = "# BEGIN SOLUTION", "# END SOLUTION", "# STUB"

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
# Jupytext otherwise writes its own version into every file, and each upgrade would make every chapter stale.
JUPYTEXT = {"formats": "ipynb,py:percent", "notebook_metadata_filter": "-jupytext.text_representation"}


def strip_solution(source: str, exercise: str) -> str:
    """Replace each solution region of a cell's source by its stub.

    A region runs from ``# BEGIN SOLUTION`` to ``# END SOLUTION``. It becomes ``raise NotImplementedError`` at the
    same indentation or, where it holds a line ``# STUB``, the commented lines after that line, uncommented.

    Args:
        source: A code cell's source.
        exercise: The exercise's number, such as ``"3.1"``; the stub names it.

    Returns:
        The source as the learner gets it; unchanged where there is no region.

    Raises:
        ValueError: Markers that do not pair up, or a line after ``# STUB`` that is not a comment.
    """
    kept: list[str] = []
    region: list[str] | None = None
    for line in source.split("\n"):
        marker = line.strip()
        if marker == BEGIN:
            if region is not None:
                raise ValueError(f"exercise {exercise}: {BEGIN!r} inside a region; close the first with {END!r}")
            region, indent = [], line[: len(line) - len(line.lstrip())]
        elif marker == END:
            if region is None:
                raise ValueError(f"exercise {exercise}: {END!r} without {BEGIN!r} above it")
            kept += _stub(region, indent, exercise)
            region = None
        elif region is None:
            kept.append(line)
        else:
            region.append(line)
    if region is not None:
        raise ValueError(f"exercise {exercise}: {BEGIN!r} without {END!r} below it")
    return "\n".join(kept)


def _stub(region: list[str], indent: str, exercise: str) -> list[str]:
    """The lines that stand in the chapter instead of a region's lines."""
    at = next((number for number, line in enumerate(region) if line.strip() == STUB), None)
    if at is None:
        return [f'{indent}raise NotImplementedError("Exercise {exercise}: your turn")']
    lines = region[at + 1 :]
    for line in lines:
        if not re.fullmatch(r"\s*#.*", line):
            raise ValueError(f"exercise {exercise}: below {STUB!r} expected only commented lines, got {line!r}")
    return [re.sub(r"^(\s*)# ?", r"\1", line).rstrip() for line in lines]
