"""USearch: a graph of near items in a single-file library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys_course.indices.graphs import GraphIndex


@dataclass(kw_only=True, eq=False)
class Usearch(GraphIndex):
    """USearch's graph. Items can be added and removed."""

    library = "usearch"
    instead = "FaissHNSW"

    def _build(self, embeddings: np.ndarray) -> None:
        from usearch.index import Index as Library

        self._index = Library(
            ndim=embeddings.shape[1],
            metric="ip",
            dtype="f32",
            connectivity=self.num_links,
            expansion_add=self.ef_construction,
        )
        self._add(embeddings, np.arange(len(embeddings)))

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        from usearch.index import BatchMatches

        self._index.expansion_search = max(self.ef_search, k)  # type: ignore[misc]  # it has a setter, further down
        found = self._index.search(queries, k, threads=1 if len(queries) == 1 else 0)
        keys = np.atleast_2d(found.keys).astype(np.int64)
        num_found = found.counts if isinstance(found, BatchMatches) else len(found)
        found_none = np.arange(keys.shape[1]) >= np.reshape(num_found, (-1, 1))
        return 1 - np.atleast_2d(found.distances), np.where(found_none, -1, keys)

    def _add(self, embeddings: np.ndarray, keys: np.ndarray) -> None:
        self._index.add(keys, embeddings, threads=self._threads_to_build())

    def _remove(self, keys: np.ndarray) -> None:
        self._index.remove(keys)

    def _write(self, folder: Path) -> None:
        self._index.save(str(folder / "index.usearch"))

    def _read(self, folder: Path) -> None:
        from usearch.index import Index as Library

        restored = Library.restore(str(folder / "index.usearch"))
        assert restored is not None  # as it would be if there were no file
        self._index = restored
