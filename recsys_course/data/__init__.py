"""MovieLens made ready, loaded, split and batched; a small synthetic world, and catalogues of any size."""

from __future__ import annotations

from recsys_course.data import synthetic
from recsys_course.data.batching import batches
from recsys_course.data.catalogues import Catalogue, synthetic_catalogue
from recsys_course.data.columns import load_movies, load_ratings
from recsys_course.data.interactions import InteractionIndex, UnknownIdError
from recsys_course.data.names import DatasetError, dataset_name
from recsys_course.data.preparation import Prepared, ensure_dataset
from recsys_course.data.splits import Split, leave_last_out, random_split, temporal_split

__all__ = [
    "Catalogue",
    "DatasetError",
    "InteractionIndex",
    "Prepared",
    "Split",
    "UnknownIdError",
    "batches",
    "dataset_name",
    "ensure_dataset",
    "leave_last_out",
    "load_movies",
    "load_ratings",
    "random_split",
    "synthetic",
    "synthetic_catalogue",
    "temporal_split",
]
