"""From a wish, a recall, to the cheapest search-time setting that grants it."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from recsys_course.indices.checks import check_vectors
from recsys_course.indices.interface import Index
from recsys_course.metrics import neighbor_recall_at_k
from recsys_course.metrics.checks import whole_number

Cost = Callable[[Index, np.ndarray, int], float]


class Trial(NamedTuple):
    """One setting that `tune` tried.

    Attributes:
        parameters: The search-time parameters.
        recall: Neighbour recall on the half of the queries that was swept.
        cost: What a query costs; `None` where the setting could not be the cheapest, and was not measured.
        confirmed: Neighbour recall on the other half; `None` where the setting was not put to that test.
    """

    parameters: dict[str, Any]
    recall: float
    cost: float | None = None
    confirmed: float | None = None


class Tuned(NamedTuple):
    """What `tune` found.

    Attributes:
        parameters: The cheapest search-time parameters that hold; `None` where none do.
        recall: Their neighbour recall on the queries that had no say in choosing them; where none hold, the highest
            recall that any setting reached in the sweep.
        cost: What a query costs with them; `None` where none hold.
        trials: Everything that was tried, in the order of the sweep.
    """

    parameters: dict[str, Any] | None
    recall: float
    cost: float | None
    trials: tuple[Trial, ...]

    @property
    def holds(self) -> bool:
        """Whether some setting reached the target on both halves of the queries."""
        return self.parameters is not None


def seconds_a_query(index: Index, queries: np.ndarray, k: int) -> float:
    """The median time of a search for one query, in seconds, over up to 200 of the queries."""
    index.search(queries[:1], k)  # the first search of a setting pays for what the others find ready
    return median(_seconds(index, queries[[row]], k) for row in range(min(200, len(queries))))


def tune(
    index: Index,
    queries: np.ndarray,
    exact: Index,
    recall_target: float,
    k: int,
    *,
    cost: Cost = seconds_a_query,
    seed: int = 0,
) -> Tuned:
    """Finds the cheapest search-time setting of a built index that finds enough of the true neighbours.

    Nothing is rebuilt. Half of the queries sweep the index's `search_grid`. Of the settings that reach the target the
    cheapest is put to the other half; where it fails, the next cheapest is. Chosen and confirmed on the same queries,
    the best of many settings would look better than it is, and miss the target in service.

    A setting that asks for more of everything than another cannot be cheaper, so it is not timed while the other
    stands. Where a family has one parameter no timing decides anything, and the result is the same on every run.

    Args:
        index: A built index. Keeps the setting that was found; where none holds, the one that it had.
        queries: `[num_queries, embedding_dim] float32`, of the kind that the index will serve.
        exact: A built exact index of the same items, such as `indices.Exact`.
        recall_target: The neighbour recall wanted, above 0, at most 1.
        k: Length of the lists.
        cost: What a query costs, given the index, queries and `k`.
        seed: Of the division of the queries.

    Raises:
        RuntimeError: An index that is not built.
        ValueError: `recall_target` or `k` out of range, fewer than 2 queries, an `exact` that is not, or that holds
            another number of items.
    """
    k = whole_number(k, "k")
    if not 0 < recall_target <= 1:
        raise ValueError(f"recall_target must be above 0 and at most 1, got {recall_target}.")
    if not exact.is_exact:
        raise ValueError(f"exact must be an exact index, such as indices.Exact, got {exact}.")
    if exact.num_items != index.num_items:
        raise ValueError(f"both indices must hold the same items, got {index.num_items} and {exact.num_items}.")
    right = exact.search(queries, k).ids
    queries = check_vectors(queries, "queries", "num_queries", index.embedding_dim)
    if len(queries) < 2:
        raise ValueError(f"tuning takes at least 2 queries, one for each half, got {len(queries)}; take hundreds.")
    shuffled = np.random.default_rng(seed).permutation(len(queries))
    sweep, confirm = np.array_split(shuffled, 2)

    def recall(parameters: dict[str, Any], half: np.ndarray) -> float:
        found = index.set_search(**parameters).search(queries[half], k).ids
        return neighbor_recall_at_k(found, right[half])

    found, setting = None, index.search_parameters
    try:
        trials = [Trial(parameters, recall(parameters, sweep)) for parameters in index.search_grid(k)]
        standing = [at for at, trial in enumerate(trials) if trial.recall >= recall_target]
        while standing and found is None:
            for at in _undercut_by_none(trials, standing):
                if trials[at].cost is None:
                    index.set_search(**trials[at].parameters)
                    trials[at] = trials[at]._replace(cost=cost(index, queries[sweep], k))
            prices = {at: price for at in standing if (price := trials[at].cost) is not None}
            cheapest = min(prices, key=prices.__getitem__)
            confirmed = recall(trials[cheapest].parameters, confirm)
            trials[cheapest] = trials[cheapest]._replace(confirmed=confirmed)
            if confirmed >= recall_target:
                setting = trials[cheapest].parameters
                found = Tuned(setting, confirmed, prices[cheapest], tuple(trials))
            standing.remove(cheapest)
    finally:
        index.set_search(**setting)
    return found or Tuned(None, max(trial.recall for trial in trials), None, tuple(trials))


def _undercut_by_none(trials: list[Trial], standing: list[int]) -> list[int]:
    """Those settings for which no other standing one is at most as demanding in every parameter."""

    def undercuts(one: int, other: int) -> bool:
        first, second = trials[one].parameters, trials[other].parameters
        return first != second and all(first[name] <= second[name] for name in first)

    return [at for at in standing if not any(undercuts(other, at) for other in standing)]


def _seconds(index: Index, query: np.ndarray, k: int) -> float:
    start = perf_counter()
    index.search(query, k)
    return perf_counter() - start
