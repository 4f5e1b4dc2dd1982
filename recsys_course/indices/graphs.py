"""What the graph indices of three libraries share: their parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recsys_course.indices.interface import Index


@dataclass(kw_only=True, eq=False)
class GraphIndex(Index):
    """Parameters of a hierarchical navigable small world graph (HNSW).

    Args:
        num_links: Links that an item keeps on each layer (`M`).
        ef_construction: Candidates kept while the links of a new item are chosen.
        ef_search: Candidates kept while a search walks the graph. At least `k` are.
    """

    num_links: int = 16
    ef_construction: int = 200
    ef_search: int = 100

    search_names = ("ef_search",)
    at_least = {"num_links": 2, "ef_construction": 1, "ef_search": 1}

    def search_grid(self, k: int) -> list[dict[str, Any]]:
        return [{"ef_search": ef} for ef in sorted({max(k, round(10 * 1.5**step)) for step in range(14)})]
