"""What is asked of a `k`, in one wording."""

from __future__ import annotations

import operator


def whole_number(value: int, name: str) -> int:
    """An int of at least 1, or a ValueError that names the argument."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.") from None
    if number < 1:
        raise ValueError(f"{name} must be at least 1, got {number}.")
    return number
