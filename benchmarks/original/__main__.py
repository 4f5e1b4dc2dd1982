"""The work of the original tutorial, its way and the course's way: processor time, memory and quality in one run.

python -m benchmarks.original           # about twenty minutes on two cores
python -m benchmarks.original --quick   # 4,000 ratings, one epoch, the two ends; keeps nothing
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.circumstances import today
from benchmarks.original import page
from benchmarks.running import PAGES, Failed, Records, child, stoppable
from recsys_course import data

SETTINGS = {"limit": 100_000, "epochs": 5, "seeds": [1, 2, 3]}
QUICK = {"limit": 4_000, "epochs": 1, "seeds": [1]}
CODE = ("benchmarks/original", "benchmarks/running.py")
PACKAGES = ("tensorflow", "tensorflow-recommenders", "tensorflow-datasets", "numpy")
LONGEST = 1800  # seconds that one process may take


def plan(seeds: list[int], quick: bool = False) -> list[tuple[str, int]]:
    """Ways and seeds: the two ends with every seed, in turns; what lies between with the first, unless it is quick."""
    first, *between, last = page.WAYS
    ends = [(way, seed) for seed in seeds for way in (first, last)]
    return ends if quick else ends + [(way, seeds[0]) for way in between]


@stoppable
def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 all measured, 1 something failed, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.original", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute or two, to see that it works; keeps nothing")
    quick = parser.parse_args(arguments).quick
    dataset = data.ensure_dataset().name
    settings = {"dataset": dataset} | (QUICK if quick else SETTINGS)
    records = Records("original", settings, CODE, PACKAGES, quick)
    print(f"the original tutorial's work on {dataset}, {'quick' if quick else 'full'} ({today()})", flush=True)
    common = {"dataset": dataset, "limit": settings["limit"], "epochs": settings["epochs"]}
    common["split"] = str(records.folder / f"split-{settings['limit']}.npz")
    failed = False
    child("benchmarks.original.work", common, LONGEST)
    for way, seed in plan(settings["seeds"], quick):
        key = f"{way} / {seed}"
        if key in records:
            print(f"  {key}: measured before", flush=True)
            continue
        print(f"  {key}", flush=True)
        try:
            order = common | {"changes": page.WAYS[way], "seed": seed}
            records[key] = {"way": way, "seed": seed, **child("benchmarks.original.work", order, LONGEST)}
            print(f"    {page.total(records[key]):.1f} processor seconds", flush=True)
        except Failed as error:
            failed = True
            print(f"    failed: {error}", flush=True)
    if failed:
        print("something could not be measured; the same command tries again")
        return 1
    content = records.finish()
    if not quick:
        page.write(content, PAGES)
    print("\n".join([page.phases(content), page.steps(content), page.quality(content), *page.verdicts(content)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
