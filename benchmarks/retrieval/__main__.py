"""Retrieval: the course's models, their baselines, two tutorials and a peer, on three splits and a published protocol.

python -m benchmarks.retrieval           # about half an hour on two cores; COURSE_DATASET picks the data
python -m benchmarks.retrieval --quick   # three models, a fifth of the users, one split, nothing tuned; keeps nothing
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from benchmarks.retrieval import page
from benchmarks.retrieval.intervals import by_user, interval
from benchmarks.running import PAGES, Failed, Records, child, stoppable
from recsys_course import data

SETTINGS = {"splits": ["random", "leave-last-out", "temporal"], "seeds": [1, 2, 3], "budget": 5}
QUICK = {"splits": ["leave-last-out"], "seeds": [1], "budget": 1}
QUICK_MODELS = ("most popular", "EASE", page.BASE)
CODE = ("benchmarks/retrieval", "benchmarks/history.py", "benchmarks/original/work.py", "benchmarks/running.py")
PACKAGES = ("tensorflow", "tensorflow-recommenders", "implicit", "numpy", "scipy")
LONGEST = 1800  # seconds that one model on one split may take
PUBLISHED = "recommenders"


@stoppable
def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 all measured, 1 something failed, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute, to see that it works; keeps nothing")
    parser.add_argument("--only", default="", help="models whose name holds this; keeps nothing but the working file")
    options = parser.parse_args(arguments)
    dataset = data.ensure_dataset().name
    settings = {"dataset": dataset} | (QUICK if options.quick else SETTINGS)
    name = "retrieval" if dataset == "100k" else f"retrieval-{dataset}"
    records = Records(name, settings, CODE, PACKAGES, options.quick)
    print(f"retrieval on {dataset}, {'quick' if options.quick else 'full'}", flush=True)
    whole = QUICK_MODELS if options.quick else page.MODELS
    wanted = [model for model in whole if options.only in model]
    failed = run(records, settings, wanted, options.quick)
    if failed or options.only:
        print(f"{failed} could not be measured; the same command goes on from here")
        return 1 if failed else 0
    content = records.finish()
    if not options.quick:
        page.write(content, PAGES)
    print("\n".join([*page.tables(content), *page.verdicts(content)]))
    return 0


def run(records: Records, settings: dict[str, Any], wanted: list[str], quick: bool) -> int:
    """Measures what is not measured yet; returns how many models failed."""
    failed = 0
    common = {"dataset": settings["dataset"], "seeds": settings["seeds"], "quick": quick}
    jobs = [(split, model) for split in settings["splits"] for model in wanted]
    if not quick and settings["dataset"] == "100k":
        jobs += [(PUBLISHED, model) for model in wanted]
    for number, (split, model) in enumerate(jobs, start=1):
        key, label = f"{split} / {model}", f"[{number}/{len(jobs)}] {split} · {model}"
        if key in records and (split == PUBLISHED or kept(records, split, model).is_file() or "error" in records[key]):
            print(f"{label}: measured before", flush=True)
            continue
        order = common | {"split": split, "model": model, "budget": settings["budget"]}
        if split == PUBLISHED:
            chosen = records.content["records"].get(f"random / {model}", {"error": "it failed on the random split"})
            if "error" in chosen:
                records[key] = {"split": split, "model": model, "error": chosen["error"]}
                continue
            order |= {"settings": chosen["settings"]}
        else:
            order |= {"keep": str(kept(records, split, model))}
        try:
            records[key] = {"split": split, "model": model, **child("benchmarks.retrieval.measure", order, LONGEST)}
            print(f"{label}: {page.in_short(records[key])}", flush=True)
        except Failed as error:
            failed += 1
            print(f"{label}: failed: {error}", flush=True)
    if not failed and page.BASE in wanted:
        for split in settings["splits"]:
            add_intervals(records, split)
    return failed


def kept(records: Records, split: str, model: str):
    """Where the ranks of a model lie until the run is done."""
    return records.folder / ("ranks-quick" if records.quick else "ranks") / f"{split}-{page.slug(model)}.npz"


def add_intervals(records: Records, split: str) -> None:
    """Intervals of every model's hit rates, and of their differences to chapter 3's, user by user."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for model, record in page.of(records.content, split).items():
        if "error" not in record:
            with np.load(kept(records, split, model)) as arrays:
                found[model] = dict(arrays)
    base = found[page.BASE]
    for model, arrays in found.items():
        record = records[f"{split} / {model}"] | {"intervals": {}, "differences": {}}
        for handling in ("raw", "seen-out"):
            for k in (10, 100):
                hits, counts = by_user(arrays[handling], arrays["users"], k)
                base_hits, _ = by_user(base[handling], base["users"], k)
                difference = hits - base_hits
                record["intervals"][f"{handling} @{k}"] = interval(hits, counts)
                record["differences"][f"{handling} @{k}"] = [
                    round(float(difference.sum() / counts.sum()), 4),
                    *interval(difference, counts),
                ]
        records[f"{split} / {model}"] = record


if __name__ == "__main__":
    sys.exit(main())
