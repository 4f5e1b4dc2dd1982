"""Annoy: a forest of trees that halve the space. Published as source only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_course.indices.interface import Index

SEED = 42


@dataclass(kw_only=True, eq=False)
class Annoy(Index):
    """Annoy: each tree splits the items by random planes until few are left; a search follows the best branches.

    Its files are mapped into memory, so that processes share them; it searches one query at a time. Inner products of
    very unequal norms are not what its trees are made for: its recall saturates early.

    Source: Bernhardsson, https://github.com/spotify/annoy.

    Args:
        num_trees: Trees in the forest.
        num_nodes_to_search: Nodes that a search may inspect, over all trees.
    """

    num_trees: int = 50
    num_nodes_to_search: int = 5000

    library = "annoy"
    instead = "FaissHNSW"
    source_only = True
    search_names = ("num_nodes_to_search",)
    at_least = {"num_trees": 1, "num_nodes_to_search": 1}

    def search_grid(self, k: int) -> list[dict[str, Any]]:
        return [{"num_nodes_to_search": nodes} for nodes in (round(100 * 2**step) for step in range(14))]

    def _build(self, embeddings: np.ndarray) -> None:
        import annoy

        self._index = annoy.AnnoyIndex(embeddings.shape[1], "dot")
        self._index.set_seed(SEED)
        for key, embedding in enumerate(embeddings):
            self._index.add_item(key, embedding)
        self._index.build(self.num_trees, n_jobs=1)

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        scores, keys = np.full((len(queries), k), np.nan, np.float32), np.full((len(queries), k), -1)
        for row, query in enumerate(queries):
            found, affinities = self._index.get_nns_by_vector(
                query, k, self.num_nodes_to_search, include_distances=True
            )
            keys[row, : len(found)], scores[row, : len(found)] = found, affinities
        return scores, keys

    def _write(self, folder: Path) -> None:
        self._index.save(str(folder / "index.annoy"))

    def _read(self, folder: Path) -> None:
        import annoy

        self._index = annoy.AnnoyIndex(self._embedding_dim, "dot")
        self._index.load(str(folder / "index.annoy"))
