"""The interface that all indices share, with the checks that each adapter would otherwise repeat.

An adapter writes `_build` and `_search`, and may rely on clean input in both. It never meets an id: items have
**keys**, integers 0, 1, 2, ... in the order in which they came, which are never given out twice.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from recsys_course.indices import saving
from recsys_course.indices.checks import check_same_length, check_vectors
from recsys_course.indices.identifiers import NO_ITEM, IdTable, checked_ids
from recsys_course.metrics.checks import whole_number

__all__ = ["NO_ITEM", "Index", "NotSupported", "TopK"]


class NotSupported(RuntimeError):
    """The library behind an adapter cannot do this; the message says what to do instead."""


class TopK(NamedTuple):
    """What a search returns: for each query the items with the highest affinities, best first.

    Where fewer items than asked for were found, because exclusions left fewer or because the search looked at fewer,
    the rest of the row is padded with score `-inf` and id `indices.NO_ITEM` (`""` where ids are strings).

    Attributes:
        scores: `[num_queries, min(k, num_items)] float32`, descending. An index may return estimates of the affinity;
            its class says so.
        ids: Same shape, `int64` or string: the ids given to `build`.
    """

    scores: np.ndarray
    ids: np.ndarray


@dataclass(kw_only=True, eq=False)
class Index(ABC):
    """Finds, for each query embedding, the items with the highest affinity: the inner product of the two embeddings.

    Construction takes parameters only; `build` takes the items.
    """

    library: ClassVar[str] = ""
    """The import name of the library behind the adapter; empty where the course's own packages do."""

    source_only: ClassVar[bool] = False
    """Whether installing the library takes a C++ compiler."""

    instead: ClassVar[str] = "Exact"
    """What to use where the library is not installed."""

    search_names: ClassVar[tuple[str, ...]] = ()
    """The parameters that may change after `build`."""

    at_least: ClassVar[Mapping[str, int]] = {}
    """The parameters that are whole numbers, with the smallest value of each."""

    def __post_init__(self) -> None:
        self._ids: IdTable | None = None
        self._embedding_dim = 0
        if not self.is_available():
            raise ImportError(
                f"{type(self).__name__} needs the library {self.library}, which is not installed here. "
                f"{self._how_to_get()} Without it, use indices.{self.instead}."
            )
        self._check_parameters()

    # --- What an index is ---------------------------------------------------------------------------------------

    @classmethod
    def is_available(cls) -> bool:
        """Whether the library behind the adapter is installed here. Does not import it."""
        return not cls.library or importlib.util.find_spec(cls.library) is not None

    @property
    def is_exact(self) -> bool:
        """Whether a search always finds the true top k."""
        return False

    @property
    def is_reproducible(self) -> bool:
        """Whether building twice from the same items, with the same library on the same machine, gives one result."""
        return True

    @property
    def num_items(self) -> int:
        """How many items can be found now."""
        return 0 if self._ids is None else len(self._ids)

    @property
    def embedding_dim(self) -> int:
        """Length of the embeddings that the index was built from; 0 before `build`."""
        return self._embedding_dim

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters by name: what the constructor takes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def search_parameters(self) -> dict[str, Any]:
        """The parameters that may change after `build`, with their present values."""
        return {name: getattr(self, name) for name in self.search_names}

    def set_search(self, **parameters: Any) -> Self:
        """Changes search-time parameters; the next search uses them.

        Raises:
            ValueError: A name that is no search-time parameter of this index, or a value that it cannot take. Nothing
                is changed then.
        """
        unknown = sorted(set(parameters) - set(self.search_names))
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no search-time parameter {', '.join(unknown)}; "
                f"it has {', '.join(self.search_names) or 'none'}. Others are fixed when the index is built."
            )
        before = self.search_parameters
        vars(self).update(parameters)
        try:
            self._check_parameters()
        except ValueError:
            vars(self).update(before)
            raise
        return self

    def search_grid(self, k: int) -> list[dict[str, Any]]:
        """Search-time settings worth trying for `k`, from fast and rough to slow and careful; see `indices.tune`."""
        return [self.search_parameters]

    # --- What an index does -------------------------------------------------------------------------------------

    def build(self, embeddings: np.ndarray, ids: Sequence[int] | Sequence[str] | np.ndarray | None = None) -> Self:
        """Builds the index from scratch; what it held before is forgotten.

        Args:
            embeddings: `[num_items, embedding_dim] float32`, finite.
            ids: `[num_items]` unique integers or strings; `None` numbers the items from 0.

        Returns:
            The index itself.

        Raises:
            ValueError: Wrong shape or dtype, NaN or infinity, no item, fewer items than the index can be built from,
                ids that repeat or whose number differs. The message says what was expected and what came.
        """
        embeddings = check_vectors(embeddings, "embeddings", "num_items")
        table = IdTable(checked_ids(np.arange(len(embeddings)) if ids is None else ids))
        check_same_length(embeddings, table)
        if len(embeddings) < (smallest := self._smallest_corpus()):
            raise ValueError(
                f"{self} cannot be built from fewer than {smallest} items, got {len(embeddings)}. So few are searched "
                f"exactly at no cost: indices.Exact."
            )
        self._ids = None  # a failed build leaves no index behind, never half of one
        self._build(embeddings)
        self._ids, self._embedding_dim = table, embeddings.shape[1]
        return self

    def search(
        self,
        queries: np.ndarray,
        k: int,
        exclude: Sequence[Sequence[int]] | Sequence[Sequence[str]] | None = None,
    ) -> TopK:
        """Finds the items with the highest affinity to each query.

        Args:
            queries: `[num_queries, embedding_dim] float32`, finite.
            k: How many items to find for each query; more than there are gives all there are.
            exclude: For each query the ids that must not be returned, such as its user's seen items. Ids that the index
                does not hold are passed over: a history may name items that have left the catalogue.

        Returns:
            Scores and ids, each `[num_queries, min(k, num_items)]`.

        Raises:
            RuntimeError: `build` has not run.
            ValueError: Queries of the wrong shape or dtype, NaN or infinity; `k` below 1 or not a whole number;
                `exclude` of another length than `queries`, or with ids of another type than the index holds.
        """
        ids = self._built()
        queries = check_vectors(queries, "queries", "num_queries", self._embedding_dim)
        k = min(whole_number(k, "k"), len(ids))
        rows, excluded = ids.keys_of_lists(exclude, len(queries))
        if not len(queries):
            return TopK(np.empty((0, k), np.float32), ids.of(np.empty((0, k), np.int64)))

        # No library filters as well as it searches: ask for as many more as could be thrown away, then throw away.
        most = int(np.bincount(rows).max()) if len(rows) else 0
        scores, keys = _padded(*self._search(queries, min(k + most, len(ids))), k)
        missing = (keys < 0) | np.isnan(scores)  # how libraries say "nothing more found"; some name item 0 beside NaN
        if len(rows):
            span = ids.num_keys + 1
            codes = np.arange(len(queries))[:, None] * span + keys  # a number for each pair of query and item
            missing |= np.isin(codes, rows * span + excluded)
        if missing.any():
            scores, keys = np.where(missing, np.float32(-np.inf), scores), np.where(missing, -1, keys)
            order = np.argsort(missing, axis=1, kind="stable")
            scores, keys = np.take_along_axis(scores, order, axis=1), np.take_along_axis(keys, order, axis=1)
        return TopK(np.ascontiguousarray(scores[:, :k], np.float32), ids.of(keys[:, :k]))

    def add(self, embeddings: np.ndarray, ids: Sequence[int] | Sequence[str] | np.ndarray) -> Self:
        """Adds items to a built index. What it learnt in `build` (leaves, code books) stays as it is.

        Raises:
            NotSupported: The library cannot; build again.
            RuntimeError: `build` has not run.
            ValueError: As for `build`, or an id that the index holds already.
        """
        table = self._built()
        self._check_can("add", "_add")
        embeddings = check_vectors(embeddings, "embeddings", "num_items", self._embedding_dim)
        ids = checked_ids(ids)
        check_same_length(embeddings, ids)
        extended = table.with_added(ids)
        self._add(embeddings, np.arange(table.num_keys, extended.num_keys))
        self._ids = extended
        return self

    def remove(self, ids: Sequence[int] | Sequence[str] | np.ndarray) -> Self:
        """Takes items out of a built index.

        Raises:
            NotSupported: The library cannot; build again without them, or exclude them in each search.
            RuntimeError: `build` has not run.
            ValueError: An id that the index does not hold or that is named twice, or no item would be left.
        """
        table = self._built()
        self._check_can("remove", "_remove")
        reduced, keys = table.without(checked_ids(ids))
        self._remove(keys)
        self._ids = reduced
        return self

    def save(self, folder: str | Path) -> None:
        """Writes the index to a new folder: whole, or not at all.

        [`indices.load`][recsys_course.indices.load] reads it.

        Raises:
            FileExistsError: The folder exists.
            RuntimeError: `build` has not run.
        """
        ids = self._built()
        description = {
            "adapter": type(self).__name__,
            "parameters": self.parameters,
            "embedding_dim": self._embedding_dim,
        }
        with saving.new_folder(Path(folder), description) as unfinished:
            ids.write(unfinished)
            self._write(unfinished)

    def _restore(self, folder: Path, description: Mapping[str, Any]) -> Self:
        """Takes the state that `save` wrote."""
        ids = IdTable.read(folder)
        self._embedding_dim = description["embedding_dim"]
        self._read(folder)
        self._ids = ids
        return self

    # --- What an adapter writes ---------------------------------------------------------------------------------

    @abstractmethod
    def _build(self, embeddings: np.ndarray) -> None:
        """Builds from contiguous float32 `[num_items, embedding_dim]`; row i has key i."""

    @abstractmethod
    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns scores, descending, and keys, each `[num_queries, k]`; `1 <= k <= num_items`, at least one query.

        Where fewer than `k` were found, the key is negative or the score NaN, or the rows are shorter.
        """

    @abstractmethod
    def _write(self, folder: Path) -> None:
        """Writes the library's state into the folder."""

    @abstractmethod
    def _read(self, folder: Path) -> None:
        """Reads what `_write` wrote."""

    def _add(self, embeddings: np.ndarray, keys: np.ndarray) -> None:
        """Adds rows under new keys. Left out where the library cannot."""
        raise NotImplementedError

    def _remove(self, keys: np.ndarray) -> None:
        """Takes keys out. Left out where the library cannot."""
        raise NotImplementedError

    def _smallest_corpus(self) -> int:
        """How many items it takes to build the index."""
        return 1

    # --- What is left -------------------------------------------------------------------------------------------

    @classmethod
    def _how_to_get(cls) -> str:
        compiler = ", which takes a C++ compiler" if cls.source_only else ""
        return f"`pip install {cls.library}` gets it{compiler}."

    def _built(self) -> IdTable:
        if self._ids is None:
            raise RuntimeError(f"{type(self).__name__} is not built yet: call build(embeddings, ids) first.")
        return self._ids

    def _check_parameters(self) -> None:
        optional = {field.name for field in fields(self) if str(field.type).endswith("| None")}
        for name, smallest in self.at_least.items():
            value = getattr(self, name)
            if value is None and name in optional:
                continue
            if not isinstance(value, (int, np.integer)) or value < smallest:
                raise ValueError(
                    f"{type(self).__name__}: {name} must be a whole number of at least {smallest}, got {value!r}."
                )

    def _check_can(self, what: str, method: str) -> None:
        if getattr(type(self), method) is getattr(Index, method):
            otherwise = {
                "add": "Build it again with the new items, or keep them in a small indices.Exact beside it.",
                "remove": "Build it again without them; until then name them in exclude.",
            }
            raise NotSupported(f"{type(self).__name__} cannot {what} items once it is built. {otherwise[what]}")


def _padded(scores: np.ndarray, keys: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """At least `k` columns, whatever a library found."""
    keys = keys.astype(np.int64, copy=False)
    if (short := k - keys.shape[1]) > 0:
        scores, keys = (np.pad(part, ((0, 0), (0, short)), constant_values=-1) for part in (scores, keys))
    return scores, keys
