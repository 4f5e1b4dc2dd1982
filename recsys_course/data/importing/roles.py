"""Which column of a file plays which part: named by the reader, or guessed from the names that are usual."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# In order of preference, without case and punctuation: user_id, userId and "User ID" are one name.
USUAL = {
    role: names.split()
    for role, names in {
        "user": "userid user uid customerid customer clientid client memberid member visitorid visitor accountid "
        "account readerid reader reviewerid reviewer personid person profileid profile",
        "item": "itemid item iid movieid movie filmid film productid product asin isbn bookid book recipeid recipe "
        "songid song trackid track artistid artist gameid game articleid article contentid content id",
        "rating": "rating userrating ratingvalue stars star score overall grade",
        "time": "timestamp time unixtime datetime date when ts createdat ratedat reviewtime unixreviewtime eventtime",
        "title": "title itemtitle movietitle booktitle productname itemname name",
        "genres": "genres genre moviegenres categories category tags tag kinds kind topics topic",
    }.items()
}


class Roles(NamedTuple):
    """The columns that serve, by role.

    Attributes:
      columns: name of the column for each role that the file can fill.
      guessed: the roles that the reader did not name.
      unused: the columns that play no part.
    """

    columns: dict[str, str]
    guessed: set[str]
    unused: list[str]


def plain(name: str) -> str:
    """A column's name without case and punctuation."""
    return re.sub(r"[\W_]+", "", name).lower()


def is_header(cells: Sequence[str], named: Sequence[str]) -> bool:
    """Whether a first line names columns: all that are asked for, or a usual one, or no cell is a number."""
    usual = {name for names in USUAL.values() for name in names}
    if (named and set(named) <= {cell.strip() for cell in cells}) or any(plain(cell) in usual for cell in cells):
        return True
    return not any(re.fullmatch(r"\s*[-+]?\d[\d.,:eE+\-TZ ]*", cell) for cell in cells)


def assign(
    file: str, columns: Sequence[str], named: Mapping[str, str | None], required: Sequence[str], by_position: list[str]
) -> Roles:
    """Finds a column for each role.

    Args:
      file: the file's name, for messages.
      columns: the columns it has.
      named: for each role the column that the reader named, or None to have it guessed.
      required: roles that must be filled.
      by_position: roles of the columns in their order, where the file has no header; else empty.

    Raises:
      ValueError: a named column is not there, two roles share one, or a required role stays open; lists what is there.
    """
    found = f"{file} has the columns: {', '.join(map(repr, columns))}"
    chosen: dict[str, str] = {}
    for role, name in named.items():
        if name is not None:
            if name not in columns:
                raise ValueError(f"--{role} {name!r}: there is no such column. {found}.")
            chosen[role] = name
    guessed = set()
    for place, role in enumerate(by_position):
        if role not in chosen and columns[place] not in chosen.values():
            chosen[role] = columns[place]
            guessed.add(role)
    for role in () if by_position else named:
        if role in chosen:
            continue
        for usual in USUAL[role]:
            matching = [name for name in columns if plain(name) == usual and name not in chosen.values()]
            if matching:
                chosen[role] = matching[0]
                guessed.add(role)
                break
    for role, name in chosen.items():
        if list(chosen.values()).count(name) > 1:
            raise ValueError(f"--{role} {name!r}: one column cannot play two parts. {found}.")
        if columns.count(name) > 1:
            raise ValueError(f"--{role} {name!r}: {file} has {columns.count(name)} columns of that name; rename one.")
    missing = [role for role in required if role not in chosen]
    if missing:
        options = " ".join(f"--{role} COLUMN" for role in missing)
        raise ValueError(f"Which column is the {' and which the '.join(missing)}? Say {options}. {found}.")
    chosen = {role: chosen[role] for role in named if role in chosen}
    return Roles(chosen, guessed, [name for name in columns if name not in chosen.values()])
