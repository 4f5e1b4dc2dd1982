"""What ranking adds to retrieval, and what variety costs: the two stages on MovieLens 100K, with three seeds.

    python -m benchmarks.recommender

On two splits: leave-last-out, of each user the last rating for test and the one before it for validation, and a global
temporal one, the last tenth of all ratings for test and the tenth before it for validation. A list is made as of the
moment before the user's first held-out rating: its history is what they rated strictly before, and all that they had
rated until then, other than the held-out films themselves, is out of it. Who has no history gets what the recommender
answers to a stranger. Both stages are trained on train; rules and settings were chosen on validation, of
leave-last-out; test is read once. Everything is compared user by user, with a 95 % interval by bootstrap over the
users, of means over the seeds. A run that was stopped goes on where it stood; when all is measured, results go to
`benchmarks/results/recommender.json`, and from there to the site's page `docs/results/recommender.md`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from benchmarks.circumstances import QUIET

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

PAGE = running.PAGES / "recommender.md"
SETTINGS = {"dataset": "100k", "seeds": [1, 2, 3]}
CODE = ("benchmarks/recommender.py", "benchmarks/running.py")
PACKAGES = ("tensorflow", "tensorflow-recommenders", "numpy")
DIVERSITIES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
RETRIEVAL, RANKING, SERVED = "retrieval alone", "+ ranking", "+ re-ranking, as served"
EVERYBODY, KNOWN = "everybody", "users with a history"
KEYS = ("split", "part", "who", "page")  # of a row
LEAVE_LAST_OUT, TEMPORAL = "leave-last-out", "temporal"
SPLITS = {LEAVE_LAST_OUT: data.leave_last_out, TEMPORAL: data.temporal_split}
Pages = dict[str, np.ndarray]


def rules_to_try() -> dict[str, Rules]:
    """Pages by name: variety alone, more and more of it; rules alone; and what the course serves."""
    tried = {f"+ variety {diversity:g}": Rules(diversity=diversity) for diversity in DIVERSITIES[1:]}
    tried["+ genre rule"] = Rules(genre_share=RULES.genre_share)
    tried["+ rule for old films"] = Rules(old_after=RULES.old_after, old_share=RULES.old_share)
    return tried | {SERVED: RULES}


def stranger_page(found: Retrieval, ranker: Ranker, rules: Rules) -> np.ndarray:
    """`[1, 10]` positions: what the recommender itself answers to an id that it does not know."""
    module = training.build_module(found, ranker, rules)
    answer = module.recommend(tf.constant([""]), tf.constant([LIST_LENGTH]))
    return found.index.movie_positions(answer["movie_ids"].numpy().ravel().astype(str))[np.newaxis]


def pages(
    found: Retrieval, ranker: Ranker, held_out: pd.DataFrame, known: pd.DataFrame
) -> tuple[np.ndarray, int, Pages]:
    """The users asked, those with a history first, and how many have one; by name of each way to make them the pages.

    A page is `[num_users, 10]` positions; retrieval and ranking answer a stranger alike, by popularity.
    """
    asked = training.held_out_lists(found, held_out, known)
    strangers = np.setdiff1d(found.index.user_positions(held_out["user_id"]), asked.users)
    scores = evaluation.ranked_scores(asked, ranker)
    shown = {
        RETRIEVAL: (evaluation.retrieval_pages(asked, LIST_LENGTH), Rules()),
        RANKING: (evaluation.ranked_pages(asked, scores, LIST_LENGTH), Rules()),
    }
    for name, rules in rules_to_try().items():
        shown[name] = evaluation.pages(asked, scores, training.page_maker(found, rules), LIST_LENGTH), rules
    rules_shown = {rules for _, rules in shown.values()} if len(strangers) else set()
    to_stranger = {rules: stranger_page(found, ranker, rules) for rules in rules_shown}
    whole = {name: np.vstack([page, *(to_stranger[rules] for _ in strangers)]) for name, (page, rules) in shown.items()}
    return np.append(asked.users, strangers), len(asked.users), whole


def baseline_pages(users: np.ndarray, train: sparse.csr_matrix, seen: sparse.csr_matrix) -> Pages:
    """Pages of recommenders that learn from train and read whatever was seen; a stranger gets what is popular."""
    read, popular = seen[users], baselines.MostPopular().fit(train).score(users)
    scores = {
        "most popular": popular,
        "item-kNN": (read @ baselines.ItemKNN().fit(train).neighbours.T).toarray(),
        "EASE": read @ baselines.EASE().fit(train).weights,
    }
    is_stranger, is_seen = read.getnnz(axis=1) == 0, read.toarray() > 0
    found = {}
    for name, personal in scores.items():
        unseen = np.where(is_seen, -np.inf, np.where(is_stranger[:, np.newaxis], popular, personal))
        found[name] = np.argsort(-unseen, axis=1, kind="stable")[:, :LIST_LENGTH]
    return found


def variety(found: Retrieval, shown: np.ndarray) -> dict[str, float]:
    """How much of the same a page holds, and how much of the catalogue all pages together."""
    marks = film_genres(found.movies, found.index)
    return {
        "similarity_of_genres": float(metrics.intra_list_similarity(shown, marks)),
        "similarity_of_embeddings": float(metrics.intra_list_similarity(shown, found.directions)),
        "share_of_catalogue": len(np.unique(shown[shown >= 0])) / found.index.num_movies,
    }


def one_seed(name: str, split: data.Split, movies: pd.DataFrame, seed: int) -> list[dict]:
    """Trains both stages once; a row for each part of the split, each way to make a page, and whose pages they are."""
    tf.keras.backend.clear_session()
    started = time.process_time()
    with quiet_tensorflow():
        found, ranker = training.fit(split, movies, models.HISTORY_RECIPE | {"seed": seed}, say=lambda line: None)
    seconds = time.process_time() - started
    index, train, rows = found.index, found.index.matrix(split.train), []
    for part, known in {"validation": split.train, "test": pd.concat([split.train, split.validation])}.items():
        held_out = getattr(split, part)
        users, num_known, shown = pages(found, ranker, held_out, known)
        relevant = index.matrix(held_out)[users]
        groups = {EVERYBODY: len(users)} | ({KNOWN: num_known} if num_known < len(users) else {})
        for page, films in (baseline_pages(users, train, index.matrix(known)) | shown).items():
            ndcg = evaluation.ndcg_by_user(films, relevant, LIST_LENGTH)
            for who, count in groups.items():
                row = dict(zip(KEYS, (name, part, who, page), strict=True)) | {"seed": seed, "cpu_seconds": seconds}
                row |= {"ndcg": ndcg[:count].tolist(), "hit_rate": float(np.mean(ndcg[:count] > 0))}
                rows.append(row | variety(found, films[:count]))
    return rows


def summary(rows: list[dict]) -> list[dict]:
    """Means over the seeds, and how each page differs from retrieval alone and from the ranker's order."""
    by_key = pd.DataFrame(rows).groupby(list(KEYS), sort=False)
    seeds = by_key["ndcg"].apply(np.stack)  # [num_seeds, num_users] each
    found = []
    for key, row in by_key.mean(numeric_only=True).drop(columns="seed").iterrows():
        mine = seeds[key].mean(axis=0)
        result = dict(zip(KEYS, key, strict=True)) | {"users": len(mine), "ndcg_10": round(float(mine.mean()), 4)}
        result["ndcg_10_by_seed"] = [round(float(value), 4) for value in seeds[key].mean(axis=1)]
        for name, other in (("retrieval", RETRIEVAL), ("ranking", RANKING)):
            difference = mine - seeds[*key[:-1], other].mean(axis=0)
            low, high = evaluation.interval(difference)
            result[f"against_{name}"] = [round(float(value), 4) for value in (difference.mean(), low, high)]
        found.append(result | {name: round(float(value), 4) for name, value in row.items()})
    return found


def run(splits: dict[str, data.Split], movies: pd.DataFrame, records: running.Records) -> list[dict]:
    """Measures seed after seed, on every split, what the records do not hold yet; what came out, seeds averaged."""
    rows: list[dict] = []
    for seed in SETTINGS["seeds"]:
        for name, split in splits.items():
            key = f"{name} / {seed}"
            if key not in records:
                records[key] = {"rows": one_seed(name, split, movies, seed)}
            rows += records[key]["rows"]
            print(f"seed {seed}, {name}: {rows[-1]['cpu_seconds']:.0f} processor seconds of training", flush=True)
    return summary(rows)


# --- The page -----------------------------------------------------------------------------------------------------


def rows_of(found: dict, split: str, part: str, who: str = EVERYBODY) -> dict[str, dict]:
    """By the name of the page."""
    return {row["page"]: row for row in found["rows"] if tuple(row[key] for key in KEYS[:3]) == (split, part, who)}


def table(found: dict, split: str, part: str) -> str:
    """What everybody gets, in one part of a split, as a Markdown table."""
    head = ["page", "NDCG@10", "against retrieval", "against ranking", "alike by genres", "by embeddings", "catalogue"]
    lines = [head]
    for page, row in rows_of(found, split, part).items():
        gains = [
            "" if page == other else "{:+.4f} ({:+.4f} to {:+.4f})".format(*row[f"against_{name}"])
            for name, other in (("retrieval", RETRIEVAL), ("ranking", RANKING))
        ]
        alike = [f"{row[f'similarity_of_{name}']:.3f}" for name in ("genres", "embeddings")]
        lines.append([page, f"{row['ndcg_10']:.4f}", *gains, *alike, f"{row['share_of_catalogue']:.0%}"])
    return running.table(lines)


def verdict(found: dict, split: str, who: str = EVERYBODY) -> str:
    """What came out on test, in two sentences."""
    rows = rows_of(found, split, "test", who)

    def said(page: str) -> str:
        mean, low, high = rows[page]["against_retrieval"]
        sure = "excludes" if low > 0 or high < 0 else "includes"
        return (
            f"{mean / rows[RETRIEVAL]['ndcg_10']:+.1%} ({low:+.4f} to {high:+.4f}; the interval {sure} no difference "
            "at all)"
        )

    return (
        f"**Ranking changes NDCG@10 by {said(RANKING)}. The page as served, variety and rules included, changes it by "
        f"{said(SERVED)}.**"
    )


ASKED = {
    LEAVE_LAST_OUT: "The film that each of {users} users rated last is looked for. That flatters whoever reads what is "
    "recent: the history is often the beginning of the very session, and the models were trained on what other users "
    "rated later.",
    TEMPORAL: "All ratings are cut at one moment, and the last tenth is for test: whatever each of {users} users rated "
    "there is looked for on the page that they would have got at their first rating in it. Nobody's later ratings were "
    "trained on. **{strangers} of the {users} had rated nothing before**: they get what the recommender answers to an "
    "id that it does not know, which is what is popular, under the same rules.",
}


def outcome(found: dict, split: str) -> str:
    """What was asked in the test part of a split, and what came out."""
    users = rows_of(found, split, "test")[RETRIEVAL]["users"]
    known = rows_of(found, split, "test", KNOWN)
    strangers = users - known[RETRIEVAL]["users"] if known else 0
    parts = [
        f"## Test, {split}",
        ASKED[split].format(users=users, strangers=strangers),
        verdict(found, split),
        *([f"Of the {users - strangers} who have a history: {verdict(found, split, KNOWN)}"] if known else []),
        table(found, split, "test"),
    ]
    return "\n\n".join(parts)


def render(found: dict) -> str:
    """The site's page, from the results alone."""
    where, rules = found["machine"], found["rules"]
    splits = list(dict.fromkeys(row["split"] for row in found["rows"]))
    seconds = " and ".join(
        f"{rows_of(found, split, 'test')[RETRIEVAL]['cpu_seconds']:.0f} processor seconds ({split})" for split in splits
    )
    parts = [
        "<!-- Made by `make bench-recommender` from benchmarks/results/recommender.json: edit neither. -->",
        "# Two stages, measured",
        "What does ranking add to retrieval alone, and what do variety and rules cost? MovieLens 100K, pages of ten. A "
        "page is made as of the moment before what is looked for: its history is what was rated strictly earlier, and "
        "whatever the user had rated till then is off it. [The recommender](../recommender.md) says how it works.",
        *(outcome(found, split) for split in splits),
        "In brackets: 95 % interval of the mean difference, paired by user, by bootstrap over the users; seeds are "
        f"averaged first ({', '.join(map(str, found['settings']['seeds']))}). *Alike* is the mean cosine between two "
        "films of a page, by genres or by retrieval's embeddings; *catalogue* is the share of it that stands on a page "
        "at all.",
        *(f"## Validation, {split}\n\n{table(found, split, 'validation')}" for split in splits),
        "## How it was measured",
        f"- Settings and rules were chosen on the validation part of {LEAVE_LAST_OUT}, and hold for every split.\n"
        "- Everybody learns from train alone and, for the test, reads the ratings of validation as well. Retrieval and "
        f"ranker take {seconds} of training together. The ranker learns from the last "
        "six training ratings of each user, as a first retrieval model finds them that was trained without them; "
        "validation ends its training.\n"
        "- *+ variety w*: a film that equals one above it loses w nats, which divides its odds by e to the w. *+ genre "
        f"rule*: at most {rules['genre_share']:.0%} of a page share a genre. *+ rule for old films*: at most "
        f"{rules['old_share']:.0%} are more than {rules['old_after']} years older than the newest film.\n"
        f"- {where['processor']}, {where['cores']} cores, {where['system']}; commit `{found['commit']}`, "
        f"{found['date']}.",
    ]
    return "\n\n".join(parts) + "\n"


@running.stoppable
def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 all measured, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommender", description=__doc__.splitlines()[0])
    parser.parse_args(arguments)
    ratings = data.load_ratings("100k")
    splits = {name: cut(ratings) for name, cut in SPLITS.items()}
    records = running.Records("recommender", SETTINGS, CODE, PACKAGES)
    rows = run(splits, data.load_movies("100k"), records)
    found = records.finish(told={"recipe": models.HISTORY_RECIPE, "rules": RULES._asdict(), "rows": rows})
    print("\n" + "\n\n".join(outcome(found, split) for split in splits))
    write_if_changed(PAGE, render(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
