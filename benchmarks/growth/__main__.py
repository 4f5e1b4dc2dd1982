"""How the course's pipeline, training step and evaluation grow with ratings and with the catalogue.

python -m benchmarks.growth           # up to 10 million ratings and a million films: about four minutes
python -m benchmarks.growth --quick   # the two smallest of each; keeps nothing
"""

from __future__ import annotations

import argparse
import sys
from time import perf_counter

from benchmarks.growth import page
from benchmarks.running import PAGES, Failed, Records, child, stoppable

SETTINGS = {
    "ratings": [100_000, 1_000_000, 10_000_000],
    "movies": [1_000, 10_000, 100_000, 1_000_000],
    "fixed": {"movies": 10_000, "ratings": 100_000},
    "steps": 50,
}
QUICK = SETTINGS | {"ratings": [10_000, 100_000], "movies": [1_000, 10_000], "steps": 10}
CODE = ("benchmarks/growth", "benchmarks/running.py")
PACKAGES = ("tensorflow", "tensorflow-recommenders", "numpy", "scipy")
MINUTES = 10  # no further size is started after so many
LONGEST = 300  # seconds that one size may take


def plan(settings: dict) -> list[tuple[str, int, dict[str, int]]]:
    """What grows, how large it is, and the order for the process; the smallest first."""
    fixed = settings["fixed"]
    return [
        *(("ratings", size, {"num_ratings": size, "num_movies": fixed["movies"]}) for size in settings["ratings"]),
        *(("movies", size, {"num_ratings": fixed["ratings"], "num_movies": size}) for size in settings["movies"]),
    ]


@stoppable
def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 all measured, 1 something failed or is left, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="half a minute, to see that it works; keeps nothing")
    quick = parser.parse_args(arguments).quick
    settings = QUICK if quick else SETTINGS
    records = Records("growth", settings, CODE, PACKAGES, quick)
    begin, missing = perf_counter(), 0
    print(f"growth, {'quick' if quick else 'full'}", flush=True)
    for what, size, order in plan(settings):
        key = f"{what} / {size}"
        if key in records:
            print(f"  {size:,} {what}: measured before", flush=True)
        elif perf_counter() - begin > 60 * MINUTES:
            missing += 1
            print(f"  {size:,} {what}: left, {MINUTES} minutes are over", flush=True)
        else:
            try:
                parts = child("benchmarks.growth.measure", order | {"steps": settings["steps"]}, LONGEST)
                records[key] = {"grows": what, "size": size, "parts": parts}
                print(f"  {size:,} {what}: {page.in_short(parts)}", flush=True)
            except Failed as error:
                missing += 1
                print(f"  {size:,} {what}: failed: {error}", flush=True)
    if missing:
        print(f"{missing} sizes are missing; the same command goes on from here")
        return 1
    content = records.finish()
    if not quick:
        page.write(content, PAGES)
    print("\n".join(page.grown(content, what) for what in page.GROWS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
