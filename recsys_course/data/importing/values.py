"""From a column's values to ids, stars and seconds; what cannot be one is marked with the reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recsys_course.data.names import DatasetError

# A time outside is taken for an error: it is what seconds read as milliseconds, a plain year, or 0 for "unknown" give.
EARLIEST, LATEST = 100_000_000, 4_102_444_800  # 3 March 1973, 1 January 2100

NO_ID, BROKEN_ID = -1, -2


class Ids:
    """Numbers ids in the order in which they first occur."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    def number(self, values: pa.Array, column: str) -> np.ndarray:
        """The number of each id, ``[rows] int32``; ``NO_ID`` where there is none, ``BROKEN_ID`` where it is no id.

        Spaces around an id do not count. Whole numbers and text are ids; an id with a line break in it is not.

        Raises:
          DatasetError: the column is of a type that cannot hold ids.
        """
        encoded = pc.dictionary_encode(pc.utf8_trim_whitespace(_text(values, column)))
        numbers = np.array([self._number(text) for text in encoded.dictionary.to_pylist()] + [NO_ID], dtype=np.int32)
        return numbers[encoded.indices.fill_null(len(numbers) - 1).to_numpy(zero_copy_only=False)]

    def _number(self, text: str) -> int:
        if not text:
            return NO_ID
        if re.search(r"[\x00-\x1f\x7f]", text):
            return BROKEN_ID
        return self.numbers.setdefault(text, len(self.numbers))


def ratings(values: pa.Array) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Ratings as ``[rows] float32``, and which rows have none, or none that is a number."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is told below
        numbers = _numbers(values).astype(np.float32)
    missing = _missing(values)
    return numbers, {"no rating": missing, "rating that is no number": ~np.isfinite(numbers) & ~missing}


@dataclass(frozen=True)
class Clock:
    """How a column tells time.

    Attributes:
      unit: ``seconds`` or ``milliseconds`` since 1970, or ``ISO 8601``.
      in_words: the same for people.
    """

    unit: str
    in_words: str

    def seconds(self, values: pa.Array) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Seconds since 1970, UTC, ``[rows] int64``, and which rows have no time, or none that can be."""
        missing = _missing(values)
        if pa.types.is_temporal(values.type):
            try:
                values = pc.cast(values, pa.timestamp("us"), safe=False)
            except pa.ArrowException as error:
                raise DatasetError(f"A column of type {values.type} tells no moment: {error}") from error
            read = values.to_numpy(zero_copy_only=False).astype("datetime64[us]")
            seconds, known = _whole_seconds(read)
        elif self.unit == "ISO 8601":
            text = pd.Series(_text(values, "time").to_pandas(), dtype=object)
            read = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
            seconds, known = _whole_seconds(read.dt.tz_localize(None).to_numpy().astype("datetime64[us]"))
        else:
            numbers = _numbers(values) / (1000 if self.unit == "milliseconds" else 1)
            known = np.isfinite(numbers)
            seconds = np.floor(np.clip(np.where(known, numbers, 0), -1e15, 1e15)).astype(np.int64)
        outside = known & ((seconds < EARLIEST) | (seconds >= LATEST))
        return seconds, {
            "no time": missing,
            f"time that cannot be read as {self.unit}": ~known & ~missing,
            "time outside 1973 to 2099": outside,
        }


def guess_clock(sample: Sequence[object]) -> Clock:
    """Reads off a few values whether they are seconds, milliseconds or dates."""
    there = [value for value in sample if value is not None and str(value).strip()]
    if any(isinstance(value, date | datetime) for value in there):
        return Clock("ISO 8601", "dates and times")
    numbers = pd.to_numeric(pd.Series(there, dtype=object), errors="coerce").dropna()
    if 2 * len(numbers) <= len(there):
        return Clock("ISO 8601", "ISO 8601, UTC where no zone is given")
    if np.median(numbers) >= EARLIEST * 1000:
        return Clock("milliseconds", "milliseconds since 1970")
    return Clock("seconds", "seconds since 1970")


def day(seconds: int) -> str:
    """The date of a moment, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _text(values: pa.Array, column: str) -> pa.Array:
    try:
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if pa.types.is_floating(values.type):  # whole numbers that pandas has widened because some are missing
            values = pc.cast(pc.if_else(pc.is_finite(values), values, None), pa.int64())
        if pa.types.is_nested(values.type):
            raise pa.ArrowTypeError("lists and structures name nobody.")
        return pc.cast(values, pa.string())
    except pa.ArrowException as error:
        raise DatasetError(
            f"The column {column!r} is of type {values.type}; text or whole numbers serve. {error}"
        ) from error


def _numbers(values: pa.Array) -> np.ndarray:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return pd.to_numeric(values.to_pandas(), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _missing(values: pa.Array) -> np.ndarray:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    empty = pc.is_null(values, nan_is_null=pa.types.is_floating(values.type))
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        empty = pc.or_(empty, pc.fill_null(pc.equal(pc.utf8_trim_whitespace(values), ""), True))
    return empty.to_numpy(zero_copy_only=False)


def _whole_seconds(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = ~np.isnat(moments)
    return np.where(known, moments.astype(np.int64) // 1_000_000, 0), known
