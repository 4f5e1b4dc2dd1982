"""The command: measures what is not measured yet, each index in a process of its own, and reports."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil

from benchmarks import running
from benchmarks.ann import results
from benchmarks.ann.plan import CORPORA, EMBEDDING_DIM, NAMES, RECALL_TARGETS, SECONDS_A_POINT, SIZES, Variant, variants
from benchmarks.ann.report import best, figures, page, targets_met, text_table
from benchmarks.running import Failed, stoppable
from recsys_course import indices

WORK = running.WORK / "ann"
LONGEST = 1800  # seconds that one process may take


@stoppable
def main() -> int:
    """Returns the exit status: 0 all measured, 1 something failed or is left, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ann", description=__doc__)
    parser.add_argument(
        "--size",
        choices=SIZES,
        default="full",
        help="small: a minute; full: up to a million items; huge: ten million, by themselves",
    )
    parser.add_argument("--minutes", type=float, default=20, help="start no further index after so many (default 20)")
    parser.add_argument("--only", metavar="TEXT", default="", help="measure only indices whose name contains this")
    parser.add_argument("--report", action="store_true", help="measure nothing; page and figures from the kept results")
    asked = parser.parse_args()
    if asked.report:
        for kept in sorted(running.RESULTS.glob("ann*.json")):
            publish(results.read(kept), running.PAGES / f"{kept.stem}.md")
        return 0
    return run(asked.size, asked.minutes, asked.only)


def run(size: str, minutes: float, only: str) -> int:
    """Measures, reports, and keeps the results where everything was measured."""
    begin = perf_counter()
    here = results.circumstances()
    path = WORK / f"{size}.json"
    content = results.read(path) | {"circumstances": here, "size": size}
    plan = [(corpus, one) for corpus in SIZES[size] for one in variants(corpus)]
    plan = [(corpus, one) for corpus, one in plan if one.name == "exact" or only.lower() in one.name.lower()]
    wanted = {results.key(corpus, one, here): (corpus, one) for corpus, one in plan}
    content["records"] = {key: record for key, record in content["records"].items() if key in wanted}
    left = failed = 0
    for number, (key, (corpus, variant)) in enumerate(wanted.items(), start=1):
        label = f"[{number}/{len(wanted)}] {corpus:>9} · {variant.name}"
        if key in content["records"]:
            print(f"{label}: measured before", flush=True)
            continue
        if reason := cannot(corpus, variant):
            print(f"{label}: left out, {reason}", flush=True)
            continue
        if perf_counter() - begin > 60 * minutes:
            left += 1
            continue
        print(f"{label}: ", end="", flush=True)
        try:
            found = measure(corpus, variant, content)
            made = {name: here[name] for name in ("commit", "date")}  # a run that goes on may do so from another commit
            content["records"][key] = {"corpus": corpus, "variant": variant._asdict(), **made, **found}
            results.write(path, content)
        except Failed as error:
            failed += 1
            print(f"failed: {error}", flush=True)
    print(f"\n{text_table(content)}\n")
    if size != "huge":
        print(targets_met(content))
    if left or failed:
        print(f"\n{left} not measured within {minutes:g} minutes, {failed} failed; the same command goes on from here.")
        return 1
    whole = size != "small" and not only
    folders = (running.RESULTS, running.PAGES) if whole else (WORK / size, WORK / size)
    kept, shown = (folder / f"{NAMES[size]}.{kind}" for folder, kind in zip(folders, ("json", "md"), strict=True))
    results.write(kept, content)
    publish(results.read(kept), shown)
    path.unlink()  # done: the next run measures anew
    print(f"\nresults: {kept}\npage:    {shown}")
    return 0


def publish(content: dict[str, Any], path: Path) -> None:
    """Writes the page, with the figures beside it, from the results alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figures(content, path.parent)
    path.write_text(page(content), encoding="utf-8")


def cannot(corpus: str, variant: Variant) -> str:
    """Why this cannot be measured here; empty where it can."""
    adapter = indices.ADAPTERS[variant.adapter]
    if not adapter.is_available():
        return f"{adapter.library} is not installed"
    need = 5 * 4 * EMBEDDING_DIM * (CORPORA[corpus] or 0)  # embeddings, the index, and what building takes
    free = psutil.virtual_memory().available
    if need > free:
        return f"it may take {need / 2**30:.0f} GiB of memory and {free / 2**30:.0f} are free"
    return ""


def measure(corpus: str, variant: Variant, content: dict[str, Any]) -> dict[str, Any]:
    """Builds and searches one index, each in its own process; tells as it goes."""
    data_folder = WORK / "corpora" / corpus
    (WORK / "indices").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK / "indices") as scratch:
        order = {"corpus": str(data_folder), "folder": str(Path(scratch) / "index"), **variant._asdict()}
        if not data_folder.is_dir():
            child({"what": "draw", **order})
        built = child({"what": "build", **order})
        print(f"built in {built['build_wall_seconds']:.1f} s; ", end="", flush=True)
        found = child(
            {"what": "search", "slow": too_slow(corpus, content), "seconds": SECONDS_A_POINT[content["size"]], **order}
        )
    at_10 = best(found["points"]["10"], RECALL_TARGETS[10])
    print(f"recall@10 {at_10['recall']:.3f} in {1e6 * at_10['p50_seconds']:.0f} µs", flush=True)
    return built | found


def too_slow(corpus: str, content: dict[str, Any]) -> float:
    """Seconds a query in batches, beyond which an index is no better than exact search."""
    for record in content["records"].values():
        if record["corpus"] == corpus and record["variant"]["name"] == "exact":
            return max(0.001, record["points"]["10"][0]["p50_seconds"] / 4)
    return 0.001


def child(order: dict[str, Any]) -> dict[str, Any]:
    """What a process of its own found."""
    try:
        return running.child("benchmarks.ann.measure", order, LONGEST)
    except Failed as error:
        raise Failed(f"to {order['what']}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
