"""What ranking adds to retrieval, and what variety costs: the two stages on MovieLens 100K, with three seeds.

    python -m benchmarks.recommender

Leave-last-out: of each user the last rating is for test, the one before it for validation. A list is made as of the
moment before the held-out rating: its history is what the user rated strictly before, and all that they had rated until
then, other than the held-out film itself, is out of it. Both stages are trained on train; rules and settings were
chosen on validation; test is read once. Everything is compared user by user, with a 95 % interval by bootstrap over the
users, of means over the seeds. Results go to `benchmarks/results/recommender.json`, after every seed, and from there to
the site's page `docs/results/recommender.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from benchmarks.circumstances import QUIET, circumstances

os.environ.update(QUIET)  # before TensorFlow is imported

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import sparse

from benchmarks import running
from recsys_course import baselines, data, metrics, models
from recsys_course.authoring.files import write_if_changed
from recsys_course.recommender import Ranker, Retrieval, Rules, evaluation, training
from recsys_course.recommender.features import film_genres
from recsys_course.recommender.trained import RULES
from recsys_course.serving.quiet import quiet_tensorflow
from recsys_course.serving.user_lists import LIST_LENGTH

RESULTS = Path(__file__).parent / "results" / "recommender.json"
PAGE = Path(__file__).parents[1] / "docs" / "results" / "recommender.md"
SEEDS = (1, 2, 3)
PACKAGES = ("tensorflow", "tensorflow-recommenders", "numpy")
DIVERSITIES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
RETRIEVAL, RANKING, SERVED = "retrieval alone", "+ ranking", "+ re-ranking, as served"
Pages = dict[str, np.ndarray]


def rules_to_try() -> dict[str, Rules]:
    """Pages by name: variety alone, more and more of it; rules alone; and what the course serves."""
    tried = {f"+ variety {diversity:g}": Rules(diversity=diversity) for diversity in DIVERSITIES[1:]}
    tried["+ genre rule"] = Rules(genre_share=RULES.genre_share)
    tried["+ rule for old films"] = Rules(old_after=RULES.old_after, old_share=RULES.old_share)
    return tried | {SERVED: RULES}


def pages(found: Retrieval, ranker: Ranker, held_out: pd.DataFrame, known: pd.DataFrame) -> tuple[np.ndarray, Pages]:
    """The users asked, and by the name of each way to make them their pages, `[num_users, 10]` positions."""
    asked = training.held_out_lists(found, held_out, known)
    scores = evaluation.ranked_scores(asked, ranker)
    shown = {RETRIEVAL: evaluation.retrieval_pages(asked, LIST_LENGTH)}
    shown[RANKING] = evaluation.ranked_pages(asked, scores, LIST_LENGTH)
    for name, rules in rules_to_try().items():
        shown[name] = evaluation.pages(asked, scores, training.page_maker(found, rules), LIST_LENGTH)
    return asked.users, shown


def baseline_pages(index: data.InteractionIndex, users: np.ndarray, train: sparse.csr_matrix, seen: sparse.csr_matrix):
    """Pages of recommenders that know no moment: by name, `[num_users, 10]` positions."""
    fitted = {"most popular": baselines.MostPopular(), "item-kNN": baselines.ItemKNN(), "EASE": baselines.EASE()}
    found = {}
    for name, recommender in fitted.items():
        scores = recommender.fit(train if name == "most popular" else seen).score(users)
        scores[seen[users].toarray() > 0] = -np.inf
        found[name] = np.argsort(-scores, axis=1, kind="stable")[:, :LIST_LENGTH]
    return found


def variety(found: Retrieval, shown: np.ndarray) -> dict[str, float]:
    """How much of the same a page holds, and how much of the catalogue all pages together."""
    marks = film_genres(found.movies, found.index)
    return {
        "similarity_of_genres": metrics.intra_list_similarity(shown, marks),
        "similarity_of_embeddings": metrics.intra_list_similarity(shown, found.directions),
        "share_of_catalogue": len(np.unique(shown[shown >= 0])) / found.index.num_movies,
    }


def one_seed(split: data.Split, movies: pd.DataFrame, seed: int) -> list[dict]:
    """Trains both stages once; a row for each part of the split and each way to make a page."""
    tf.keras.backend.clear_session()
    started = time.process_time()
    with quiet_tensorflow():
        found, ranker = training.fit(split, movies, models.HISTORY_RECIPE | {"seed": seed}, say=lambda line: None)
    seconds = time.process_time() - started
    index, train, rows = found.index, found.index.matrix(split.train), []
    for part, known in {"validation": split.train, "test": pd.concat([split.train, split.validation])}.items():
        held_out = getattr(split, part)
        users, shown = pages(found, ranker, held_out, known)
        relevant = index.matrix(held_out)[users]
        for name, page in (baseline_pages(index, users, train, index.matrix(known)) | shown).items():
            ndcg = evaluation.ndcg_by_user(page, relevant, LIST_LENGTH)
            rows.append({"part": part, "page": name, "seed": seed, "cpu_seconds": seconds, "ndcg": ndcg})
            rows[-1] |= {"hit_rate": float(np.mean(ndcg > 0)), **variety(found, page)}
    return rows


def summary(rows: list[dict]) -> list[dict]:
    """Means over the seeds, and how each page differs from retrieval alone and from the ranker's order."""
    table = pd.DataFrame(rows)
    by_user = table.groupby(["part", "page"], sort=False)["ndcg"].apply(lambda seeds: np.mean(list(seeds), axis=0))
    figures = table.drop(columns=["ndcg", "seed"]).groupby(["part", "page"], sort=False).mean()
    found = []
    for (part, page), row in figures.iterrows():
        mine = by_user[part, page]
        result = {"part": part, "page": page, "users": len(mine), "ndcg_10": round(float(mine.mean()), 4)}
        of_page = table[(table["part"] == part) & (table["page"] == page)]
        result["ndcg_10_by_seed"] = [round(float(values.mean()), 4) for values in of_page["ndcg"]]
        for name, other in (("retrieval", RETRIEVAL), ("ranking", RANKING)):
            difference = mine - by_user[part, other]
            low, high = evaluation.interval(difference)
            result[f"against_{name}"] = [round(float(value), 4) for value in (difference.mean(), low, high)]
        found.append(result | {name: round(float(value), 4) for name, value in row.items()})
    return found


def run(split: data.Split, movies: pd.DataFrame, seeds: tuple[int, ...], path: Path) -> dict:
    """Measures seed after seed, and writes after each."""
    rows: list[dict] = []
    for at, seed in enumerate(seeds):
        rows += one_seed(split, movies, seed)
        found = circumstances(PACKAGES, "recsys_course", "benchmarks/recommender.py") | {"seeds": seeds[: at + 1]}
        found |= {"recipe": dict(models.HISTORY_RECIPE), "rules": RULES._asdict(), "rows": summary(rows)}
        write_if_changed(path, json.dumps(found, indent=1) + "\n")
        print(f"seed {seed}: {rows[-1]['cpu_seconds']:.0f} processor seconds of training", flush=True)
    return found


# --- The page -----------------------------------------------------------------------------------------------------


def table(found: dict, part: str) -> str:
    """One part of the split as a Markdown table."""
    head = ["page", "NDCG@10", "against retrieval", "against ranking", "alike by genres", "by embeddings", "catalogue"]
    lines = [head]
    for row in found["rows"]:
        if row["part"] == part:
            gains = [
                "" if row["page"] == other else "{:+.4f} ({:+.4f} to {:+.4f})".format(*row[f"against_{name}"])
                for name, other in (("retrieval", RETRIEVAL), ("ranking", RANKING))
            ]
            alike = [f"{row[f'similarity_of_{name}']:.3f}" for name in ("genres", "embeddings")]
            lines.append([row["page"], f"{row['ndcg_10']:.4f}", *gains, *alike, f"{row['share_of_catalogue']:.0%}"])
    return running.table(lines)


def verdict(found: dict) -> str:
    """What came out on test, in two sentences."""
    rows = {row["page"]: row for row in found["rows"] if row["part"] == "test"}
    before, ranked, served = rows[RETRIEVAL], rows[RANKING], rows[SERVED]

    def said(row: dict, name: str, base: dict) -> str:
        mean, low, high = row[f"against_{name}"]
        sure = "excludes" if low > 0 or high < 0 else "includes"
        return f"{mean / base['ndcg_10']:+.1%}; the interval {sure} no difference at all"

    return (
        f"**Ranking changes NDCG@10 by {said(ranked, 'retrieval', before)}. The page as served, variety and rules "
        f"included, changes it by {said(served, 'retrieval', before)}.**"
    )


def render(found: dict) -> str:
    """The site's page, from the results alone."""
    where, row, rules = found["machine"], found["rows"][0], found["rules"]
    parts = [
        "<!-- Made by `make bench-recommender` from benchmarks/results/recommender.json: edit neither. -->",
        "# Two stages, measured",
        "What does ranking add to retrieval alone, and what do variety and rules cost? MovieLens 100K, leave-last-out: "
        f"the film that each of {row['users']} users rated last is looked for on a page of ten. A page is made as of "
        "the moment before: its history is what was rated strictly earlier, and whatever the user had rated till then "
        "is off the page. [The recommender](../recommender.md) says how it works.",
        "## Test",
        verdict(found),
        table(found, "test"),
        "In brackets: 95 % interval of the mean difference, paired by user, by bootstrap over the users; seeds are "
        f"averaged first ({', '.join(map(str, found['seeds']))}). *Alike* is the mean cosine between two films of a "
        "page, by genres or by retrieval's embeddings; *catalogue* is the share of it that stands on a page at all.",
        "## Validation, on which settings and rules were chosen",
        table(found, "validation"),
        "## How it was measured",
        f"- Retrieval and ranker are trained on train alone, {row['cpu_seconds']:.0f} processor seconds together. The "
        "ranker learns from the last six training ratings of each user, as a first retrieval model finds them that was "
        "trained without them; validation ends its training.\n"
        "- *+ variety w*: a film that equals one above it loses w nats, which divides its odds by e to the w. *+ genre "
        f"rule*: at most {rules['genre_share']:.0%} of a page share a genre. *+ rule for old films*: at most "
        f"{rules['old_share']:.0%} are more than {rules['old_after']} years older than the newest film.\n"
        f"- {where['processor']}, {where['cores']} cores, {where['system']}; commit `{found['commit']}`, "
        f"{found['date']}.",
    ]
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommender", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    split = data.leave_last_out(data.load_ratings("100k"))
    found = run(split, data.load_movies("100k"), tuple(options.seeds), options.output)
    for part in ("validation", "test"):
        print(f"\n{part}\n{table(found, part)}")
    if options.output == RESULTS:
        write_if_changed(PAGE, render(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
