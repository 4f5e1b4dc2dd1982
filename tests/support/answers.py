"""Answers out of a chapter's source: the author's, and the stub that a learner starts from.

Only what the exercise's cell needs is executed: of the cells above it, the statements that bind the names it uses.
"""

from __future__ import annotations

import ast
import linecache
import symtable
from functools import cache
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from recsys_course.authoring.notebooks import exercise_of_cells, read_script, strip_solution
from recsys_course.grading import find

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"


def solution_answer(id: str) -> Any:
    """Return what the author's solution passes to the exercise's check."""
    return _run(id, _exercise_cell(id))


def stub_answer(id: str) -> Any:
    """Return what an untouched chapter passes to the check; ``...`` where its cell raises before it has a value."""
    try:
        return _run(id, strip_solution(_exercise_cell(id), id))
    except NotImplementedError:
        return ...


@cache
def _chapter(number: int) -> NotebookNode:
    (path,) = SOLUTIONS.glob(f"{number:02d}_*.py")
    return read_script(path.read_text(encoding="utf-8"))


def _code(id: str) -> list[tuple[bool, str]]:
    """The chapter's code cells in order: whether the cell is this exercise's, and its source."""
    notebook = _chapter(int(id.split(".")[0]))
    return [
        (owner == id and "exercise" in cell.metadata.get("tags", []), cell.source)
        for cell, owner in zip(notebook.cells, exercise_of_cells(notebook), strict=True)
        if cell.cell_type == "code"
    ]


def _exercise_cell(id: str) -> str:
    sources = [source for mine, source in _code(id) if mine]
    assert sources, f"no cell tagged `exercise` under the heading of exercise {id}"
    return "\n".join(sources)


def _run(id: str, source: str) -> Any:
    cells = _code(id)
    first = next(index for index, (mine, _) in enumerate(cells) if mine)
    above = "\n".join(_without_magics(source) for _, source in cells[:first])
    namespace: dict[str, Any] = {"__name__": "__main__"}
    needed = ast.Module(_statements_needed(ast.parse(above).body, ast.parse(source)), type_ignores=[])
    exec(compile(needed, f"<above exercise {id}>", "exec"), namespace)
    # Known to linecache, as a notebook's cells are: then a check can quote the line that raised.
    name = f"<exercise {id}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), namespace)
    return namespace[find(id).answer]


def _without_magics(source: str) -> str:
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())


def _statements_needed(statements: list[ast.stmt], target: ast.AST) -> list[ast.stmt]:
    """Of statements in order, those that the target needs: a slice, read backwards from the names it uses."""
    names, kept = _used(_symbols(target)), []
    modules = {s.get_name() for node in statements for s in _symbols(node).get_symbols() if s.is_imported()}
    for statement in reversed(statements):
        if _bound(statement, modules) & names:
            kept.append(statement)
            names |= _used(_symbols(statement))
    return kept[::-1]


def _symbols(node: ast.AST) -> symtable.SymbolTable:
    return symtable.symtable(ast.unparse(node), "<cell>", "exec")


def _used(table: symtable.SymbolTable) -> set[str]:
    """Global names that code reads, inside its functions and classes too; a function's own variables are not."""
    is_module = table.get_type() == "module"
    names = {s.get_name() for s in table.get_symbols() if s.is_referenced() and (is_module or s.is_global())}
    return names.union(*map(_used, table.get_children()))


def _bound(statement: ast.stmt, modules: set[str]) -> set[str]:
    """Names that a statement binds, or changes through a method or an item (``layer.adapt(x)``, ``table["a"] = 1``).

    A function called in a module (``np.testing.assert_allclose(...)``) changes nothing that an answer needs.
    """
    table = _symbols(statement)
    names = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    match statement:
        case ast.Assign(targets=targets):
            changed = [target for target in targets if isinstance(target, ast.Attribute | ast.Subscript)]
        case ast.Expr(value=ast.Call(func=ast.Attribute() as changed_by)):
            changed = [changed_by]
        case _:
            changed = []
    for target in changed:
        while isinstance(target, ast.Attribute | ast.Subscript):
            target = target.value
        if isinstance(target, ast.Name) and target.id not in modules:
            names.add(target.id)
    return names
