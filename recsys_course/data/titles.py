"""Titles as MovieLens writes them, with the year in brackets at the end: `Lion King, The (1994)`."""

from __future__ import annotations

import re

YEAR = r"\((\d{4})\)\s*$"  # text, since TensorFlow reads it in a graph as well; the four figures are its group

_YEAR_AND_SPACE_BEFORE = re.compile(rf"\s*{YEAR}")


def split_title(title: str) -> tuple[str, int | None]:
    """A title without its year, and the year; `None` where it has none."""
    year = _YEAR_AND_SPACE_BEFORE.search(title)
    return (title[: year.start()], int(year[1])) if year else (title, None)
