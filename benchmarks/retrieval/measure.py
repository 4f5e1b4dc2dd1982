"""One model on one split, in a process of its own: chosen on validation, read on the test once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.peers import NotHere
from benchmarks.retrieval.contenders import CONTENDERS, LIGHTFM, PEER, Contender
from benchmarks.retrieval.exams import PUBLISHED, Exam, exams
from benchmarks.running import answer, cpu_seconds, peak_memory_mb
from recsys_course import metrics
from recsys_course.authoring.files import write_if_changed

KS = (10, 100)
PUBLISHED_METRICS = {
    "MAP": metrics.map_at_k,
    "nDCG": metrics.ndcg_at_k,
    "precision": metrics.precision_at_k,
    "recall": metrics.recall_at_k,
}


def fitted(contender: Contender, exam: Exam, settings: dict[str, Any], seed: int):
    """Scores, from a fresh start."""
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    return contender.fit(exam, settings, seed)


def worth(ranks: dict[str, metrics.HeldOutRanks]) -> float:
    """What is chosen by on validation: the mean of the hit rates at 10 and at 100, seen films taken out."""
    return float(np.mean([metrics.hit_rate_at_k(ranks["seen-out"], k) for k in KS]))


def choose(contender: Contender, exam: Exam, trials: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """The best of the settings on validation, with what each was worth; a single one is not tried."""
    if len(trials) == 1:
        return {"settings": trials[0], "trials": []}
    tried = [
        {"settings": one, "worth": round(worth(exam.ranks(fitted(contender, exam, one, seed))), 4)} for one in trials
    ]
    return {"settings": max(tried, key=lambda one: one["worth"])["settings"], "trials": tried}


def measured(contender: Contender, exam: Exam, settings: dict[str, Any], seeds: list[int], keep: Path):
    """Hit rates and processor seconds, one a seed; the ranks go to a file, for intervals and differences."""
    seeds = seeds if contender.random else seeds[:1]
    found: dict[str, Any] = {"seeds": seeds, "hit_rates": {}, "fit_cpu_seconds": []}
    kept: dict[str, list[np.ndarray]] = {"raw": [], "seen-out": []}
    for seed in seeds:
        before = cpu_seconds()
        score = fitted(contender, exam, settings, seed)
        found["fit_cpu_seconds"].append(round(cpu_seconds() - before, 2))
        for handling, held in exam.ranks(score).items():
            kept[handling].append(held.ranks)
            for k in KS:
                rates = found["hit_rates"].setdefault(f"{handling} @{k}", [])
                rates.append(round(metrics.hit_rate_at_k(held, k), 4))
    keep.parent.mkdir(parents=True, exist_ok=True)
    np.savez(keep, users=held.users, **{handling: np.stack(ranks) for handling, ranks in kept.items()})
    return found | {"peak_memory_mb": round(peak_memory_mb())}


def published(contender: Contender, exam: Exam, settings: dict[str, Any], seeds: list[int]) -> dict[str, Any]:
    """The figures of the `recommenders` project's table: k = 10, seen films taken out."""
    seeds = seeds if contender.random else seeds[:1]
    found: dict[str, Any] = {"seeds": seeds, **{name: [] for name in PUBLISHED_METRICS}}
    for seed in seeds:
        held = metrics.rank_held_out(fitted(contender, exam, settings, seed), exam.held_out, exam.seen)
        for name, metric in PUBLISHED_METRICS.items():
            found[name].append(round(metric(held, 10), 6))
    return found


def measure(order: dict[str, Any]) -> dict[str, Any]:
    """What the order asks for; a peer that cannot be had here gives its reason in place of figures."""
    contender, seeds = CONTENDERS[order["model"]], order["seeds"]
    validation, test = exams(order["split"], order["dataset"], order["quick"])
    try:
        if order["model"] == PEER:
            LIGHTFM.python()  # so that making its environment counts for no fit
        if order["split"] == PUBLISHED:
            return published(contender, test, order["settings"], seeds)
        chosen = choose(contender, validation, contender.trials[: order["budget"]], seeds[0])
        told = {"users": int(len(np.unique(test.asked["user_id"]))), "ratings": len(test.asked)}
        told |= {"share_known": round(test.share_known, 4)}
        return told | chosen | measured(contender, test, chosen["settings"], seeds, Path(order["keep"]))
    except NotHere as error:
        return {"error": str(error)}


def main() -> None:
    order, path = answer()
    tf.config.experimental.enable_op_determinism()
    write_if_changed(path, json.dumps(measure(order)))


if __name__ == "__main__":
    main()
