"""Faiss: flat, inverted files, product quantisation with fast scan and refinement, and a graph."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_course.indices.graphs import GraphIndex
from recsys_course.indices.interface import Index
from recsys_course.indices.scann import SMALLEST_CODE_BOOK, default_num_leaves, leaves_grid, reorder_grid

WORTH_THREADS = 50_000  # items; with fewer, threads that build spend their time waiting for each other


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


def _threads_for(num_items: int) -> AbstractContextManager[None]:
    """As many threads as building from so many items is worth."""
    import faiss

    return _threads(1 if num_items < WORTH_THREADS else faiss.omp_get_max_threads())


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
    """What the two inverted files share: leaves. Faiss calls them lists: `nlist` there are, `nprobe` are searched.

    An item belongs to the leaf whose centre is nearest, but a query wants the leaves whose centres have the highest
    inner product with it. Faiss takes one measure for both: given inner products it files items by angle, or, where it
    does not normalise centres, crowds them into the leaves of the longest; and some three times as many leaves have to
    be searched for the same recall. So this adapter changes the measure in between, as ScaNN does.
    """

    num_leaves: int | None
    num_leaves_to_search: int

    def _smallest_corpus(self) -> int:
        return self.num_leaves or 1

    @abstractmethod
    def _inverted_file(self) -> Any:
        """The part of the index that holds the leaves."""

    def _train(self, embeddings: np.ndarray) -> None:
        """Learns leaves by distance, then has them chosen by inner product."""
        import faiss

        leaves = self._inverted_file()
        leaves.cp.min_points_per_centroid = 1  # fewer items for a leaf than Faiss would like are no cause for a warning
        leaves.cp.spherical = False
        with _threads_for(len(embeddings)):
            leaves.train(embeddings)
        self._by_product = faiss.IndexFlatIP(leaves.d)  # the name keeps it alive: Faiss does not own it
        self._by_product.add(leaves.quantizer.reconstruct_n(0, leaves.nlist))
        leaves.quantizer = self._by_product

    @contextmanager
    def _filed_by_distance(self, num_added: int) -> Iterator[None]:
        """Items that are added meanwhile go to the leaf with the nearest centre."""
        import faiss

        leaves = self._inverted_file()
        by_product = leaves.quantizer
        by_distance = faiss.IndexFlatL2(leaves.d)
        by_distance.add(by_product.reconstruct_n(0, leaves.nlist))
        leaves.quantizer = by_distance
        try:
            with _threads_for(num_added):
                yield
        finally:
            leaves.quantizer = by_product


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

    def _inverted_file(self) -> Any:
        return self._index

    def _build(self, embeddings: np.ndarray) -> None:
        import faiss

        num_items, embedding_dim = embeddings.shape
        self._index = faiss.IndexIVFFlat(
            faiss.IndexFlatL2(embedding_dim),
            embedding_dim,
            self.num_leaves or default_num_leaves(num_items),
            faiss.METRIC_INNER_PRODUCT,
        )
        self._train(embeddings)
        self._add(embeddings, np.arange(num_items))

    def _search_settings(self, k: int) -> Any:
        import faiss

        return faiss.SearchParametersIVF(nprobe=self.num_leaves_to_search)

    def _add(self, embeddings: np.ndarray, keys: np.ndarray) -> None:
        with self._filed_by_distance(len(embeddings)):
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
            for leaves in leaves_grid(self._inverted_file().nlist)
            for reorder in reorder_grid(k, self.num_items)
        ]

    def _inverted_file(self) -> Any:
        import faiss

        return faiss.downcast_index(self._index.base_index)

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
            faiss.IndexFlatL2(embedding_dim),
            embedding_dim,
            self.num_leaves or default_num_leaves(num_items),
            embedding_dim // self.dimensions_per_block,
            4,
            faiss.METRIC_INNER_PRODUCT,
        )
        codes.by_residual = True  # codes of the difference to the leaf's centre: finer than codes of the whole
        codes.pq.cp.min_points_per_centroid = 1
        self._index = faiss.IndexRefineFlat(codes)
        self._train(embeddings)
        self._index.is_trained = True
        self._add(embeddings, np.arange(num_items))

    def _search_settings(self, k: int) -> Any:
        import faiss

        return faiss.IndexRefineSearchParameters(
            k_factor=max(1.0, self.reorder / k),
            base_index_params=faiss.SearchParametersIVF(nprobe=self.num_leaves_to_search),
        )

    def _add(self, embeddings: np.ndarray, keys: np.ndarray) -> None:
        with self._filed_by_distance(len(embeddings)):
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
