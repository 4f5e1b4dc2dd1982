"""Making sure that ``tfds.load("movielens/...")`` finds its dataset prepared, whole, and prepared once."""

from __future__ import annotations

import contextlib
import errno
import io
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm.auto import tqdm

from recsys_course.data import decoding, sources
from recsys_course.data.integrity import Damaged, check, publish, seal, workshop
from recsys_course.data.names import (
    DATASETS,
    DISK_NEEDED,
    MEGABYTE,
    TABLES,
    DatasetError,
    data_dir,
    dataset_name,
    prepared_folder,
    title,
)

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


class Prepared(NamedTuple):
    """A dataset that is ready.

    Attributes:
      name: the dataset, for example ``100k``.
      source: where its raw files came from, in words.
      data_dir: the TFDS data folder that holds it.
    """

    name: str
    source: str
    data_dir: Path


def ensure_dataset(name: str | None = None) -> Prepared:
    """Makes sure that ``tfds.load("movielens/{name}-ratings")`` and ``-movies`` work; says where the data came from.

    Sources, in order: what is already prepared under TFDS' data folder (``TFDS_DATA_DIR``, by default
    ``~/tensorflow_datasets``); GroupLens' archive at the address and with the hash that TFDS knows; for 100k, a copy on
    the package index. TFDS' own builder reads the raw files, so the prepared dataset is TFDS' in every detail.

    A dataset that TFDS alone has prepared is accepted when it reads whole and counts what it says; one that is
    truncated or half written is replaced. Two processes at once prepare it once. Calling again costs milliseconds.

    A dataset of the reader's own is only looked at: it has no source but `course import`.

    Args:
      name: see `dataset_name`.

    Raises:
      ValueError: for an unknown name.
      DatasetError: when no source can serve, the disk is full or the folder cannot be written to.
    """
    name = dataset_name(name)
    prepared = prepare(name)
    print(f"{title(name)} is ready in {prepared.data_dir}; source: {prepared.source}.")
    return prepared


def prepare(name: str) -> Prepared:
    """As `ensure_dataset`, but silent where there is nothing to do."""
    root = data_dir()
    try:
        return _ready(name, root)
    except Damaged as damage:
        if name not in DATASETS:
            raise DatasetError(
                f"Your dataset {name} is not whole any more: {damage}. Import it again: "
                f"course import FILE --name {name} --replace"
            ) from damage
    with workshop(root) as work:
        missing = [table for table in TABLES if not _usable(prepared_folder(root, name, table))]
        if missing:
            need_space(name, root, DISK_NEEDED[name])
            with full_disk_explained(name, root):
                builder = _builder(name, missing[0], work)
                address = builder.builder_config.download_url
                archive, source = sources.fetch(name, address, builder.url_infos[address].checksum, work)
                _build(name, missing, archive, source, root, work)
        return _ready(name, root)


def prepare_from_archive(name: str, archive: Path, root: Path) -> Prepared:
    """Prepares a dataset from a folder laid out like GroupLens' archive, in place of what ``root`` holds of that name.

    Args:
      name: whose layout the archive has, for example ``latest-small`` for ``ratings.csv`` and ``movies.csv``.
      archive: the unpacked archive, for example a folder ``ml-latest-small``.
      root: the TFDS data folder.
    """
    with workshop(root) as work, full_disk_explained(name, root):
        _build(name, TABLES, archive, f"the folder {archive.name}", root, work)
    return _ready(name, root)


def _ready(name: str, root: Path) -> Prepared:
    facts = [check(prepared_folder(root, name, table)) for table in TABLES]
    if len({fact.get("imported") for fact in facts}) > 1:
        raise Damaged(f"the tables of {name} come from two imports, one of which was interrupted")
    return Prepared(name, facts[0]["source"], root)


def _usable(folder: Path) -> bool:
    """Whether one prepared table is whole; seals it where TFDS prepared it without us."""
    if not folder.exists():
        return False
    try:
        check(folder)
        return True
    except Damaged as damage:
        try:
            decoding.count(folder)
        except DatasetError:
            raise
        except Exception as error:  # whatever TFDS or TensorFlow trips over, the answer is the same: prepare it anew
            print(f"{folder} is unfinished or damaged and will be replaced ({_first_line(error) or damage}).")
            return False
    seal(folder, source="prepared earlier by TFDS")
    return True


def _build(name: str, tables: tuple[str, ...] | list[str], archive: Path, source: str, root: Path, work: Path) -> None:
    for table in tables:
        builder = _builder(name, table, work / "tfds")
        with tqdm(total=_num_records(name, table, archive), desc=f"preparing {name}-{table}", unit="row") as progress:
            # TFDS' parser, features and writer, fed from a folder instead of a download.
            builder._split_generators = lambda dl_manager, builder=builder, progress=progress: {
                "train": _counted(builder._generate_examples(dir_path=str(archive)), progress)
            }
            with _quiet_tfds():
                builder.download_and_prepare(download_dir=work / "tfds" / "downloads", file_format="tfrecord")
        finished = prepared_folder(work / "tfds", name, table)
        seal(finished, source=source)
        publish(finished, prepared_folder(root, name, table), work)


def _num_records(name: str, table: str, archive: Path) -> int:
    """How many records TFDS will read, for the progress bar: the lines of the file, less a header."""
    if name == "100k":
        file = {"ratings": "u.data", "movies": "u.item"}[table]
    else:
        file = f"{table}.dat" if name == "1m" else f"{table}.csv"
    with (archive / file).open("rb") as lines:
        return sum(1 for _ in lines) - file.endswith(".csv")


def _counted(examples: Iterable[Any], progress: tqdm) -> Iterator[Any]:
    for example in examples:
        yield example
        progress.update()


@contextlib.contextmanager
def _quiet_tfds() -> Iterator[None]:
    """One bar of ours instead of TFDS' several, and no announcement of the folder that the work in progress has."""
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()


def _builder(name: str, table: str, root: Path) -> tfds.core.DatasetBuilder:
    import tensorflow_datasets as tfds

    return tfds.builder(f"movielens/{name}-{table}", data_dir=root)


def need_space(name: str, root: Path, needed: int) -> None:
    """Raises DatasetError where ``root`` has fewer than ``needed`` bytes free."""
    free = shutil.disk_usage(root).free
    if free < needed:
        raise DatasetError(
            f"{title(name)} needs {needed // MEGABYTE:,} MB free in {root}, which has {free // MEGABYTE:,} MB. "
            "Make room, or set TFDS_DATA_DIR to a folder on another disk."
        )


@contextlib.contextmanager
def full_disk_explained(name: str, root: Path) -> Iterator[None]:
    """Turns the many errors of a full disk into one DatasetError that says what to do."""
    try:
        yield
    except Exception as error:
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        if not full:
            raise
        raise DatasetError(
            f"The disk filled up while {title(name)} was being prepared in {root}; nothing half done was left. "
            "Make room, or set TFDS_DATA_DIR to a folder on another disk."
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")
