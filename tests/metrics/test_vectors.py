"""Rows of length 1."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_course.metrics.vectors import unit_rows


def test_rows_keep_their_direction_and_zeros_stay_zeros():
    given = np.array([[3, -4], [0, 0], [0, 1e-100]], np.float64)
    assert unit_rows(given).tolist() == [[0.6, -0.8], [0, 0], [0, 1]]
    assert given.tolist() == [[3, -4], [0, 0], [0, 1e-100]], "what was given is left alone"


@pytest.mark.parametrize("kind", [bool, np.int32, np.float32])
def test_whatever_comes_is_computed_in_float64(kind):
    found = unit_rows(np.array([[1, 1, 0]], kind))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [[0.5**0.5, 0.5**0.5, 0]], rtol=1e-15)


def test_no_rows_are_no_rows():
    assert unit_rows(np.zeros((0, 3))).shape == (0, 3)
