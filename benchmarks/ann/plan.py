"""What is measured: which indices on which catalogues, and what they are asked to reach."""

from __future__ import annotations

from typing import Any, NamedTuple

from recsys_course.indices.scann import default_num_leaves

SEED = 0
NUM_QUERIES = 1000  # half of them choose settings; what is reported, the other half decided
EMBEDDING_DIM = 64
RECALL_TARGETS = {10: 0.95, 100: 0.93}
SPEED_TARGETS = {10: 50, 100: 25}  # times as fast as exact search, for a single query, at a million items
BANDWIDTH_TARGET = 1.3  # exact search in units of the time that reading the embeddings takes
TARGET_CORPUS = "1M"

CORPORA = {"movielens": None, "10k": 10_000, "100k": 100_000, "1M": 1_000_000, "10M": 10_000_000}
SIZES = {
    "small": ("10k",),
    "full": ("movielens", "10k", "100k", "1M"),
    "huge": ("10M",),
}
NAMES = {"small": "ann", "full": "ann", "huge": "ann_huge"}  # of results, page and figures
SECONDS_A_POINT = {"small": 0.1, "full": 0.4, "huge": 0.4}  # of single queries, for each setting that is timed


class Variant(NamedTuple):
    """An index with the parameters that it is built with."""

    name: str
    adapter: str
    parameters: dict[str, Any]


def variants(corpus: str) -> list[Variant]:
    """The indices to measure on a catalogue, the quickest to build first."""
    num_items = CORPORA[corpus] or 1_000
    leaves = default_num_leaves(num_items)
    # The race between threads makes graphs differ a little from build to build, and is worth it at this size.
    graph = {"ef_construction": 100, "build_threads": None}
    everything = [
        Variant("exact", "Exact", {}),
        Variant("Faiss Flat", "FaissFlat", {}),
        Variant("TFRS BruteForce", "TfrsBruteForce", {}),
        Variant("Faiss IVF", "FaissIVFFlat", {}),
        Variant("Faiss IVF-PQ", "FaissIVFPQ", {}),
        Variant("ScaNN", "Scann", {}),
        Variant("ScaNN with SOAR", "Scann", {"soar_lambda": 1.5}),
        Variant("TFRS ScaNN, defaults", "TfrsScann", {}),
        Variant(
            "TFRS ScaNN, reordered",
            "TfrsScann",
            {
                "num_leaves": leaves,
                "num_leaves_to_search": leaves // 5,
                "num_reordering_candidates": min(num_items, 1000),
            },
        ),
        Variant("USearch", "Usearch", graph),
        Variant("Faiss HNSW", "FaissHNSW", graph),
        Variant("hnswlib", "Hnswlib", graph),
        Variant("Annoy", "Annoy", {}),
    ]
    if num_items >= 1_000_000:
        everything = [one for one in everything if one.name != "TFRS ScaNN, defaults"]
    if num_items >= 10_000_000:
        everything = [one for one in everything if one.name in {"exact", "Faiss IVF-PQ", "ScaNN", "ScaNN with SOAR"}]
    return everything
