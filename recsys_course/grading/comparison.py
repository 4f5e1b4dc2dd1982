"""When two values are the same answer, and if not, what differs: numbers with tolerance, in whatever container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

RELATIVE_TOLERANCE = 1e-4  # float32 sums in another order differ by about 1e-6; a wrong formula by far more
ABSOLUTE_TOLERANCE = 1e-6


def plain(value: Any) -> Any:
    """Return tensors, data frames, series and sparse matrices as numpy arrays and dicts of them; the rest as it is."""
    if hasattr(value, "to_list") and hasattr(value, "ragged_rank"):  # tf.RaggedTensor
        return value.to_list()
    if hasattr(value, "columns") and hasattr(value, "to_numpy"):  # pandas.DataFrame
        return {str(name): np.asarray(value[name]) for name in value.columns}
    if hasattr(value, "toarray"):  # scipy.sparse
        return value.toarray()
    if hasattr(value, "numpy") and hasattr(value, "shape"):  # tf.Tensor, tf.Variable
        value = value.numpy()
    if hasattr(value, "__array__") and not isinstance(value, np.ndarray | np.generic | type):  # Series, Index, ...
        value = np.asarray(value)
    if isinstance(value, np.ndarray) and value.dtype == object:
        return np.array([_text(item) for item in value.ravel()], dtype=object).reshape(value.shape)
    return _text(value)


def _text(value: Any) -> Any:
    """TensorFlow hands strings back as bytes: both are text here."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray) and value.dtype.kind == "S":
        return np.char.decode(value, "utf-8", "replace")
    return value


def difference(got: Any, expected: Any) -> str | None:
    """Say in one line how ``got`` differs from ``expected``; None where they agree.

    Numbers agree within a relative tolerance of 1e-4, NaN agrees with NaN. Lists, tuples, arrays, tensors and series of
    equal shape and values agree with each other whatever their dtype; data frames are compared column by column.
    """
    got, expected = plain(got), plain(expected)
    if isinstance(expected, Mapping):
        return _mapping_difference(got, expected)
    if isinstance(expected, Set):
        return _set_difference(got, expected)
    if expected is None or isinstance(expected, str):
        return None if type(got) is type(expected) and got == expected else ""
    expected_array, got_array = _array(expected), _array(got)
    if expected_array is not None and got_array is not None:
        return _array_difference(got_array, expected_array)
    if _is_sequence(expected):
        return _sequence_difference(got, expected)
    try:
        return None if bool(got == expected) else ""
    except Exception:  # an object of the learner's with a curious __eq__
        return f"expected {_kind(expected)}, got {_kind(got)}"


def agree(got: Any, expected: Any) -> bool:
    """Whether two values are the same answer (see :func:`difference`)."""
    return difference(got, expected) is None


def _array(value: Any) -> np.ndarray | None:
    """The value as an array where it is a number, or a regular (nested) sequence of numbers or of texts; else None."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, bool | int | float | complex | np.generic):
        return np.asarray(value)
    if not _is_sequence(value):
        return None
    items = [plain(item) for item in value]
    if any(isinstance(item, Mapping | Set) or item is None for item in items):
        return None
    if items and any(isinstance(item, str) for item in items):
        return np.asarray(items, dtype=object) if all(isinstance(item, str) for item in items) else None
    arrays = [array for item in items if (array := _array(item)) is not None]
    if len(arrays) < len(items) or len({array.shape for array in arrays}) > 1:
        return None
    return np.stack(arrays) if arrays else np.zeros(0)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (isinstance(value, Sequence) and not isinstance(value, str | bytes))


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "a single number" if value.ndim == 0 else f"shape {value.shape}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _array_difference(got: np.ndarray, expected: np.ndarray) -> str | None:
    if got.shape != expected.shape:
        return f"expected {_kind(expected)}, got {_kind(got)}"
    if expected.dtype.kind in "biufc" and got.dtype.kind in "biufc":
        same = np.isclose(got, expected, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE, equal_nan=True)
    elif (expected.dtype.kind in "biufc") != (got.dtype.kind in "biufc") and expected.size:
        return "expected numbers, got text" if expected.dtype.kind in "biufc" else "expected text, got numbers"
    else:
        same = np.asarray(got == expected)
    if np.all(same):
        return None
    if expected.size <= 1:
        return ""
    first = ", ".join(str(int(i)) for i in np.argwhere(~same)[0])
    return f"{int((~same).sum())} of {expected.size} values differ, the first at [{first}]"


def _sequence_difference(got: Any, expected: Sequence[Any]) -> str | None:
    if not _is_sequence(got):
        return f"expected {_kind(expected)}, got {_kind(got)}"
    if len(got) != len(expected):
        return f"expected {len(expected)} items, got {len(got)}"
    for position, (one, other) in enumerate(zip(got, expected, strict=True)):
        if (reason := difference(one, other)) is not None:
            return f"item {position} differs" + (f": {reason}" if reason else "")
    return None


def _mapping_difference(got: Any, expected: Mapping[Any, Any]) -> str | None:
    if not isinstance(got, Mapping):
        return f"expected named columns {', '.join(map(str, expected))}, got {_kind(got)}"
    missing, extra = [k for k in expected if k not in got], [k for k in got if k not in expected]
    if missing or extra:
        return "; ".join(
            f"{what}: {', '.join(map(str, keys))}"
            for what, keys in (("missing", missing), ("not expected", extra))
            if keys
        )
    for key in expected:
        if (reason := difference(got[key], expected[key])) is not None:
            return f"{key!r} differs" + (f": {reason}" if reason else "")
    return None


def _set_difference(got: Any, expected: Set[Any]) -> str | None:
    if not isinstance(got, Set):
        return f"expected a set, got {_kind(got)}"
    got, expected = {plain(item) for item in got}, {plain(item) for item in expected}
    missing, extra = expected - got, got - expected
    if not missing and not extra:
        return None
    return "; ".join(
        f"{what}: {sorted(map(str, items))[:5]}"
        for what, items in (("missing", missing), ("not expected", extra))
        if items
    )
