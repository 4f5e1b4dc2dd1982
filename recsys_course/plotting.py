"""Figures of the course. Every function draws what it is given on Matplotlib axes and returns them; none computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes


def training_curves(curves: Mapping[str, Sequence[float]], ylabel: str, ax: Axes | None = None) -> Axes:
    """One line a curve over epochs 1, 2, ...

    Args:
        curves: a value an epoch, by the name that the legend shows. The lengths may differ.
        ylabel: what the values are, with their unit if they have one.
        ax: where to draw; `None` makes a new figure.

    Raises:
        ValueError: there is no curve.
    """
    if not curves:
        raise ValueError("training_curves needs at least one curve, got none.")
    ax = ax or plt.subplots(figsize=(5, 3.2), layout="constrained")[1]
    for name, values in curves.items():
        ax.plot(range(1, len(values) + 1), values, marker="o", markersize=3, label=name)
    ax.set_xlabel("epoch")
    ax.set_ylabel(ylabel)
    ax.locator_params(axis="x", integer=True)
    ax.legend(frameon=False)
    return ax


def ladder(
    values: Mapping[str, float], xlabel: str, highlight: str | None = None, ax: Axes | None = None, digits: int = 3
) -> Axes:
    """Models as horizontal bars, in the order given from top to bottom, each with its value.

    Args:
        values: one number of at least 0 a model, by the model's name.
        xlabel: what the numbers are.
        highlight: name of the model whose bar stands out.
        ax: where to draw; `None` makes a new figure.
        digits: of the values, after the point.

    Raises:
        ValueError: there is no model, or `highlight` is none of them.
    """
    if not values:
        raise ValueError("ladder needs at least one model, got none.")
    if highlight is not None and highlight not in values:
        raise ValueError(f"highlight must be one of {list(values)}, got {highlight!r}.")
    ax = ax or plt.subplots(figsize=(6.5, 0.45 * len(values) + 0.9), layout="constrained")[1]
    names = list(values)
    bars = ax.barh(
        names, list(values.values()), color=["#be185d" if name == highlight else "#94a3b8" for name in names]
    )
    ax.bar_label(bars, fmt=f"%.{digits}f", padding=3)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_xlabel(xlabel)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def embedding_map(
    points: np.ndarray, groups: Sequence[str], labels: Mapping[int, str] | None = None, ax: Axes | None = None
) -> Axes:
    """Points of the plane, coloured by group, a few of them named.

    Args:
        points: `[num_points, 2]` float.
        groups: the group of each point; the legend lists them in order of first appearance.
        labels: text for some points, by row.
        ax: where to draw; `None` makes a new figure.

    Raises:
        ValueError: `points` is not `[num_points, 2]`, or `groups` has another length.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2 or len(groups) != len(points):
        raise ValueError(f"expected points [n, 2] and n groups, got points {points.shape} and {len(groups)} groups.")
    ax = ax or plt.subplots(figsize=(7.5, 6), layout="constrained")[1]
    member = np.asarray(groups)
    for group in dict.fromkeys(groups):
        x, y = points[member == group].T
        ax.scatter(x, y, s=22, alpha=0.75, label=group)
    for row, text in (labels or {}).items():
        ax.annotate(text, points[row], xytext=(4, 3), textcoords="offset points", fontsize=8)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.legend(frameon=False)
    return ax


def recall_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    xlabel: str,
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Recall against what it costs, one line an index; an index with a single setting is a single point.

    Args:
        curves: costs, and the recall at each of them, by the name that the legend shows.
        xlabel: what the costs are, with their unit.
        log: whether the axis of the costs is logarithmic.
        ax: where to draw; `None` makes a new figure.

    Raises:
        ValueError: there is no curve, or one has not as many costs as recalls.
    """
    if not curves:
        raise ValueError("recall_curves needs at least one curve, got none.")
    for name, (costs, recalls) in curves.items():
        if len(costs) != len(recalls):
            raise ValueError(f"curve {name!r} has {len(costs)} costs and {len(recalls)} recalls.")
    ax = ax or plt.subplots(figsize=(5.5, 3.4), layout="constrained")[1]
    markers = "osD^v<>PX*"
    for number, (name, (costs, recalls)) in enumerate(curves.items()):
        ax.plot(costs, recalls, marker=markers[number % len(markers)], markersize=5, label=name)
    if log:
        ax.set_xscale("log")
    ax.set_xlabel(xlabel)
    ax.set_ylabel("neighbour recall")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    return ax


def overlaps(counts: Mapping[str, Sequence[int]], xlabel: str, ylabel: str, ax: Axes | None = None) -> Axes:
    """How many lists share 0, 1, 2, ... items with another list: groups of bars, a colour for each index.

    Args:
        counts: how many lists share 0, 1, 2, ... items, by the name that the legend shows.
        xlabel: what is shared with what.
        ylabel: whose lists are counted.
        ax: where to draw; `None` makes a new figure.

    Raises:
        ValueError: there is no index, or they count to different lengths.
    """
    lengths = {len(values) for values in counts.values()}
    if len(lengths) != 1:
        raise ValueError(f"overlaps needs at least one index, all counted alike; got counts of lengths {lengths or 0}.")
    ax = ax or plt.subplots(figsize=(7, 3.4), layout="constrained")[1]
    width = 0.8 / len(counts)
    for number, (name, values) in enumerate(counts.items()):
        places = np.arange(len(values)) + width * (number - (len(counts) - 1) / 2)
        ax.bar(places, values, width, label=name)
    ax.set_xticks(range(lengths.pop()))
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.legend(frameon=False)
    return ax


def time_by_size(
    item_counts: Sequence[int],
    milliseconds: Mapping[str, Sequence[float]],
    limit: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Time of one query against the number of items, both on logarithmic axes.

    Args:
        item_counts: the sizes of the catalogue.
        milliseconds: a time for each size, by the name that the legend shows.
        limit: the time that reading all embeddings takes, for each size: a dashed line.
        ax: where to draw; `None` makes a new figure.

    Raises:
        ValueError: there is no line, or one has not as many times as there are sizes.
    """
    if not milliseconds:
        raise ValueError("time_by_size needs at least one line, got none.")
    for name, values in milliseconds.items() if limit is None else [*milliseconds.items(), ("limit", limit)]:
        if len(values) != len(item_counts):
            raise ValueError(f"{name!r} has {len(values)} times for {len(item_counts)} sizes.")
    ax = ax or plt.subplots(figsize=(6, 3.8), layout="constrained")[1]
    for name, values in milliseconds.items():
        ax.plot(item_counts, values, marker="o", markersize=4, label=name)
    if limit is not None:
        ax.plot(item_counts, limit, linestyle="--", color="#64748b", label="bytes / bandwidth")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("items")
    ax.set_ylabel("milliseconds for one query")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    return ax


def calibration(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], unit: str, ax: Axes | None = None
) -> Axes:
    """What was predicted against what came, group by group; on the diagonal a prediction means what it says.

    Args:
        curves: mean prediction and mean outcome of each group, by the name that the legend shows.
        unit: what both are measured in.
        ax: where to draw; `None` makes a new figure.

    Raises:
        ValueError: there is no curve.
    """
    if not curves:
        raise ValueError("calibration needs at least one curve, got none.")
    ax = ax or plt.subplots(figsize=(4.6, 4.2), layout="constrained")[1]
    for name, (predicted, actual) in curves.items():
        ax.plot(predicted, actual, marker="o", markersize=4, label=name)
    ends = [float(min(min(pair[0]) for pair in curves.values())), float(max(max(pair[0]) for pair in curves.values()))]
    ax.plot(ends, ends, color="#64748b", linestyle="--", label="calibrated", zorder=0)
    ax.set_xlabel(f"predicted, in {unit}")
    ax.set_ylabel(f"mean outcome, in {unit}")
    ax.legend(frameon=False)
    return ax
