"""Models: towers, losses, and how they are trained. Built in chapter 3."""

from __future__ import annotations

from recsys_course.models import losses
from recsys_course.models.recommending import top_k_unseen
from recsys_course.models.retrieval import (
    TwoTower,
    affinity_scorer,
    movie_features,
    sampling_probability,
    training_columns,
)
from recsys_course.models.towers import IdTower, MovieTower
from recsys_course.models.training import HitRate, should_stop

__all__ = [
    "HitRate",
    "IdTower",
    "MovieTower",
    "TwoTower",
    "affinity_scorer",
    "losses",
    "movie_features",
    "sampling_probability",
    "should_stop",
    "top_k_unseen",
    "training_columns",
]
