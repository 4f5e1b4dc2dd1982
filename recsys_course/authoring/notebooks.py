"""Notebooks as values: read the author's source, strip the answers, keep cell ids, write text.

A solution source is a percent-format script. Everything else is derived from it, and every derivation here is a
function from notebook to notebook (or to text) that touches no file.
"""

from __future__ import annotations

import copy
import difflib
import hashlib
import re
from collections.abc import Iterable

import jupytext
import nbformat
from nbformat import NotebookNode

EXERCISE_HEADING = re.compile(r"^### Exercise (\d+\.\d+) · (.+?)\s*$", re.MULTILINE)
BEGIN, END, STUB = "# BEGIN SOLUTION", "# END SOLUTION", "# STUB"

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
# Jupytext otherwise writes its own version into every file, and each upgrade would make every chapter stale.
JUPYTEXT = {"formats": "ipynb,py:percent", "notebook_metadata_filter": "-jupytext.text_representation"}
KEPT_METADATA = ("tags", "cellView")  # of a cell
LAYOUT = ("lines_to_next_cell", "lines_to_end_of_cell_marker")  # Jupytext's notes on blank lines; a script's only


def read_script(text: str) -> NotebookNode:
    """A percent-format script as a notebook, with the course's own metadata and ids made from the cells' content."""
    notebook = jupytext.reads(text, "py:percent")
    notebook.metadata = _metadata()
    notebook.nbformat_minor = 5
    taken: set[str] = set()
    for cell in notebook.cells:
        kept = (*KEPT_METADATA, *LAYOUT)
        cell.metadata = NotebookNode({key: cell.metadata[key] for key in kept if key in cell.metadata})
        # Ids made from content: a build from nothing gives the same notebook on every machine.
        cell.id = _unused(_digest((cell.cell_type, cell.source))[:8], taken)
        taken.add(cell.id)
    return notebook


def script_text(notebook: NotebookNode) -> str:
    """The notebook as a percent-format script."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata = _metadata()
    return jupytext.writes(notebook, "py:percent")


def notebook_text(notebook: NotebookNode) -> str:
    """The notebook as an ``.ipynb`` file's text: sorted keys, so equal notebooks are equal bytes."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        for key in LAYOUT:
            cell.metadata.pop(key, None)
    return nbformat.writes(notebook) + "\n"


def keep_ids(notebook: NotebookNode, old: NotebookNode | None) -> NotebookNode:
    """Give each cell the id that it has in an older version of the notebook.

    Unchanged cells are found by content. Between two of them, edited cells are paired in order with the old cells of
    the same type, so that an id survives an edit; inserted cells keep the ids they came with.

    Args:
        notebook: The new version.
        old: The older version, or None.

    Returns:
        A copy with ids that are unique and, wherever a cell was there before, old.
    """
    notebook = copy.deepcopy(notebook)
    if old is None:
        return notebook
    before = [(cell.cell_type, cell.source) for cell in old.cells]
    after = [(cell.cell_type, cell.source) for cell in notebook.cells]
    pairs: dict[int, int] = {}
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    for operation, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if operation == "equal":
            pairs.update(zip(range(new_from, new_to), range(old_from, old_to), strict=True))
        elif operation == "replace":
            candidates = list(range(old_from, old_to))
            for new in range(new_from, new_to):
                similar = [at for at in candidates if before[at][0] == after[new][0] and _alike(before[at], after[new])]
                if similar:
                    pairs[new] = similar[0]
                    candidates = [at for at in candidates if at > similar[0]]
    for new, at in pairs.items():
        notebook.cells[new].id = old.cells[at].id
    taken = {notebook.cells[new].id for new in pairs}
    for new, cell in enumerate(notebook.cells):
        if new not in pairs:
            cell.id = _unused(cell.id, taken)
            taken.add(cell.id)
    return notebook


def _alike(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """Whether one source is an edit of the other rather than another cell."""
    return difflib.SequenceMatcher(a=before[1], b=after[1]).ratio() > 0.5


def strip_notebook(solution: NotebookNode) -> NotebookNode:
    """The learner's notebook: the same cells and ids, answers replaced by stubs, no outputs.

    Raises:
        ValueError: A cell tagged ``exercise`` without a solution region, a region in any other cell, or a stub that
            is not Python.
    """
    notebook = copy.deepcopy(solution)
    for cell, exercise in zip(notebook.cells, exercise_of_cells(notebook), strict=True):
        if cell.cell_type != "code":
            continue
        cell.outputs, cell.execution_count = [], None
        tagged = "exercise" in cell.metadata.get("tags", [])
        if tagged != (BEGIN in cell.source) or (tagged and exercise is None):
            raise ValueError(
                "a solution region stands in a cell tagged `exercise`, below its exercise's heading, and nowhere else; "
                f"this cell breaks that (under exercise {exercise}):\n{cell.source[:200]}"
            )
        if exercise is not None and tagged:
            cell.source = strip_solution(cell.source, exercise)
            try:
                compile(cell.source, f"stub of exercise {exercise}", "exec")
            except SyntaxError as error:
                raise ValueError(f"the stub of exercise {exercise} is not Python: {error}") from error
    return notebook


def exercise_of_cells(notebook: NotebookNode) -> list[str | None]:
    """For each cell, the number of the exercise whose heading stands above it; None before the first, and again
    after the next heading that opens something else."""
    current: str | None = None
    numbers = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if match := EXERCISE_HEADING.match(line):
                    current = match[1]
                elif re.match(r"#{1,3} ", line):
                    current = None
        numbers.append(current)
    return numbers


def section_of_cells(notebook: NotebookNode) -> list[str]:
    """For each cell, the nearest heading above it, without its marks."""
    current = ""
    sections = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (headings := re.findall(r"^#{1,4} +(.+?)\s*$", cell.source, re.MULTILINE)):
            current = headings[-1].replace("`", "").replace("*", "")
        sections.append(current)
    return sections


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
    indent = ""  # of the region's first mark
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


def solution_lines(source: str) -> set[str]:
    """The lines of a cell that a learner must not see: its regions' answer lines, markers and stub lines left out."""
    lines: set[str] = set()
    inside = False
    for line in map(str.strip, source.split("\n")):
        if line == BEGIN:
            inside = True
        elif line in (STUB, END):
            inside = False
        elif inside and line:
            lines.add(line)
    return lines


def code_fingerprint(notebook: NotebookNode) -> str:
    """Hash of the code cells' sources, in order: what determines the outputs, as far as the notebook goes.

    The set-up cell is left out: it shows nothing, and a new address in it is no reason to train all models again.
    """
    return _digest(
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", [])
    )


def input_fingerprint(notebook: NotebookNode) -> str:
    """Hash of all cells' types and sources: tells whether someone has edited a notebook."""
    return _digest(f"{cell.cell_type}\0{cell.source.rstrip()}" for cell in notebook.cells)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0\0".join(parts).encode()).hexdigest()[:16]


def _metadata() -> NotebookNode:
    return nbformat.from_dict({"jupytext": JUPYTEXT, "kernelspec": KERNELSPEC})


def _unused(wanted: str, taken: set[str]) -> str:
    """``wanted``, with a number behind it where it is taken."""
    number = 2
    unused = wanted
    while unused in taken:
        unused, number = f"{wanted}-{number}", number + 1
    return unused
