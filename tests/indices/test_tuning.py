"""The tuner: half the queries choose, the other half confirm, and costs decide only where they must."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from recsys_course import data, indices
from recsys_course.metrics import neighbor_recall_at_k


@pytest.fixture(scope="module")
def catalogue():
    return data.synthetic_catalogue(3000, embedding_dim=16, num_queries=200)


@pytest.fixture(scope="module")
def exact(catalogue):
    return indices.Exact().build(catalogue.embeddings)


def scanned(index, queries, k):
    """A cost that is counted, not timed: leaves opened, with what is scored again at a tenth."""
    parameters = index.search_parameters
    return parameters["num_leaves_to_search"] + parameters.get("reorder", 0) / 10


def test_the_cheapest_setting_that_holds(catalogue, exact):
    index = indices.FaissIVFFlat(num_leaves=50).build(catalogue.embeddings)
    tuned = indices.tune(index, catalogue.queries, exact, 0.95, 10, cost=scanned)
    assert tuned.holds and tuned.recall >= 0.95
    assert index.search_parameters == tuned.parameters
    assert tuned.cost == tuned.parameters["num_leaves_to_search"]
    # Every cheaper setting misses the target on one half or the other.
    for trial in tuned.trials:
        if trial.parameters["num_leaves_to_search"] < tuned.parameters["num_leaves_to_search"]:
            assert trial.recall < 0.95 or trial.confirmed < 0.95
    found = index.search(catalogue.queries, 10).ids
    assert neighbor_recall_at_k(found, exact.search(catalogue.queries, 10).ids) >= 0.95


def test_one_parameter_is_settled_without_a_clock(catalogue, exact):
    index = indices.FaissIVFFlat(num_leaves=50).build(catalogue.embeddings)
    random = np.random.default_rng(0)
    results = [
        indices.tune(index, catalogue.queries, exact, 0.9, 10, cost=lambda *_: random.random()) for _ in range(3)
    ]
    assert results[0].parameters == results[1].parameters == results[2].parameters


def test_two_parameters_are_weighed_by_cost(catalogue, exact):
    index = indices.FaissIVFPQ(num_leaves=200, dimensions_per_block=4).build(catalogue.embeddings)

    def leaves_only(index, queries, k):
        return index.search_parameters["num_leaves_to_search"]

    def reorder_only(index, queries, k):
        return index.search_parameters["reorder"]

    few_leaves = indices.tune(index, catalogue.queries, exact, 0.97, 10, cost=leaves_only).parameters
    few_reordered = indices.tune(index, catalogue.queries, exact, 0.97, 10, cost=reorder_only).parameters
    assert few_leaves["num_leaves_to_search"] < few_reordered["num_leaves_to_search"]
    assert few_leaves["reorder"] > few_reordered["reorder"]


def test_what_is_undercut_is_not_timed(catalogue, exact):
    index = indices.FaissIVFPQ(num_leaves=50).build(catalogue.embeddings)
    tuned = indices.tune(index, catalogue.queries, exact, 0.9, 10, cost=scanned)
    timed = [trial for trial in tuned.trials if trial.cost is not None]
    assert 1 <= len(timed) < sum(trial.recall >= 0.9 for trial in tuned.trials)


def test_that_none_holds_is_said_and_the_setting_stays(catalogue, exact):
    index = indices.FaissFlat().build(catalogue.embeddings)
    assert indices.tune(index, catalogue.queries, exact, 1.0, 10).parameters == {}
    rough = indices.FaissIVFPQ(num_leaves=50, num_leaves_to_search=3, reorder=10).build(catalogue.embeddings[::-1])
    tuned = indices.tune(rough, catalogue.queries, exact, 0.9, 10, cost=scanned)  # ids of other items: never right
    assert not tuned.holds and tuned.parameters is None and tuned.cost is None
    assert tuned.recall == max(trial.recall for trial in tuned.trials) < 0.9
    assert rough.search_parameters == {"num_leaves_to_search": 3, "reorder": 10}


@dataclass(kw_only=True, eq=False)
class Flatterer(indices.Exact):
    """Right for the queries that it was shown, and for the others only if asked to make an effort."""

    effort: int = 1
    search_names = ("effort",)
    at_least = {"effort": 1}

    def search_grid(self, k):
        return [{"effort": effort} for effort in (1, 2, 3)]

    def _search(self, queries, k):
        scores, keys = super()._search(queries, k)
        if self.effort < 3:
            keys[queries[:, 0] < 0] = 0
        return scores, keys


def test_a_setting_that_shines_on_one_half_alone_is_not_taken(catalogue, exact):
    swept = np.random.default_rng(7).permutation(200)[:100]
    queries = np.abs(catalogue.queries)
    queries[np.setdiff1d(np.arange(200), swept), 0] *= -1
    index = Flatterer().build(catalogue.embeddings)
    tuned = indices.tune(index, queries, exact, 0.9, 10, seed=7, cost=lambda index, *_: index.effort)
    assert [trial.recall for trial in tuned.trials] == [1, 1, 1]
    assert [trial.confirmed is not None and trial.confirmed < 0.9 for trial in tuned.trials] == [True, True, False]
    assert tuned.parameters == {"effort": 3} and tuned.recall == 1


def test_the_default_cost_is_the_time_of_one_query(catalogue, exact):
    seconds = indices.seconds_a_query(exact, catalogue.queries[:20], 10)
    assert 1e-6 < seconds < 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recall_target": 0}, "above 0 and at most 1, got 0"),
        ({"recall_target": 95}, "above 0 and at most 1, got 95"),
        ({"k": 0}, "k must be at least 1"),
        ({"exact": indices.FaissHNSW()}, r"must be an exact index.*got FaissHNSW"),
        ({"queries": np.ones((1, 16), np.float32)}, "at least 2 queries"),
        ({"queries": np.ones((5, 3), np.float32)}, r"got shape \(5, 3\)"),
    ],
)
def test_bad_input_is_named(catalogue, exact, change, message):
    index = indices.Exact().build(catalogue.embeddings)
    arguments = {"queries": catalogue.queries, "exact": exact, "recall_target": 0.9, "k": 10, **change}
    with pytest.raises(ValueError, match=message):
        indices.tune(index, **arguments)


def test_other_items_are_refused(catalogue, exact):
    index = indices.Exact().build(catalogue.embeddings[1:])
    with pytest.raises(ValueError, match="the same items, got 2999 and 3000"):
        indices.tune(index, catalogue.queries, exact, 0.9, 10)
