"""Adapters of every library, set so carefully that each finds what exact search finds on a small corpus."""

from __future__ import annotations

import pytest

from recsys_course import indices

NUM_ITEMS, DIM = 400, 16

CAREFUL = {
    "TfrsScann": {"num_leaves": 10, "num_leaves_to_search": 10, "num_reordering_candidates": NUM_ITEMS},
    "Scann": {"num_leaves": 10, "num_leaves_to_search": 10, "reorder": NUM_ITEMS},
    "FaissIVFFlat": {"num_leaves": 10, "num_leaves_to_search": 10},
    "FaissIVFPQ": {"num_leaves": 10, "num_leaves_to_search": 10, "reorder": NUM_ITEMS},
    "FaissHNSW": {"num_links": 32, "ef_search": NUM_ITEMS},
    "Usearch": {"num_links": 32, "ef_search": NUM_ITEMS},
    "Hnswlib": {"num_links": 32, "ef_search": NUM_ITEMS},
    "Annoy": {"num_trees": 20, "num_nodes_to_search": 100_000},
}


def careful(name: str) -> indices.Index:
    """A new index of the adapter, or a skipped test where its library is not installed."""
    adapter = indices.ADAPTERS[name]
    if not adapter.is_available():
        pytest.skip(f"{adapter.library} is not installed")
    return adapter(**CAREFUL.get(name, {}))
