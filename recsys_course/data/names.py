"""Which dataset, of MovieLens or of the reader's own, and where it lives on this machine."""

from __future__ import annotations

import os
from pathlib import Path

# The version that the builder of tensorflow-datasets 4.9 writes; it is a folder name in the path of every dataset.
VERSION = "0.1.1"
TABLES = ("ratings", "movies")

MEGABYTE = 1_000_000
# Free space that a first preparation takes at its peak: the archive, the prepared records twice (TFDS shuffles through
# temporary files) and the columnar cache.
DISK_NEEDED = {
    "100k": 150 * MEGABYTE,
    "latest-small": 120 * MEGABYTE,
    "1m": 1_000 * MEGABYTE,
    "20m": 10_000 * MEGABYTE,
    "25m": 13_000 * MEGABYTE,
}
DATASETS = tuple(DISK_NEEDED)


class DatasetError(RuntimeError):
    """A dataset could not be made ready; the message says why and what to do."""


def dataset_name(name: str | None = None) -> str:
    """The dataset to work on.

    Args:
      name: one of ``100k``, ``latest-small``, ``1m``, ``20m``, ``25m``, or a dataset of the reader's own that
        `course import` has made; when left out, the environment variable ``COURSE_DATASET`` decides, and without it
        ``100k``.

    Raises:
      ValueError: for any other name; the message lists the valid ones.
    """
    chosen = name or os.environ.get("COURSE_DATASET") or "100k"
    if chosen in DATASETS or chosen in (own := imported_names(data_dir())):
        return chosen
    origin = "" if name else " (from the environment variable COURSE_DATASET)"
    raise ValueError(
        f"Unknown dataset {chosen!r}{origin}. Choose one of: {', '.join([*DATASETS, *own])}; "
        "or make one of your own data with `course import`."
    )


def title(name: str) -> str:
    """A dataset's name in a sentence."""
    return f"MovieLens {name}" if name in DATASETS else f"The dataset {name}"


def imported_names(root: Path) -> list[str]:
    """The datasets of the reader's own that are prepared under a TFDS data folder, by name."""
    found = [path.parent.name.removesuffix("-ratings") for path in root.glob(f"movielens/*-ratings/{VERSION}")]
    return sorted(name for name in found if name not in DATASETS and prepared_folder(root, name, "movies").exists())


def data_dir() -> Path:
    """TFDS' data folder: ``TFDS_DATA_DIR`` where it is set, else ``~/tensorflow_datasets``."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser().absolute()


def prepared_folder(root: Path, name: str, table: str) -> Path:
    """The folder of one prepared table, as TFDS lays it out, for example ``movielens/100k-ratings/0.1.1``."""
    return root / "movielens" / f"{name}-{table}" / VERSION


def own_folder(root: Path) -> Path:
    """What the course itself keeps beside TFDS' data: the columnar cache, a lock, work in progress."""
    return root / "recsys_course"
