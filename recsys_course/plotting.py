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
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False)
    return ax


def ladder(values: Mapping[str, float], xlabel: str, highlight: str | None = None, ax: Axes | None = None) -> Axes:
    """Models as horizontal bars, in the order given from top to bottom, each with its value.

    Args:
        values: one number of at least 0 a model, by the model's name.
        xlabel: what the numbers are.
        highlight: name of the model whose bar stands out.
        ax: where to draw; `None` makes a new figure.

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
    ax.bar_label(bars, fmt="%.3f", padding=3)
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
        ax.scatter(*points[member == group].T, s=22, alpha=0.75, label=group)
    for row, text in (labels or {}).items():
        ax.annotate(text, points[row], xytext=(4, 3), textcoords="offset points", fontsize=8)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.legend(frameon=False)
    return ax
