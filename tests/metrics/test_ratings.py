"""Error metrics: by hand, and bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recsys_course import metrics


def test_by_hand():
    # Errors -1, 0, 2: squares 1, 0, 4, mean 5/3; absolute values 1, 0, 2, mean 1.
    predicted, actual = [3.0, 4.0, 5.0], [4.0, 4.0, 3.0]
    assert metrics.rmse(predicted, actual) == pytest.approx(math.sqrt(5 / 3))
    assert metrics.mae(predicted, actual) == pytest.approx(1.0)


def test_small_integer_types_do_not_wrap():
    # 1 - 2 in uint8 is 255.
    assert metrics.rmse(np.array([1], np.uint8), np.array([2], np.uint8)) == 1.0


@pytest.mark.parametrize("metric", [metrics.rmse, metrics.mae])
@pytest.mark.parametrize(
    ("predicted", "actual", "message"),
    [
        (np.zeros((3, 1)), np.zeros(3), r"\(3, 1\).*\(3,\).*reshape"),
        ([], [], "no rating"),
        ([1.0, np.nan], [1.0, 2.0], "predicted holds 1"),
        ([1.0, 2.0], [np.inf, 2.0], "actual holds 1"),
    ],
)
def test_bad_input(metric, predicted, actual, message):
    with pytest.raises(ValueError, match=message):
        metric(predicted, actual)
