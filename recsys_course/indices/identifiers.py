"""Between ids, which mean something outside, and keys, which libraries search for: 0, 1, 2, ... in order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

NO_ITEM = -1  # the id of "no item" in a TopK; where ids are strings it is ""


def checked_ids(ids: Sequence[int] | Sequence[str] | np.ndarray) -> np.ndarray:
    """`[n]` ids as `int64` or as NumPy strings, or a ValueError."""
    array = np.asarray(ids)
    if array.ndim != 1:
        raise ValueError(f"ids must be a flat list, one for each item, got shape {array.shape}.")
    if array.dtype == object and all(isinstance(one, str) for one in array):  # how pandas keeps strings
        array = array.astype(str)
    if array.dtype.kind == "T":
        array = array.astype(str)
    if array.size == 0:
        return array.astype(array.dtype if array.dtype.kind in "iU" else np.int64)
    if array.dtype.kind == "S":
        raise ValueError("ids must be integers or strings, got bytes. np.char.decode(ids) makes strings of them.")
    if array.dtype.kind not in "iuU":
        raise ValueError(f"ids must be integers or strings, all of one kind, got dtype {array.dtype}.")
    if array.dtype.kind in "iu":
        array = array.astype(np.int64)
    nothing = _nothing(array)
    if (array == nothing).any():
        raise ValueError(f"the id {nothing.item()!r} is reserved for places of a TopK that hold no item.")
    return array


class IdTable:
    """The ids of an index, by key, and the way back.

    Args:
        ids: `[num_keys] int64` or string; the id of each key ever given out.
        alive: `[num_keys] bool`; `False` where the item has been removed. `None`: all are there.

    Raises:
        ValueError: An id stands twice among those that are there.
    """

    def __init__(self, ids: np.ndarray, alive: np.ndarray | None = None) -> None:
        self._by_key = ids
        self._alive = np.ones(len(ids), bool) if alive is None else alive
        self._with_nothing = np.append(ids, _nothing(ids))  # key -1 reads the last
        keys = np.flatnonzero(self._alive)
        self._sorted_keys = keys[np.argsort(ids[keys], kind="stable")]
        self._sorted_ids = ids[self._sorted_keys]
        _check_unique(self._sorted_ids)

    def __len__(self) -> int:
        return len(self._sorted_ids)

    @property
    def num_keys(self) -> int:
        """How many keys have been given out, those of removed items included."""
        return len(self._by_key)

    def of(self, keys: np.ndarray) -> np.ndarray:
        """The ids of keys, in the keys' shape; of key -1 the id of no item."""
        return self._with_nothing[keys]

    def keys_of(self, ids: np.ndarray) -> np.ndarray:
        """The key of each id; -1 where the index does not hold it."""
        if not len(ids):
            return np.empty(0, np.int64)
        if ids.dtype.kind != self._by_key.dtype.kind:
            kinds = {"i": "integers", "U": "strings"}
            raise ValueError(
                f"the index holds ids that are {kinds[self._by_key.dtype.kind]}, got {kinds[ids.dtype.kind]} "
                f"(such as {ids[0].item()!r})."
            )
        at = np.minimum(np.searchsorted(self._sorted_ids, ids), len(self) - 1)
        return np.where(self._sorted_ids[at] == ids, self._sorted_keys[at], -1)

    def keys_of_lists(
        self, lists: Sequence[Sequence[int]] | Sequence[Sequence[str]] | None, expected: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """One list of ids for each query, flattened.

        Returns:
            The query and the key of each id that the index holds, each pair once.
        """
        if lists is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        if isinstance(lists, str) or len(lists) != expected:
            raise ValueError(
                f"exclude must hold one list of ids for each of the {expected} queries (it may be empty), "
                f"got {'a string' if isinstance(lists, str) else f'{len(lists)} lists'}."
            )
        if any(isinstance(one, str) for one in lists):
            raise ValueError("exclude must hold a list of ids for each query, got a bare string; put it in a list.")
        arrays = [checked_ids(np.asarray(list(one))) for one in lists]
        keys = [self.keys_of(array) for array in arrays]
        rows = np.repeat(np.arange(expected), [len(one) for one in keys])
        flat = np.concatenate(keys) if keys else np.empty(0, np.int64)
        pairs = np.unique(np.stack([rows, flat], axis=1)[flat >= 0], axis=0)
        return pairs[:, 0], pairs[:, 1]

    def with_added(self, ids: np.ndarray) -> IdTable:
        """A table with further ids, which get the next keys."""
        present = ids[self.keys_of(ids) >= 0]
        if len(present):
            raise ValueError(f"the index holds {_some(present)} already; remove before adding again.")
        longer = np.concatenate([self._by_key, ids.astype(ids.dtype if len(ids) else self._by_key.dtype)])
        return IdTable(longer, np.concatenate([self._alive, np.ones(len(ids), bool)]))

    def without(self, ids: np.ndarray) -> tuple[IdTable, np.ndarray]:
        """A table without these ids, and their keys."""
        _check_unique(np.sort(ids))
        keys = self.keys_of(ids)
        if (keys < 0).any():
            raise ValueError(f"the index does not hold {_some(ids[keys < 0])}, so it cannot be removed.")
        if len(keys) == len(self):
            raise ValueError(f"all {len(self)} items would be removed, and an empty index finds nothing.")
        alive = self._alive.copy()
        alive[keys] = False
        return IdTable(self._by_key, alive), keys

    def write(self, folder: Path) -> None:
        """Writes the table as two NumPy files."""
        np.save(folder / "ids.npy", self._by_key, allow_pickle=False)
        np.save(folder / "alive.npy", self._alive, allow_pickle=False)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads what `write` wrote."""
        read = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("ids", "alive"))
        return cls(*read)


def _nothing(ids: np.ndarray) -> np.ndarray:
    return np.array("" if ids.dtype.kind == "U" else NO_ITEM, ids.dtype)


def _check_unique(in_order: np.ndarray) -> None:
    twice = np.flatnonzero(in_order[1:] == in_order[:-1])
    if len(twice):
        raise ValueError(f"ids must be unique, got {_some(in_order[twice])} more than once.")


def _some(ids: np.ndarray) -> str:
    """The first few of them, in words."""
    first = ", ".join(repr(one) for one in ids[:3].tolist())
    return f"id {first}" if len(ids) == 1 else f"ids {first}" + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
