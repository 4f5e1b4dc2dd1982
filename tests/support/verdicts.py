"""Verdicts of a chapter's exercises, from a run of all its cells and from the cells that each check needs.

    python -m support.verdicts 3

One process runs both: the whole chapter in one namespace, each selection in a fresh one. The chapter goes on as it is
handed out, with no exercise answered, and every other cell has to run. Prints, as JSON, for each exercise and answer:
how many cells ran (null: no selection was certain), and both verdicts.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(TF_USE_LEGACY_KERAS="1", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", MPLBACKEND="agg")
os.environ["COURSE_GRADING"] = "1"

from recsys_course.authoring.notebooks import exercise_of_cells, read_script, strip_solution
from recsys_course.authoring.project import find_project
from recsys_course.authoring.slicing import needed_cells
from recsys_course.grading import find


def answers(id: str, solution: str) -> dict[str, str]:
    """Sources of an exercise's cell: right, of the wrong kind, wrong in the typical ways, and as handed out."""
    exercise = find(id)
    sources = {"solution": solution, "nothing": f"{exercise.answer} = None"}
    sources["a number"] = f"{exercise.answer} = 7"
    sources["its argument"] = f"def {exercise.answer}(*given, **named):\n    return given[0]"
    sources["raises"] = f"def {exercise.answer}(*given, **named):\n    return undefined_name"
    for number in range(len(exercise.misconceptions)):
        mistaken = f"list(grading.find({id!r}).misconceptions.values())[{number}]"
        sources[f"misconception {number}"] = (
            f"mistaken = {mistaken}\n\ndef {exercise.answer}(*given, **named):\n    return mistaken(*given, **named)"
        )
    return sources | {"stub": strip_solution(solution, id)}


def run_cell(source: str, namespace: dict[str, Any], name: str) -> str:
    """Run a cell as a notebook does; returns what it printed."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile(source, name, "exec"), namespace)
    return said.getvalue()


def verdict_of(source: str, namespace: dict[str, Any], name: str) -> str:
    """Run a cell, go on whatever it raises, and say what that was."""
    try:
        return run_cell(source, namespace, name)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def main(number: str) -> None:
    chapter = find_project(Path(__file__).parent).chapter(number)
    notebook = read_script(chapter.source.read_text(encoding="utf-8"))
    owners = exercise_of_cells(notebook)
    code = [(cell, owner) for cell, owner in zip(notebook.cells, owners, strict=True) if cell.cell_type == "code"]
    handed_out = [strip_solution(cell.source, str(owner)) for cell, owner in code]
    tags = [next(iter(cell.metadata.get("tags", [])), "") for cell, _ in code]
    whole: dict[str, Any] = {"__name__": "__main__"}
    found: dict[str, dict[str, Any]] = {}
    for at, (cell, owner) in enumerate(code):
        if tags[at] == "exercise":
            continue
        if tags[at] != "check":
            run_cell(cell.source, whole, f"<cell {at}>")
            continue
        exercise_at = max(i for i in range(at) if tags[i] == "exercise" and code[i][1] == owner)
        before = dict(whole)
        for kind, source in answers(str(owner), code[exercise_at][0].source).items():  # the stub is the last, and stays
            name = f"<{owner} {kind}>"
            whole.clear()
            whole.update(before)
            full = [verdict_of(source, whole, name), verdict_of(cell.source, whole, "<check>")]
            sources = [*handed_out[:exercise_at], source, *handed_out[exercise_at + 1 :]]
            own = [i for i in range(at) if code[i][1] == owner]
            needed = needed_cells(sources, at, own, handed_out)
            some = full
            if needed is not None:
                fresh: dict[str, Any] = {"__name__": "__main__"}
                said = {
                    i: verdict_of(sources[i], fresh, name if i == exercise_at else f"<cell {i}>")
                    for i in sorted(needed)
                }
                some = [said[exercise_at], said[at]]
            cells = None if needed is None else len(needed)
            found[f"{owner} {kind}"] = {"cells": cells, "above": at + 1, "full": full, "some": some}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
