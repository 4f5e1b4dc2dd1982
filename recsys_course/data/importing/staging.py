"""Rows between reading and writing: on disk, in parts that fit in memory; repetitions are found, the order is mixed.

A row goes to the part that its user and item decide, so all rows of one pair meet in one part, and each part is a fair
sample of the file. So memory holds one part, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recsys_course.data.importing.report import BadRows

ROWS_A_PART = 1_000_000
MOST_PARTS = 200  # each is an open file

ROW = np.dtype([("user", "<i4"), ("item", "<i4"), ("rating", "<f4"), ("time", "<i8"), ("line", "<i8")])


class Staging:
    """Rows in files of a folder that is swept away later. Add them in the context, then sift, then read the parts.

    Attributes:
      lengths: rows in each part, after `sift`.
    """

    def __init__(self, folder: Path, num_rows: int, timed: bool):
        """Takes an empty folder, about how many rows will come, and whether they have times (else lines stand in)."""
        num_parts = min(MOST_PARTS, 1 + num_rows // ROWS_A_PART)
        self._paths = [folder / f"part-{part}" for part in range(num_parts)]
        self._timed = timed
        self.lengths: list[int] = []

    def __enter__(self) -> Staging:
        self._files = [path.open("wb") for path in self._paths]
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def add(self, rows: np.ndarray) -> None:
        """Puts rows (``[rows] ROW``) into their parts."""
        mixed = rows["user"].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= rows["item"].astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
        part = (mixed >> np.uint64(33)) % np.uint64(len(self._files))
        for number, file in enumerate(self._files):
            file.write(rows[part == number].tobytes())

    def sift(self, bad: BadRows) -> None:
        """Leaves one row a user and item, in random order; tells ``bad`` of the others."""
        full = []
        for number, path in enumerate(self._paths):
            rows = _once(np.fromfile(path, dtype=ROW), bad)
            if not len(rows):
                continue
            if not self._timed:
                rows["time"] = rows["line"]
            rows[np.argsort(np.random.PCG64(number).random_raw(len(rows)), kind="stable")].tofile(path)
            full.append(path)
            self.lengths.append(len(rows))
        self._paths = full

    def parts(self) -> Iterator[np.ndarray]:
        """The parts that hold rows, ``[rows] ROW`` each, one after the other."""
        for path in self._paths:
            yield np.fromfile(path, dtype=ROW)


def _once(rows: np.ndarray, bad: BadRows) -> np.ndarray:
    """Of equal rows the first, then of each user and item the newest row (of one time stamp, the later line)."""
    rows = rows[np.lexsort((rows["line"], rows["rating"], rows["time"], rows["item"], rows["user"]))]
    same = _equals_previous(rows, ("user", "item", "time", "rating"))
    before = rows["line"][np.flatnonzero(same) - 1]
    bad.add("exact duplicate", rows["line"][same], lambda at: f"as line {before[at]:,}")
    rows = rows[~same]

    rows = rows[np.lexsort((rows["line"], rows["time"], rows["item"], rows["user"]))]
    superseded = np.roll(_equals_previous(rows, ("user", "item")), -1)  # of equal neighbours all but the last
    after = rows["line"][np.flatnonzero(superseded) + 1]
    bad.add("rated again later", rows["line"][superseded], lambda at: f"in line {after[at]:,}")
    return rows[~superseded]


def _equals_previous(rows: np.ndarray, fields: tuple[str, ...]) -> np.ndarray:
    equal = np.zeros(len(rows), dtype=bool)
    if len(rows):
        equal[1:] = np.logical_and.reduce([rows[field][1:] == rows[field][:-1] for field in fields])
    return equal
