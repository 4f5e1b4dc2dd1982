"""The catalogue: a title and genres for every item."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from recsys_course.data.importing.report import BadRows
from recsys_course.data.importing.tables import Table
from recsys_course.data.importing.values import BROKEN_ID, NO_ID, Ids

NO_GENRES = "(no genres listed)"  # as MovieLens says it


class Item(NamedTuple):
    """One item: ``title``, and ``genres``, at least the one that says there are none."""

    title: str
    genres: tuple[str, ...]


def read_items(table: Table, columns: Mapping[str, str], bad: BadRows) -> tuple[dict[str, Item], str]:
    """Reads a file of items.

    Args:
      table: the file.
      columns: its column for ``item``, and for ``title`` and ``genres`` where it has them.
      bad: is told of rows without an id, and of ids that stand twice.

    Returns:
      The items by id (an item without a title has its id for one), and what separates the genres, ``""`` for nothing.
    """
    separator = genre_separator(table.sample[columns["genres"]]) if "genres" in columns else ""
    ids, items = Ids(), {}
    for chunk in table.chunks(list(columns.values()), bad):
        values = {role: chunk.columns[name] for role, name in columns.items()}
        numbers = ids.number(values["item"], columns["item"])
        for kind, number in (("no item id", NO_ID), ("line break in an id", BROKEN_ID)):
            bad.add(kind, chunk.lines[numbers == number])
        names = list(ids.numbers)  # in the order of their numbers
        titles, genres = (_list(values.get(role), len(numbers)) for role in ("title", "genres"))
        twice = []
        for place in np.flatnonzero(numbers >= 0).tolist():
            name = names[numbers[place]]
            if name in items:
                twice.append(place)
            else:
                items[name] = Item(_line(titles[place]) or name, split_genres(genres[place], separator))
        again = [names[number] for number in numbers[twice]]
        bad.add("item that stood above", chunk.lines[twice], again.__getitem__)
    return items, separator


def genre_separator(sample: Iterable[object]) -> str:
    """``|`` where one occurs, else ``;``, else ``,``; nothing where no value has any of them, or they are lists."""
    texts = [value for value in sample if isinstance(value, str)]
    return next((mark for mark in "|;," if any(mark in text for text in texts)), "")


def split_genres(value: object, separator: str) -> tuple[str, ...]:
    """Genre names of one item, each once, in their order; ``(no genres listed)`` where there are none."""
    if value is None:
        return (NO_GENRES,)
    parts = value.split(separator) if isinstance(value, str) and separator else value
    parts = [parts] if isinstance(parts, str) or not isinstance(parts, Iterable) else parts
    names = dict.fromkeys(filter(None, (_line(part) for part in parts)))
    return tuple(names) or (NO_GENRES,)


def _list(values: pa.Array | None, length: int) -> list[Any]:
    return [None] * length if values is None else values.to_pylist()


def _line(value: object) -> str:
    """A value as text on one line."""
    return "" if value is None else re.sub(r"[\s\x00-\x1f\x7f]+", " ", str(value)).strip()
