"""One step in a process of its own: `draw` makes a catalogue, `build` builds and saves an index, `search` measures it.

Each process writes what it found as JSON. A process that has only loaded the index shows what a server would need:
building leaves memory behind that serving does not take.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import psutil

from benchmarks.ann.corpora import Questions, embeddings_of, ensure, questions_of
from benchmarks.running import answer
from recsys_course import indices
from recsys_course.metrics import neighbor_recall_at_k

# The settings worth timing: for each of these recalls the one that reaches it fastest.
LEVELS = (0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 1.0)
FEWEST, MOST = 200, 2000  # single queries timed for one setting


def build(corpus: Path, adapter: str, parameters: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Builds and saves; returns times in seconds and sizes in bytes."""
    embeddings = embeddings_of(corpus)
    index = indices.ADAPTERS[adapter](**parameters)
    _import_library(index)
    cpu, wall = process_time(), perf_counter()
    index.build(embeddings)
    built = {"build_cpu_seconds": process_time() - cpu, "build_wall_seconds": perf_counter() - wall}
    index.save(folder)
    return built | {"disk_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())}


def search(corpus: Path, folder: Path, slow: float, seconds: float) -> dict[str, Any]:
    """Loads and measures.

    Args:
        corpus: Folder of the catalogue.
        folder: Of the saved index.
        slow: Seconds a query, searched in batches, beyond which a setting is not looked at.
        seconds: How long single queries are timed for one setting.
    """
    choosing, reported = questions_of(corpus)
    adapter = json.loads((folder / "index.json").read_text(encoding="utf-8"))["adapter"]
    _import_library(indices.ADAPTERS[adapter]())
    process = psutil.Process()
    before = process.memory_info().rss
    index = indices.load(folder)
    index.search(choosing.queries[:32], 10)
    found = {"memory_bytes": max(0, process.memory_info().rss - before), "is_exact": index.is_exact, "points": {}}
    for k in (10, 100):
        settings = [index.search_parameters] if index.is_exact else worth_timing(index, choosing, k, slow)
        found["points"][str(k)] = [measured(index, choosing, reported, setting, k, seconds) for setting in settings]
    if adapter == "Exact":
        found["bandwidth"] = bandwidth(embeddings_of(corpus), lambda: index.search(reported.queries[:1], 10))
    return found


def worth_timing(index: indices.Index, asked: Questions, k: int, slow: float) -> list[dict[str, Any]]:
    """The fastest setting for each level of recall, judged by searching in one batch."""
    tried: list[tuple[float, float, dict[str, Any]]] = []
    too_slow: list[dict[str, Any]] = []
    for setting in index.search_grid(k):
        if any(all(setting[name] >= value for name, value in other.items()) for other in too_slow):
            continue
        recall = _recall(index.set_search(**setting), asked, k)  # the first search pays for what others find ready
        seconds = _seconds(lambda: index.search(asked.queries, k)) / len(asked.queries)
        tried.append((seconds, recall, setting))
        if seconds > slow and setting:
            too_slow.append(setting)
    chosen = []
    for level in LEVELS:
        fastest = min((one for one in tried if one[1] >= level), key=lambda one: one[0], default=None)
        if fastest and fastest[2] not in chosen:
            chosen.append(fastest[2])
    return chosen or [max(tried, key=lambda one: one[1])[2]]


def measured(
    index: indices.Index, choosing: Questions, reported: Questions, setting: dict[str, Any], k: int, seconds: float
) -> dict[str, Any]:
    """Recall on both halves, times of single queries in seconds, and queries a second in one batch."""
    index.set_search(**setting)
    single = single_query_times(lambda row: index.search(reported.queries[[row]], k), len(reported.queries), seconds)
    batch = min(_seconds(lambda: index.search(reported.queries, k)) for _ in range(2))
    return {
        "parameters": setting,
        "recall_choosing": _recall(index, choosing, k),
        "recall": _recall(index, reported, k),
        "p50_seconds": float(np.quantile(single, 0.5)),
        "p99_seconds": float(np.quantile(single, 0.99)),
        "single_queries_timed": len(single),
        "queries_per_second": len(reported.queries) / batch,
    }


def single_query_times(ask: Callable[[int], Any], num_queries: int, seconds: float) -> list[float]:
    """Seconds that each of a number of single queries took."""
    for row in range(min(10, num_queries)):
        ask(row)
    times: list[float] = []
    begin = perf_counter()
    while len(times) < MOST and (len(times) < FEWEST or perf_counter() - begin < seconds):
        row = len(times) % num_queries
        times.append(_seconds(lambda row=row: ask(row)))
    return times


def bandwidth(array: np.ndarray, search_one: Callable[[], Any]) -> dict[str, float]:
    """How fast the memory delivers an array of this size, beside the exact search that has to read it.

    Simple readings, one thread's and all threads', take turns with the search, so that whatever else the machine does
    meets all of them; the reading with the shortest median counts. The product with one vector is among them: it does
    little but read, and what a search does besides is to find the best.
    """
    flat, vector = array.reshape(-1), array[0]
    parts = np.array_split(flat, cpu_count() or 1)
    rounds = max(15, min(200, int(4e9 / array.nbytes)))
    with ThreadPoolExecutor(len(parts)) as pool:
        readings = [
            lambda: np.dot(flat, flat),
            lambda: list(pool.map(lambda part: np.dot(part, part), parts)),
            lambda: list(pool.map(np.max, parts)),
            lambda: array @ vector,
        ]
        times = [[_seconds(action) for action in (search_one, *readings)] for _ in range(rounds)]
    search, *read = np.median(times, axis=0)
    return {"bytes": array.nbytes, "bytes_per_second": array.nbytes / float(min(read)), "search_seconds": float(search)}


def _recall(index: indices.Index, asked: Questions, k: int) -> float:
    return neighbor_recall_at_k(index.search(asked.queries, k).ids, asked.right[:, :k])


def _import_library(index: indices.Index) -> None:
    """So that neither time nor memory of importing counts."""
    if index.library:
        importlib.import_module(index.library)
        if index.library == "scann" and type(index).__name__ == "TfrsScann":
            importlib.import_module("tensorflow_recommenders")


def _seconds(action: Callable[[], Any]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def main() -> None:
    """Does what the order says."""
    order, path = answer()
    corpus, folder = Path(order["corpus"]), Path(order["folder"])
    if order["what"] == "draw":
        ensure(corpus)
        found = {}
    elif order["what"] == "build":
        found = build(corpus, order["adapter"], order["parameters"], folder)
    else:
        found = search(corpus, folder, order["slow"], order["seconds"])
    path.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
