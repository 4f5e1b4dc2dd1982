"""Predicted ratings: every model of chapter 6 beside its baselines and a peer, on two splits, with five seeds.

python -m benchmarks.ranking                      # the course's random split of MovieLens 100K
python -m benchmarks.ranking --u1 ml-100k/u1.test # and GroupLens' own split u1: about twenty minutes altogether
python -m benchmarks.ranking --quick              # two models, one split, one seed; keeps nothing

MovieLens' terms forbid passing 100K on, and u1 cannot be derived from the ratings: take `u1.test` out of GroupLens'
archive ml-100k.zip, and name it here or in the environment variable COURSE_U1_TEST.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.ranking import page
from benchmarks.ranking.u1 import split_u1
from benchmarks.running import Failed, Records, child, stoppable
from recsys_course import data

SETTINGS = {"dataset": "100k", "seeds": [1, 2, 3, 4, 5]}
QUICK = SETTINGS | {"seeds": [1]}
QUICK_MODELS = ("user and film biases", "factorisation machine, ids")
CODE = ("benchmarks/ranking", "benchmarks/peers.py", "benchmarks/running.py")
PACKAGES = ("tensorflow", "tensorflow-recommenders", "numpy", "scipy")
LONGEST = 1800  # seconds that one model on one split may take


@stoppable
def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 all measured, 1 something failed, 2 no u1 in the file named, 130 stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ranking",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--u1", type=Path, default=os.environ.get("COURSE_U1_TEST") or None, help="GroupLens' u1.test")
    parser.add_argument("--quick", action="store_true", help="half a minute, to see that it works; keeps nothing")
    options = parser.parse_args(arguments)
    data.ensure_dataset("100k")
    try:
        splits = chosen_splits(None if options.quick else options.u1)
    except ValueError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    settings = (QUICK if options.quick else SETTINGS) | {"splits": list(splits)}
    records = Records("ranking", settings, CODE, PACKAGES, options.quick)
    print(f"predicted ratings, {'quick' if options.quick else 'full'}", flush=True)
    failed = run(records, splits, QUICK_MODELS if options.quick else page.MODELS)
    if failed:
        print(f"{failed} could not be measured; the same command tries again")
        return 1
    content = records.finish()
    print("\n".join([page.errors(content), *page.verdicts(content)]))
    return 0


def chosen_splits(u1: Path | None) -> dict[str, str | None]:
    """The splits that can be had, and the file that each needs. Raises ValueError where the file is not u1.test."""
    if u1 is None:
        return {"random": None}
    split_u1(data.load_ratings("100k"), u1)
    return {"random": None, "u1": str(u1.absolute())}


def run(records: Records, splits: dict[str, str | None], models: tuple[str, ...]) -> int:
    """Measures what is not measured yet; returns how many could not be."""
    failed, jobs = 0, [(split, model) for split in splits for model in models]
    for number, (split, model) in enumerate(jobs, start=1):
        key, label = f"{split} / {model}", f"[{number}/{len(jobs)}] {split} · {model}"
        if key in records:
            print(f"{label}: measured before", flush=True)
            continue
        order = {"split": split, "u1": splits[split], "model": model, "seeds": records.content["settings"]["seeds"]}
        try:
            records[key] = {"split": split, "model": model, **child("benchmarks.ranking.measure", order, LONGEST)}
            print(f"{label}: {page.in_short(records[key])}", flush=True)
        except Failed as error:
            failed += 1
            print(f"{label}: failed: {error}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
