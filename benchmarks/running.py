"""How a benchmark runs: each measurement in a process of its own, kept as soon as it is there, told where time went."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from statistics import mean
from typing import Any

import psutil

from benchmarks.circumstances import QUIET, ROOT, circumstances
from recsys_course.authoring.files import write_if_changed

RESULTS = ROOT / "benchmarks" / "results"
PAGES = ROOT / "docs" / "results"
WORK = ROOT / ".course" / "benchmarks"


class Failed(Exception):
    """One measurement could not be made; the message is the reason. The others can."""


class Records:
    """The measurements of one benchmark, by name; a run that was stopped goes on where it stood.

    Until all are there they lie in a working file, which a run of other settings, code, machine or versions does not
    read. `finish` puts them where results are kept; a quick run keeps nothing.

    Args:
        name: of the benchmark.
        settings: whatever decides what is measured.
        code: paths whose commit is noted.
        packages: whose versions are noted.
        quick: a quick run.
        finished: results of a run that was finished. Where they are of the same commit, without changes, this run
            goes on from them.
    """

    def __init__(
        self,
        name: str,
        settings: dict[str, Any],
        code: Iterable[str],
        packages: Iterable[str],
        quick: bool = False,
        finished: Path | None = None,
    ) -> None:
        self.name, self.quick = name, quick
        self.folder = WORK / name
        self._working = self.folder / f"{'quick' if quick else 'full'}.json"
        # Through JSON and back, so that tuples compare equal with what a file holds.
        self.content: dict[str, Any] = json.loads(
            json.dumps(circumstances(packages, "recsys_course", *code) | {"settings": settings, "records": {}})
        )
        unchanged = self.content["commit"] and not self.content["commit"].endswith("+")
        for file in (finished if unchanged else None, self._working):
            if file is not None and file.is_file():
                old = json.loads(file.read_text(encoding="utf-8"))
                if all(old.get(key) == self.content[key] for key in ("commit", "machine", "versions", "settings")):
                    self.content = old

    def __contains__(self, key: str) -> bool:
        return key in self.content["records"]

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self.content["records"][key]

    def __setitem__(self, key: str, record: dict[str, Any]) -> None:
        self.content["records"][key] = record
        write_if_changed(self._working, _text(self.content))

    def finish(self, results: Path = RESULTS, told: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ends the run: what was measured goes to the results, unless it was a quick one. Returns what went there.

        Args:
            results: folder.
            told: in place of the records, where those hold more than a result should: ranks of every user, say.
        """
        found = self.content
        if told is not None:
            found = {name: value for name, value in found.items() if name != "records"} | told
        if not self.quick:
            write_if_changed(results / f"{self.name}.json", _text(found))
        self._working.unlink(missing_ok=True)
        return found


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


def stoppable(main: Callable[..., int]) -> Callable[..., int]:
    """A benchmark's command, which ends with a word and exit status 130 where Ctrl-C stops it."""

    @wraps(main)
    def stopped(*arguments: Any) -> int:
        try:
            return main(*arguments)
        except KeyboardInterrupt:
            print("\nstopped; what was measured is kept, and the same command goes on from there")
            return 130

    return stopped


def child(module: str, order: dict[str, Any], seconds: float, **environment: str) -> dict[str, Any]:
    """What a process of its own found: `python -m module ORDER ANSWER`, which writes its answer as JSON.

    What it prints is shown as it comes.

    Args:
        module: whose `main` takes the order and the path of the answer.
        order: what to do, as JSON.
        seconds: that it may take.
        environment: variables beside those that keep TensorFlow quiet.

    Raises:
        Failed: it ended badly, or took too long.
    """
    with tempfile.TemporaryDirectory() as scratch:
        answer, said = Path(scratch) / "answer.json", Path(scratch) / "stderr"
        command = [sys.executable, "-m", module, json.dumps(order), str(answer)]
        with said.open("wb") as errors:
            try:
                done = subprocess.run(
                    command, cwd=ROOT, env=os.environ | QUIET | environment, stderr=errors, timeout=seconds
                )
            except subprocess.TimeoutExpired:
                raise Failed(f"took more than {seconds:.0f} s") from None
        if done.returncode or not answer.is_file():
            raise Failed(last_word(said.read_text(encoding="utf-8", errors="replace"), done.returncode))
        return json.loads(answer.read_text(encoding="utf-8"))


def last_word(said: str, status: int) -> str:
    """Why a process ended badly: the last line that it said, or its exit status."""
    return (said.strip().splitlines() or [f"exit status {status}"])[-1][:300]


def answer(order_and_path: list[str] | None = None) -> tuple[dict[str, Any], Path]:
    """In a process that `child` started: its order, and where the answer goes."""
    order, path = sys.argv[1:] if order_and_path is None else order_and_path
    return json.loads(order), Path(path)


class Clock:
    """Processor seconds (user and system, children included) and wall seconds of a process, phase by phase.

    Phases may lie inside each other; a moment counts for the innermost.

    Args:
        so_far: the name for everything since the process started.
    """

    def __init__(self, so_far: str) -> None:
        self.phases: dict[str, dict[str, float]] = {}
        self._open = [so_far]
        self._cpu, self._wall = 0.0, psutil.Process().create_time()
        self._note()
        self._open = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts what the body takes as `name`."""
        self._note()
        self._open.append(name)
        try:
            yield
        finally:
            self._note()
            self._open.pop()

    def _note(self) -> None:
        cpu, wall = cpu_seconds(), time.time()
        if self._open:
            spent = self.phases.setdefault(self._open[-1], {"cpu": 0.0, "wall": 0.0})
            spent["cpu"] += cpu - self._cpu
            spent["wall"] += wall - self._wall
        self._cpu, self._wall = cpu, wall


def cpu_seconds() -> float:
    """Processor seconds of this process so far: user and system, its ended children included."""
    return time.process_time() + sum(os.times()[2:4])


def peak_memory_mb() -> float:
    """The most memory that this process has held so far, in MiB."""
    try:
        import resource
    except ImportError:  # Windows
        return psutil.Process().memory_info().peak_wset / 2**20
    return resident_mb(resource.getrusage(resource.RUSAGE_SELF))


def resident_mb(usage: Any) -> float:
    """The most memory, in MiB, of the process (or the largest of the processes) that a `struct_rusage` is about."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**20


def measured_on(content: dict[str, Any]) -> str:
    """Machine, versions, commit and date in one line."""
    here = content["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in content["versions"].items() if number)
    return (
        f"{here['processor']}, {here['cores']} cores, {here['memory_gb']} GB, {here['system']}, Python "
        f"{here['python']}; {packages}; commit `{content['commit']}`, {content['date']}."
    )


def table(rows: list[list[str]], numbers_from: int = 1) -> str:
    """A Markdown table; the first row is its head, and columns from `numbers_from` stand to the right."""
    rule = ["---"] * numbers_from + ["---:"] * (len(rows[0]) - numbers_from)
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], rule, *rows[1:]])


def with_range(values: list[float]) -> str:
    """A mean, with the lowest and the highest where they differ."""
    least, most = f"{min(values):.3f}", f"{max(values):.3f}"
    return f"{mean(values):.3f}" + (f" ({least}–{most})" if least != most else "")


def verdict(met: bool, said: str) -> str:
    """A target's line in a list of them."""
    return f"{'met   ' if met else 'MISSED'}  {said}"


@contextmanager
def figure(path: Path, width: float, height: float) -> Iterator[Any]:
    """Axes to draw on, saved as SVG that reads on a light page and on a dark one."""
    import matplotlib
    import matplotlib.pyplot as plt

    from benchmarks.ann.report import STYLE

    with matplotlib.rc_context(STYLE):
        drawn, ax = plt.subplots(figsize=(width, height), layout="constrained")
        yield ax
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(drawn)
