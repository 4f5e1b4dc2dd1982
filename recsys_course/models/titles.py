"""From what somebody types to a film of the catalogue."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from recsys_course.data.titles import YEAR

LIKENESS = 0.75  # 1 is the same text, 0 shares no letter; below this it is another film


def find_film(typed: str, titles: Sequence[str]) -> int | None:
    """The film that somebody most likely means. Built in chapter 7.

    An exact title comes first, year included. Otherwise names are compared without year, article, capitals and
    punctuation, and a few wrong letters are forgiven.

    Args:
        typed: what was typed.
        titles: the catalogue's titles, as MovieLens writes them: "Lion King, The (1994)".

    Returns:
        A position in `titles`, or `None` where no title resembles what was typed.
    """
    wanted = _name(typed)
    exact = [title.strip().casefold() for title in titles]
    if typed.strip().casefold() in exact:
        return exact.index(typed.strip().casefold())
    names = [_name(title) for title in titles]
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=LIKENESS) if wanted else []
    return names.index(close[0]) if close else None


def _name(title: str) -> str:
    words = re.sub(YEAR, "", title.casefold()).replace("'", "")
    return " ".join(word for word in re.findall(r"\w+", words) if word not in {"the", "a", "an"})
