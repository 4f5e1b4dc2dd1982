"""Version folders: `NAME/1`, `NAME/2`, ...; each appears whole, with one rename, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
UNFINISHED = ".tmp-"  # no number, so whoever watches for versions passes it by
STALE_AFTER = 60 * 60  # seconds without a change, after which an unfinished folder has no writer any more


class Damaged(ValueError):
    """A version folder is not what its manifest says."""


def published(base: Path | str) -> list[int]:
    """The published versions under `base`, ascending; empty where there are none."""
    base = Path(base)
    if not base.is_dir():
        return []
    return sorted(int(path.name) for path in base.iterdir() if path.name.isdecimal() and path.is_dir())


def latest(base: Path | str) -> Path:
    """The folder of the highest version, which is the one that is served.

    Raises:
        FileNotFoundError: there is no version; says how to make one.
    """
    if not (found := published(base)):
        raise FileNotFoundError(f"there is no version under {base}: `course export` makes one.")
    return Path(base) / str(found[-1])


def publish(base: Path | str, write: Callable[[Path], Any], facts: Mapping[str, Any] | None = None) -> Path:
    """Writes a new version beside the others and gives it the next number, in one step. Built in chapter 5.

    The files are written to a folder whose name no server takes for a version. The rename then makes all of them
    visible at once. Two processes may publish at the same time: whoever renames second takes the number after.
    Whatever a process left behind that was killed while writing is removed an hour later, by the next to publish.

    Args:
        base: the model's folder, for example `models/retrieval`; made where it is missing.
        write: writes the version's files into the empty folder that it is given.
        facts: goes into `manifest.json`, together with the time of creation and the SHA-256 of every file.

    Returns:
        The new version's folder.
    """
    base = Path(base)
    base.mkdir(parents=True, exist_ok=True)
    _sweep(base)
    unfinished = base / f"{UNFINISHED}{uuid.uuid4().hex}"
    unfinished.mkdir()
    try:
        write(unfinished)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"created": created, **(facts or {}), "files": fingerprints(unfinished)}
        text = json.dumps(record, indent=1, ensure_ascii=False)
        (unfinished / MANIFEST).write_text(text + "\n", encoding="utf-8")
        return _rename(unfinished, base)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def fingerprints(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file under a folder, by its path with forward slashes; the manifest itself left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def verify(folder: Path | str) -> dict[str, Any]:
    """Reads every file of a version and compares it with the manifest.

    Returns:
        The manifest.

    Raises:
        Damaged: no manifest, or files that are missing, changed or not listed; names them all.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        expected = dict(record["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{folder} has no usable {MANIFEST}: {error}") from error
    found = fingerprints(folder)
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [f"{name} has changed" for name in expected if name in found and found[name] != expected[name]]
    faults += [f"{name} is not in the manifest" for name in found if name not in expected]
    if faults:
        raise Damaged(f"{folder}: {'; '.join(faults)}. Do not serve it: export again.")
    return record


def _rename(unfinished: Path, base: Path) -> Path:
    while True:
        target = base / str(max(published(base), default=0) + 1)
        try:
            os.rename(unfinished, target)
            return target
        except OSError:
            if not target.exists():  # not another process that was quicker, but a fault of its own
                raise


def _sweep(base: Path) -> None:
    for folder in base.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(FileNotFoundError):  # its writer has just published it
            if time.time() - max(_times(folder)) > STALE_AFTER:
                shutil.rmtree(folder, ignore_errors=True)


def _times(folder: Path) -> Iterator[float]:
    yield folder.stat().st_mtime
    for path in folder.rglob("*"):
        yield path.stat().st_mtime
