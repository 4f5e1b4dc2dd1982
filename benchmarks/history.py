"""Queries from histories: beside their baselines, part by part, and for films that hardly anybody knows; three seeds.

    python -m benchmarks.history

MovieLens 100K, leave-last-out: of each user the last rating is for test, the one before it for validation. A model
reads of a history only what is strictly earlier than the rating that it is asked for; seen films are taken out.
Everything was chosen on validation. For the test all models learn from train and validation together.

Three tables: the *ladder*, read on test; the *ablation*, on validation, with differences paired by user; and *new
films*, known by none to twenty ratings, on train alone. A run that was stopped goes on where it stood; when all is
measured, results go to `benchmarks/results/history.json`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

from benchmarks.circumstances import QUIET

os.environ.update(QUIET)  # before TensorFlow is imported

import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import sparse

from benchmarks.running import Records, stoppable
from recsys_course import baselines, data, metrics, models

SETTINGS = {"dataset": "100k", "seeds": [1, 2, 3]}
CODE = ("benchmarks/history.py", "benchmarks/running.py")
PACKAGES = ("tensorflow", "tensorflow-recommenders", "numpy")
KS = (10, 100)
PEOPLE = ("bucketized_user_age", "user_gender", "user_occupation_text")
WELL_KNOWN, NEW_FILMS = 50, 150  # as many films with at least so many ratings are cut down, as if they were new
# How many ratings a new film keeps, and the share of training rows whose film comes without its id.
CUT_DOWN = ((0, 0.0), (0, 0.3), (1, 0.3), (5, 0.3), (20, 0.3))

Scorer = Callable[[np.ndarray], np.ndarray]
Tower = Callable[["Exam"], tf.keras.Model]


class Exam:
    """What a model learns from, and the ratings that it is asked for: one question each, one row of every matrix."""

    def __init__(self, learned: pd.DataFrame, asked: pd.DataFrame, movies: pd.DataFrame) -> None:
        self.learned, self.asked, self.movies = learned, asked, movies
        self.index = data.InteractionIndex.of(pd.concat([learned, asked])[["user_id"]], movies)
        self.users = self.index.user_positions(asked["user_id"])
        self.seen = self.index.matrix(learned)
        films = self.index.movie_positions(asked["movie_id"])
        ones = np.ones(len(asked), np.float32), (np.arange(len(asked)), films)
        self.wanted = sparse.csr_matrix(ones, shape=(len(asked), len(movies)))

    @cached_property
    def known(self) -> pd.DataFrame:
        """The films that occur in what is learned: the only ones that a vocabulary may hold."""
        return self.movies[self.movies["movie_id"].isin(self.learned["movie_id"].astype(str).unique())]

    def ranks(self, score: Scorer) -> np.ndarray:
        """The rank of each question's film among all that its user has not rated in `learned`."""
        return metrics.rank_held_out(score, self.wanted, self.seen[self.users]).ranks

    def query_columns(self, asked: pd.DataFrame, length: int, strictly: bool = True) -> dict[str, np.ndarray]:
        """Everything that is known when a rating is asked for: the user, their history, the moment."""
        before = asked["timestamp"] if strictly else None
        columns = {name: asked[name].astype(str).to_numpy(object) for name in ("user_id", *PEOPLE)}
        columns["history"] = models.histories(self.learned, asked["user_id"], length, before)
        return columns | models.context_columns(asked["timestamp"])

    def training_columns(self, length: int, log_q: bool = True, hidden_ids: float = 0.0) -> dict[str, np.ndarray]:
        """Every rating as a target, with all that a tower could want to read."""
        probability = models.sampling_probability(self.learned, self.movies) if log_q else None
        columns = models.training_columns(self.learned, self.movies, probability)
        hidden = np.random.default_rng(0).random(len(self.learned)) < hidden_ids
        columns["movie_id"] = np.where(hidden, "", columns["movie_id"])
        return columns | self.query_columns(self.learned, length)


# --- Towers -------------------------------------------------------------------------------------------------------


def _history(exam: Exam, **options: Any) -> tf.keras.Model:
    return models.HistoryTower(exam.known["movie_id"], models.HISTORY_RECIPE["embedding_dim"], **options)


def chosen_tower(movie_ids: Iterable[str], user_ids: Iterable[str], embedding_dim: int) -> tf.keras.Model:
    """The query tower that validation chose: the history, and the id of those whom it is trained on.

    Of all that the ablation adds to the history, only the id lies outside twice its standard error.
    """
    towers = models.HistoryTower(movie_ids, embedding_dim), models.IdTower("user_id", user_ids, embedding_dim)
    return models.SumTower(towers)


def _chosen(exam: Exam) -> tf.keras.Model:
    return chosen_tower(exam.known["movie_id"], exam.learned["user_id"], models.HISTORY_RECIPE["embedding_dim"])


def _word(name: str) -> Tower:
    """A tower that reads one column of words."""
    return lambda exam: models.IdTower(
        name, exam.query_columns(exam.learned, 1)[name], models.HISTORY_RECIPE["embedding_dim"]
    )


def _movie(exam: Exam) -> tf.keras.Model:
    return models.MovieTower(exam.known, models.HISTORY_RECIPE["embedding_dim"])


def _movie_id(exam: Exam) -> tf.keras.Model:
    return models.IdTower("movie_id", exam.known["movie_id"], models.HISTORY_RECIPE["embedding_dim"])


def _year(exam: Exam) -> tf.keras.Model:
    return models.YearTower(exam.known["movie_title"], models.HISTORY_RECIPE["embedding_dim"])


def _sum(*towers: Tower) -> Tower:
    return lambda exam: models.SumTower([tower(exam) for tower in towers])


def _deep(tower: Tower) -> Tower:
    return lambda exam: models.DeepTower(tower(exam), (64,), models.HISTORY_RECIPE["embedding_dim"])


def _query(*names: str) -> dict[str, Any]:
    return {"query": _sum(_history, *map(_word, names))}


BASE, ADDED = "history tower; id, title and genres of films", "+ user id"
VARIANTS: dict[str, dict[str, Any]] = {
    BASE: {},
    "the user's id instead of the history": {"query": _word("user_id")},
    "the last film alone": {"length": 1},
    "plain means, nothing fades": {"query": lambda exam: _history(exam, decays=(0.0,))},
    "no logQ correction": {"log_q": False},
    "films by their id alone": {"candidate": _movie_id},
    ADDED: {"query": _chosen},
    "+ age, gender, occupation": _query(*PEOPLE),
    "+ hour of the day": _query("hour"),
    "+ day of the week": _query("weekday"),
    "+ age of the film": _query("month") | {"candidate": _sum(_movie, _year)},
    "+ all of these": _query("user_id", *PEOPLE, "hour", "weekday", "month") | {"candidate": _sum(_movie, _year)},
    "a hidden layer above the history": {"query": _deep(_history)},
    "a hidden layer above both towers": {"query": _deep(_history), "candidate": _deep(_movie)},
}


def towers_scorer(
    exam: Exam, seed: int, query: Tower = _history, candidate: Tower = _movie, strictly: bool = True, **changed: Any
) -> Scorer:
    """Trains two towers by the recipe, with what is changed in it, and returns their scores of the questions."""
    log_q, hidden_ids = changed.pop("log_q", True), changed.pop("hidden_ids", 0.0)
    recipe = models.HISTORY_RECIPE | changed
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    model = models.TwoTower(query(exam), candidate(exam), l2=recipe["l2"])
    models.fit_towers(model, exam.training_columns(recipe["length"], log_q, hidden_ids), recipe)
    asked = exam.query_columns(exam.asked, recipe["length"], strictly)
    return models.query_scorer(model, exam.index, exam.movies, asked)


def _baseline(recommender: Callable[[], baselines.Recommender]) -> Callable[[Exam, int], Scorer]:
    def fitted(exam: Exam, seed: int) -> Scorer:
        score = recommender().fit(exam.seen).score
        return lambda rows: score(exam.users[rows])

    return fitted


HISTORY, CHOSEN = "history tower", "history tower, and the user's id"
COMPARED = ("EASE", "iALS", "two towers, user id")  # with whom the differences of both are paired
LADDER: dict[str, Callable[[Exam, int], Scorer]] = {
    "most popular": _baseline(baselines.MostPopular),
    "item-kNN": _baseline(baselines.ItemKNN),
    "EASE": _baseline(baselines.EASE),
    "iALS": _baseline(baselines.ImplicitALS),
    "two towers, user id": lambda exam, seed: towers_scorer(exam, seed, _word("user_id")),
    HISTORY: towers_scorer,
    CHOSEN: lambda exam, seed: towers_scorer(exam, seed, _chosen),
    "history tower, reads the moment's own time stamp too": lambda exam, seed: towers_scorer(
        exam, seed, strictly=False
    ),
}


# --- Tables -------------------------------------------------------------------------------------------------------


def figures(ranks: list[np.ndarray], seconds: list[float]) -> dict[str, list[float]]:
    """Hit rates, one a seed."""
    row = {f"hit_rate_{k}": [round(float(np.mean(of_seed <= k)), 4) for of_seed in ranks] for k in KS}
    return row | {"cpu_seconds": [round(value, 1) for value in seconds]}


def paired(ours: list[np.ndarray], theirs: list[np.ndarray]) -> dict[str, list[float]]:
    """Mean difference of the hit rates, and its standard error over users; seeds are averaged first."""
    found = {}
    for k in KS:
        by_user = np.mean([mine <= k for mine in ours], axis=0) - np.mean([their <= k for their in theirs], axis=0)
        error = by_user.std(ddof=1) / np.sqrt(len(by_user))
        found[f"difference_{k}"] = [round(float(by_user.mean()), 4), round(float(error), 4)]
    return found


def measured(records: Records, key: str, make: Callable[[Exam, int], Scorer], exam: Exam):
    """Ranks and CPU seconds of a model, seed by seed; what the records hold is not measured again."""
    found = []
    for seed in SETTINGS["seeds"]:
        name = f"{key} / {seed}"
        if name not in records:
            started = time.process_time()
            ranks = exam.ranks(make(exam, seed))
            records[name] = {"ranks": ranks.tolist(), "cpu_seconds": time.process_time() - started}
        found.append(records[name])
    return [np.array(one["ranks"]) for one in found], [one["cpu_seconds"] for one in found]


def ladder(split: data.Split, movies: pd.DataFrame, records: Records) -> Iterator[dict]:
    """Every model on test; what the two history towers add to the others, and the chosen one to the history alone."""
    exam = Exam(pd.concat(split[:2], ignore_index=True), split.test, movies)
    found = {}
    for name, make in LADDER.items():
        found[name], seconds = measured(records, f"ladder / {name}", make, exam)
        yield {"model": name, "seeds": SETTINGS["seeds"], **figures(found[name], seconds)}
    pairs = [(ours, name) for ours in (CHOSEN, HISTORY) for name in COMPARED]
    for ours, name in [(CHOSEN, HISTORY), *pairs]:
        yield {"model": f"{ours}, less {name}", **paired(found[ours], found[name])}


def ablation(split: data.Split, movies: pd.DataFrame, records: Records) -> Iterator[dict]:
    """Every variant on validation, and its difference from the base."""
    exam = Exam(split.train, split.validation, movies)
    base: list[np.ndarray] = []
    for name, changed in VARIANTS.items():
        ranks, seconds = measured(
            records, f"ablation / {name}", lambda exam, seed, own=changed: towers_scorer(exam, seed, **own), exam
        )
        base = base or ranks
        yield {"variant": name, "seeds": SETTINGS["seeds"], **figures(ranks, seconds), **paired(ranks, base)}


def new_films(split: data.Split, movies: pd.DataFrame, records: Records) -> Iterator[dict]:
    """Films that are known by few ratings, or by none: some are cut down to that many, and asked for by the others."""
    rng = np.random.default_rng(0)
    film = split.train["movie_id"].astype(str).to_numpy(object)
    counts = pd.Series(film).value_counts()
    chosen = rng.choice(np.sort(counts.index[counts >= WELL_KNOWN].to_numpy(object)), NEW_FILMS, replace=False)
    is_new = np.isin(film, chosen)
    lot = pd.Series(rng.random(len(film))).groupby(film).rank().to_numpy()  # 1, 2, ... for the ratings of a film
    asked = split.train[is_new & (lot > max(known_by for known_by, _ in CUT_DOWN))]
    for known_by, hidden_ids in CUT_DOWN:
        exam = Exam(split.train[~is_new | (lot <= known_by)].reset_index(drop=True), asked, movies)
        ranks, seconds = measured(
            records,
            f"new films / {known_by}, {hidden_ids}",
            lambda exam, seed, share=hidden_ids: towers_scorer(exam, seed, hidden_ids=share),
            exam,
        )
        row = {"known_by": known_by, "hidden_ids": hidden_ids, "seeds": SETTINGS["seeds"], "questions": len(asked)}
        yield row | figures(ranks, seconds)


TABLES = {"ladder": ladder, "ablation": ablation, "new_films": new_films}


def run(split: data.Split, movies: pd.DataFrame, records: Records) -> dict[str, list[dict]]:
    """Measures table after table; prints a row as soon as it is there."""
    results: dict[str, list[dict]] = {}
    for table, rows in TABLES.items():
        results[table] = []
        for row in rows(split, movies, records):
            results[table].append(row)
            print(f"{table:10s}", "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return results


@stoppable
def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 all measured, 130 stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__.splitlines()[0])
    parser.parse_args(arguments)
    tf.config.experimental.enable_op_determinism()
    split, movies = data.leave_last_out(data.load_ratings("100k")), data.load_movies("100k")
    records = Records("history", SETTINGS, CODE, PACKAGES)
    results = run(split, movies, records)
    records.finish(told={"recipe": models.HISTORY_RECIPE} | results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
