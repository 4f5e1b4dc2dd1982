"""Which cells of a chapter the check of one exercise needs, read off the code without running it.

Grading one exercise need not train the models above it. Kept are, in their order:

- the check cell, the exercise's own cells, and the chapter's opening: set-up, imports, seeds;
- every cell that a reader has added or edited, unless all it does is to bind functions, classes or plain values;
- every cell that binds a name which a kept cell uses, and so on upwards;
- every cell that merely touches such a name, where it stands for something that can change (a table, a model), and
  whatever touches what that cell binds: two names may stand for one thing.

Left out is thus only what the course itself wrote and nothing kept refers to, and definitions that nothing kept uses.
Where a reader's code may reach names in a way that cannot be read off it (``exec``, ``globals``, ``import *``, a magic
command), draws random numbers, whose place in the stream counts, or reads files or the environment, there is no
selection: everything above runs.
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from IPython.core.inputtransformer2 import TransformerManager

# Names and attributes through which code reaches what cannot be read off it.
OBSCURE = {
    *("exec", "eval", "globals", "locals", "vars", "setattr", "delattr", "__dict__", "__globals__", "__import__"),
    *("__main__", "builtins", "__builtins__", "import_module", "reload", "modules", "_getframe", "gc", "get_ipython"),
    *("In", "Out", "_", "__", "___"),  # what earlier cells have shown
}
# What depends on how many numbers were drawn before, on files, or on the environment: cells may be bound by these too.
OUTSIDE = re.compile(r"random|\brng|shuffle|seed|permut|\bopen\(|Path\b|\bread_|\bglob|listdir|environ|getenv", re.I)


@dataclass(frozen=True)
class Cell:
    """What can be read off a cell's source: its global names, and whether it only defines, or escapes such reading."""

    tree: ast.Module
    binds: frozenset[str]  # or changes through a member or an item
    uses: frozenset[str]
    uses_later: frozenset[str]  # those inside its functions and classes
    only_defines: bool
    is_obscure: bool


def needed_cells(sources: Sequence[str], check: int, own: Collection[int], courses: Collection[str]) -> set[int] | None:
    """The code cells to run for one exercise.

    Args:
        sources: The notebook's code cells.
        check: Position of the exercise's check cell.
        own: Positions of the exercise's own cells.
        courses: Sources of the code cells of the chapter as it is handed out.

    Returns:
        Positions up to and including ``check``, or None where it is not certain that fewer than all of them do.
    """
    courses = {source.strip() for source in courses}
    is_courses = [source.strip() in courses for source in sources[: check + 1]]
    if is_courses.count(True) < 2:  # another notebook, or an older version's
        return None
    cells = [read_cell(source) for source in sources[: check + 1]]
    opening = next((i for i, cell in enumerate(cells) if is_courses[i] and "grading" in cell.binds), -1)
    kept = {check, *(i for i in own if i <= check), *range(opening + 1)}
    kept |= {i for i, cell in enumerate(cells) if not is_courses[i] and not cell.only_defines}
    changing = _changing(cells)
    shared: set[str] = set()  # names that may stand for what a kept cell uses and another may change
    while True:
        # The opening has run by then, all of it: what it used itself is past, what its functions use is not.
        names = frozenset().union(*(cells[i].uses if i > opening else cells[i].uses_later for i in kept))
        shared |= names & changing
        more = {
            i for i, cell in enumerate(cells) if i not in kept and (cell.binds & (names | shared) or cell.uses & shared)
        }
        # What touches a thing may hold on to it under another name.
        holds = {name for i in kept | more if cells[i].uses & shared for name in cells[i].binds & changing}
        if not more and holds <= shared:
            break
        kept |= more
        shared |= holds
    if any(cells[i].is_obscure for i in range(check + 1) if not is_courses[i] or (i in kept and i > opening)):
        return None
    if any(OUTSIDE.search(sources[i]) for i in kept if not is_courses[i]):
        return None
    return kept


def read_cell(source: str) -> Cell:
    """Read a cell, without running it."""
    source = TransformerManager().transform_cell(source)  # magics and shell commands become calls of get_ipython()
    try:
        tree = ast.parse(source)
        table = symtable.symtable(source, "<cell>", "exec")
    except (SyntaxError, ValueError):  # running it fails before it does anything
        nothing: frozenset[str] = frozenset()
        return Cell(ast.Module([], []), nothing, nothing, nothing, only_defines=False, is_obscure=False)
    binds = _binds(table) | {name for node in ast.walk(tree) for name in _changes(node)}
    only_defines = all(map(_is_definition, tree.body))
    later = frozenset().union(*(_uses(child, False) for child in table.get_children()))
    is_obscure = any(map(_is_obscure, ast.walk(tree)))
    return Cell(tree, frozenset(binds), frozenset(_uses(table)), later, only_defines, is_obscure)


def _binds(table: symtable.SymbolTable, is_module: bool = True) -> set[str]:
    """Global names that code assigns, imports or deletes, inside its functions too."""
    symbols = table.get_symbols()
    names = {
        s.get_name() for s in symbols if (s.is_assigned() or s.is_imported()) and (is_module or s.is_declared_global())
    }
    return names.union(*(_binds(child, False) for child in table.get_children()))


def _uses(table: symtable.SymbolTable, is_module: bool = True) -> set[str]:
    """Global names that code reads, inside its functions and classes too; a function's own variables are not."""
    names = {s.get_name() for s in table.get_symbols() if s.is_referenced() and (is_module or s.is_global())}
    return names.union(*(_uses(child, False) for child in table.get_children()))


def _changes(node: ast.AST) -> set[str]:
    """The name below an attribute or item that a statement writes: ``table`` in ``table["a"].b = 1``."""
    if not isinstance(node, ast.Attribute | ast.Subscript) or isinstance(node.ctx, ast.Load):
        return set()
    inner: ast.AST = node
    while isinstance(inner, ast.Attribute | ast.Subscript | ast.Call):
        inner = inner.func if isinstance(inner, ast.Call) else inner.value
    return {inner.id} if isinstance(inner, ast.Name) else set()


def _is_obscure(node: ast.AST) -> bool:
    match node:
        case ast.Name(id="_", ctx=ast.Store()):  # thrown away
            return False
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
            return name in OBSCURE or name == "*" or name.startswith("importlib")
        case ast.Constant(value=str(text)):  # getattr(something, "__dict__")
            return text.startswith("__") and text in OBSCURE
    return False


def _is_definition(statement: ast.stmt) -> bool:
    """Whether a statement does nothing but give a name to a function, a class or a plain value."""
    match statement:
        case ast.FunctionDef(args=args, decorator_list=[], returns=returns):
            given = [*args.defaults, *args.kw_defaults, returns]
            given += [
                arg.annotation
                for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
                if arg
            ]
            return all(value is None or _is_plain(value) for value in given)
        case ast.ClassDef(decorator_list=[], keywords=[], bases=bases):
            return all(map(_is_plain, bases)) and all(map(_is_definition, statement.body))
        case ast.Assign(targets=targets, value=value):
            return all(isinstance(target, ast.Name) for target in targets) and _is_constant(value)
        case ast.Expr(value=ast.Constant()) | ast.Pass():
            return True
    return False


def _is_plain(value: ast.expr) -> bool:
    """Names, their members and constants: to evaluate them changes nothing."""
    if isinstance(value, ast.Attribute):
        return _is_plain(value.value)
    return isinstance(value, ast.Name) or _is_constant(value)


def _is_constant(value: ast.expr) -> bool:
    """A number, a text, or a tuple of such: nothing that can change later."""
    try:
        return not isinstance(value, ast.Set) and isinstance(hash(ast.literal_eval(value)), int)
    except (ValueError, TypeError):
        return False


def _changing(cells: Sequence[Cell]) -> frozenset[str]:
    """Names that may stand for something that a cell can change without binding the name anew.

    A module, a constant, or a function or class that uses none but such names stands for itself. A name of which any
    cell makes something else, is not one.
    """
    fixed: dict[str, list[frozenset[str]]] = {}  # a name -> what each of its functions uses
    changing: set[str] = set()
    for cell in cells:
        for statement in cell.tree.body:
            table = symtable.symtable(ast.unparse(statement), "<cell>", "exec")
            for name in _binds(table):
                if isinstance(statement, ast.Import | ast.ImportFrom) or _is_definition(statement):
                    uses = set() if isinstance(statement, ast.Import | ast.ImportFrom) else _uses(table)
                    fixed.setdefault(name, []).append(frozenset(uses))
                else:
                    changing.add(name)
        changing |= {name for node in ast.walk(cell.tree) for name in _changes(node)}
    while more := {name for name, uses in fixed.items() if name not in changing and any(u & changing for u in uses)}:
        changing |= more
    return frozenset(changing)
