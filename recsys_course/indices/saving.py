"""Folders that hold a saved index: written whole or not at all, and checked before anything in them is trusted."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DESCRIPTION = "index.json"
FORMAT = 1


@contextmanager
def new_folder(folder: Path, description: Mapping[str, Any]) -> Iterator[Path]:
    """A temporary folder beside `folder`, which takes its name once the body is through.

    The description is written last, with the size of every other file, so that a copy that broke off is known by it.

    Raises:
        FileExistsError: `folder` exists. A version that is being served is never written over.
    """
    folder = folder.absolute()
    _check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield unfinished
        text = json.dumps({"format": FORMAT, **description, "files": _sizes(unfinished)}, indent=1)
        (unfinished / DESCRIPTION).write_text(text, encoding="utf-8")
        unfinished.chmod(0o755)
        _check_free(folder)
        os.rename(unfinished, folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def read_description(folder: Path) -> dict[str, Any]:
    """What the folder holds, after a check that all of it is there.

    Raises:
        ValueError: The folder is no saved index, or not a whole one, or was written in another format.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        what = "does not exist" if not folder.exists() else f"has no {DESCRIPTION}"
        raise ValueError(f"{folder} is no saved index, or a half-written one: it {what}. Save the index again.")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        written, files = description["format"], description["files"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is damaged: it cannot be read as JSON. Save the index again.") from None
    if written != FORMAT:
        raise ValueError(f"{folder} has format {written}, this version reads {FORMAT}. Build the index again.")
    found = _sizes(folder)
    for name, size in files.items():
        if found.get(name) != size:
            came = f"{found[name]} bytes" if name in found else "missing"
            raise ValueError(f"{folder} is half-written: {name} should have {size} bytes, it is {came}. Copy it again.")
    return description


def _check_free(folder: Path) -> None:
    if folder.exists():
        raise FileExistsError(f"{folder} exists. An index is saved to a new folder; choose another name or remove it.")


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / DESCRIPTION)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
