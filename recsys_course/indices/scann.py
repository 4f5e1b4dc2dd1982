"""ScaNN by its own interface: tree, anisotropic hashing, reordering and SOAR."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_course.indices.interface import Index, NotSupported

SMALLEST_CODE_BOOK = 16  # a 4-bit code stands for one of 16 centroids, which take as many items to learn


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Sends the process' standard error away while the body runs.

    ScaNN's C++ logs every build, and offers no switch; a notebook would show it as an error. Exceptions still come
    through, because they are Python's.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@dataclass(kw_only=True, eq=False)
class Scann(Index):
    """ScaNN: a tree picks leaves, 4-bit codes estimate the affinities in them, and the best are scored again exactly.

    Items can be added, and removed unless SOAR files them twice.

    Source: Guo et al., "Accelerating Large-Scale Inference with Anisotropic Vector Quantization" (2020); Sun et al.,
    "SOAR: Improved Indexing for Approximate Nearest Neighbor Search" (2023).

    Args:
        num_leaves: Leaves that the tree divides the items into; `None`: twice the square root of the number of items.
        num_leaves_to_search: Leaves that each search looks into.
        reorder: How many of the best by estimate are scored again exactly. At least `k` are.
        dimensions_per_block: Dimensions that share one 4-bit code.
        anisotropic_quantization_threshold: How much more an error along the embedding counts than one across it; NaN
            counts both alike, as a plain product quantiser does. ScaNN takes it for a length, so what it does depends
            on the embeddings': 0.2, the library's usual value, does nothing for long ones; half their mean length is a
            better first try.
        soar_lambda: Strength of SOAR, which files every item under a second leaf; `None`: one leaf an item.
    """

    num_leaves: int | None = None
    num_leaves_to_search: int = 30
    reorder: int = 100
    dimensions_per_block: int = 2
    anisotropic_quantization_threshold: float = 0.2
    soar_lambda: float | None = None

    library = "scann"
    instead = "FaissIVFPQ"
    search_names = ("num_leaves_to_search", "reorder")
    at_least = {"num_leaves": 1, "num_leaves_to_search": 1, "reorder": 1, "dimensions_per_block": 1}

    def search_grid(self, k: int) -> list[dict[str, Any]]:
        return [
            {"num_leaves_to_search": leaves, "reorder": reorder}
            for leaves in leaves_grid(self._num_leaves)
            for reorder in reorder_grid(k, self.num_items)
        ]

    def _smallest_corpus(self) -> int:
        return max(self.num_leaves or 1, SMALLEST_CODE_BOOK)

    def _build(self, embeddings: np.ndarray) -> None:
        from scann.scann_ops.py import scann_ops_pybind

        num_items = len(embeddings)
        self._num_leaves = self.num_leaves or default_num_leaves(num_items)
        builder = scann_ops_pybind.builder(embeddings, 10, "dot_product")
        builder.tree(
            num_leaves=self._num_leaves,
            num_leaves_to_search=min(self.num_leaves_to_search, self._num_leaves),
            training_sample_size=min(num_items, 250_000),
            min_partition_size=1,
            random_init=False,  # a random start would make every build another index
            soar_lambda=self.soar_lambda,
        )
        builder.score_ah(
            self.dimensions_per_block,
            anisotropic_quantization_threshold=self.anisotropic_quantization_threshold,
            training_sample_size=min(num_items, 100_000),
        )
        builder.reorder(self.reorder)
        with quiet_stderr():
            self._searcher = builder.build()
        self._keys = np.arange(num_items)  # ScaNN moves its last row into the gap that a removal leaves

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        reorder, leaves = max(self.reorder, k), min(self.num_leaves_to_search, self._num_leaves)
        if len(queries) == 1:
            rows, scores = self._searcher.search_batched(queries, k, reorder, leaves)
        else:
            rows, scores = self._searcher.search_batched_parallel(queries, k, reorder, leaves)
        return scores, self._keys[rows]

    def _add(self, embeddings: np.ndarray, keys: np.ndarray) -> None:
        with quiet_stderr():
            self._searcher.searcher.upsert([None] * len(keys), embeddings, 1)
        self._keys = np.concatenate([self._keys, keys])

    def _remove(self, keys: np.ndarray) -> None:
        if self.soar_lambda is not None:
            raise NotSupported(
                "Scann cannot remove items once it is built with SOAR: ScaNN 1.4 ends the process. Build it again "
                "without them; until then name them in exclude."
            )
        rows = []
        for key in keys:  # the library's own rule for which row is where after each removal
            row = int(np.flatnonzero(self._keys == key)[0])
            rows.append(row)
            self._keys[row] = self._keys[-1]
            self._keys = self._keys[:-1]
        with quiet_stderr():
            self._searcher.searcher.delete(rows)

    def _write(self, folder: Path) -> None:
        # The folder is renamed once it is whole, so the paths that ScaNN notes must be relative to it.
        np.save(folder / "num_leaves.npy", self._num_leaves)
        np.save(folder / "keys.npy", self._keys)
        self._searcher.serialize(str(folder.absolute()), relative_path=True)

    def _read(self, folder: Path) -> None:
        from scann.scann_ops.py import scann_ops_pybind

        self._num_leaves = int(np.load(folder / "num_leaves.npy", allow_pickle=False))
        self._keys = np.load(folder / "keys.npy", allow_pickle=False)
        with quiet_stderr():
            self._searcher = scann_ops_pybind.load_searcher(str(folder.absolute()))


def default_num_leaves(num_items: int) -> int:
    """Leaves for so many items: a search then compares about as many leaves as items in a few of them."""
    return max(1, round(2 * num_items**0.5))


def leaves_grid(num_leaves: int) -> list[int]:
    """Numbers of leaves to search worth trying: each about half as many again as the last, up to all."""
    grid = sorted({min(num_leaves, round(1.5**step)) for step in range(64)})
    return [leaves for leaves in grid if leaves >= min(4, num_leaves)]


def reorder_grid(k: int, num_items: int) -> list[int]:
    """Numbers of candidates to reorder worth trying for `k`."""
    return sorted({min(num_items, factor * k) for factor in (2, 5, 10, 20, 40)})
