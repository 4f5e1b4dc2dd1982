"""How good is a recommender? Ranking metrics on held-out interactions, and error metrics on held-out ratings.

NumPy in, NumPy out: nothing here knows of models. Every ranking metric is a function of one thing, the ranks that the
held-out items reach among all candidates, so [`rank_held_out`][recsys_course.metrics.rank_held_out] runs once and the
metrics are read off its result. [`neighbor_recall_at_k`][recsys_course.metrics.neighbor_recall_at_k] is of another
kind: it measures an index, not a model. [`rated_ndcg_at_k`][recsys_course.metrics.rated_ndcg_at_k]
judges the order of held-out ratings. The formulas stand in ``docs/notation.md``.
"""

from __future__ import annotations

from recsys_course.metrics.graded import rated_ndcg_at_k
from recsys_course.metrics.lists import intra_list_similarity
from recsys_course.metrics.neighbours import neighbor_recall_at_k
from recsys_course.metrics.ranking import (
    HeldOutRanks,
    hit_rate_at_k,
    map_at_k,
    mrr_at_k,
    ndcg_at_k,
    precision_at_k,
    rank_held_out,
    recall_at_k,
)
from recsys_course.metrics.ratings import mae, rmse

__all__ = [
    "HeldOutRanks",
    "hit_rate_at_k",
    "intra_list_similarity",
    "mae",
    "map_at_k",
    "mrr_at_k",
    "ndcg_at_k",
    "neighbor_recall_at_k",
    "precision_at_k",
    "rank_held_out",
    "rated_ndcg_at_k",
    "recall_at_k",
    "rmse",
]
