"""hnswlib: the graph's authors' own library. Published as source only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys_course.indices.graphs import GraphIndex

SEED = 42


@dataclass(kw_only=True, eq=False)
class Hnswlib(GraphIndex):
    """hnswlib's graph. Items can be added; removed ones stay in the graph as stepping stones, marked."""

    library = "hnswlib"
    instead = "FaissHNSW"
    source_only = True

    def _build(self, embeddings: np.ndarray) -> None:
        import hnswlib

        num_items, embedding_dim = embeddings.shape
        self._index = hnswlib.Index(space="ip", dim=embedding_dim)
        self._index.init_index(num_items, M=self.num_links, ef_construction=self.ef_construction, random_seed=SEED)
        self._index.add_items(embeddings, np.arange(num_items), num_threads=self._threads_to_build())

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self._index.set_ef(max(self.ef_search, k))
        threads = 1 if len(queries) == 1 else -1
        while True:
            try:
                keys, distances = self._index.knn_query(queries, k, num_threads=threads)
            except RuntimeError:  # it found fewer for some query, and then it gives none at all
                if k == 1:
                    raise
                k //= 2
            else:
                return 1 - distances, keys.astype(np.int64)

    def _add(self, embeddings: np.ndarray, keys: np.ndarray) -> None:
        self._index.resize_index(self._index.get_current_count() + len(keys))
        self._index.add_items(embeddings, keys, num_threads=self._threads_to_build())

    def _remove(self, keys: np.ndarray) -> None:
        for key in keys:
            self._index.mark_deleted(key)

    def _write(self, folder: Path) -> None:
        self._index.save_index(str(folder / "index.hnswlib"))

    def _read(self, folder: Path) -> None:
        import hnswlib

        self._index = hnswlib.Index(space="ip", dim=self._embedding_dim)
        self._index.load_index(str(folder / "index.hnswlib"))
