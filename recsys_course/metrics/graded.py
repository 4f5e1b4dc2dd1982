"""How well do predicted ratings order the films that a user has rated?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys_course.metrics.checks import whole_number
from recsys_course.metrics.ratings import _errors


def rated_ndcg_at_k(predicted: ArrayLike, actual: ArrayLike, users: ArrayLike, k: int) -> float:
    """NDCG of each user's held-out films, put in order by predicted rating; user average.

    A film is worth `2 ** rating - 1`. Only films that the user has rated take part, so this says how well the ones are
    ordered that the user was going to watch anyway, and nothing about which those are. Among equal predictions the film
    rated lower comes first: ties count against the model.

    Users whose held-out ratings are all the same are left out, since any order of their films is perfect.

    Args:
        predicted: `[num_ratings]` predicted ratings, or any scores.
        actual: `[num_ratings]` ratings given.
        users: `[num_ratings]` the user of each, as a number or an id.
        k: length of the list; a shorter one is judged whole.

    Returns:
        A number in `(0, 1]`.

    Raises:
        ValueError: different shapes, a value that is not finite, `k` below 1, or no user with two different ratings.

    Source: Järvelin and Kekäläinen (2002), with the gain of Burges et al., "Learning to Rank using Gradient Descent"
        (2005).
    """
    _errors(predicted, actual)  # the same demands on shapes and values
    k = whole_number(k, "k")
    predicted, actual = np.asarray(predicted, np.float64), np.asarray(actual, np.float64)
    _, user = np.unique(np.asarray(users), return_inverse=True)
    if user.shape != actual.shape:
        raise ValueError(f"one user a rating: expected {actual.shape}, got {user.shape}.")
    found, best = (_dcg(user, actual, order, k) for order in (predicted, actual))
    low, high = (np.full(len(best), filled) for filled in (np.inf, -np.inf))
    np.minimum.at(low, user, actual)
    np.maximum.at(high, user, actual)
    judged = high > low
    if not judged.any():
        raise ValueError("no user has two different ratings, so no order is better than another.")
    return float(np.mean(found[judged] / best[judged]))


def _dcg(user: np.ndarray, actual: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    """`[num_users]` discounted gains of each user's best `k` by `scores`."""
    order = np.lexsort((actual, -scores, user))
    counts = np.bincount(user)
    place = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
    gains = np.where(place < k, (2.0 ** actual[order] - 1) / np.log2(place + 2), 0.0)
    return np.bincount(user[order], gains)
