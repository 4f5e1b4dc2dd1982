"""From a reader's own files to a prepared dataset, whole or not at all."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from recsys_course.data.importing.items import NO_GENRES, Item, read_items
from recsys_course.data.importing.reading import ITEMS, RATINGS, Opened, Read, open_file, read_ratings
from recsys_course.data.importing.report import BadRows
from recsys_course.data.importing.values import day
from recsys_course.data.integrity import publish, seal, workshop
from recsys_course.data.names import DATASETS, TABLES, DatasetError, data_dir, imported_names, prepared_folder
from recsys_course.data.preparation import Prepared, full_disk_explained, need_space, prepare

# Below these a chapter stops, or measures chance: it looks at the 100th user, at lists of 100, at a tenth of the rows.
FEWEST = {"ratings": 2_000, "users": 120, "items": 120}
# Prepared records (each repeats its title and genres), staged rows and the columnar cache, for each row of the file.
BYTES_A_ROW = 500

Say = Callable[[str], None]


@dataclass(frozen=True)
class Columns:
    """The columns that the reader names; None is to be guessed. In a file without header they are called 1, 2, ..."""

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    time: str | None = None
    title: str | None = None
    genres: str | None = None


GUESS_ALL = Columns()


def import_dataset(
    ratings_file: Path,
    name: str,
    *,
    items_file: Path | None = None,
    columns: Columns = GUESS_ALL,
    header: bool | None = None,
    skip_bad_rows: bool = False,
    replace: bool = False,
    say: Say = print,
) -> Prepared:
    """Makes a dataset of the course out of a file of ratings.

    Afterwards ``load_ratings(name)``, ``load_movies(name)`` and ``tfds.load("movielens/{name}-ratings")`` work as for
    MovieLens: the chapters look for their data there, so it stands there, under a name of its own, and described as
    what it is.

    Args:
      ratings_file: CSV (or tabs, semicolons, ``::``) or Parquet, one row an interaction: user, item, and where there
        are any, rating and time. Without ratings each row counts 1.0; without times the file's lines stand for time.
      name: what to call it: small letters, digits, ``-`` and ``_``.
      items_file: the same kinds of file, one row an item: item, title, genres. Without it an item's id is its title.
      columns: see `Columns`.
      header: whether the files' first lines name their columns; None finds out.
      skip_bad_rows: go on without the rows that cannot be taken, instead of refusing.
      replace: put it in place of an earlier dataset of that name.
      say: is told what was guessed and what came of it, a line at a time.

    Raises:
      ValueError: the name cannot be used, or a column is not there.
      DatasetError: the file cannot be read or has bad rows (the message lists them), the name is taken, the disk is
        full.
    """
    check_name(name)
    for role in ("title", "genres"):
        if getattr(columns, role) and items_file is None:
            raise ValueError(f"--{role} names a column of the file of items; add --items FILE.")
    root = data_dir()
    _check_free(name, root, replace)
    rated = open_file(ratings_file, RATINGS, ("user", "item"), asdict(columns), header)
    listed = open_file(items_file, ITEMS, ("item",), asdict(columns), header) if items_file else None
    for line in rated.in_words() + (listed.in_words() if listed else []):
        say(line)

    with workshop(root) as work, full_disk_explained(name, root):
        _check_free(name, root, replace)  # another process may have been faster
        need_space(name, root, rated.table.num_rows * BYTES_A_ROW)
        (work / "staged").mkdir()
        read, bad = read_ratings(rated, work / "staged")
        catalogue, bad_items = _read_catalogue(listed, say)
        _refuse_or_tell([bad, *bad_items], skip_bad_rows, say)
        facts = _Facts.of(read)
        if not facts.num_ratings:
            raise DatasetError(f"No row of {ratings_file} can be taken.")
        _complete(catalogue, read, facts, listed, say)
        notes = _notes(rated)
        files = " and ".join(path.name for path in (ratings_file, items_file) if path)
        source = f"imported from {files}" + (f" ({'; '.join(notes)})" if notes else "")
        _write(name, read, catalogue, source, root, work)
    for line in [*notes, facts.in_words(name, len(catalogue), rated), *facts.too_small()]:
        say(line[0].upper() + line[1:] if line in notes else line)
    say(f"Run the chapters on it: COURSE_DATASET={name} make course")
    return prepare(name)


def check_name(name: str) -> None:
    """Raises ValueError, with the rule, for what cannot be the name of a dataset of one's own."""
    if name in DATASETS:
        raise ValueError(f"--name {name}: that is a dataset of MovieLens. Choose another name.")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
        raise ValueError(
            f"--name {name!r}: expected at most 40 small letters (a to z), digits, - and _, beginning with a letter or "
            "digit, for example my-books."
        )


def _check_free(name: str, root: Path, replace: bool) -> None:
    if name in imported_names(root) and not replace:
        try:
            there = prepare(name).source
        except DatasetError as error:
            there = str(error)
        raise DatasetError(
            f"There is a dataset {name} in {root} already: {there}. Add --replace to put this one in its place, or "
            "choose another --name."
        )


def _read_catalogue(listed: Opened | None, say: Say) -> tuple[dict[str, Item], list[BadRows]]:
    if listed is None:
        say("No --items file: an item's id serves as its title, and items have no genres.")
        return {}, []
    bad = BadRows(listed.table.path.name, listed.table.unit)
    catalogue, separator = read_items(listed.table, listed.columns, bad)
    if separator:
        say(f"Genres are separated by {separator!r} (guessed).")
    return catalogue, [bad]


def _refuse_or_tell(files: list[BadRows], skip: bool, say: Say) -> None:
    files = [bad for bad in files if len(bad)]
    if files and not skip:
        reports = "\n".join(f"{bad.file}: {len(bad):,} rows cannot be taken\n{bad}" for bad in files)
        raise DatasetError(f"{reports}\nNothing was imported. Mend them, or add --skip-bad-rows to go on without them.")
    for bad in files:
        say(f"{bad.file}: left out {len(bad):,} rows\n{bad}")


@dataclass
class _Facts:
    """What the rows that were taken amount to.

    Attributes:
      users, items: which of the ids that were read occur in them.
      ratings, times: the lowest and the highest.
    """

    users: np.ndarray
    items: np.ndarray
    num_ratings: int
    ratings: tuple[float, float]
    times: tuple[int, int]

    @classmethod
    def of(cls, read: Read) -> _Facts:
        users, items = np.zeros(len(read.users), dtype=bool), np.zeros(len(read.items), dtype=bool)
        ratings, times = [], []
        for rows in read.staging.parts():
            users[rows["user"]] = items[rows["item"]] = True
            ratings += [rows["rating"].min(), rows["rating"].max()]
            times += [rows["time"].min(), rows["time"].max()]
        count = sum(read.staging.lengths)
        if not count:
            return cls(users, items, 0, (0.0, 0.0), (0, 0))
        return cls(users, items, count, (min(ratings), max(ratings)), (int(min(times)), int(max(times))))

    def in_words(self, name: str, num_items: int, rated: Opened) -> str:
        low, high = self.ratings
        stars = f"ratings from {low:g} to {high:g}" if low != high else f"every rating is {low:g}"
        when = f", {day(self.times[0])} to {day(self.times[1])}" if rated.clock else ""
        return (
            f"{name}: {self.num_ratings:,} ratings by {self.users.sum():,} users of {self.items.sum():,} items, "
            f"{num_items:,} in the catalogue; {stars}{when}"
        )

    def too_small(self) -> list[str]:
        have = {"ratings": self.num_ratings, "users": int(self.users.sum()), "items": int(self.items.sum())}
        short = [f"{have[what]:,} {what} (at least {least:,})" for what, least in FEWEST.items() if have[what] < least]
        if not short:
            return []
        return [
            f"Too small for the chapters: {', '.join(short)}. It can be loaded, but a chapter may stop where a part of "
            "a split is empty or a list is longer than the catalogue, and what it measures is chance."
        ]


def _complete(catalogue: dict[str, Item], read: Read, facts: _Facts, listed: Opened | None, say: Say) -> None:
    """Gives every rated item a place in the catalogue."""
    rated = zip(read.items.numbers, facts.items, strict=True)
    missing = [item for item, occurs in rated if occurs and item not in catalogue]
    catalogue.update({item: Item(item, (NO_GENRES,)) for item in missing})
    if listed and missing:
        say(
            f"{len(missing):,} rated items are not in {listed.table.path.name}, for example {missing[0]!r}: their id "
            "serves as title, and they have no genres."
        )


def _notes(rated: Opened) -> list[str]:
    """What a reader of this dataset has to know for ever."""
    notes = []
    if "rating" not in rated.columns:
        notes.append("there are no ratings: each row counts 1.0, and what the chapters say of stars means nothing")
    if rated.clock is None:
        notes.append(
            "there are no times: time stamps count the lines of the file, and a split by time or last rating means "
            "nothing unless the file is in the order of time"
        )
    return notes


def _write(name: str, read: Read, catalogue: Mapping[str, Item], source: str, root: Path, work: Path) -> None:
    from recsys_course.data.importing import records  # with TensorFlow, which takes seconds: the files are good by now

    description = f"{name}, {source}, by `course import`. This is no MovieLens data."
    finished = {table: prepared_folder(work / "tfds", name, table) for table in TABLES}
    for folder in finished.values():
        folder.mkdir(parents=True)
    records.write_movies(finished["movies"], name, catalogue, description)
    parts, lengths = read.staging.parts(), read.staging.lengths
    users, items = list(read.users.numbers), list(read.items.numbers)
    records.write_ratings(finished["ratings"], name, parts, lengths, users, items, catalogue, description)
    made = uuid.uuid4().hex  # the same in both tables, so that a mixture of two imports shows
    for folder in finished.values():
        seal(folder, source=source, imported=made)
    for table in reversed(TABLES):
        publish(finished[table], prepared_folder(root, name, table), work)
