"""Lists from scores and from a few liked items."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_course import models

# Their mean is (1, 1); less that, they are (1, 0), (-1, 0), (0, 2), (0, -2), (2, 1) and (-2, -1).
EMBEDDINGS = np.array([[2.0, 1.0], [0.0, 1.0], [1.0, 3.0], [1.0, -1.0], [3.0, 2.0], [-1.0, 0.0]])


def test_a_list_from_liked_items_by_hand():
    # Cosines with items 0 and 2: item 4 has 2 / sqrt(5) and 1 / sqrt(5), item 1 has -1 and 0, item 3 has 0 and -1.
    found = models.recommend_from_liked(EMBEDDINGS, [0, 2], k=3)
    assert found.positions.tolist() == [4, 1, 3]
    np.testing.assert_allclose(found.scores, [1.5 / np.sqrt(5), -0.5, -0.5])
    assert found.nearest.tolist() == [0, 2, 0]


def test_an_item_without_a_direction_is_like_nothing():
    directions = models.taste_directions([[1.0, 2.0], [3.0, 4.0], [2.0, 3.0]])
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), [1.0, 1.0, 0.0])


def test_what_all_items_have_in_common_changes_nothing():
    rng = np.random.default_rng(0)
    embeddings, liked = rng.normal(size=(50, 8)), [3, 17, 40]
    found = models.recommend_from_liked(embeddings, liked, k=50)
    moved = models.recommend_from_liked(3.0 * embeddings + 7.0, liked, k=50)
    assert found.positions.tolist() == moved.positions.tolist() and len(found.positions) == 47
    np.testing.assert_allclose(found.scores, moved.scores)
    assert not set(liked) & set(found.positions) and set(found.nearest) <= set(liked)


def test_the_list_is_that_of_a_query_embedding():
    rng = np.random.default_rng(1)
    embeddings, liked = rng.normal(size=(50, 8)), [3, 17, 40]
    directions = models.taste_directions(embeddings)
    found = models.recommend_from_liked(embeddings, liked, k=10)
    scores = directions @ directions[liked].mean(axis=0)
    assert found.positions.tolist() == models.top_k_unseen(scores, liked, 10).tolist()


def test_somebody_who_likes_nothing_is_nobody():
    with pytest.raises(ValueError, match="at least one liked item"):
        models.recommend_from_liked(EMBEDDINGS, [], k=3)
