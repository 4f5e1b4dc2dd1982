"""From the results to tables, a verdict and a page; nothing is measured here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.running import figure, measured_on, table, verdict
from recsys_course.authoring.files import write_if_changed

TARGET = 50
IMPORTING = "importing libraries"
THEIRS, OURS = "the original way", "the course's way"
WAYS: dict[str, list[str]] = {
    THEIRS: [],
    "adapt in batches": ["adapt"],
    "columns, not rows parsed one by one": ["adapt", "columns"],
    "ranks once an epoch, not metrics in every step": ["adapt", "columns", "metrics"],
    OURS: ["adapt", "columns", "metrics", "models"],
}


def total(record: dict[str, Any], what: str = "cpu", imports: bool = True) -> float:
    """Seconds of all phases together."""
    return sum(spent[what] for name, spent in record["phases"].items() if imports or name != IMPORTING)


def of(content: dict[str, Any], way: str) -> list[dict[str, Any]]:
    """A way's records, one a seed."""
    return [record for record in content["records"].values() if record["way"] == way]


def average(content: dict[str, Any], way: str, value: Callable[[dict[str, Any]], float]) -> float:
    """The mean over a way's seeds."""
    return mean(value(record) for record in of(content, way))


def ratio(content: dict[str, Any], what: str = "cpu", imports: bool = True) -> float:
    """How many times the course's seconds the original way takes."""
    theirs, ours = (average(content, way, lambda one: total(one, what, imports)) for way in (THEIRS, OURS))
    return theirs / ours


def phases(content: dict[str, Any]) -> str:
    """Processor seconds by phase, and everything together, both ways."""
    rows = [["", THEIRS, OURS, "ratio"]]
    names = list(of(content, THEIRS)[0]["phases"])

    def row(name: str, value: Callable[[dict[str, Any]], float], digits: int = 1) -> list[str]:
        theirs, ours = (average(content, way, value) for way in (THEIRS, OURS))
        return [name, f"{theirs:,.{digits}f}", f"{ours:,.{digits}f}", f"{theirs / ours:,.1f}" if ours > 0.005 else ""]

    for name in names:
        rows.append(row(f"{name}, cpu s", lambda one, name=name: one["phases"].get(name, {"cpu": 0.0})["cpu"], 2))
    rows.append(row("**all but importing, cpu s**", lambda one: total(one, imports=False)))
    rows.append(row("**everything, cpu s**", total))
    rows.append(row("everything, wall s", lambda one: total(one, "wall")))
    rows.append(row("peak memory, MiB", lambda one: one["peak_memory_mb"], 0))
    return table(rows)


def steps(content: dict[str, Any]) -> str:
    """What each change saves, on top of those above it."""
    rows = [["change", "cpu s without importing", "saved", "share of all that is saved"]]
    spent = {way: average(content, way, lambda one: total(one, imports=False)) for way in WAYS if of(content, way)}
    all_saved = spent[THEIRS] - spent[OURS]
    before = None
    for way, seconds in spent.items():
        saved = "" if before is None else f"{before - seconds:,.1f}"
        share = "" if before is None else f"{(before - seconds) / all_saved:.0%}"
        name = "the course's models, batches and optimisers = the course's way" if way == OURS else way
        rows.append([name, f"{seconds:,.1f}", saved, share])
        before = seconds
    return table(rows)


def quality(content: dict[str, Any]) -> str:
    """What the models of both ways are worth."""
    names = list(of(content, THEIRS)[0]["quality"])
    rows = [["", *names]]
    for way in (THEIRS, OURS):
        values = [[one["quality"][name] for one in of(content, way)] for name in names]
        rows.append([way, *(f"{mean(one):.3f} ({min(one):.3f}–{max(one):.3f})" for one in values)])
    return table(rows)


def verdicts(content: dict[str, Any]) -> list[str]:
    """The target, met or missed, by how much."""
    times, whole = ratio(content, imports=False), ratio(content)
    said = (
        f"the original's training and evaluation work in ≥ {TARGET} times less processor time: {times:.1f} "
        f"times ({whole:.1f} times with the import of the libraries)"
    )
    if times < TARGET:
        said += f", short by {TARGET - times:.1f}"
    return [verdict(times >= TARGET, said)]


def starting(content: dict[str, Any]) -> str:
    """How much of the course's training is no training: what the first epochs take more than those after them."""

    def first_epochs(record: dict[str, Any]) -> float:
        return sum(first - mean(rest) for first, *rest in record["epochs"].values())

    training = average(content, OURS, lambda one: sum(map(sum, one["epochs"].values())))
    start, work = average(content, OURS, first_epochs), average(content, OURS, lambda one: total(one, imports=False))
    would_be = average(content, THEIRS, lambda one: total(one, imports=False)) / TARGET
    return (
        f"Of the {work:.1f} processor seconds of the course's way, without importing, training takes {training:.1f}; "
        f"{start:.1f} of those go to the two first epochs before they run as the others do: TensorFlow traces each "
        f"model's graph and plans it, once, however many epochs and ratings follow. {TARGET} times less than the "
        f"original would be {would_be:.1f} seconds in all."
    )


def render(content: dict[str, Any]) -> str:
    """The page's Markdown."""
    settings = content["settings"]
    parts = [
        "<!-- Made by `make bench-original` from benchmarks/results/original.json: edit neither. -->",
        "# The original tutorial's work, measured",
        f"What notebooks on TensorFlow Recommenders and MovieLens do, done their way and the course's: the "
        f"preprocessing learned, {settings['epochs']} epochs of retrieval with the whole catalogue ranked for train "
        f"and held-out rows each epoch, {settings['epochs']} epochs of ranking. Same ratings "
        f"({settings['limit']:,} of {settings['dataset']}), same rows held out, same length of vectors and layers.",
        f"```text\n{chr(10).join(verdicts(content))}\n```",
        phases(content),
        f"*Means over seeds {', '.join(map(str, settings['seeds']))}.*",
        "## What each change contributes",
        "Each row has the changes of all rows above it, so what a row saves depends on the order.",
        "![Processor seconds after each change](original_steps.svg)",
        steps(content),
        starting(content),
        "## What the models are worth",
        "Hit rates over the held-out ratings (raw: all films compete; seen-out: the user's training films are taken "
        "out first) and RMSE in stars. Means over the seeds, lowest and highest in brackets.",
        quality(content),
        "## How it was measured",
        "- Every way and seed in a process of its own, one after the other, the two ways in turns. Processor seconds "
        "are user and system of all threads and ended children, from the start of the process.\n"
        "- *The original way*, written from its description: TFDS rows parsed one by one on every pass; lookups and "
        "title words `adapt`ed row by row, as TensorFlow Recommenders' tutorial on feature preprocessing does; "
        "`np.unique` vocabularies; shuffle, batches of 8192 and 4096, cached; Adagrad 0.1; in-batch softmax with "
        "`FactorizedTopK` over the catalogue in each training and validation step; a dense "
        "256-64-1 network.\n"
        "- *The course's way*: columns from the parquet cache; batches of 512 and 1024; chapter 3's corrections and "
        "penalty; Adam; all ranks once an epoch by `metrics.rank_held_out`, for train and held-out rows at the same "
        "five depths.\n"
        "- Smaller batches are part of the course's way: the in-batch softmax compares every two rows of a batch, so "
        "an epoch costs in proportion to the size of its batches.\n"
        f"- {measured_on(content)}",
    ]
    return "\n\n".join(parts) + "\n"


def write(content: dict[str, Any], folder: Path) -> None:
    """The page, and its figure beside it."""
    from recsys_course import plotting

    bars = {way: average(content, way, lambda one: total(one, imports=False)) for way in WAYS if of(content, way)}
    with figure(folder / "original_steps.svg", 7, 2.8) as ax:
        plotting.ladder(bars, "processor seconds, without importing libraries", highlight=OURS, ax=ax, digits=1)
    write_if_changed(folder / "original.md", render(content))
