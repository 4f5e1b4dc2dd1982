"""Models: towers and losses of retrieval, built in chapter 3; networks that predict ratings, built in chapter 6."""

from __future__ import annotations

from recsys_course.models import losses
from recsys_course.models.calibration import recalibrate
from recsys_course.models.feature_rows import FeatureRows, feature_rows, history_weights, movie_labels, user_labels
from recsys_course.models.list_losses import ListModel, listwise_loss, pairwise_loss, pointwise_loss, rated_lists
from recsys_course.models.ranking import (
    CrossRating,
    DenseRating,
    FactorisationMachine,
    FeatureVectors,
    RatingModel,
    cross_layer,
    predict_ratings,
    rating_columns,
    rating_scorer,
)
from recsys_course.models.recommending import top_k_unseen
from recsys_course.models.retrieval import (
    TwoTower,
    affinity_scorer,
    candidate_embeddings,
    movie_features,
    sampling_probability,
    training_columns,
)
from recsys_course.models.towers import IdTower, MovieTower
from recsys_course.models.training import HitRate, should_stop

__all__ = [
    "CrossRating",
    "DenseRating",
    "FactorisationMachine",
    "FeatureRows",
    "FeatureVectors",
    "HitRate",
    "IdTower",
    "ListModel",
    "MovieTower",
    "RatingModel",
    "TwoTower",
    "affinity_scorer",
    "candidate_embeddings",
    "cross_layer",
    "feature_rows",
    "history_weights",
    "listwise_loss",
    "losses",
    "movie_features",
    "movie_labels",
    "pairwise_loss",
    "pointwise_loss",
    "predict_ratings",
    "rated_lists",
    "rating_columns",
    "rating_scorer",
    "recalibrate",
    "sampling_probability",
    "should_stop",
    "top_k_unseen",
    "training_columns",
    "user_labels",
]
