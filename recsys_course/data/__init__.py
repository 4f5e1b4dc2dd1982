"""MovieLens made ready, loaded, split and batched; and a small synthetic world whose right answer is known."""

from __future__ import annotations

from recsys_course.data import synthetic
from recsys_course.data.batching import batches
from recsys_course.data.columns import load_movies, load_ratings
from recsys_course.data.interactions import InteractionIndex, UnknownIdError
from recsys_course.data.names import DatasetError, dataset_name
from recsys_course.data.preparation import Prepared, ensure_dataset
from recsys_course.data.splits import Split, leave_last_out, random_split, temporal_split

__all__ = [
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
    "temporal_split",
]
