"""The page of all results, from the files of results alone: `python -m benchmarks.overview` after a benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.ann.report import targets_met
from benchmarks.course import page as course
from benchmarks.original import page as original
from benchmarks.ranking import page as ranking
from benchmarks.retrieval import page as retrieval
from benchmarks.running import PAGES, RESULTS, table, with_range
from benchmarks.serving.results import verdict
from benchmarks.workers import page as workers
from recsys_course.authoring.files import write_if_changed

PAGE = PAGES / "index.md"


def render(results: Path = RESULTS) -> str:
    """The page's Markdown. Results that are not in the folder are not on the page."""
    parts = [
        "<!-- Made by `python -m benchmarks.overview` from benchmarks/results/*.json: edit neither. -->",
        "# Results",
        "What was measured, and how it came out, targets that were missed included. Each figure on this page comes "
        "from a file under `benchmarks/results`, which one command writes; nothing is typed. What a chapter measures "
        "stands in the chapter, printed by the cell above it.",
    ]
    sections = {
        "retrieval": _page_of_its_own(
            "retrieval",
            "Retrieval",
            "The course's models beside baselines, two tutorials and a peer, on three splits and on a published "
            "protocol.",
            "All models, splits, intervals and differences",
            retrieval.verdicts,
        ),
        "history": _history,
        "ranking": _ranking,
        "ann": _neighbours,
        "serving": _server,
        "original": _page_of_its_own(
            "original",
            "The original tutorial's work",
            "The same training and evaluation, done as well-known notebooks do it and as the course does it.",
            "By phase, and what each change saves",
            original.verdicts,
        ),
        "workers": _page_of_its_own(
            "workers",
            "More than one worker",
            "Is a model that two processes train the model that one would have trained?",
            "Losses and models",
            workers.verdicts,
        ),
        "growth": _page_of_its_own(
            "growth",
            "Growth",
            "What happens to time and memory with ten times as many ratings, or films?",
            "All sizes, with slopes",
        ),
        "course": _page_of_its_own(
            "course",
            "The course itself",
            "Does a chapter show the same whenever it runs, and what do the course's two commands cost?",
            "Outputs, times of all chapters, both commands",
            course.verdicts,
        ),
    }
    for name, section in sections.items():
        file = results / f"{name}.json"
        if file.is_file():
            parts += section(json.loads(file.read_text(encoding="utf-8")))
    return "\n\n".join(parts) + "\n"


def _page_of_its_own(
    name: str, title: str, question: str, told: str, verdicts: Callable[[dict[str, Any]], list[str]] | None = None
) -> Callable[[dict[str, Any]], list[str]]:
    """The section of a benchmark that has a page: what is asked, the targets where there are any, and the way there."""
    return lambda found: [
        f"## {title}",
        question,
        *(["```text\n" + "\n".join(verdicts(found)) + "\n```"] if verdicts else []),
        f"[{told}]({name}.md)",
        _measured(found, f"make bench-{name}"),
    ]


def _history(found: dict[str, Any]) -> list[str]:
    rows = [["model", "hit rate at 10", "hit rate at 100", "processor seconds"]]
    differences = []
    for row in found["ladder"]:
        if "hit_rate_10" in row:
            rates = [with_range(row[f"hit_rate_{k}"]) for k in (10, 100)]
            rows.append([row["model"], *rates, f"{mean(row['cpu_seconds']):.1f}"])
        else:
            gains = [f"{row[f'difference_{k}'][0]:+.3f} ± {row[f'difference_{k}'][1]:.3f} at {k}" for k in (10, 100)]
            differences.append(f"- {row['model']}: {', '.join(gains)}")
    return [
        "## Retrieval from histories",
        "Which film did each person choose last? MovieLens 100K, leave-last-out, seen films out; a model reads of a "
        "history only what is strictly earlier, unless its row says otherwise. Means over the random starts, lowest "
        "and highest in brackets; chosen on validation, test read once. Chapter 7 builds the history tower.",
        table(rows),
        *(["Differences, paired by user, ± their standard error:\n\n" + "\n".join(differences)] if differences else []),
        _measured(found, "make bench-history"),
    ]


def _ranking(found: dict[str, Any]) -> list[str]:
    return [
        "## Predicted ratings",
        "How far are predicted ratings from those that people gave, in stars, on MovieLens 100K? Means over the random "
        "starts, lowest and highest in brackets; chosen on validation, test read once. Chapter 6 builds these models.",
        "```text\n" + "\n".join(ranking.verdicts(found)) + "\n```",
        ranking.errors(found),
        _measured(found, "make bench-ranking"),
    ]


def _neighbours(found: dict[str, Any]) -> list[str]:
    return [
        "## Nearest neighbours",
        "How fast and how right are the indices of chapter 4, from a film catalogue to millions of items?",
        f"```text\n{targets_met(found)}\n```",
        "[All indices, sizes and settings](ann.md)",
        _measured(found["circumstances"], "make bench-ann"),
    ]


def _server(found: dict[str, Any]) -> list[str]:
    return [
        "## The local server",
        "How many requests a second does chapter 5's server answer, beside servers that many projects use?",
        f"{verdict(found)}.",
        "[All servers, loads and settings](serving.md)",
        _measured(found, "make bench-serving"),
    ]


def _measured(found: dict[str, Any], command: str) -> str:
    machine = found["machine"]
    parts = [
        machine.get("processor"),
        f"{machine.get('cores') or machine['cpus']} cores",
        machine["system"],
        (found.get("date") or "")[:10],
        found.get("commit") and f"commit {found['commit']}",
        f"`{command}`",
    ]
    return f"*{', '.join(part for part in parts if part)}*{{ .effort }}"


if __name__ == "__main__":
    write_if_changed(PAGE, render())
