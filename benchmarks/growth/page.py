"""From the results to tables, slopes, figures and a page; nothing is measured here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.running import figure, measured_on, table
from recsys_course.authoring.files import write_if_changed

PARTS = ("pipeline", "training step", "evaluation")
GROWS = {
    "ratings": (
        "More ratings",
        "The catalogue stays at {movies:,} films; there is a user for every hundred ratings. The *pipeline* turns "
        "columns into tensors and gathers every row once: what it does for a row does not depend on how many there "
        "are, but the first batch and the graph cost the same for a small table as for a large one, so a line "
        "through small sizes is flatter than 1; and once the columns outgrow the processor's caches, every gathered "
        "row is a walk to memory, so the last stretch may be a little steeper. A *training step* sees 512 rows "
        "whatever the table holds; what grows under it is the table of users' embeddings, whose moments Adam lets "
        "decay as a whole at each step. *Evaluation* ranks the catalogue for every user, so it grows as the users do.",
    ),
    "movies": (
        "More films",
        "The ratings stay at {ratings:,}. The *pipeline* does not know how many films there are. In a *training step* "
        "the softmax sees 512 candidates whatever the catalogue; but Adam touches the whole table of embeddings and "
        "both tables of moments, so once the catalogue outweighs the rest of a step, and then the processor's caches, "
        "the line bends up towards 1. *Evaluation* is a product with every film, and bends where the embeddings no "
        "longer fit the caches. Blocks of users are made smaller as the catalogue grows, so the scores held at once do "
        "not.",
    ),
}


def of(content: dict[str, Any], what: str) -> list[dict[str, Any]]:
    """The records in which this grows, the smallest first."""
    return sorted((one for one in content["records"].values() if one["grows"] == what), key=lambda one: one["size"])


def slope(sizes: list[int], values: list[float]) -> float:
    """The exponent of growth: of the straight line through the points on log axes."""
    exponent = np.polyfit(np.log10(sizes), np.log10(np.maximum(values, 1e-9)), 1)[0]
    return round(float(exponent), 2) + 0.0  # no -0.00


def in_short(parts: dict[str, Any]) -> str:
    """A record for a terminal."""
    told = [f"{name} {_seconds(parts[name]['wall_seconds'])}" for name in PARTS]
    return ", ".join([*told, f"{parts[PARTS[-1]]['memory_mb']:,.0f} MiB"])


def grown(content: dict[str, Any], what: str) -> str:
    """Seconds of each part for every size; the slopes over all, and over the last two."""
    records = of(content, what)
    sizes = [one["size"] for one in records]
    rows = [[what, *(f"{part}, wall" for part in PARTS), *(f"peak memory after {part}, MiB" for part in PARTS)]]
    for one in records:
        seconds = [_seconds(one["parts"][part]["wall_seconds"]) for part in PARTS]
        rows.append([f"{one['size']:,}", *seconds, *(f"{one['parts'][part]['memory_mb']:,.0f}" for part in PARTS)])
    lines = [
        [[one["parts"][part][unit] for one in records] for part in PARTS] for unit in ("wall_seconds", "memory_mb")
    ]
    every = [values for unit in lines for values in unit]
    rows.append(["slope", *(f"{slope(sizes, values):.2f}" for values in every)])
    rows.append(["slope, last two", *(f"{slope(sizes[-2:], values[-2:]):.2f}" for values in every)])
    return table(rows)


def _seconds(value: float) -> str:
    return f"{value:,.1f} s" if value >= 1 else f"{1e3 * value:,.1f} ms"


def render(content: dict[str, Any]) -> str:
    """The page's Markdown."""
    settings = content["settings"]
    parts = [
        "<!-- Made by `make bench-growth` from benchmarks/results/growth.json: edit neither. -->",
        "# Growth, measured",
        "What happens to time and memory when there are ten times as many ratings, or ten times as many films? "
        "A *slope* is the exponent of growth: at 1 ten times as much takes ten times as long, at 0 it makes no "
        "difference. Ratings are synthetic: users at random, few films far more often than most.",
    ]
    for what, (title, text) in GROWS.items():
        parts += [
            f"## {title}",
            f"![Seconds against the number of {what}, on logarithmic axes](growth_{what}.svg)",
            grown(content, what),
            text.format(**settings["fixed"]),
        ]
    parts += [
        "## How it was measured",
        "Every size in a process of its own. *Pipeline*: `data.batches` from columns of text, one shuffled pass in "
        "batches of 8,192. *Training step*: two towers of ids, 32 numbers an embedding, batches of 512, the mean of "
        f"{settings['steps']} steps after the graph was traced. *Evaluation*: `metrics.rank_held_out`, one film a "
        "user. Each is the median of three times. Memory is the most that the process has held by the end of the part, "
        "the ratings themselves included.",
        f"*{measured_on(content)}*",
    ]
    return "\n\n".join(parts) + "\n"


def write(content: dict[str, Any], folder: Path) -> None:
    """The page, and a figure for each thing that grows."""
    for what in GROWS:
        records = of(content, what)
        with figure(folder / f"growth_{what}.svg", 7, 4) as ax:
            for part in PARTS:
                seconds = [one["parts"][part]["wall_seconds"] for one in records]
                ax.plot([one["size"] for one in records], seconds, marker="o", markersize=4, label=part)
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.set_xlabel(what)
            ax.set_ylabel("seconds")
            ax.grid(alpha=0.3)
            ax.legend(frameon=False)
    write_if_changed(folder / "growth.md", render(content))
