"""The course itself: the same outputs every time, the time of each chapter, and its two commands in a clean clone.

python -m benchmarks.course              # everything: about an hour and a half on two cores that do nothing else
python -m benchmarks.course --commands   # `make course` and `make test` alone: about half an hour
python -m benchmarks.course --chapter 1  # the runs of one chapter alone
python -m benchmarks.course --quick      # one chapter, once with each number of threads; keeps nothing

What has been measured at this commit is not measured again; the page is written once all of it is there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.circumstances import QUIET, ROOT
from benchmarks.course import page
from benchmarks.course.cores import thread_limits
from benchmarks.running import PAGES, RESULTS, Failed, Records, child, stoppable
from recsys_course.authoring.project import Chapter, UsageError, find_project
from recsys_course.authoring.run import DEFAULT_DATASET

SETTINGS = {"dataset": DEFAULT_DATASET, "threads": [2, 1], "runs": 3}
QUICK = SETTINGS | {"runs": 1}
QUICK_CHAPTER = "1"
CODE = ("benchmarks/course", "benchmarks/running.py", "solutions", "chapters", "tests")
CODE += ("Makefile", "mkdocs.yml", "pyproject.toml", "requirements.lock")
PACKAGES = ("tensorflow", "tensorflow-recommenders", "numpy", "nbval")
LONGEST = 900  # seconds that one run of a chapter may take


class Run(NamedTuple):
    """One run of a chapter's solution: the how-manieth with so many threads, from 1."""

    chapter: Chapter
    threads: int
    number: int

    @property
    def key(self) -> str:
        """Its name among the records."""
        return f"{self.chapter.stem} / threads: {self.threads} / run {self.number}"


@stoppable
def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 all asked for is measured, whatever it came to; 1 something failed; 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.course", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute, to see that it works; keeps nothing")
    parser.add_argument("--commands", action="store_true", help="`make course` and `make test` alone")
    parser.add_argument("--chapter", metavar="N", help="the runs of one chapter alone")
    chosen = parser.parse_args(arguments)
    if chosen.commands and (chosen.quick or chosen.chapter):
        parser.error("--commands goes with neither --quick nor --chapter")
    if os.name == "nt":
        print("this part is measured on Linux and on macOS alone: Windows does not tell what ended processes have used")
        return 1
    settings = QUICK if chosen.quick else SETTINGS
    records = Records("course", settings, CODE, PACKAGES, chosen.quick, finished=RESULTS / "course.json")
    print(f"the course itself, {'quick' if chosen.quick else 'full'}", flush=True)
    try:
        project = find_project(ROOT)
        asked = project.selected([chosen.chapter] if chosen.chapter else [QUICK_CHAPTER] if chosen.quick else None)
        chapters = asked if chosen.quick else project.chapters
        runs = [] if chosen.commands else list(plan(asked, settings))
        if any(run.key not in records for run in runs):
            prepare_dataset()
        failed = run_notebooks(records, runs)
        if not (chosen.quick or chosen.chapter):
            from benchmarks.course import commands  # not on Windows

            commands.measure(records, max(settings["threads"]))
    except (Failed, UsageError) as error:
        print(f"failed: {error}")
        return 1
    expected = [run.key for run in plan(chapters, settings)] + ([] if chosen.quick else list(page.COMMANDS))
    missing = [key for key in expected if key not in records]
    if missing:
        print(show(records.content))
        left = f"{len(missing)} of {len(expected)} measurements are left"
        print(f"\n{left}; `python -m benchmarks.course` goes on with them")
        return 1 if failed else 0
    content = records.finish()
    if not chosen.quick:
        page.write(content, PAGES)
    print(show(content))
    return 0


def plan(chapters: list[Chapter], settings: dict[str, Any]) -> Iterator[Run]:
    """Every run, the first of each chapter first: what differs at once is seen at once."""
    for number in range(1, settings["runs"] + 1):
        for chapter in chapters:
            for threads in settings["threads"]:
                yield Run(chapter, threads, number)


def prepare_dataset() -> None:
    """Has the dataset on this machine before the clock runs. Raises Failed where it cannot be had."""
    # In a process of its own: this one stays small, so that the largest that it starts is never itself.
    data = [sys.executable, "-m", "recsys_course.authoring.cli", "data", DEFAULT_DATASET]
    if subprocess.run(data, cwd=ROOT, env=os.environ | QUIET).returncode:
        raise Failed("the dataset cannot be had")


def run_notebooks(records: Records, runs: list[Run]) -> int:
    """Makes the runs that have not been made; returns how many could not be."""
    left = [run for run in runs if run.key not in records]
    if len(left) < len(runs):
        print(f"  {len(runs) - len(left)} of {len(runs)} runs: measured before", flush=True)
    failed = 0
    for at, run in enumerate(left, start=1):
        print(f"  {at}/{len(left)}  {run.key}", end="", flush=True)
        stem = run.chapter.stem
        outputs = records.folder / f"{'quick' if records.quick else 'full'}-{stem}.json"
        if stem not in page.runs(records.content):
            outputs.unlink(missing_ok=True)  # of another commit
        order = {"notebook": str(run.chapter.solution), "threads": run.threads, "outputs": str(outputs)}
        variables = thread_limits(run.threads) | {"COURSE_DATASET": DEFAULT_DATASET}
        try:
            found = child("benchmarks.course.notebook", order, LONGEST, **variables)
        except Failed as error:
            failed += 1
            print(f"  failed: {error}", flush=True)
            continue
        records[run.key] = {"chapter": stem, "threads": run.threads, "run": run.number} | found
        told = f"{len(found['differences'])} DIFFERENCES" if found["differences"] else "the same"
        print(f"  {found['wall_seconds']:.1f} s, {found['memory_mb']:,.0f} MiB, {told}", flush=True)
    return failed


def show(content: dict[str, Any]) -> str:
    """What there is so far, for a terminal."""
    parts = [page.commands(content)] if any(name in content["records"] for name in page.COMMANDS) else []
    if page.runs(content):
        parts = [page.outputs(content), page.times(content), *parts, *page.differences(content)]
        parts.append("\n".join(page.verdicts(content)))
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
