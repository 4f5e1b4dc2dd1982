"""What every model must beat: strong, cheap recommenders without deep learning.

All recommenders share one interface: `fit(interactions) -> self`, then `score(users) -> [b, num_items] float32`, which
is what [`metrics.rank_held_out`][recsys_course.metrics.rank_held_out] takes. `UserItemBiases` predicts ratings instead.
"""

from __future__ import annotations

from recsys_course.baselines.biases import UserItemBiases
from recsys_course.baselines.factorisation import ImplicitALS
from recsys_course.baselines.linear import EASE
from recsys_course.baselines.neighbours import ItemKNN
from recsys_course.baselines.popularity import MostPopular, RecentPopular
from recsys_course.baselines.recommender import Recommender

__all__ = ["EASE", "ImplicitALS", "ItemKNN", "MostPopular", "RecentPopular", "Recommender", "UserItemBiases"]
