"""What a notebook says of its exercises (title, card, hints), and what is known of how a reader did."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from nbformat import NotebookNode

from recsys_course.authoring.files import write_if_changed
from recsys_course.authoring.notebooks import EXERCISE_HEADING, exercise_of_cells

CARD = re.compile(
    r"^\*(?P<kind>[^*·]+?) · difficulty (?P<difficulty>\d) of 5 · (?P<minutes>\d+) minutes\*\s*$", re.MULTILINE
)
HINT = re.compile(r"<details>\s*<summary>\s*Hint \d+\s*</summary>(.*?)</details>", re.DOTALL | re.IGNORECASE)
PROGRESS = Path(".course") / "progress.json"
_Progress = dict[str, dict[str, str]]


@dataclass(frozen=True)
class ExerciseText:
    """An exercise as its notebook presents it.

    ``kind`` is "fill in", "find the bug" or "open design", ``difficulty`` runs from 1 to 5; where the card line is
    missing they are "" and 0. ``hints`` are Markdown, in the order in which to show them.
    """

    id: str
    title: str
    kind: str = ""
    difficulty: int = 0
    minutes: int = 0
    hints: tuple[str, ...] = ()


def read_exercises(notebook: NotebookNode) -> list[ExerciseText]:
    """Return the exercises whose headings stand in the notebook, in its order."""
    texts: dict[str, str] = {}
    for cell, id in zip(notebook.cells, exercise_of_cells(notebook), strict=True):
        if id is not None and cell.cell_type == "markdown":
            texts[id] = texts.get(id, "") + cell.source + "\n"
    return [_read(id, text) for id, text in texts.items()]


def _read(id: str, text: str) -> ExerciseText:
    title = next((heading[2] for heading in EXERCISE_HEADING.finditer(text) if heading[1] == id), "")
    hints = tuple(hint.strip() for hint in HINT.findall(text))
    card = CARD.search(text)
    if card is None:
        return ExerciseText(id, title, hints=hints)
    return ExerciseText(id, title, card["kind"].strip(), int(card["difficulty"]), int(card["minutes"]), hints)


def read_progress(root: Path) -> _Progress:
    """Return what is known of a reader's answers.

    Args:
        root: The folder of the course.

    Returns:
        Exercise id -> ``outcome`` ("solved", "wrong", "not attempted", "raised", "check cell missing", "check cell
        edited"), ``notebook`` (path below root) and ``graded`` (UTC time, ISO 8601); empty where nothing was graded.
    """
    try:
        progress = json.loads((root / PROGRESS).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return progress if isinstance(progress, dict) else {}


def record_progress(root: Path, results: Mapping[str, Mapping[str, str]]) -> None:
    """Merge newly graded exercises into the record, whole or not at all, whoever else writes at the time."""
    _change_progress(root, lambda before: {**before, **results})


def forget_progress(root: Path, ids: set[str]) -> None:
    """Take exercises out of the record, as if they had never been graded."""
    _change_progress(root, lambda before: {id: graded for id, graded in before.items() if id not in ids})


def _change_progress(root: Path, change: Callable[[_Progress], Mapping[str, Mapping[str, str]]]) -> None:
    path = root / PROGRESS
    path.parent.mkdir(exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        text = json.dumps(change(read_progress(root)), ensure_ascii=False, indent=1, sort_keys=True)
        write_if_changed(path, text + "\n")
