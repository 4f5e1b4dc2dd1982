"""Faiss: flat, inverted files, product quantisation with fast scan and refinement, and a graph."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_course.indices.graphs import GraphIndex
from recsys_course.indices.interface import Index
from recsys_course.indices.scann import SMALLEST_CODE_BOOK, default_num_leaves, leaves_grid, reorder_grid


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Faiss with so many threads; waking more than one costs more than a single query takes."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(number)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


class _FaissIndex(Index):
    library = "faiss"

    @classmethod
    def _how_to_get(cls) -> str:
        return "`pip install faiss-cpu` gets it."

    @abstractmethod
    def _search_settings(self, k: int) -> Any:
        """Faiss' own search parameters, or None."""

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        settings = self._search_settings(k)
        if len(queries) > 1:
            return self._index.search(queries, k, params=settings)
        with _threads(1):
            return self._index.search(queries, k, params=settings)

    def _write(self, folder: Path) -> None:
        import faiss

        faiss.write_index(self._index, str(folder / "index.faiss"))

    def _read(self, folder: Path) -> None:
        import faiss

        self._index = faiss.read_index(str(folder / "index.faiss"))


@dataclass(kw_only=True, eq=False)
class FaissFlat(_FaissIndex):
    """Faiss' exact search: every item is scored."""

    @property
    def is_exact(self) -> bool:
        return True

    def _build(self, embeddings: np.ndarray) -> None:
        import faiss

        self._index = faiss.IndexIDMap(faiss.IndexFlatIP(embeddings.shape[1]))
        self._add(embeddings, np.arange(len(embeddings)))

    def _search_settings(self, k: int) -> None:
        return None

    def _add(self, embeddings: np.ndarray, keys: np.ndarray) -> None:
        self._index.add_with_ids(embeddings, keys)

    def _remove(self, keys: np.ndarray) -> None:
        self._index.remove_ids(keys)


class _InvertedFile(_FaissIndex):
    """What the two inverted files share: leaves. Faiss calls them lists: `nlist` there are, `nprobe` are searched."""

    num_leaves: int | None
    num_leaves_to_search: int

    def _smallest_corpus(self) -> int:
        return self.num_leaves or 1


@dataclass(kw_only=True, eq=False)
class FaissIVFFlat(_InvertedFile):
    """An inverted file: k-means divides the items into leaves; a search scores the items of the nearest leaves exactly.

    Source: Sivic and Zisserman, "Video Google: A Text Retrieval Approach to Object Matching in Videos" (2003).

    Args:
        num_leaves: Leaves that the items are divided into; `None`: twice the square root of the number of items.
        num_leaves_to_search: Leaves that each search looks into.
    """

    num_leaves: int | None = None
    num_leaves_to_search: int = 30

    search_names = ("num_leaves_to_search",)
    at_least = {"num_leaves": 1, "num_leaves_to_search": 1}

    def search_grid(self, k: int) -> list[dict[str, Any]]:
        return [{"num_leaves_to_search": leaves} for leaves in leaves_grid(self._index.nlist)]

    def _build(self, embeddings: np.ndarray) -> None:
        import faiss

        num_items, embedding_dim = embeddings.shape
        leaves = self.num_leaves or default_num_leaves(num_items)
        quantizer = faiss.IndexFlatIP(embedding_dim)
        self._index = faiss.IndexIVFFlat(quantizer, embedding_dim, leaves, faiss.METRIC_INNER_PRODUCT)
        train(self._index, embeddings)
        self._index.add(embeddings)

    def _search_settings(self, k: int) -> Any:
        import faiss

        return faiss.SearchParametersIVF(nprobe=self.num_leaves_to_search)

    def _add(self, embeddings: np.ndarray, keys: np.ndarray) -> None:
        self._index.add_with_ids(embeddings, keys)

    def _remove(self, keys: np.ndarray) -> None:
        self._index.remove_ids(keys)


@dataclass(kw_only=True, eq=False)
class FaissIVFPQ(_InvertedFile):
    """An inverted file of 4-bit product-quantised codes, scanned by SIMD, with the best scored again exactly.

    Source: Jégou, Douze and Schmid, "Product Quantization for Nearest Neighbor Search" (2011); André, Kermarrec and Le
    Scouarnec, "Cache locality is not enough: High-Performance Nearest Neighbor Search with Product Quantization Fast
    Scan" (2015).

    Args:
        num_leaves: Leaves that the items are divided into; `None`: twice the square root of the number of items.
        num_leaves_to_search: Leaves that each search looks into.
        reorder: How many of the best by estimate are scored again exactly. At least `k` are.
        dimensions_per_block: Dimensions that share one 4-bit code; must divide `embedding_dim`.
    """

    num_leaves: int | None = None
    num_leaves_to_search: int = 30
    reorder: int = 100
    dimensions_per_block: int = 2

    search_names = ("num_leaves_to_search", "reorder")
    at_least = {"num_leaves": 1, "num_leaves_to_search": 1, "reorder": 1, "dimensions_per_block": 1}

    def search_grid(self, k: int) -> list[dict[str, Any]]:
        return [
            {"num_leaves_to_search": leaves, "reorder": reorder}
            for leaves in leaves_grid(self._num_leaves())
            for reorder in reorder_grid(k, self.num_items)
        ]

    def _num_leaves(self) -> int:
        import faiss

        return faiss.downcast_index(self._index.base_index).nlist

    def _smallest_corpus(self) -> int:
        return max(self.num_leaves or 1, SMALLEST_CODE_BOOK)

    def _build(self, embeddings: np.ndarray) -> None:
        import faiss

        num_items, embedding_dim = embeddings.shape
        if embedding_dim % self.dimensions_per_block:
            raise ValueError(
                f"FaissIVFPQ: dimensions_per_block must divide the {embedding_dim} dimensions of the embeddings, "
                f"got {self.dimensions_per_block}."
            )
        codes = faiss.IndexIVFPQFastScan(
            faiss.IndexFlatIP(embedding_dim),
            embedding_dim,
            self.num_leaves or default_num_leaves(num_items),
            embedding_dim // self.dimensions_per_block,
            4,
            faiss.METRIC_INNER_PRODUCT,
        )
        codes.by_residual = True  # codes of the difference to the leaf's centre: finer than codes of the whole
        codes.pq.cp.min_points_per_centroid = 1
        self._index = faiss.IndexRefineFlat(codes)
        train(codes, embeddings)
        self._index.is_trained = True
        self._index.add(embeddings)

    def _search_settings(self, k: int) -> Any:
        import faiss

        return faiss.IndexRefineSearchParameters(
            k_factor=max(1.0, self.reorder / k),
            base_index_params=faiss.SearchParametersIVF(nprobe=self.num_leaves_to_search),
        )

    def _add(self, embeddings: np.ndarray, keys: np.ndarray) -> None:
        self._index.add(embeddings)  # keys go on from the last, and none is ever taken out


@dataclass(kw_only=True, eq=False)
class FaissHNSW(GraphIndex, _FaissIndex):
    """Faiss' graph. Items can be added."""

    def _build(self, embeddings: np.ndarray) -> None:
        import faiss

        self._index = faiss.IndexHNSWFlat(embeddings.shape[1], self.num_links, faiss.METRIC_INNER_PRODUCT)
        self._index.hnsw.efConstruction = self.ef_construction
        self._add(embeddings, np.arange(len(embeddings)))

    def _search_settings(self, k: int) -> Any:
        import faiss

        return faiss.SearchParametersHNSW(efSearch=max(self.ef_search, k))

    def _add(self, embeddings: np.ndarray, keys: np.ndarray) -> None:
        with _threads(self._threads_to_build()):
            self._index.add(embeddings)


def train(inverted_file: Any, embeddings: np.ndarray) -> None:
    """Learns leaves and codes; quietly, also where there are fewer items for a leaf than Faiss would like."""
    inverted_file.cp.min_points_per_centroid = 1
    inverted_file.train(embeddings)
