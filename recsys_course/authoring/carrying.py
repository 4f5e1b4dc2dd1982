"""A learner's work carried over from one version of a chapter to the next, cell by cell.

Three versions meet: ``base``, what the learner was handed; ``mine``, what the learner made of it; ``new``, what the
course hands out now. What only one side has changed comes from that side. Answers go by the exercise's number.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, field

from nbformat import NotebookNode

from recsys_course.authoring.notebooks import exercise_of_cells, keep_ids

COURSES_OWN = {"check", "setup"}  # tags of cells that are always the course's


@dataclass
class Carried:
    """The new chapter with the learner's work in it, and what became of that work."""

    notebook: NotebookNode
    answers: list[str] = field(default_factory=list)  # exercises whose answer was written into the new chapter
    other_cells: int = 0  # the learner's own cells, and cells of the course that the learner has edited
    left: list[str] = field(default_factory=list)  # what was not, each with the reason


def carry_over(mine: NotebookNode, base: NotebookNode, new: NotebookNode) -> Carried:
    """Write a learner's work into a new version of its chapter.

    Doing it again, on the result, changes nothing.

    Args:
        mine: The learner's chapter.
        base: The chapter as the learner got it.
        new: The chapter as it is handed out now.
    """
    mine, new = _with_ids_of(mine, base), _with_ids_of(new, base)
    done = Carried(new)
    answered = _carry_answers(done, mine, base)
    _carry_other_cells(done, mine, base, answered)
    return done


def signature(source: str) -> list[str]:
    """What an exercise's cell defines, as far as the rest of the chapter relies on it: names, parameters, methods."""
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(f"{node.name}({ast.unparse(node.args)})")
        elif isinstance(node, ast.ClassDef):
            methods = [
                f"{part.name}({ast.unparse(part.args)})" for part in node.body if isinstance(part, ast.FunctionDef)
            ]
            found.append(f"class {node.name}: {', '.join(methods)}")
        elif isinstance(node, ast.Assign):
            found += [ast.unparse(target) for target in node.targets]
    return found


def _carry_answers(done: Carried, mine: NotebookNode, base: NotebookNode) -> set[str]:
    """Fill the exercise cells of the new chapter; returns the ids of the learner's cells that hold an answer."""
    stubs, fresh = _exercise_cells(base), _exercise_cells(done.notebook)
    answered = set()
    for exercise, handed_out in stubs.items():
        answer = _answer_cell(mine, exercise, handed_out, base)
        if answer is None:
            continue
        answered.add(answer.id)
        now = fresh.get(exercise)
        written = answer.source.rstrip()
        if written == handed_out.source.rstrip() or (now is not None and written == now.source.rstrip()):
            continue  # not attempted, or in its place already
        before, after = signature(handed_out.source), signature(now.source) if now is not None else []
        if now is None:
            done.left.append(f"{exercise}: the course no longer has this exercise")
        elif before != after:
            done.left.append(f"{exercise}: what it asks for changed from {'; '.join(before)} to {'; '.join(after)}")
        else:
            now.source = answer.source
            done.answers.append(exercise)
    return answered


def _carry_other_cells(done: Carried, mine: NotebookNode, base: NotebookNode, answered: set[str]) -> None:
    """Insert the cells that the learner has added, and keep those the learner has edited and the course has not."""
    handed_out, fresh = {cell.id: cell for cell in base.cells}, {cell.id: cell for cell in done.notebook.cells}
    cells = done.notebook.cells
    last = None  # the cell in the new chapter below which the next one of the learner's goes
    for cell in mine.cells:
        before, now = handed_out.get(cell.id), fresh.get(cell.id)
        if cell.id in answered or (before is None and now is not None):
            last = now or last
        elif before is None:
            if cell.source.strip():
                at = next((i + 1 for i, other in enumerate(cells) if last is not None and other.id == last.id), 0)
                last = copy.deepcopy(cell)
                cells.insert(at, last)
                done.other_cells += 1
        elif _same(cell, before) or _is_courses_own(before) or (now is not None and _same(cell, now)):
            last = now or last
        elif now is not None and _same(now, before):
            now.source, last = cell.source, now
            done.other_cells += 1
        else:
            last = now or last
            start = next((line for line in cell.source.splitlines() if line.strip()), "")
            why = "changed it too" if now is not None else "no longer has it"
            done.left.append(f"a cell that you edited ({start[:60]}): the course {why}")


def _exercise_cells(notebook: NotebookNode) -> dict[str, NotebookNode]:
    owners = exercise_of_cells(notebook)
    return {
        owner: cell
        for cell, owner in zip(notebook.cells, owners, strict=True)
        if owner is not None and "exercise" in cell.metadata.get("tags", [])
    }


def _answer_cell(
    mine: NotebookNode, exercise: str, handed_out: NotebookNode, base: NotebookNode
) -> NotebookNode | None:
    """The learner's cell for an exercise: by its id or its tag; where an editor has dropped both, the first new one."""
    known = {cell.id for cell in base.cells}
    owners = exercise_of_cells(mine)
    own = [
        cell for cell, owner in zip(mine.cells, owners, strict=True) if owner == exercise and cell.cell_type == "code"
    ]
    return next(
        (cell for cell in own if cell.id == handed_out.id),
        next(
            (cell for cell in own if "exercise" in cell.metadata.get("tags", [])),
            next((cell for cell in own if cell.id not in known), None),
        ),
    )


def _with_ids_of(notebook: NotebookNode, base: NotebookNode) -> NotebookNode:
    """A copy whose cells have the ids of the cells they come from; scripts, and some editors, keep none."""
    shared = {cell.id for cell in base.cells} & {cell.get("id") for cell in notebook.cells}
    if 2 * len(shared) > len(base.cells):
        return copy.deepcopy(notebook)
    return keep_ids(notebook, base)


def _same(one: NotebookNode, other: NotebookNode) -> bool:
    return one.source.rstrip() == other.source.rstrip()


def _is_courses_own(cell: NotebookNode) -> bool:
    return not COURSES_OWN.isdisjoint(cell.metadata.get("tags", []))
