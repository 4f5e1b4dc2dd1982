"""What a figure shows, in words, for those who cannot see it: read from the code that draws it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PLOTTING = Path(__file__).parents[1] / "plotting.py"
LABELS = ("title", "xlabel", "ylabel")


def figure_text(source: str, heading: str) -> str:
    """Alternative text of a cell's figure.

    Args:
        source: The cell's code.
        heading: The heading above it.

    Returns:
        The heading; the first line of what the functions of `plotting` say that they draw; and the texts that the code
        gives to titles and axes.
    """
    kinds, labels = [], []
    try:
        code = ast.parse(source)
    except SyntaxError:  # a command of the notebook's own, such as %time
        return heading
    for call in (node for node in ast.walk(code) if isinstance(node, ast.Call)):
        labels += [_text(keyword.value) for keyword in call.keywords if keyword.arg in LABELS]
        if isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "plotting":
            kinds.append(_kinds_of_figures().get(call.func.attr, ""))
            labels += [_text(argument) for argument in call.args]
    parts = [heading, *dict.fromkeys(kinds), ", ".join(dict.fromkeys(filter(None, labels)))]
    return "; ".join(part for part in parts if part)


def _text(node: ast.expr) -> str:
    """A string of the code, without what an f-string fills in; empty for anything else."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)).strip(" =,")
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@cache
def _kinds_of_figures() -> dict[str, str]:
    """The first line of each plotting function's docstring; read, not imported, since Matplotlib takes its time."""
    code = ast.parse(PLOTTING.read_text(encoding="utf-8"))
    functions = [node for node in code.body if isinstance(node, ast.FunctionDef)]
    first_lines = {node.name: (ast.get_docstring(node) or "").partition("\n")[0] for node in functions}
    return {name: line if line.endswith("...") else line.removesuffix(".") for name, line in first_lines.items()}
