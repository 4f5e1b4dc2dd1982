"""Finding the items nearest to a query: one small interface, one adapter per library.

Affinity is the inner product everywhere. `Exact` is always right, and the measure of every other index; below some ten
thousand items it is also the right choice. The classes name the libraries' own algorithms.
"""

from __future__ import annotations

from pathlib import Path

from recsys_course.indices import saving
from recsys_course.indices.exact import Exact
from recsys_course.indices.faiss import FaissFlat, FaissHNSW, FaissIVFFlat, FaissIVFPQ
from recsys_course.indices.interface import NO_ITEM, Index, NotSupported, TopK
from recsys_course.indices.scann import Scann
from recsys_course.indices.tfrs_layers import TfrsBruteForce, TfrsScann

__all__ = [
    "ADAPTERS",
    "NO_ITEM",
    "Exact",
    "FaissFlat",
    "FaissHNSW",
    "FaissIVFFlat",
    "FaissIVFPQ",
    "Index",
    "NotSupported",
    "Scann",
    "TfrsBruteForce",
    "TfrsScann",
    "TopK",
    "load",
]

ADAPTERS: dict[str, type[Index]] = {
    adapter.__name__: adapter
    for adapter in (Exact, TfrsBruteForce, TfrsScann, Scann, FaissFlat, FaissIVFFlat, FaissIVFPQ, FaissHNSW)
}
"""Every adapter by its name, also those whose library is not installed here."""


def load(folder: str | Path) -> Index:
    """Reads an index that was saved, with the parameters that it had then.

    Raises:
        ImportError: Its library is not installed here.
        ValueError: The folder is no saved index, or a half-written one.
    """
    folder = Path(folder)
    description = saving.read_description(folder)
    return ADAPTERS[description["adapter"]](**description["parameters"])._restore(folder, description)
