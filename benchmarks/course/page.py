"""From the results to tables, verdicts and a page; nothing is measured here."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.running import measured_on, table, verdict
from recsys_course.authoring.files import write_if_changed

INSTALL, COURSE, TEST = COMMANDS = ("make environment", "make course", "make test")
CHAPTER_SECONDS = 90
COURSE_MINUTES, LAST_CHAPTER = 6, 6  # so many minutes for the chapters up to this one
TEST_MINUTES = 15


def runs(content: dict[str, Any], threads: int | None = None) -> dict[str, list[dict[str, Any]]]:
    """The runs of each chapter, by its name, in order; with so many threads, or all."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in content["records"].values():
        if "chapter" in one and threads in (None, one["threads"]):
            found.setdefault(one["chapter"], []).append(one)
    return dict(sorted(found.items()))


def outputs(content: dict[str, Any]) -> str:
    """How many cells of each chapter are compared, and how many of them differed in a run."""
    rows = [["chapter", "runs", "code cells", "compared", "differ from the reference", "differ from the first run"]]
    for chapter, all_runs in runs(content).items():
        differing = [str(len(_cells(all_runs, other))) for other in ("the reference", "the first run")]
        rows.append(
            [_title(chapter), *(str(one) for one in (len(all_runs), all_runs[0]["cells"], all_runs[0]["compared"]))]
            + differing
        )
    return table(rows)


def differences(content: dict[str, Any]) -> list[str]:
    """Each cell that differed, once, with the first difference seen."""
    told: dict[str, str] = {}
    for chapter, all_runs in runs(content).items():
        for run in all_runs:
            for one in run["differences"]:
                where = f"chapter {_title(chapter)}, code cell {one['cell'] + 1}, against {one['other']}"
                told.setdefault(where, f"{where} (run {run['run']}, {_threads(run['threads'])}):\n{one['difference']}")
    return list(told.values())


def times(content: dict[str, Any]) -> str:
    """Seconds and memory of each chapter, by threads."""
    rows = [["chapter", "threads", "wall s, median (least–most)", "processor s", "peak memory of the kernel, MiB"]]
    for chapter in runs(content):
        for threads in content["settings"]["threads"]:
            if of := runs(content, threads).get(chapter):
                rows.append(
                    [_title(chapter), str(threads), *(_spread(of, key) for key in ("wall_seconds", "cpu_seconds"))]
                    + [_spread(of, "memory_mb")]
                )
    return table(rows)


def commands(content: dict[str, Any]) -> str:
    """Time and memory of each command that was run."""
    rows = [["command", "ended with", "wall s", "processor s", "largest process, MiB"]]
    for name in COMMANDS:
        if found := content["records"].get(name):
            values = [f"{found[key]:,.0f}" for key in ("wall_seconds", "cpu_seconds", "memory_mb")]
            rows.append([f"`{name}`", str(found["status"]), *values])
    return table(rows)


def verdicts(content: dict[str, Any]) -> list[str]:
    """The targets, each met, missed or not measured."""
    return [_same(content), _chapters(content), *_commands(content)]


def _same(content: dict[str, Any]) -> str:
    by_chapter = runs(content)
    differ = sum(len(_cells(all_runs)) for all_runs in by_chapter.values())
    compared = sum(all_runs[0]["compared"] for all_runs in by_chapter.values())
    of_each = " and ".join(
        f"{min((len(of) for of in runs(content, threads).values()), default=0)} with {_threads(threads)}"
        for threads in content["settings"]["threads"]
    )
    wish = f"the outputs of {compared} cells are the reference's, in every run: {of_each}"
    return verdict(not differ, f"{wish}{f'; {differ} differ' if differ else ''}")


def _chapters(content: dict[str, Any]) -> str:
    most = max(content["settings"]["threads"])
    slowest = {chapter: max(one["wall_seconds"] for one in of) for chapter, of in runs(content, most).items()}
    if not slowest:
        return f"not measured  a chapter with {_threads(most)}"
    late = {chapter: seconds for chapter, seconds in slowest.items() if seconds > CHAPTER_SECONDS}
    named = late or {max(slowest, key=slowest.__getitem__): max(slowest.values())}
    told = ", ".join(f"{_title(chapter)} {seconds:.1f} s" for chapter, seconds in named.items())
    end = f", by {max(late.values()) - CHAPTER_SECONDS:.1f} s" if late else ""
    wish = f"a chapter in ≤ {CHAPTER_SECONDS} s with {_threads(most)}"
    return verdict(not late, f"{wish}, the slowest run of {len(slowest)} chapters: {told}{end}")


def _commands(content: dict[str, Any]) -> list[str]:
    records = content["records"]
    lines = []
    if course := records.get(COURSE):
        beyond = {name: seconds for name, seconds in course["chapters"].items() if _number(name) > LAST_CHAPTER}
        told = f"make course after installation ≤ {COURSE_MINUTES} min for chapters 1–{LAST_CHAPTER}"
        without = "".join(f", without chapter {_number(name)}'s {seconds:.0f} s" for name, seconds in beyond.items())
        lines.append(_in_time(course, told, course["wall_seconds"] - sum(beyond.values()), COURSE_MINUTES, without))
    else:
        lines.append(f"not measured  {COURSE}")
    if test := records.get(TEST):
        seconds = test["wall_seconds"]
        wish = f"make test after installation ≤ {TEST_MINUTES} min"
        with_installation = f", {(seconds + records[INSTALL]['wall_seconds']) / 60:.1f} with it"
        lines.append(_in_time(test, wish, seconds, TEST_MINUTES, with_installation))
    else:
        lines.append(f"not measured  {TEST}")
    return lines


def _in_time(found: dict[str, Any], wish: str, seconds: float, minutes: float, told: str = "") -> str:
    if found["status"]:
        return verdict(False, f"{wish}: it ended with {found['status']}")
    late = seconds - 60 * minutes
    end = f", by {late:.0f} s" if late > 0 else ""
    return verdict(late <= 0, f"{wish}: {seconds / 60:.1f} min{told}{end}")


def render(content: dict[str, Any]) -> str:
    """The page's Markdown."""
    records, settings = content["records"], content["settings"]
    course, install = records[COURSE], records[INSTALL]
    both = (install["wall_seconds"] + course["wall_seconds"]) / 60
    found = "\n\n".join(differences(content))
    parts = [
        "<!-- Made by `make bench-course` from benchmarks/results/course.json: edit neither. -->",
        "# The course itself, measured",
        "Does a chapter show the same whenever it runs, how long does it take, and what do the course's two commands "
        "cost on a machine that has never seen it?",
        "```text\n" + "\n".join(verdicts(content)) + "\n```",
        "## The same outputs",
        outputs(content),
        f"Each run is `pytest --nbval` on the solution's notebook, in a fresh kernel: {settings['runs']} runs with "
        "each number of threads. Compared is what the course's own tests compare, exactly; a cell whose output depends "
        "on training, on time or on the number of threads is tagged as such and left out, but may not "
        "raise. A cell that equals the reference in every run equals itself in every pair of them.",
        *(["What differed:", f"```text\n{found}\n```"] if found else []),
        "## The time of a chapter",
        times(content),
        "From the start of the kernel to the end of the last cell, exercises solved. Processor seconds and memory are "
        "the kernel's. Threads are limited by the variables that TensorFlow and OpenMP read and, where the system "
        "has the means, by holding the kernel to as many cores.",
        "## The two commands",
        commands(content),
        f"In a clean clone and an empty home, held to {max(settings['threads'])} cores. `{INSTALL}` is what both "
        f"commands do first: it makes `.venv`, which takes {install['venv_mb'] / 1024:.1f} GiB; the packages come from "
        "wherever this user's pip is told to fetch them. The other two rows are what follows the installation, each "
        f"from a clean folder; so the first `{COURSE}` takes {both:.1f} minutes altogether. It leaves a folder of "
        f"{course['folder_mb'] / 1024:.1f} GiB, `.venv` included, and {course['home_mb']:,.0f} MiB in the home. Its "
        f"chapters took {_each(course['chapters'])}; the rest is the data, the site and five recommended films.",
        f"*{measured_on(content)}*",
    ]
    return "\n\n".join(parts) + "\n"


def write(content: dict[str, Any], folder: Path) -> None:
    """The page."""
    write_if_changed(folder / "course.md", render(content))


def _cells(all_runs: list[dict[str, Any]], other: str | None = None) -> set[int]:
    """The cells that differed in any of the runs."""
    return {one["cell"] for run in all_runs for one in run["differences"] if other in (None, one["other"])}


def _number(chapter: str) -> int:
    return int(chapter.partition("_")[0])


def _title(chapter: str) -> str:
    return f"{_number(chapter)} {chapter.partition('_')[2].replace('_', ' ')}"


def _threads(number: int) -> str:
    return "one thread" if number == 1 else f"{ {2: 'two'}.get(number, number) } threads"


def _each(chapters: dict[str, float]) -> str:
    return ", ".join(f"{seconds:.0f} s ({_number(name)})" for name, seconds in chapters.items())


def _spread(found: list[dict[str, Any]], key: str) -> str:
    values = [one[key] for one in found]
    digits = 0 if key == "memory_mb" else 1
    spread = f" ({min(values):,.{digits}f}–{max(values):,.{digits}f})" if len(values) > 1 else ""
    return f"{median(values):,.{digits}f}{spread}"
