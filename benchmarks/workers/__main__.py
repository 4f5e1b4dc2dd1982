"""Two workers against one process, without and with an accident: is it the same model?

python -m benchmarks.workers           # chapter 3's ratings, three epochs: about four minutes on two cores
python -m benchmarks.workers --quick   # a small synthetic world; keeps nothing
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.running import PAGES, Failed, Records, stoppable
from benchmarks.workers import job, page
from recsys_course import data

SETTINGS = {"seed": 1, "embedding_dim": 32, "batch_size": 1024, "epochs": 3}
QUICK = {"dataset": None, "seed": 1, "embedding_dim": 8, "batch_size": 256, "epochs": 2}
CODE = ("benchmarks/workers", "benchmarks/running.py")
PACKAGES = ("tensorflow", "tensorflow-recommenders", "numpy")
LONGEST = 900  # seconds that one job may take
JOBS: dict[str, dict[str, Any]] = {
    page.ONE: {"num_workers": 1},
    page.TWO: {"num_workers": 2},
    page.KILLED: {"num_workers": 2, "kill_after_epoch": 1},
}


@stoppable
def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 all measured, 1 something failed, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="half a minute, to see that it works; keeps nothing")
    quick = parser.parse_args(arguments).quick
    settings = QUICK if quick else {"dataset": data.ensure_dataset().name} | SETTINGS
    records = Records("workers", settings, CODE, PACKAGES, quick)
    print(f"two workers and one, {'quick' if quick else 'full'}", flush=True)
    try:
        run(records, settings)
    except Failed as error:
        print(f"failed: {error}")
        return 1
    content = records.finish()
    if not quick:
        page.write(content, PAGES)
    print("\n".join([page.losses(content), page.models(content), *page.verdicts(content)]))
    return 0


def run(records: Records, settings: dict[str, Any]) -> None:
    """Runs the jobs that have not run yet; the first is what the others are held against."""
    for number, (name, how) in enumerate(JOBS.items()):
        folder = records.folder / f"job-{number}"
        if name in records and folder.with_suffix(".npz").is_file():
            print(f"  {name}: measured before", flush=True)
            continue
        print(f"  {name}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        started = time.monotonic()
        order = settings | {"folder": str(folder), "first_losses": name != page.KILLED}
        found = job.run(order, seconds=LONGEST, **how)
        found |= {"wall_seconds": round(time.monotonic() - started, 1)}
        found |= apart(records.folder / "job-0.npz", folder.with_suffix(".npz"))
        records[name] = found


def apart(one: Path, other: Path) -> dict[str, float]:
    """The largest difference between two models' weights, and the largest weight."""
    with np.load(one) as ours, np.load(other) as theirs:
        return {
            "difference": max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours),
            "largest": max(float(np.abs(ours[name]).max()) for name in ours),
        }


if __name__ == "__main__":
    sys.exit(main())
