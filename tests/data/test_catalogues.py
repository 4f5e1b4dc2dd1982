"""The synthetic catalogue has the traits that its docstring promises."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_course import data


@pytest.fixture(scope="module")
def catalogue():
    return data.synthetic_catalogue(20_000, num_queries=200)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_shapes_and_dtypes(catalogue):
    assert catalogue.embeddings.shape == (20_000, 64) and catalogue.embeddings.dtype == np.float32
    assert catalogue.queries.shape == (200, 64) and catalogue.queries.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(catalogue.queries, axis=1), 1, rtol=1e-5)


def test_a_seed_settles_everything_and_the_queries_leave_the_items_alone(catalogue):
    again = data.synthetic_catalogue(20_000, num_queries=10)
    np.testing.assert_array_equal(again.embeddings, catalogue.embeddings)
    other = data.synthetic_catalogue(20_000, num_queries=10, seed=1)
    assert not np.allclose(other.embeddings, catalogue.embeddings)


def test_more_than_one_block_is_drawn_through():
    embeddings = data.synthetic_catalogue(70_000, embedding_dim=4, num_queries=1).embeddings
    assert np.isfinite(embeddings).all() and len(np.unique(embeddings[:, 0])) > 69_000


def test_norms_are_skewed(catalogue):
    norms = np.linalg.norm(catalogue.embeddings, axis=1)
    assert np.std(np.log(norms)) == pytest.approx(0.35, abs=0.02)
    # Popular items take more than their share of the exact top 10.
    top = np.argpartition(-catalogue.queries @ catalogue.embeddings.T, 10, axis=1)[:, :10]
    assert np.median(norms[top]) > np.quantile(norms, 0.9)


def test_the_nearest_by_angle_is_often_not_the_best_by_affinity(catalogue):
    by_affinity = (catalogue.queries @ catalogue.embeddings.T).argmax(axis=1)
    by_angle = (catalogue.queries @ unit(catalogue.embeddings).T).argmax(axis=1)
    assert np.mean(by_affinity != by_angle) > 0.5


def test_clusters_are_of_very_different_sizes(catalogue):
    angles = unit(catalogue.embeddings[::20]) @ unit(catalogue.embeddings).T
    neighbours = (angles > 0.6).sum(axis=1)  # about the size of an item's cluster
    assert np.quantile(neighbours, 0.9) > 10 * np.quantile(neighbours, 0.1)


def test_directions_matter_unequally_and_no_coordinate_is_special(catalogue):
    centred = unit(catalogue.embeddings)
    strengths = np.sort(np.linalg.eigvalsh(centred.T @ centred))[::-1]
    assert strengths[0] > 8 * strengths[32]
    assert centred.std(axis=0).max() < 4 * centred.std(axis=0).min()


def test_no_query_is_an_item(catalogue):
    assert (catalogue.queries @ unit(catalogue.embeddings).T).max() < 0.999


@pytest.mark.parametrize("sizes", [{"num_items": 0}, {"num_items": 5, "embedding_dim": 0}])
def test_a_size_below_one_is_refused(sizes):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        data.synthetic_catalogue(**sizes)
