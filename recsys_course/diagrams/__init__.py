"""Drawings of the course, shipped as SVG: ``diagrams.show("funnel")`` displays one in a notebook.

Each drawing carries its own words: ``<title>`` names it and ``<desc>`` says in text what it shows, for screen readers
and for front ends that cannot draw. It has no page background, so it sits on a light ground as well as on a dark one.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from importlib import resources

_SVG = "{http://www.w3.org/2000/svg}"


def names() -> list[str]:
    """Names that `show` accepts, in alphabetical order."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".svg") for file in files if file.name.endswith(".svg"))


def source(name: str) -> str:
    """SVG source of a drawing.

    Args:
        name: one of `names`.

    Returns:
        The file's text.

    Raises:
        ValueError: there is no such drawing; the message lists those there are.
    """
    if name not in names():
        raise ValueError(f"There is no diagram {name!r}. Expected one of: {', '.join(names())}.")
    return resources.files(__name__).joinpath(f"{name}.svg").read_text(encoding="utf-8")


def description(name: str) -> str:
    """What a drawing shows, in words: its ``<title>`` and, on the lines below, its ``<desc>``."""
    root = ElementTree.fromstring(source(name))
    texts = (root.findtext(f"{_SVG}title", ""), root.findtext(f"{_SVG}desc", ""))
    return "\n".join(" ".join(text.split()) for text in texts)


def show(name: str) -> None:
    """Displays a drawing in the notebook, or its description where only text can be shown.

    Args:
        name: one of `names`.

    Raises:
        ValueError: there is no such drawing; the message lists those there are.
    """
    from IPython.display import display

    display({"image/svg+xml": source(name), "text/plain": description(name)}, raw=True)
