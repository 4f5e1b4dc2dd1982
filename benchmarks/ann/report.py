"""From the results file to a table, a verdict on the targets, a page and figures; nothing is measured here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.ann.plan import (
    BANDWIDTH_TARGET,
    CORPORA,
    NAMES,
    RECALL_TARGETS,
    SPEED_TARGETS,
    TARGET_CORPUS,
    variants,
)
from benchmarks.running import figure

FIGURE_INCHES = 8, 4.6
INK = "#7b8794"  # reads on a light page and on a dark one
STYLE = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.prop_cycle": matplotlib.cycler(
        color=[
            *("#64748b", "#94a3b8", "#a16207", "#0891b2", "#2563eb", "#ea580c", "#be185d"),
            *("#f59e0b", "#d97706", "#16a34a", "#84cc16", "#7c3aed", "#c084fc"),
        ]
    ),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.labelcolor": INK,
    "savefig.transparent": True,
    "svg.hashsalt": "course",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelcolor": INK,
    "ytick.color": INK,
    "ytick.labelcolor": INK,
}
EXPLANATION = """
## How to read it

- **What is compared.** Every index holds the same catalogue and answers the same queries; affinity is the inner
  product. *Recall* is neighbour recall: the share of the exact top k that the index finds. It says nothing of
  relevance.
- **Which setting.** Each index is built once. Half of the queries choose its search-time settings; the rows show the
  fastest setting that reaches the wanted recall on that half *and* on the other, from which all figures come. Where no
  setting does, the row shows the highest recall reached, in italics.
- **Single query**: one query after the other, the whole call from Python included: median and 99th percentile. One
  thread, but for the exact searches in NumPy and TensorFlow, which take all they can get. **Batch**: all reported
  queries in one call, with as many threads as the library takes.
- **Memory** is what a process grows by when it loads the saved index and answers a first batch. **Build** is processor
  time, all threads together.
- **Catalogues.** `movielens`: the films and users of chapter 3's model. The others are drawn by
  [`data.synthetic_catalogue`](../api/data.md): clusters of Zipf sizes, norms skewed by popularity, queries held out.
- Exact search reads every embedding for each query, so the memory's bandwidth is its limit. It is measured in
  turns with exact search, by the fastest of four simple readings of the same array.
"""


def best(points: list[dict[str, Any]], target: float) -> dict[str, Any]:
    """The fastest point that reaches the target on both halves of the queries; else the one of the highest recall."""
    holding = [point for point in points if holds(point, target)]
    if holding:
        return min(holding, key=lambda point: point["p50_seconds"])
    return max(points, key=lambda point: point["recall"])


def holds(point: dict[str, Any], target: float) -> bool:
    """Whether it reaches the target on both halves of the queries."""
    return min(point["recall"], point["recall_choosing"]) >= target


def measured_on(content: dict[str, Any], corpus: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The indices measured on a catalogue, by name, in the order of the plan."""
    found = {one["variant"]["name"]: one for one in content["records"].values() if one["corpus"] == corpus}
    for variant in variants(corpus):
        if variant.name in found:
            yield variant.name, found[variant.name]


def corpora(content: dict[str, Any]) -> list[str]:
    """The catalogues measured, the smallest first."""
    present = {one["corpus"] for one in content["records"].values()}
    return [name for name in CORPORA if name in present]


def targets_met(content: dict[str, Any]) -> str:
    """The targets, each met, missed or not measured; one a line."""
    rows = dict(measured_on(content, TARGET_CORPUS))
    lines = []
    exact = rows.pop("exact", None)
    for k, times in SPEED_TARGETS.items():
        wish = f"at {TARGET_CORPUS} × 64, recall@{k} ≥ {RECALL_TARGETS[k]:.2f} at ≥ {times} × exact search"
        if exact is None or not rows:
            lines.append(f"not measured  {wish}")
            continue
        base = exact["points"][str(k)][0]["p50_seconds"]
        chosen = {name: best(row["points"][str(k)], RECALL_TARGETS[k]) for name, row in rows.items()}
        holding = {name: point for name, point in chosen.items() if holds(point, RECALL_TARGETS[k])}
        name = min(holding, key=lambda one: holding[one]["p50_seconds"], default=None)
        if name is None:
            lines.append(f"MISSED        {wish}: no index reaches that recall")
            continue
        factor = base / holding[name]["p50_seconds"]
        verdict = "met   " if factor >= times else "MISSED"
        lines.append(f"{verdict}        {wish}: {factor:.0f} × ({name}, recall {holding[name]['recall']:.3f})")
    wish = f"exact search within {BANDWIDTH_TARGET} × of the memory's bandwidth"
    if exact is None:
        lines.append(f"not measured  {wish}")
    else:
        factor = against_bandwidth(exact)
        verdict = "met   " if factor <= BANDWIDTH_TARGET else "MISSED"
        speed = exact["bandwidth"]["bytes_per_second"]
        lines.append(f"{verdict}        {wish}: {factor:.2f} × (the memory delivers {speed / 1e9:.1f} GB/s)")
    return "\n".join(lines)


def against_bandwidth(exact: dict[str, Any]) -> float:
    """The time of an exact search for one query, in units of the time that reading the embeddings takes."""
    return exact["bandwidth"]["search_seconds"] / _reading(exact)


def _reading(exact: dict[str, Any]) -> float:
    return exact["bandwidth"]["bytes"] / exact["bandwidth"]["bytes_per_second"]


def _cells(record: dict[str, Any], k: int) -> tuple[str, str, str, str]:
    point = best(record["points"][str(k)], RECALL_TARGETS[k])
    recall = f"{point['recall']:.3f}"
    if not holds(point, RECALL_TARGETS[k]):
        recall = f"*{recall}*"
    return recall, _micro(point["p50_seconds"]), _micro(point["p99_seconds"]), f"{point['queries_per_second']:,.0f}"


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:,.0f}"


def _mega(size: float) -> str:
    return f"{size / 1e6:,.0f}" if size >= 1e7 else f"{size / 1e6:.1f}"


def text_table(content: dict[str, Any]) -> str:
    """All rows, for a terminal."""
    lines = [
        f"{'':34}{'build':>8}{'memory':>8}{'disk':>8}   {'recall':>7}{'p50':>8}{'p99':>8}{'batch':>9}"
        f"   {'recall':>7}{'p50':>8}{'p99':>8}{'batch':>9}",
        f"{'':34}{'cpu s':>8}{'MB':>8}{'MB':>8}   {'@10':>7}{'µs':>8}{'µs':>8}{'q/s':>9}"
        f"   {'@100':>7}{'µs':>8}{'µs':>8}{'q/s':>9}",
    ]
    for corpus in corpora(content):
        for name, record in measured_on(content, corpus):
            line = f"{corpus:>9} · {name:<22}{record['build_cpu_seconds']:>8.1f}"
            line += f"{_mega(record['memory_bytes']):>8}{_mega(record['disk_bytes']):>8}"
            for k in RECALL_TARGETS:
                recall, p50, p99, batch = _cells(record, k)
                line += f"   {recall:>7}{p50:>8}{p99:>8}{batch:>9}"
            lines.append(line)
    return "\n".join(lines)


def page(content: dict[str, Any]) -> str:
    """The page of the site, as Markdown; its figures lie beside it, see `figures`."""
    here = content["circumstances"]
    machine = here["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in here["versions"].items() if number)
    dates, commits = (sorted({str(one[name]) for one in content["records"].values()}) for name in ("date", "commit"))
    sizes = corpora(content)
    largest, name = sizes[-1], NAMES[content["size"]]
    title, span, command = (
        ("Ten million items", "where a catalogue has ten million items", "make bench-ann SIZE=huge")
        if content["size"] == "huge"
        else ("Nearest neighbours", "from a film catalogue to millions of items", "make bench-ann")
    )
    parts = [
        f"# {title}, measured",
        f"How fast and how right are the indices of [`recsys_course.indices`](../api/indices.md), {span}? Everything "
        f"on this page is written by `{command}` from one file of results, `benchmarks/results/{name}.json`.",
        f"Measured on {', '.join(dates)}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GiB, {machine['system']}, Python {machine['python']}; {versions}; "
        f"commit {', '.join(commits)}, seed {here['seed']}, {here['num_queries']} queries. Times of another machine "
        "differ; the order of the indices mostly does not.",
        *([f"**{content['remark']}**"] if "remark" in content else []),
    ]
    if content["size"] != "huge":  # the targets are for a million items
        parts += ["## Targets", "```text\n" + targets_met(content) + "\n```"]
    parts.append(f"## Recall against time, {largest}")
    for k in RECALL_TARGETS:
        parts.append(
            f"![Recall at {k} against the time of a single query, one line an index]({name}_recall_{k}.svg)\n\n"
            f"*One query, k = {k}, {largest} items. Up and to the left is better. Dotted: the wanted recall, and the "
            "wanted speed.*"
        )
    if len(sizes) > 1:
        parts += [
            "## Time against size",
            "![Time of a single query against the number of items](ann_sizes.svg)\n\n"
            f"*One query, k = 10, the fastest setting with a recall of at least {RECALL_TARGETS[10]}. The dashed line "
            "is the time that reading all embeddings takes.*",
        ]
    for corpus in sizes:
        record = next(record for _, record in measured_on(content, corpus))
        parts += [f"## {_title(corpus)}", _table(content, corpus)]
        if "bandwidth" in record:
            size, speed = _mega(record["bandwidth"]["bytes"]), record["bandwidth"]["bytes_per_second"] / 1e9
            parts.append(
                f"Reading the {size} MB of embeddings takes {1e3 * _reading(record):.3g} ms, at {speed:.1f} GB/s; "
                f"exact search for one query takes {against_bandwidth(record):.2f} × as long."
            )
    parts += [
        EXPLANATION.strip(),
        "## Run it yourself",
        "```bash\nmake bench-ann SIZE=small   # about a minute\n"
        "make bench-ann              # up to a million items, about 20 minutes on 2 cores\n"
        "make bench-ann SIZE=huge    # 10 million, on a page of their own, where memory allows\n```\n\n"
        "Stop it whenever you like: what is measured is kept, and the same command goes on. `MINUTES=5` starts no "
        "further index after five minutes. Run it on a machine that does nothing else.",
    ]
    return "\n\n".join(parts) + "\n"


def _title(corpus: str) -> str:
    number = CORPORA[corpus]
    return "MovieLens" if number is None else f"{number:,} items"


def _table(content: dict[str, Any], corpus: str) -> str:
    head = "| index | build, cpu s | memory, MB | disk, MB |" + "".join(
        f" recall@{k} | p50, µs | p99, µs | batch, q/s |" for k in RECALL_TARGETS
    )
    lines = [head, "|---|" + "---:|" * 11]
    for name, record in measured_on(content, corpus):
        cells = [
            name,
            f"{record['build_cpu_seconds']:,.1f}",
            _mega(record["memory_bytes"]),
            _mega(record["disk_bytes"]),
        ]
        for k in RECALL_TARGETS:
            cells += _cells(record, k)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figures(content: dict[str, Any], folder: Path) -> None:
    """Draws the frontier for each k on the largest catalogue, and time against size where there are several."""
    from recsys_course import plotting

    largest = corpora(content)[-1]
    rows = dict(measured_on(content, largest))
    for k, target in RECALL_TARGETS.items():
        curves = {}
        for name, record in rows.items():
            points = sorted(record["points"][str(k)], key=lambda point: point["p50_seconds"])
            curves[name] = [1e6 * point["p50_seconds"] for point in points], [point["recall"] for point in points]
        with figure(folder / f"{NAMES[content['size']]}_recall_{k}.svg", *FIGURE_INCHES) as ax:
            plotting.recall_curves(curves, f"microseconds for one query, k = {k}", log=True, ax=ax)
            ax.axhline(target, linestyle=":", color=INK, linewidth=1)
            if "exact" in rows:
                wanted = rows["exact"]["points"][str(k)][0]["p50_seconds"] / SPEED_TARGETS[k]
                ax.axvline(1e6 * wanted, linestyle=":", color=INK, linewidth=1)
            ax.set_ylim(bottom=max(0.0, min(0.7, target - 0.3)), top=1.01)
            ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    if len(corpora(content)) == 1:
        return
    with figure(folder / "ann_sizes.svg", *FIGURE_INCHES) as ax:
        plotting.time_by_size(*_by_size(content), ax=ax)
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _by_size(content: dict[str, Any]) -> tuple[list[int], dict[str, list[float]], list[float]]:
    """Sizes; milliseconds of a query at each by index, NaN where it misses the recall; what reading takes."""
    sizes = [name for name in corpora(content) if CORPORA[name]]
    times: dict[str, list[float]] = {}
    limit = []
    for at, corpus in enumerate(sizes):
        for name, record in measured_on(content, corpus):
            point = best(record["points"]["10"], RECALL_TARGETS[10])
            line = times.setdefault(name, [float("nan")] * len(sizes))
            if holds(point, RECALL_TARGETS[10]):
                line[at] = 1e3 * point["p50_seconds"]
            if "bandwidth" in record:
                limit.append(1e3 * _reading(record))
    times = {name: line for name, line in times.items() if any(value == value for value in line)}
    return [CORPORA[name] for name in sizes], times, limit
