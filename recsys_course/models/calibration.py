"""From scores to numbers that mean what they say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike


def recalibrate(predicted: ArrayLike, actual: ArrayLike) -> Callable[[ArrayLike], np.ndarray]:
    """The straight line, never falling, that best turns predictions into ratings. Built in chapter 6.

    It moves and stretches; it never changes an order. Learn it on validation: on train a model looks better than it is.

    Args:
        predicted: `[num_ratings]` predictions.
        actual: `[num_ratings]` ratings given.

    Returns:
        A function from `[n]` predictions to `[n] float64` ratings.

    Raises:
        ValueError: different shapes, or no rating.
    """
    predicted, actual = np.asarray(predicted, np.float64), np.asarray(actual, np.float64)
    if predicted.shape != actual.shape or not predicted.size:
        raise ValueError(f"as many predictions as ratings, at least one: got {predicted.shape} and {actual.shape}.")
    centred = predicted - predicted.mean()
    variance = np.mean(centred**2)
    slope = max(np.mean(centred * actual) / variance, 0.0) if variance > 0 else 0.0
    return lambda scores: actual.mean() + slope * (np.asarray(scores, np.float64) - predicted.mean())
