"""A record of what a folder should hold, so that a truncated or half-written file is noticed before it is used.

A folder that is finished is *sealed*: a small JSON file beside its files notes size, time of modification and SHA-256
of each. Checking compares sizes always, and reads a file again only when its time of modification has moved; so it
costs a few file look-ups, even for gigabytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from recsys_course.data.names import DatasetError, own_folder

STAMP = "recsys_course.json"


class Damaged(Exception):
    """A folder is missing, unfinished, or not what its record says."""


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(folder: Path, **facts: Any) -> None:
    """Writes the record of a finished folder, with ``facts`` (JSON values) about it."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != STAMP:
            stat = path.stat()
            files[path.name] = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha256(path)}
    unfinished = folder / f"{STAMP}.{os.getpid()}"
    unfinished.write_text(json.dumps({"facts": facts, "files": files}, indent=1), encoding="utf-8")
    os.replace(unfinished, folder / STAMP)


def check(folder: Path) -> dict[str, Any]:
    """Compares a folder with its record and returns the facts kept there.

    Raises:
      Damaged: when there is no record, or a file is missing, of another size, or of other content.
    """
    try:
        record = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        facts, files = record["facts"], record["files"]
        moved = False
        for name, expected in files.items():
            path = folder / name
            stat = path.stat()
            if stat.st_size != expected["size"]:
                raise Damaged(f"{path} has {stat.st_size} bytes instead of {expected['size']}")
            if stat.st_mtime_ns != expected["mtime_ns"]:
                moved = True
                if sha256(path) != expected["sha256"]:
                    raise Damaged(f"the content of {path} has changed")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{folder} has no usable record: {error}") from error
    if moved:  # a copied folder: same content, new times; a folder we may not write to is simply read again next time
        with contextlib.suppress(OSError):
            seal(folder, **facts)
    return facts


def fingerprint(folder: Path) -> str:
    """One hash for the content of a sealed folder."""
    files = json.loads((folder / STAMP).read_text(encoding="utf-8"))["files"]
    return hashlib.sha256("".join(f"{name} {files[name]['sha256']}\n" for name in sorted(files)).encode()).hexdigest()


@contextlib.contextmanager
def workshop(root: Path) -> Iterator[Path]:
    """An empty folder for work in progress, on the same disk as ``root``, for one process at a time.

    Whatever an earlier process left there when it was killed is swept away; what this one leaves is, too. Others wait.

    Raises:
      DatasetError: when ``root`` cannot be written to.
    """
    own = own_folder(root)
    try:
        own.mkdir(parents=True, exist_ok=True)
        lock = FileLock(own / "lock")
        try:
            lock.acquire(timeout=0.5)
        except Timeout:
            print(f"Another process is preparing data in {root}; waiting for it to finish ...", flush=True)
            lock.acquire()
    except OSError as error:
        raise DatasetError(
            f"Cannot write to {root} ({error.strerror or error}). Set the environment variable TFDS_DATA_DIR to a "
            "folder that you may write to."
        ) from error
    work = own / "work"
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        lock.release()


def publish(finished: Path, target: Path, work: Path) -> None:
    """Puts a finished folder in its place with one rename; an older one there goes to ``work``, to be swept away."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        os.rename(target, work / f"replaced-{target.parent.name}-{target.name}")
    os.rename(finished, target)
