"""Outputs fit to be kept: what a cell showed, without the machine that it ran on."""

from __future__ import annotations

import copy
import re
from pathlib import Path

from nbformat import NotebookNode

_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}")


def clean_outputs(notebook: NotebookNode, root: Path) -> NotebookNode:
    """A copy without log noise, addresses in memory, folders of this machine, time stamps or Python version.

    Args:
        notebook: An executed notebook.
        root: The course's folder; it and the home folder are written as ``.`` and ``~``.
    """
    notebook = copy.deepcopy(notebook)
    notebook.metadata.pop("language_info", None)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            if "text" in output:
                output.text = _anonymous(output.text, root)
            for mime, value in output.get("data", {}).items():
                if mime.startswith("text/") and isinstance(value, str):
                    output.data[mime] = _anonymous(value, root)
    return notebook


def _anonymous(text: str, root: Path) -> str:
    for folder, name in ((root, "."), (Path.home(), "~")):
        # Followed by a separator: a home folder such as /root must not match inside another word.
        text = re.sub(re.escape(str(folder)) + r"(?=[\\/])", name, text)
    return _ADDRESS.sub("", text)
