"""Rows that cannot be taken: counted by what is wrong with them, and shown with where they stand."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import numpy as np

SHOWN = 5


class BadRows:
    """The bad rows of one file. Memory holds the counts, and the first few rows of each kind."""

    def __init__(self, file: str, unit: str):
        """Takes the file's name and what its rows are counted in: ``line`` of a text, ``row`` of a Parquet file."""
        self.file = file
        self.unit = unit
        self.counts: dict[str, int] = {}
        self._first: dict[str, list[tuple[int, str]]] = {}

    def __len__(self) -> int:
        return sum(self.counts.values())

    def add(self, kind: str, lines: Sequence[int] | np.ndarray, detail: Callable[[int], object] | None = None) -> None:
        """Counts rows.

        Args:
          kind: what is wrong, for example ``no user id``.
          lines: where each row stands, counted from 1.
          detail: gives, for a place in ``lines``, what to show of that row; asked only for rows that are shown.
        """
        if not len(lines):
            return
        self.counts[kind] = self.counts.get(kind, 0) + len(lines)
        first = heapq.nsmallest(SHOWN, range(len(lines)), key=lambda place: lines[place])
        shown = [(int(lines[place]), "" if detail is None else _short(detail(place))) for place in first]
        self._first[kind] = heapq.nsmallest(SHOWN, self._first.get(kind, []) + shown)

    def in_words(self) -> str:
        """One line: ``3 no rating, 1 exact duplicate``."""
        return ", ".join(f"{count:,} {kind}" for kind, count in self.counts.items())

    def __str__(self) -> str:
        """A line for each kind, with the lines of the file where the first few stand."""
        width = max((len(kind) for kind in self.counts), default=0)
        digits = max((len(f"{count:,}") for count in self.counts.values()), default=0)
        rows = []
        for kind, count in self.counts.items():
            places = ", ".join(f"{line}{' ' + detail if detail else ''}" for line, detail in self._first[kind])
            more = ", ..." if count > SHOWN else ""
            rows.append(
                f"  {kind:<{width}}  {count:>{digits},}  {self.unit if count == 1 else self.unit + 's'} {places}{more}"
            )
        return "\n".join(rows)


def _short(detail: object) -> str:
    text = str(detail)
    return f"({text if len(text) <= 40 else text[:37] + '...'})"
