"""Finding the items nearest to a query: one small interface, one adapter per library.

Affinity is the inner product everywhere. `Exact` is always right, and the measure of every other index; below some ten
thousand items it is also the right choice. The classes name the libraries' own algorithms.
"""

from __future__ import annotations

from pathlib import Path

from recsys_course.indices import saving
from recsys_course.indices.annoy import Annoy
from recsys_course.indices.exact import Exact
from recsys_course.indices.faiss import FaissFlat, FaissHNSW, FaissIVFFlat, FaissIVFPQ
from recsys_course.indices.hnswlib import Hnswlib
from recsys_course.indices.interface import NO_ITEM, Index, NotSupported, TopK
from recsys_course.indices.scann import Scann
from recsys_course.indices.tfrs_layers import TfrsBruteForce, TfrsScann
from recsys_course.indices.tuning import Trial, Tuned, seconds_a_query, tune
from recsys_course.indices.usearch import Usearch

__all__ = [
    "ADAPTERS",
    "NO_ITEM",
    "Annoy",
    "Exact",
    "FaissFlat",
    "FaissHNSW",
    "FaissIVFFlat",
    "FaissIVFPQ",
    "Hnswlib",
    "Index",
    "NotSupported",
    "Scann",
    "TfrsBruteForce",
    "TfrsScann",
    "TopK",
    "Trial",
    "Tuned",
    "Usearch",
    "load",
    "seconds_a_query",
    "tune",
]

ADAPTERS: dict[str, type[Index]] = {
    adapter.__name__: adapter
    for adapter in (
        Exact,
        TfrsBruteForce,
        TfrsScann,
        Scann,
        FaissFlat,
        FaissIVFFlat,
        FaissIVFPQ,
        FaissHNSW,
        Usearch,
        Hnswlib,
        Annoy,
    )
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
    adapter = ADAPTERS.get(description["adapter"])
    if adapter is None:
        raise ValueError(f"{folder} holds a {description['adapter']}, known are {', '.join(ADAPTERS)}.")
    return adapter(**description["parameters"])._restore(folder, description)
