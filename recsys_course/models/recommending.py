"""From affinities to a list of films."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def top_k_unseen(scores: ArrayLike, seen: ArrayLike, k: int) -> np.ndarray:
    """The `k` best items that the user has not seen, best first. Built in chapter 3.

    Args:
        scores: `[num_items]` floats; higher is better.
        seen: `[num_seen]` integer positions of the items to leave out.
        k: length of the list.

    Returns:
        `[min(k, num_items - num_seen)] int64` positions; of equal scores the earlier position comes first.

    Raises:
        ValueError: `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}.")
    scores = np.asarray(scores, np.float64)
    unseen = np.setdiff1d(np.arange(len(scores)), seen)
    return unseen[np.argsort(-scores[unseen], kind="stable")[:k]]
