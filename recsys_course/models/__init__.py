"""Models: two towers (chapter 3), networks that predict ratings (chapter 6), towers that read histories (chapter 7)."""

from __future__ import annotations

from recsys_course.models import losses
from recsys_course.models.calibration import recalibrate
from recsys_course.models.context import DeepTower, SumTower, YearTower, context_columns
from recsys_course.models.feature_rows import FeatureRows, feature_rows, history_weights, movie_labels, user_labels
from recsys_course.models.history import (
    HISTORY_RECIPE,
    HistoryTower,
    fit_history,
    fit_towers,
    histories,
    history_scorer,
    history_training_columns,
    history_two_tower,
    pad_histories,
    query_scorer,
)
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
from recsys_course.models.recommending import FromLiked, recommend_from_liked, taste_directions, top_k_unseen
from recsys_course.models.retrieval import (
    TwoTower,
    affinity_scorer,
    candidate_embeddings,
    movie_features,
    sampling_probability,
    training_columns,
)
from recsys_course.models.titles import find_film
from recsys_course.models.towers import IdTower, MovieTower
from recsys_course.models.training import HitRate, should_stop

__all__ = [
    "HISTORY_RECIPE",
    "CrossRating",
    "DeepTower",
    "DenseRating",
    "FactorisationMachine",
    "FeatureRows",
    "FeatureVectors",
    "FromLiked",
    "HistoryTower",
    "HitRate",
    "IdTower",
    "ListModel",
    "MovieTower",
    "RatingModel",
    "SumTower",
    "TwoTower",
    "YearTower",
    "affinity_scorer",
    "candidate_embeddings",
    "context_columns",
    "cross_layer",
    "feature_rows",
    "find_film",
    "fit_history",
    "fit_towers",
    "histories",
    "history_scorer",
    "history_training_columns",
    "history_two_tower",
    "history_weights",
    "listwise_loss",
    "losses",
    "movie_features",
    "movie_labels",
    "pad_histories",
    "pairwise_loss",
    "pointwise_loss",
    "predict_ratings",
    "query_scorer",
    "rated_lists",
    "rating_columns",
    "rating_scorer",
    "recalibrate",
    "recommend_from_liked",
    "sampling_probability",
    "should_stop",
    "taste_directions",
    "top_k_unseen",
    "training_columns",
    "user_labels",
]
