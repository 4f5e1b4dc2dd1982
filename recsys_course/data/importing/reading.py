"""A file of ratings: which columns serve, then its rows, judged one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from recsys_course.data.importing.report import BadRows
from recsys_course.data.importing.roles import Roles, assign
from recsys_course.data.importing.staging import ROW, Staging
from recsys_course.data.importing.tables import Table, open_table
from recsys_course.data.importing.values import BROKEN_ID, NO_ID, Clock, Ids, guess_clock, ratings

RATINGS = ("user", "item", "rating", "time")  # also the order of the columns of a file without header
ITEMS = ("item", "title", "genres")


@dataclass(frozen=True)
class Opened:
    """A file that has been understood: the table, the roles of its columns, and how it tells time, if it does."""

    table: Table
    roles: Roles
    clock: Clock | None

    @property
    def columns(self) -> dict[str, str]:
        """The column for each role that the file can fill."""
        return self.roles.columns

    def in_words(self) -> list[str]:
        """What was understood, and what of it was guessed: a line for the file, then one for each role."""
        lines = [f"{self.table.path.name}: {self.table.layout}"]
        for role, column in self.columns.items():
            how = "guessed" if role in self.roles.guessed else f"as --{role} says"
            unit = f"; {self.clock.in_words}" if role == "time" and self.clock else ""
            lines.append(f"  {role:<7} {column!r} ({how}){unit}")
        if self.roles.unused:
            lines.append(f"  not used: {', '.join(map(repr, self.roles.unused))}")
        return lines


@dataclass(frozen=True)
class Read:
    """The rows that were taken, with numbers for ids, and the ids."""

    staging: Staging
    users: Ids
    items: Ids


def open_file(
    path: Path, roles: Sequence[str], required: Sequence[str], named: Mapping[str, str | None], header: bool | None
) -> Opened:
    """Looks into a file.

    Args:
      path: text or Parquet.
      roles: those that its columns may play; in a file without header, in the order of the columns.
      required: those that must be played.
      named: the column for each role that the reader named. A file of items may lack the one named for the item, which
        is then guessed: the other file's name for it need not be this one's.
      header: whether the first line names the columns; None finds out.

    Raises:
      ValueError: a column is not there.
      DatasetError: the file cannot be read.
    """
    named = {role: named.get(role) for role in roles}
    table = open_table(path, header, [name for name in named.values() if name])
    if roles == ITEMS and named["item"] not in table.columns:
        named["item"] = None
    try:
        found = assign(
            path.name, table.columns, named, required, [] if table.has_header else _by_position(table, roles)
        )
    except ValueError as error:
        if header is None and table.has_header and table.unit == "line":
            raise ValueError(f"{error} If its first line is a row and no header, add --no-header.") from error
        raise
    clock = guess_clock(table.sample[found.columns["time"]]) if "time" in found.columns else None
    return Opened(table, found, clock)


def _by_position(table: Table, roles: Sequence[str]) -> list[str]:
    """Roles of a headless file's columns, in the order of ``roles``; the third and last is a time if it looks so."""
    if roles[-1] == "time" and len(table.columns) == 3:
        third = table.sample["3"]
        _, faults = guess_clock(third).seconds(pa.array(third))
        if not np.logical_or.reduce(list(faults.values())).all():
            return ["user", "item", "time"]
    return list(roles[: len(table.columns)])


def read_ratings(opened: Opened, folder: Path) -> tuple[Read, BadRows]:
    """Reads all rows, and stages those that can be taken in an empty folder.

    A row without rating column counts 1.0. A row with more than one fault is reported for the first of them.
    """
    table, columns = opened.table, opened.columns
    bad = BadRows(table.path.name, table.unit)
    users, items = Ids(), Ids()
    with Staging(folder, table.num_rows, timed=opened.clock is not None) as staging:
        for chunk in table.chunks(list(columns.values()), bad):
            values = {role: chunk.columns[column] for role, column in columns.items()}
            rows = np.zeros(len(chunk.lines), dtype=ROW)
            rows["line"] = chunk.lines
            rows["user"] = users.number(values["user"], columns["user"])
            rows["item"] = items.number(values["item"], columns["item"])
            rows["rating"] = 1.0
            faults = {
                "no user id": ("user", rows["user"] == NO_ID),
                "no item id": ("item", rows["item"] == NO_ID),
                "line break in a user id": ("user", rows["user"] == BROKEN_ID),
                "line break in an item id": ("item", rows["item"] == BROKEN_ID),
            }
            if "rating" in columns:
                rows["rating"], found = ratings(values["rating"])
                faults |= {kind: ("rating", mask) for kind, mask in found.items()}
            if opened.clock is not None:
                rows["time"], found = opened.clock.seconds(values["time"])
                faults |= {kind: ("time", mask) for kind, mask in found.items()}
            good = np.ones(len(rows), dtype=bool)
            for kind, (role, mask) in faults.items():
                at = np.flatnonzero(good & mask)
                told = [repr(value) for value in values[role].take(pa.array(at)).to_pylist()]
                bad.add(kind, chunk.lines[at], None if kind.startswith("no ") else told.__getitem__)
                good &= ~mask
            staging.add(rows[good])
    staging.sift(bad)
    return Read(staging, users, items), bad
