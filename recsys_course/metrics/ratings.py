"""Error metrics for predicted ratings. They judge the ratings a user gave, not the list a user is shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def rmse(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Root mean squared error, in rating points. One error of two points weighs as much as four errors of one.

    Args:
        predicted: `[num_ratings]` predicted ratings.
        actual: `[num_ratings]` ratings given, in the same order.

    Raises:
        ValueError: Different shapes, no rating, or a value that is not finite.
    """
    return float(np.sqrt(np.mean(_errors(predicted, actual) ** 2)))


def mae(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Mean absolute error, in rating points. Arguments and errors as for `rmse`."""
    return float(np.mean(np.abs(_errors(predicted, actual))))


def _errors(predicted: ArrayLike, actual: ArrayLike) -> np.ndarray:
    predicted, actual = np.asarray(predicted, np.float64), np.asarray(actual, np.float64)
    if predicted.shape != actual.shape:
        # [n] against [n, 1] would broadcast to [n, n] and give a plausible, wrong number.
        raise ValueError(
            f"predicted has shape {predicted.shape}, actual has {actual.shape}; both must be the same. "
            "A model's [n, 1] output needs .reshape(-1)."
        )
    if predicted.size == 0:
        raise ValueError("there is no rating to compare.")
    for name, values in (("predicted", predicted), ("actual", actual)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds {np.count_nonzero(~np.isfinite(values))} values that are NaN or infinite.")
    return predicted - actual
