"""From what a person types to a film of the catalogue."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

from recsys_course.data.titles import split_title

MOST_SUGGESTED = 5
ALIKE = 0.6  # of difflib's ratio, from which on a title counts as near to what was typed

_OTHER_NAME = re.compile(r"\s*\(.*\)$")  # as in "Seven (Se7en)"
_ARTICLE = re.compile(r"^(?P<name>.+), (?P<article>the|a|an|les?|la|das|der|die|el|il|l')$")


class UnknownTitle(ValueError):
    """No film, or more than one, has the title that was typed; the message lists the nearest."""


class Titles:
    """Finds films by title: with the year or without, in any case, `The Matrix` as well as `Matrix, The`, and without
    the other name that some have in brackets.

    Args:
        titles: `[num_movies]` as the catalogue has them.
        popularity: `[num_movies]`: of two films with one and the same title the more popular is meant.
    """

    def __init__(self, titles: Iterable[str], popularity: Iterable[float]) -> None:
        self._titles = list(titles)
        by_popularity = sorted(range(len(self._titles)), key=dict(enumerate(popularity)).__getitem__, reverse=True)
        self._by_title: dict[str, dict[str, int]] = {}  # as typed, then as the catalogue has it, to a position
        for at in by_popularity:
            title = self._titles[at]
            name, year = split_title(title)
            for key in (_key(name, None), _key(name, year), _key(_OTHER_NAME.sub("", name), None)):
                self._by_title.setdefault(key, {}).setdefault(title, at)

    def find(self, typed: str) -> int:
        """The position of the film that is meant.

        Raises:
            UnknownTitle: there is none of that title, or several; lists them, or those with titles most like it.
        """
        name, year = split_title(typed.strip())
        found = self._by_title.get(_key(name, year), {})
        if len(found) == 1:
            return next(iter(found.values()))
        if found:
            raise UnknownTitle(f"{typed!r} may be any of these, so say which: {'; '.join(found)}")
        near = self._near(plain(name))
        hint = f"did you mean: {'; '.join(near)}" if near else "and nothing is spelt like it"
        raise UnknownTitle(f"no film of the catalogue is called {typed!r}; {hint}")

    def _near(self, name: str) -> list[str]:
        """Titles that hold what was typed, then titles spelt like it."""
        holding = [key for key in self._by_title if f" {name} " in f" {key} "] if name else []
        spelt = difflib.get_close_matches(name, self._by_title, MOST_SUGGESTED, ALIKE)
        titles = (title for key in holding + spelt for title in self._by_title[key])
        return list(dict.fromkeys(titles))[:MOST_SUGGESTED]


def plain(name: str) -> str:
    """A title without a year, made comparable: no accents, small letters, single spaces, its article in front.

    `"Matrix, The"` becomes `"the matrix"`.
    """
    letters = unicodedata.normalize("NFKD", name)
    text = " ".join("".join(letter for letter in letters if not unicodedata.combining(letter)).casefold().split())
    if moved := _ARTICLE.match(text):
        text = f"{moved['article']} {moved['name']}"
    return text


def _key(name: str, year: int | None) -> str:
    return plain(name) if year is None else f"{plain(name)} ({year})"
