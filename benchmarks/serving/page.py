"""The site's page of the comparison, made from the results' JSON alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.serving import results

FILE = results.ROOT / "docs" / "results" / "serving.md"


def table(found: dict[str, Any]) -> str:
    """Medians of every server, as a Markdown table."""
    counts = [str(clients) for clients in found["settings"]["clients"]]
    head = ["server", *(f"{count} client{'s' * (count != '1')}, requests/s (p50, p99 ms)" for count in counts)]
    rows = [[*head, "failed", "memory, MB", "first answer after, s"]]
    for server in found["servers"].values():
        if not server["passes"]:
            continue
        done = results.summary(server)
        loads = [done["loads"][count] for count in counts]
        cells = [f"{one['per_second']:,.0f} ({one['p50_ms']:.1f}, {one['p99_ms']:.1f})" for one in loads]
        failed = sum(one["failures"] for one in loads)
        rows.append([server["title"], *cells, f"{failed}", f"{done['memory_mb']:,.0f}", f"{done['load_seconds']:.1f}"])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def render(found: dict[str, Any]) -> str:
    """The page's Markdown."""
    versions = [
        f"| {server['title']} | {', '.join(f'{name} {version}' for name, version in server['versions'].items())} |"
        for server in found["servers"].values()
        if server.get("versions")
    ]
    missing = [
        f"{server['title']} could not be run: `{server['error']}`"
        for server in found["servers"].values()
        if server.get("error")
    ]
    parts = [
        "<!-- Made by `make bench-serving` from benchmarks/results/serving.json: edit neither. -->",
        "# The local server, measured",
        "How many requests a second does `course serve` answer, and how long does one wait, beside two Python servers "
        "that many projects use? All serve the same artefact in the same run, and are first held to the same lists.",
        table(found),
        f"**{results.verdict(found)}.**",
        *missing,
        "## How it was measured",
        "\n".join(_how(found)),
        "## Versions",
        "| server | versions |\n|---|---|\n" + "\n".join(versions),
    ]
    return "\n\n".join(parts) + "\n"


def _how(found: dict[str, Any]) -> list[str]:
    machine, settings = found["machine"], found["settings"]
    artefact = ", ".join(f"{value} {name}" if name != "name" else value for name, value in found["artefact"].items())
    return [
        f"- {artefact}; one user a request, ten films an answer, as JSON over HTTP on loopback.",
        f"- {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}; "
        f"commit `{found['commit']}`, {found['date'][:10]}.",
        f"- {settings['passes']} passes over all servers, each started anew; {settings['seconds']:g} s at each number "
        "of clients after a warm-up. Figures are medians of the passes. Every client waits for its answer before it "
        "asks again, and all clients live in one process, which has to share the cores with the server.",
        "- One server process each, except that LitServe keeps its model in a worker process of its own. Logging of "
        "requests is off everywhere. LitServe batches up to 64 requests within a millisecond; KServe's Python server "
        "has no batching of its own.",
        "- The others load the artefact with `tf.saved_model.load` and call its signature, as their guides do. Ours "
        "reads graph and signatures as TensorFlow Serving does, and that is part of the difference.",
        "- Memory is the resident memory of all processes of a server after the load.",
    ]


def write(results_file: Path = results.FILE, page_file: Path = FILE) -> None:
    """Make the page from the results."""
    found = json.loads(results_file.read_text(encoding="utf-8"))
    page_file.parent.mkdir(parents=True, exist_ok=True)
    page_file.write_text(render(found), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write()
