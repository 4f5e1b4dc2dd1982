"""Who takes part: how each is made from an exam, and which five settings it may choose from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy import sparse

from benchmarks.history import chosen_tower
from benchmarks.original.work import OriginalRetrieval
from benchmarks.peers import Peer
from benchmarks.retrieval.exams import Exam
from recsys_course import baselines, data, models
from recsys_course.serving.trained import RECIPE, two_towers

Scorer = Callable[[np.ndarray], np.ndarray]
PEER = "LightFM (WARP)"
LIGHTFM = Peer("lightfm", "LightFM", ("lightfm-next==1.19.0",))


class Contender(NamedTuple):
    """One model.

    Attributes:
        fit: from an exam, settings and a seed to scores.
        trials: settings to choose from on validation; a single one is as published, or has nothing to choose.
        random: whether a seed changes it.
    """

    fit: Callable[[Exam, dict[str, Any], int], Scorer]
    trials: list[dict[str, Any]]
    random: bool = False


def _baseline(recommender: Callable[..., baselines.Recommender]):
    return lambda exam, settings, seed: recommender(**settings).fit(exam.seen).score


def _ials(exam: Exam, settings: dict[str, Any], seed: int) -> Scorer:
    return baselines.ImplicitALS(**settings, seed=seed).fit(exam.seen).score


def _recent(exam: Exam, settings: dict[str, Any], seed: int) -> Scorer:
    return baselines.RecentPopular(**settings).fit(exam.times).score


def _tutorial(exam: Exam, settings: dict[str, Any], seed: int) -> Scorer:
    """Two tables of vectors over ids and titles, no correction, Adagrad 0.1, batches of 8192."""
    title = exam.movies.set_index("movie_id")["movie_title"]
    columns = {
        "user_id": exam.learned["user_id"].to_numpy(object),
        "movie_title": title.loc[exam.learned["movie_id"].astype(str)].to_numpy(object),
    }
    model = OriginalRetrieval(np.unique(columns["user_id"]), exam.movies["movie_title"].unique(), None)
    model.compile(optimizer=tf.keras.optimizers.Adagrad(0.1))
    batches = data.batches(columns, 8192, shuffle=True)
    # `shuffle().batch().cache()` deals the batches once and for all.
    model.fit(batches.cache() if settings["frozen"] else batches, epochs=settings["epochs"], verbose=0)
    queries = model.user_model(tf.constant(exam.index.user_ids)).numpy()
    candidates = model.movie_model(tf.constant(title.loc[exam.index.movie_ids].to_numpy(object))).numpy()
    return lambda users: queries[users] @ candidates.T


def _chapter_3(exam: Exam, settings: dict[str, Any], seed: int) -> Scorer:
    recipe = RECIPE | settings
    model = two_towers(exam.learned, exam.movies, recipe)
    model.compile(optimizer=tf.keras.optimizers.Adam(recipe["learning_rate"]), steps_per_execution=32)
    probability = models.sampling_probability(exam.learned, exam.movies)
    columns = models.training_columns(exam.learned, exam.movies, probability)
    batches = data.batches(columns, recipe["batch_size"], shuffle=True)
    model.fit(batches, epochs=recipe["epochs"], verbose=0)
    return models.affinity_scorer(model, exam.index, exam.movies)


def _history(exam: Exam, settings: dict[str, Any], seed: int) -> Scorer:
    """Histories as far as the exam lets them be read; `user_id` says whether the tower reads the id besides."""
    recipe = models.HISTORY_RECIPE | {"user_id": True} | settings
    known = exam.movies[exam.movies["movie_id"].isin(exam.learned["movie_id"].astype(str).unique())]
    dim = recipe["embedding_dim"]
    if recipe["user_id"]:
        query = chosen_tower(known["movie_id"], exam.learned["user_id"], dim)
    else:
        query = models.HistoryTower(known["movie_id"], dim)
    model = models.TwoTower(query, models.MovieTower(known, dim), l2=recipe["l2"])
    probability = models.sampling_probability(exam.learned, exam.movies)
    columns = models.history_training_columns(exam.learned, exam.movies, recipe["length"], probability)
    models.fit_towers(model, columns, recipe)
    return models.history_scorer(model, exam.index, exam.movies, exam.learned, exam.moments, recipe["length"])


def _lightfm(exam: Exam, settings: dict[str, Any], seed: int) -> Scorer:
    """In a process of its own environment, which knows nothing of ours. Raises NotHere where it cannot be had."""
    with tempfile.TemporaryDirectory() as folder:
        asked, found = Path(folder) / "interactions.npz", Path(folder) / "factors.npz"
        sparse.save_npz(asked, exam.seen)
        order = json.dumps(settings | {"seed": seed})
        LIGHTFM.run(Path(__file__).with_name("lightfm_peer.py"), str(asked), order, str(found))
        with np.load(found) as arrays:
            queries, candidates, biases = (arrays[name] for name in ("queries", "candidates", "biases"))
    return lambda users: queries[users] @ candidates.T + biases


def _one_at_a_time(**changes: list[Any]) -> list[dict[str, Any]]:
    """The recipe as it stands, and changes of one thing each."""
    return [{}, *({name: value} for name, values in changes.items() for value in values)]


POPULAR, EASE, IALS = "most popular", "EASE", "iALS"
CHAPTER_3, HISTORY = "two towers (chapter 3)", "history tower (chapter 7)"
CONTENDERS: dict[str, Contender] = {
    POPULAR: Contender(_baseline(baselines.MostPopular), [{}]),
    "recently popular": Contender(_recent, [{"half_life_days": days} for days in (3, 7, 14, 30, 90)]),
    "item-kNN": Contender(
        _baseline(baselines.ItemKNN),
        [{"k": k, "shrink": shrink} for k, shrink in ((50, 5.0), (100, 5.0), (200, 10.0), (200, 50.0), (400, 10.0))],
    ),
    EASE: Contender(_baseline(baselines.EASE), [{"l2": float(l2)} for l2 in (100, 200, 300, 500, 1000)]),
    IALS: Contender(
        _ials,
        [
            {"factors": factors, "l2": l2, "alpha": alpha}
            for factors, l2, alpha in (
                (32, 30.0, 5.0),
                (16, 30.0, 5.0),
                (64, 30.0, 5.0),
                (32, 10.0, 2.0),
                (32, 40.0, 10.0),
            )
        ],
        random=True,
    ),
    PEER: Contender(
        _lightfm,
        [
            {"no_components": dim, "learning_rate": rate, "epochs": epochs, "alpha": alpha}
            for dim, rate, epochs, alpha in (
                (32, 0.05, 20, 0.0),
                (32, 0.05, 50, 0.0),
                (64, 0.05, 20, 0.0),
                (32, 0.05, 50, 1e-5),
                (64, 0.02, 50, 1e-5),
            )
        ],
        random=True,
    ),
    "the TFRS tutorial, as published": Contender(_tutorial, [{"epochs": 3, "frozen": True}], random=True),
    "the original tutorial, as published": Contender(_tutorial, [{"epochs": 5, "frozen": True}], random=True),
    CHAPTER_3: Contender(_chapter_3, _one_at_a_time(l2=[0.02, 0.08], learning_rate=[0.003], epochs=[5]), random=True),
    HISTORY: Contender(_history, _one_at_a_time(user_id=[False], l2=[0.015, 0.06], epochs=[9]), random=True),
}
