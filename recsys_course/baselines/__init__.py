"""What every model must beat: strong, cheap recommenders without deep learning.

All recommenders share one interface: `fit(interactions) -> self`, then `score(users) -> [b, num_items] float32`, which
is what [`metrics.rank_held_out`][recsys_course.metrics.rank_held_out] takes. `UserItemBiases` predicts ratings instead.

A baseline that was never tuned is no baseline. The defaults are those that did best on the **validation** part of
MovieLens 100K, random 80/10/10, seed 42, by the mean of hit rate at 10 and at 100 with seen items taken out (biases: by
RMSE; `RecentPopular`: on the temporal split, where recency is not a look into the future). Each class says which grid
was searched. Tune again on other data.
"""

from __future__ import annotations

from recsys_course.baselines.biases import UserItemBiases
from recsys_course.baselines.factorisation import ImplicitALS
from recsys_course.baselines.linear import EASE
from recsys_course.baselines.neighbours import ItemKNN
from recsys_course.baselines.popularity import MostPopular, RecentPopular
from recsys_course.baselines.recommender import Recommender

__all__ = ["EASE", "ImplicitALS", "ItemKNN", "MostPopular", "RecentPopular", "Recommender", "UserItemBiases"]
