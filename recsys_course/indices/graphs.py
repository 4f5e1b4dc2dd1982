"""What the graph indices of three libraries share: their parameters."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from recsys_course.indices.interface import Index


@dataclass(kw_only=True, eq=False)
class GraphIndex(Index):
    """A hierarchical navigable small world graph (HNSW): a search walks from item to nearer item.

    Source: Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable
    Small World Graphs" (2018).

    Args:
        num_links: Links that an item keeps on each layer (`M`).
        ef_construction: Candidates kept while the links of a new item are chosen.
        ef_search: Candidates kept while a search walks the graph. At least `k` are.
        build_threads: Threads that add items. With more than one, which item comes first is a race, and no two builds
            are sure to be the same; `None`: one for each core.
    """

    num_links: int = 16
    ef_construction: int = 200
    ef_search: int = 100
    build_threads: int | None = 1

    search_names = ("ef_search",)
    at_least = {"num_links": 2, "ef_construction": 1, "ef_search": 1, "build_threads": 1}

    @property
    def is_reproducible(self) -> bool:
        return self.build_threads == 1

    def search_grid(self, k: int) -> list[dict[str, Any]]:
        return [{"ef_search": ef} for ef in sorted({max(k, round(10 * 1.5**step)) for step in range(14)})]

    def _threads_to_build(self) -> int:
        return self.build_threads or os.cpu_count() or 1
