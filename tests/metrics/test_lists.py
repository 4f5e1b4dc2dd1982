"""How alike the items of a list are."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_course import metrics

GENRES = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]])


def test_it_is_the_mean_cosine_of_the_pairs():
    half = np.sqrt(0.5)
    assert metrics.intra_list_similarity([[0, 1]], GENRES) == pytest.approx(half)
    assert metrics.intra_list_similarity([[0, 1, 2]], GENRES) == pytest.approx(half / 3)
    assert metrics.intra_list_similarity([[0, 1], [1, 2]], GENRES) == pytest.approx(half / 2), "a mean over lists"
    assert metrics.intra_list_similarity([[2, 2]], GENRES * 5) == pytest.approx(1)
    assert metrics.intra_list_similarity([[3, 0], [3, 3]], GENRES) == 0, "nothing is like an item without description"


def test_empty_places_and_lists_of_one_do_not_count():
    assert metrics.intra_list_similarity([[0, 1, -1], [2, -1, -1], [-1, -1, -1]], GENRES) == pytest.approx(np.sqrt(0.5))
    with pytest.raises(ValueError, match="no list of 2 holds two items"):
        metrics.intra_list_similarity([[0, -1], [-1, -1]], GENRES)
