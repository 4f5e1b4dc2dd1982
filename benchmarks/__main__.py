"""All benchmarks, one after the other, and at the end one list of what falls short of a target, and by how much.

    python -m benchmarks           # everything, about four hours on two cores that do nothing else
    python -m benchmarks --quick   # five minutes, to see that everything works: keeps nothing

What is done is not done again by the run that goes on after a stop.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import overview
from benchmarks.ann.report import targets_met
from benchmarks.circumstances import QUIET, ROOT, commit
from benchmarks.course import page as course
from benchmarks.original import page as original
from benchmarks.ranking import page as ranking
from benchmarks.retrieval import page as retrieval
from benchmarks.running import RESULTS, WORK, verdict
from benchmarks.serving import results as serving
from benchmarks.workers import page as workers
from recsys_course.authoring.files import write_if_changed

DONE = WORK / "done.json"
QUICK_MINUTES = 5


class Part(NamedTuple):
    """One benchmark.

    Attributes:
        name: of its module and its results.
        minutes: that it takes on two cores, about; it is ended after three times as many.
        full: arguments of a whole run.
        quick: of one that only shows that it works and keeps nothing; `None` where there is none.
    """

    name: str
    minutes: float
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ("--quick",)


PARTS = (
    Part("workers", 4),
    Part("growth", 4),
    Part("retrieval", 30),
    Part("original", 20),
    Part("ranking", 20),
    Part("history", 15, quick=None),
    Part("recommender", 8, quick=None),
    Part("ann", 25, ("--minutes", "60"), quick=("--size", "small", "--only", "Faiss")),
    Part("serving", 20, quick=None),
    Part("course", 80),
)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 all measured, whatever it came to; 1 something failed; 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="five minutes, to see that all works; keeps nothing")
    quick = parser.parse_args(arguments).quick
    if quick:
        print("This is the quick run: small data, one seed, nothing kept. Its figures are no results.\n", flush=True)
    try:
        failed = run_quick() if quick else run_full()
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from there")
        return 130
    if quick:
        print("\nThat was the quick run: it wrote no results. The list below is of the results that are committed.")
    else:
        write_if_changed(overview.PAGE, overview.render())
        print(f"\nresults: {RESULTS.relative_to(ROOT)}, pages: {overview.PAGE.parent.relative_to(ROOT)}")
    print("\n" + "\n".join(shortfalls(RESULTS)))
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


def run_full() -> list[str]:
    """Runs every part that this commit has not done yet; returns the names of those that failed."""
    here = commit("recsys_course", "benchmarks")
    done = json.loads(DONE.read_text(encoding="utf-8")) if DONE.is_file() else {}
    finished = done.get("parts", []) if done.get("commit") == here else []
    failed = []
    for number, part in enumerate(PARTS, start=1):
        print(f"\n=== {number}/{len(PARTS)} {part.name}, about {part.minutes:g} minutes", flush=True)
        if part.name in finished:
            print("done before", flush=True)
        elif call(part, part.full, 3 * 60 * part.minutes):
            finished.append(part.name)
            write_if_changed(DONE, json.dumps({"commit": here, "parts": finished}))
        else:
            failed.append(part.name)
    if not failed:
        DONE.unlink(missing_ok=True)
    return failed


def run_quick() -> list[str]:
    """Runs the quick form of every part that has one, within five minutes; returns the names of those that failed."""
    until, failed = time.monotonic() + 60 * QUICK_MINUTES, []
    for part in PARTS:
        if part.quick is None:
            print(f"\n=== {part.name}: has no quick form", flush=True)
            continue
        left = until - time.monotonic()
        if left < 20:
            print(f"\n=== {part.name}: left out, the {QUICK_MINUTES} minutes are over", flush=True)
            continue
        print(f"\n=== {part.name}", flush=True)
        if not call(part, part.quick, left):
            failed.append(part.name)
    return failed


def call(part: Part, arguments: tuple[str, ...], seconds: float) -> bool:
    """Runs a benchmark to its end; whether it said that all went well. What it prints is shown as it comes."""
    command = [sys.executable, "-m", f"benchmarks.{part.name}", *arguments]
    # Of a group of its own, so that what it has started ends with it when time is out.
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | QUIET, start_new_session=os.name != "nt")
    try:
        return process.wait(timeout=seconds) == 0
    except subprocess.TimeoutExpired:
        print(f"{part.name}: ended after {seconds / 60:.0f} minutes; what it has measured is kept", flush=True)
        return False
    finally:
        end(process)


def end(process: subprocess.Popen) -> None:
    """Ends a process, and those that it has started."""
    import psutil

    if process.poll() is None:
        family = [*psutil.Process(process.pid).children(recursive=True), process]
        for member in family:
            member.kill()
        process.wait()
        psutil.wait_procs(family[:-1], timeout=10)


def serving_verdicts(found: dict[str, Any]) -> list[str]:
    """The target of the local server, in one line."""
    said = serving.verdict(found)
    return [verdict("is met" in said, said) if "is missed" in said or "is met" in said else f"not measured  {said}"]


VERDICTS = {
    "retrieval": retrieval.verdicts,
    "ranking": ranking.verdicts,
    "original": original.verdicts,
    "workers": workers.verdicts,
    "ann": lambda found: targets_met(found).splitlines(),
    "serving": serving_verdicts,
    "course": course.verdicts,
}


def shortfalls(results: Path) -> list[str]:
    """What falls short of a target or was not measured, by how much; and how many targets are met."""
    short, met = [], 0
    for name, verdicts in VERDICTS.items():
        file = results / f"{name}.json"
        if not file.is_file():
            short.append(f"not measured  {name}: no results yet")
            continue
        for line in verdicts(json.loads(file.read_text(encoding="utf-8"))):
            if line.startswith("met"):
                met += 1
            else:
                short.append(line)
    return [f"Targets: {met} met, {len(short)} missed or not measured{':' if short else '.'}", *short]


if __name__ == "__main__":
    sys.exit(main())
