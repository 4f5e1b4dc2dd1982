"""From the results to tables, verdicts and a page; nothing is measured here."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.running import figure, measured_on, table, verdict
from recsys_course.authoring.files import write_if_changed

BASE, HISTORY = "two towers (chapter 3)", "history tower (chapter 7)"
MODELS = (
    "most popular",
    "recently popular",
    "item-kNN",
    "EASE",
    "iALS",
    "LightFM (WARP)",
    "the TFRS tutorial, as published",
    "the original tutorial, as published",
    BASE,
    HISTORY,
)
COLUMNS = ("raw @10", "raw @100", "seen-out @10", "seen-out @100")
SPLITS = {
    "random": (
        "Random split",
        "80 % train, 10 % validation, 10 % test, seed 42. Models learn from train, as in the chapters. Every model "
        "draws up one list a user. The history tower draws it up at the end of what the user has in train: it says "
        "what comes next, but most of what is held out here came long before, so this split asks it a wrong question. "
        "Asked anew at the moment of each held-out rating it would read the rest of that rating's session, which is in "
        "train, and look far better than it is: chapter 7 shows it.",
    ),
    "leave-last-out": (
        "Leave last out",
        "Of each user the last rating is for test, the one before it for validation. For the test models learn from "
        "train and validation. A history is read strictly before the time stamp of the rating that is asked for.",
    ),
    "temporal": (
        "Temporal split",
        "The last tenth of all ratings is for test, the tenth before it for validation; for the test models learn from "
        "both earlier parts. Only users who occur in them are asked for: of a stranger a model of ids knows nothing.",
    ),
}
# Cited, not measured here: MovieLens 100K, table "Algorithm Comparison" of the project's README at this commit.
SOURCE = "https://github.com/recommenders-team/recommenders/blob/005dcd06bd32ab996c7e4c9892ebbfcab80adb1a/README.md"
CITED = {
    "BiVAE": (0.146126, 0.475077, 0.411771, 0.219145),
    "BPR": (0.132478, 0.441997, 0.388229, 0.212522),
    "SAR": (0.110591, 0.382461, 0.330753, 0.176385),
    "NCF": (0.107720, 0.396118, 0.347296, 0.180775),
    "LightGCN": (0.088526, 0.419846, 0.379626, 0.144336),
    "FastAI": (0.025503, 0.147866, 0.130329, 0.053824),
    "SVD": (0.012873, 0.095930, 0.091198, 0.032783),
    "ALS": (0.004732, 0.044239, 0.048462, 0.017796),
}
PUBLISHED_METRICS = ("MAP", "nDCG", "precision", "recall")


def slug(name: str) -> str:
    """A name as part of a file's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def of(content: dict[str, Any], split: str) -> dict[str, dict[str, Any]]:
    """A split's records by model, in the order of `MODELS`."""
    found = {record["model"]: record for record in content["records"].values() if record["split"] == split}
    return {model: found[model] for model in MODELS if model in found}


def in_short(record: dict[str, Any]) -> str:
    """A record for a terminal."""
    if "error" in record:
        return f"not here: {record['error']}"
    names = record["hit_rates"] if "hit_rates" in record else {name: record[name] for name in PUBLISHED_METRICS}
    return ", ".join(f"{name} {mean(values):.3f}" for name, values in names.items())


def hit_rates(content: dict[str, Any], split: str) -> str:
    """Hit rates with their intervals, and what a fit costs."""
    rows = [["model", *COLUMNS, "fit, cpu s"]]
    for model, record in of(content, split).items():
        if "error" in record:
            rows.append([f"{model}: not here, `{record['error']}`", *[""] * 5])
            continue
        cells = []
        for name in COLUMNS:
            low, high = record["intervals"][name]
            cells.append(f"{mean(record['hit_rates'][name]):.3f} ({low:.3f}–{high:.3f})")
        rows.append([model, *cells, f"{mean(record['fit_cpu_seconds']):.1f}"])
    return table(rows)


def differences(content: dict[str, Any], split: str) -> str:
    """Each model less chapter 3's, user by user; in bold where the interval leaves out 0."""
    rows = [["model, less chapter 3's", *COLUMNS]]
    for model, record in of(content, split).items():
        if "error" in record or model == BASE:
            continue
        cells = []
        for name in COLUMNS:
            value, low, high = record["differences"][name]
            text = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
            cells.append(f"**{text}**" if low > 0 or high < 0 else text)
        rows.append([model, *cells])
    return table(rows)


def published(content: dict[str, Any]) -> str:
    """Our rows by the `recommenders` project's protocol, above theirs."""
    rows = [["model", *PUBLISHED_METRICS]]
    for model, record in of(content, "recommenders").items():
        cells = [""] * 4 if "error" in record else [f"{mean(record[name]):.4f}" for name in PUBLISHED_METRICS]
        rows.append([model if "error" not in record else f"{model}: not here", *cells])
    rows += [[f"*{name} (cited)*", *(f"*{value:.4f}*" for value in values)] for name, values in CITED.items()]
    return table(rows)


def chosen(content: dict[str, Any]) -> str:
    """The settings that validation chose, by split."""
    splits = [split for split in SPLITS if of(content, split)]
    rows = [["model", *splits]]
    for model in MODELS:
        cells = []
        for split in splits:
            record = of(content, split).get(model, {})
            settings = record.get("settings")
            said = settings and ", ".join(f"{name} {value}" for name, value in settings.items())
            cells.append(said or ("the recipe" if settings == {} and record.get("trials") else ""))
        rows.append([model, *cells])
    return table(rows, numbers_from=len(rows[0]))


def tables(content: dict[str, Any]) -> list[str]:
    """Everything for a terminal."""
    parts = []
    for split in SPLITS:
        if of(content, split):
            parts += ["", SPLITS[split][0], hit_rates(content, split)]
    return parts + (["", published(content)] if of(content, "recommenders") else [])


def verdicts(content: dict[str, Any]) -> list[str]:
    """The targets, each met, missed by how much, or not measured; they are for MovieLens 100K."""
    wishes = [
        ("random", BASE, "seen-out @100", 0.61, "chapter 3's towers, random split, seen-out @100"),
        ("random", BASE, "raw @100", 0.39, "chapter 3's towers, random split, raw @100"),
        ("leave-last-out", HISTORY, "seen-out @10", 0.20, "history tower, leave last out, seen-out @10"),
        ("leave-last-out", HISTORY, "seen-out @100", 0.64, "history tower, leave last out, seen-out @100"),
    ]
    lines = []
    if content["settings"]["dataset"] != "100k" or content["settings"]["splits"] != list(SPLITS):
        return ["not measured  the targets of retrieval, which are for all splits of MovieLens 100K"]
    for split, model, name, least, said in wishes:
        value = mean(of(content, split)[model]["hit_rates"][name])
        lines.append(_verdict(value >= least, f"{said} ≥ {least:.2f}: {value:.3f}", value - least))
    seconds = mean(of(content, "random")[BASE]["fit_cpu_seconds"])
    lines.append(_verdict(seconds <= 20, f"chapter 3's towers, training ≤ 20 cpu s: {seconds:.1f}", 20 - seconds, 1))
    rows = of(content, "leave-last-out")
    for name in ("seen-out @10", "seen-out @100"):
        ours, best = (
            max(mean(rows[model]["hit_rates"][name]) for model in models) for models in ((HISTORY,), ("EASE", "iALS"))
        )
        said = f"history tower above EASE and iALS, leave last out, {name}: {ours:.3f} against {best:.3f}"
        lines.append(_verdict(ours > best, said, ours - best))
    return lines


def _verdict(met: bool, said: str, by: float, digits: int = 3) -> str:
    return verdict(met, said if met else f"{said}, by {abs(by):.{digits}f}")


def render(content: dict[str, Any]) -> str:
    """The page's Markdown."""
    settings = content["settings"]
    parts = [
        "<!-- Made by `make bench-retrieval` from benchmarks/results: edit neither. -->",
        f"# Retrieval, measured on {settings['dataset']}",
        "Of all films, which did this user rate next, or elsewhere in the table? The course's models beside "
        "baselines, two tutorials and a peer, on one protocol: **hit rate**, the share of held-out ratings whose film "
        "stands among the first 10 or 100. *Raw*: all films compete. *Seen-out*: the films that the user has in what "
        "was learned are taken out first. Ties count against a model.",
        "```text\n" + "\n".join(verdicts(content)) + "\n```",
    ]
    for split, (title, text) in SPLITS.items():
        rows = of(content, split)
        if not rows:
            continue
        asked = next(record for record in rows.values() if "error" not in record)
        parts += [
            f"## {title}",
            f"{text} {asked['ratings']:,} ratings of {asked['users']:,} users are asked for"
            + (f", {asked['share_known']:.0%} of the part." if asked["share_known"] < 1 else "."),
            f"![Hit rate at 100, seen films taken out](retrieval_{slug(split)}.svg)",
            hit_rates(content, split),
            "Means over the seeds; in brackets the middle 95 % when users are drawn anew.",
            differences(content, split),
            "Paired, user by user, both averaged over their seeds; in bold where the interval leaves out 0.",
        ]
    if of(content, "recommenders"):
        parts += [
            "## A published protocol",
            "The [`recommenders` project]" + f"({SOURCE}) publishes a table for MovieLens 100K. Its protocol, as its "
            "notebook states it: three quarters of each film's ratings to learn from, a quarter for the test, drawn by "
            "lot (its README of benchmarks says each *user's*; the notebook says items, and that is what we do); lists "
            "of k = 10 without the films of train; every held-out rating relevant, whatever its stars; nDCG with "
            "binary gains; MAP and recall over all of a user's held-out films, precision over 10; means over users who "
            "have held-out films. Our lots are other lots (PCG64, seed 42). Our settings are those chosen on the "
            "validation part of the random split, a quarter of which is in this test; theirs are as that project chose "
            "them. *Rows marked cited are copied from its table, not measured here.*",
            published(content),
        ]
    parts += [
        "## What was chosen",
        f"Each model may try {settings['budget']} settings on validation, by the mean of the hit rates at 10 and 100, "
        "seen-out, with the first seed; the test is read once, with seeds "
        f"{', '.join(map(str, settings['seeds']))} where chance plays a part. The most popular have nothing to "
        "choose, and the two tutorials are as published: embeddings of 32, Adagrad 0.1, batches of 8192 that are dealt "
        "once, three epochs and five. For the two models of the course *the recipe* is the chapter's own. The history "
        "tower reads the user's id besides, as `make bench-history` chose on validation, unless the table says "
        "`user_id False`. The same number of trials is not the same effort: these recipes, and the settings that the "
        "baselines start from, had been searched before, on the validation parts of the random split and of "
        "leave-last-out.",
        chosen(content),
        f"*{measured_on(content)}*",
    ]
    return "\n\n".join(parts) + "\n"


def write(content: dict[str, Any], folder: Path) -> None:
    """The page, and a figure for each split beside it."""
    from recsys_course import plotting

    for split in SPLITS:
        rows = {model: record for model, record in of(content, split).items() if "error" not in record}
        if rows:
            bars = {model: mean(record["hit_rates"]["seen-out @100"]) for model, record in rows.items()}
            with figure(folder / f"retrieval_{slug(split)}.svg", 7, 4.4) as ax:
                plotting.ladder(bars, "hit rate at 100, seen films taken out", highlight=HISTORY, ax=ax)
    name = "retrieval" if content["settings"]["dataset"] == "100k" else f"retrieval-{content['settings']['dataset']}"
    write_if_changed(folder / f"{name}.md", render(content))
