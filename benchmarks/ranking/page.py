"""From the results to a table and verdicts; nothing is measured here."""

from __future__ import annotations

from statistics import mean
from typing import Any

from benchmarks.running import table, verdict, with_range

PEER = "Bayesian factorisation machine (myFM), all features"
MODELS = (
    "user and film biases",
    "dense 256-64-1, as published",
    "dense 256-64-1, tuned",
    "factorisation machine, ids",
    "SVD++-like: ids and users' histories",
    "DCN-v2, all features",
    "factorisation machine, all features",
    "the same, 16 members",
    PEER,
)
SPLITS = {"random": "random 80/10/10", "u1": "GroupLens' u1"}
TARGETS = ((0.900, 60, "a minute"), (0.886, 300, "five minutes"))


def of(content: dict[str, Any], split: str) -> dict[str, dict[str, Any]]:
    """A split's records by model, in the order of the table; without those that could not be measured."""
    found = {one["model"]: one for one in content["records"].values() if one["split"] == split and "error" not in one}
    return {model: found[model] for model in MODELS if model in found}


def errors(content: dict[str, Any]) -> str:
    """Test RMSE of every model on every split, and what a model costs."""
    splits = {split: of(content, split) for split in SPLITS}
    splits = {split: found for split, found in splits.items() if found}
    rows = [["model", *(f"RMSE, {SPLITS[split]}" for split in splits), "processor seconds"]]
    for model in MODELS:
        records = [found.get(model) for found in splits.values()]
        if any(records):
            told = [with_range(one["test_rmse"]) if one else "" for one in records]
            seconds = [each for one in records if one for each in one["cpu_seconds"]]
            rows.append([model, *told, f"{mean(seconds):.1f}"])
    return table(rows)


def in_short(record: dict[str, Any]) -> str:
    """A record for a terminal."""
    if "error" in record:
        return f"left out: {record['error']}"
    validation, test, seconds = (mean(record[key]) for key in ("validation_rmse", "test_rmse", "cpu_seconds"))
    return f"RMSE {validation:.4f} on validation, {test:.4f} on test; {seconds:.1f} processor seconds"


def verdicts(content: dict[str, Any]) -> list[str]:
    """The targets, which are for GroupLens' split u1 and models in TensorFlow: met or missed, by how much."""
    lines = []
    for most, seconds, said in TARGETS:
        wish = f"ranking, u1: RMSE ≤ {most:.3f} with one TensorFlow model in {said}"
        found = [
            (mean(one["test_rmse"]), model)
            for model, one in of(content, "u1").items()
            if model != PEER and mean(one["cpu_seconds"]) <= seconds
        ]
        if not found:
            lines.append(f"not measured  {wish}; it needs u1.test, see `make bench-ranking`")
            continue
        value, model = min(found)
        end_of = "" if value <= most else f", by {value - most:.4f}"
        lines.append(verdict(value <= most, f"{wish}: {value:.4f} ({model}){end_of}"))
    return lines
