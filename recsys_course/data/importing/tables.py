"""A file of rows, text or Parquet, read a chunk at a time. Separator and header of a text are found out."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from recsys_course.data.importing.report import BadRows
from recsys_course.data.importing.roles import is_header
from recsys_course.data.names import DatasetError

CHUNK = 65_536
SAMPLE = 1_000

_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "::": "double colons"}
_MAGIC = {
    b"\x1f\x8b": "compressed (gzip): unpack it first",
    b"PK": "a zip archive or an Excel sheet: unpack it, or save it as CSV, first",
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
}


class Chunk(NamedTuple):
    """Some rows: ``columns`` by name, and where each row stands in the file, ``lines`` ``[rows] int64`` from 1."""

    columns: dict[str, pa.Array]
    lines: np.ndarray


@dataclass(frozen=True)
class Table:
    """A file that has been looked into.

    Attributes:
      path: the file.
      columns: their names; ``1``, ``2`` and so on where the file has no header.
      layout: how it is read, in words.
      unit: what rows are counted in, ``line`` or ``row``.
      num_rows: about how many rows there are.
      sample: values of the first rows by column, for guesses.
      has_header: whether the names are the file's own.
    """

    path: Path
    columns: list[str]
    layout: str
    unit: str
    num_rows: int
    sample: dict[str, list[Any]]
    has_header: bool

    def chunks(self, names: Sequence[str], bad: BadRows) -> Iterator[Chunk]:
        """The named columns of all rows, ``CHUNK`` rows at a time, with progress; misshapen rows go to ``bad``."""
        raise NotImplementedError


def open_table(path: Path, header: bool | None, named: Sequence[str]) -> Table:
    """Looks into a file.

    Args:
      path: text (UTF-8, with or without byte order mark; separated by comma, tab, semicolon or ``::``) or Parquet.
      header: whether the first line names the columns; None finds out.
      named: columns that the reader named: where one stands in the first line, that is a header.

    Raises:
      DatasetError: the file is not there, empty, in another format or encoding; says which, and in which line.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise DatasetError(f"Cannot read {path}: {error.strerror or error}.") from error
    if not start:
        raise DatasetError(f"{path} is empty.")
    if start == b"PAR1":
        return _open_parquet(path)
    for magic, what in _MAGIC.items():
        if start.startswith(magic):
            raise DatasetError(f"{path} is {what}.")
    return _open_text(path, header, named)


# --- Text ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Text(Table):
    separator: str

    def chunks(self, names: Sequence[str], bad: BadRows) -> Iterator[Chunk]:
        places, width = [self.columns.index(name) for name in names], len(self.columns)
        rows: list[list[str]] = []
        lines: list[int] = []

        def chunk() -> Chunk:
            columns = {n: pa.array([row[at] for row in rows], pa.string()) for n, at in zip(names, places, strict=True)}
            return Chunk(columns, np.array(lines, dtype=np.int64))

        with (
            self.path.open("rb") as raw,
            io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file,
            tqdm(total=self.path.stat().st_size, desc=f"reading {self.path.name}", unit="B", unit_scale=True) as bar,
        ):
            numbered = _rows(self.path, file, self.separator)
            for line, row in itertools.islice(numbered, int(self.has_header), None):
                if len(row) != width:
                    bad.add("wrong number of columns", [line], [f"{len(row)} instead of {width}"].__getitem__)
                    continue
                rows.append(row)
                lines.append(line)
                if len(rows) == CHUNK:
                    yield chunk()
                    bar.update(raw.tell() - bar.n)
                    rows, lines = [], []
            if rows:
                yield chunk()
            bar.update(bar.total - bar.n)


def _open_text(path: Path, header: bool | None, named: Sequence[str]) -> Table:
    separator = _separator(path)
    with path.open("rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        rows = [row for _, row in itertools.islice(_rows(path, file, separator), SAMPLE + 1)]
        read = raw.tell()
    has_header = is_header(rows[0], named) if header is None else header
    columns = [cell.strip() for cell in rows[0]] if has_header else [str(n + 1) for n in range(len(rows[0]))]
    body = [row for row in rows[has_header:] if len(row) == len(columns)]
    if not body:
        raise DatasetError(f"{path} has no rows below its header ({', '.join(map(repr, columns))}).")
    sample = {name: [row[at] for row in body] for at, name in enumerate(columns)}
    whole = len(rows) <= SAMPLE
    num_rows = len(rows) if whole else int(path.stat().st_size * len(rows) / read)
    layout = f"separated by {_SEPARATORS[separator]}, {'with' if has_header else 'without'} a header"
    return _Text(path, columns, layout, "line", num_rows, sample, has_header, separator)


def _separator(path: Path) -> str:
    """The separator that stands most often in lines that agree on their number of columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in itertools.islice(file, 50) if line.strip()]
    except UnicodeDecodeError:
        raise DatasetError(_not_utf8(path)) from None
    best = 0, ""
    for separator in _SEPARATORS:
        widths: Counter[int] = Counter()
        with contextlib.suppress(csv.Error):  # the last line may lack its other half
            widths.update(len(row) for _, row in _split(iter(lines), separator))
        width, agreeing = widths.most_common(1)[0] if widths else (0, 0)
        best = max(best, (agreeing * (width - 1), separator), key=lambda pair: pair[0])
    if not best[0]:
        first = lines[0].strip()[:80] if lines else ""
        raise DatasetError(
            f"{path}: cannot tell what separates the columns. Expected commas, tabs, semicolons or '::', and at least "
            f"two columns; the first line is {first!r}."
        )
    return best[1]


def _rows(path: Path, file: Iterator[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line that it begins on."""
    rows = _split(file, separator)
    line = 0
    try:
        for line, row in rows:
            yield line, row
    except UnicodeDecodeError:
        raise DatasetError(_not_utf8(path)) from None
    except csv.Error as error:
        raise DatasetError(
            f"{path}: the quotes are broken in the row after line {line:,} ({error}). A field that begins with a "
            "double quote must end with one, and a quote inside it is doubled. Mend it: where the row ends is unknown."
        ) from None


def _split(lines: Iterator[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    if separator == "::":  # GroupLens' own format, which knows no quotes
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, line.rstrip("\r\n").split(separator)
        return
    reader = csv.reader(lines, delimiter=separator, strict=True)
    begins = 1
    for row in reader:
        if len(row) > 1 or (row and row[0].strip()):
            yield begins, row
        begins = reader.line_num + 1


def _not_utf8(path: Path) -> str:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                around = line[max(0, error.start - 20) : error.start + 20].decode("latin-1").strip()
                return (
                    f"{path}, line {number:,}: not UTF-8 (byte 0x{line[error.start]:02x} near {around!r}). Save the "
                    "file as UTF-8; if it is Windows' or Western European text, this does it: "
                    f"iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8-{path.name}"
                )
    return f"{path} is not UTF-8. Save it as UTF-8."


# --- Parquet ------------------------------------------------------------------------------------------------------


class _Parquet(Table):
    def chunks(self, names: Sequence[str], bad: BadRows) -> Iterator[Chunk]:
        at = 1
        with tqdm(total=self.num_rows, desc=f"reading {self.path.name}", unit="row", unit_scale=True) as bar:
            for batch in _batches(self.path, CHUNK, list(names)):
                columns = {name: batch.column(name) for name in names}
                yield Chunk(columns, np.arange(at, at + batch.num_rows))
                at += batch.num_rows
                bar.update(batch.num_rows)


def _open_parquet(path: Path) -> Table:
    try:
        with pq.ParquetFile(path) as file:
            columns, num_rows = file.schema_arrow.names, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} cannot be read as Parquet: {error}") from error
    if not num_rows:
        raise DatasetError(f"{path} has no rows (columns: {', '.join(map(repr, columns))}).")
    first = next(_batches(path, SAMPLE, None))
    sample = {name: first.column(at).to_pylist() for at, name in enumerate(columns)}
    return _Parquet(path, columns, "Parquet", "row", num_rows, sample, True)


def _batches(path: Path, size: int, names: list[str] | None) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(size, columns=names)
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} cannot be read as Parquet: {error}") from error
