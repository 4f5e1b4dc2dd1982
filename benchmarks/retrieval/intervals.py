"""How sure is a hit rate, and how sure that one is higher than another? Users are drawn anew, again and again."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95


def by_user(ranks: np.ndarray, users: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Hits of each user, averaged over the seeds, and how many held-out ratings there are; `[num_users]` both.

    Args:
        ranks: `[num_seeds, num_held_out]`.
        users: `[num_held_out]`.
        k: length of the list.
    """
    _, position = np.unique(users, return_inverse=True)
    return np.bincount(position, np.mean(ranks <= k, axis=0)), np.bincount(position)


def interval(hits: np.ndarray, counts: np.ndarray, seed: int = 0) -> list[float]:
    """The middle 95 % of hit rates (or of their differences) when the users are drawn anew, with replacement.

    A user comes with all of their held-out ratings, since those are no independent draws. For a difference pass the
    difference of both models' hits: the same users are then drawn for both.
    """
    times = _times_drawn(len(counts), seed)
    rates = times @ hits / (times @ counts)
    tail = (1 - LEVEL) / 2
    return [round(float(bound), 4) for bound in np.quantile(rates, [tail, 1 - tail])]


@lru_cache(maxsize=1)
def _times_drawn(num_users: int, seed: int) -> np.ndarray:
    """`[RESAMPLES, num_users]`: how often each user is drawn; floats, so that a product with them is fast."""
    random = np.random.Generator(np.random.PCG64(seed))
    return random.multinomial(num_users, np.full(num_users, 1 / num_users), size=RESAMPLES).astype(np.float64)
