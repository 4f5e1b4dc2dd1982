"""What came out of a run, as JSON: on which machine, with which versions, of which commit; written after each pass."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.circumstances import ROOT, commit, machine, today
from recsys_course.authoring.files import write_if_changed

FILE = ROOT / "benchmarks" / "results" / "serving.json"
TARGET, TARGET_CLIENTS = 2.0, (8, 32)  # times the requests a second of each of the others


def begin(settings: dict[str, Any], file: Path = FILE) -> dict[str, Any]:
    """The results so far of a run that was stopped, if it was the same run; else an empty one."""
    new = {
        "finished": False,
        "commit": commit("recsys_course", "benchmarks/serving"),
        "date": today(),
        "machine": machine(),
        "settings": settings,
        "servers": {},
    }
    try:
        old = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return new
    same = all(old.get(key) == new[key] for key in ("commit", "machine", "settings"))
    return old if same and not old.get("finished") else new


def write(results: dict[str, Any], file: Path = FILE) -> None:
    """Put the results in their file in one step."""
    write_if_changed(file, json.dumps(results, indent=1) + "\n")


def summary(server: dict[str, Any]) -> dict[str, Any]:
    """Medians over the passes of one server; failures are added up."""
    passes = server["passes"]
    loads = {}
    for clients in passes[0]["loads"]:
        found = [one["loads"][clients] for one in passes]
        loads[clients] = {
            key: statistics.median(one[key] for one in found) for key in ("per_second", "p50_ms", "p99_ms")
        }
        loads[clients]["failures"] = sum(one["failures"] for one in found)
    once = {key: statistics.median(one[key] for one in passes) for key in ("load_seconds", "memory_mb")}
    return once | {"loads": loads}


def ratios(results: dict[str, Any]) -> dict[str, dict[str, float]]:
    """How many times the requests a second of each other server ours answers, by its title and the clients."""
    done = {name: summary(server) for name, server in results["servers"].items() if server["passes"]}
    ours = done.pop("course")["loads"]
    return {
        results["servers"][name]["title"]: {
            clients: load["per_second"] / other["loads"][clients]["per_second"] for clients, load in ours.items()
        }
        for name, other in done.items()
    }


def verdict(results: dict[str, Any]) -> str:
    """Whether the target is met, in one line with the figures."""
    target = f"Target: at least {TARGET:g} times the others' requests a second at {_and(TARGET_CLIENTS)} clients"
    found = ratios(results)
    if not found:
        return f"{target}. Not measured, since none of the others could be run"
    held = [(title, clients, found[title][str(clients)]) for clients in TARGET_CLIENTS for title in found]
    met = "met" if all(ratio >= TARGET for *_, ratio in held) else "missed"
    figures = ", ".join(f"{ratio:.1f} times {title} at {clients}" for title, clients, ratio in held)
    return f"{target}. It is {met}: {figures}"


def _and(values: tuple[int, ...]) -> str:
    return " and ".join(map(str, values))
