"""Both stages trained once and kept: what `course recommend` asks and `course export` writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf

from recsys_course import baselines, data, metrics, models, preprocessing
from recsys_course.data.keeping import Kept
from recsys_course.recommender import (
    candidates,
    evaluation,
    features,
    films,
    neighbours,
    ranker,
    reranking,
    training,
)
from recsys_course.recommender.module import RecommenderModule
from recsys_course.serving.quiet import quiet_tensorflow
from recsys_course.serving.retrieval_module import ExactSearch
from recsys_course.serving.user_lists import LIST_LENGTH

SPLIT = "leave-last-out: each user's last rating for test, the one before it for validation, the others for train"
# Chosen on validation; docs/recommender.md shows what they cost.
RULES = reranking.Rules(diversity=1.0, genre_share=0.6, old_after=25, old_share=0.5)

Say = Callable[[str], None]


class TrainedRecommender(NamedTuple):
    """Two trained stages with everything that an artefact says about them.

    Attributes:
        dataset: name of the dataset.
        retrieval: the first stage, with the training ratings and the catalogue.
        ranker: the second.
        rules: what a page should look like.
        metrics: by split; see `measured`.
    """

    dataset: str
    retrieval: training.Retrieval
    ranker: ranker.Ranker
    rules: reranking.Rules
    metrics: dict[str, dict[str, float]]

    @property
    def train(self) -> pd.DataFrame:
        """The training ratings, which are the seen films and the histories."""
        return self.retrieval.train

    @property
    def movies(self) -> pd.DataFrame:
        """The catalogue."""
        return self.retrieval.movies

    @property
    def user_ids(self) -> list[str]:
        """The users of the training set, in the order of the index; everybody else is a stranger."""
        return self.retrieval.index.users_in(self.train)

    @property
    def recipe(self) -> dict[str, Any]:
        """How both were trained, and what the page is made by."""
        return {"retrieval": models.HISTORY_RECIPE, "rules": self.rules._asdict()}

    def module(self) -> RecommenderModule:
        """The live module."""
        return training.build_module(self.retrieval, self.ranker, self.rules)


def trained_recommender(dataset: str | None = None, say: Say = print) -> TrainedRecommender:
    """Both stages on the leave-last-out split: from this machine's cache, or trained now.

    Args:
        dataset: see `data.dataset_name`.
        say: told what happens, a line at a time.
    """
    dataset = data.dataset_name(dataset)
    ratings, movies = data.load_ratings(dataset), data.load_movies(dataset)
    with quiet_tensorflow():  # which warns of the many vocabularies of three models
        return _trained(dataset, ratings, movies, say)


def _trained(dataset: str, ratings: pd.DataFrame, movies: pd.DataFrame, say: Say) -> TrainedRecommender:
    split = data.leave_last_out(ratings)
    kept = Kept(f"{dataset}-recommender", [models.HISTORY_RECIPE, RULES, tf.__version__], _code(), ratings, movies)
    if stored := kept.read():
        model = models.history_two_tower(split.train, movies, models.HISTORY_RECIPE)
        order = ranker.untrained_ranker(len(features.PairFeatures.NAMES))
        for name, variable in _variables(model, order).items():
            variable.assign(stored[name])
        found = training.retrieval(model, split.train, movies, data.InteractionIndex.of(ratings, movies))
        say(f"two-stage recommender for {dataset}: taken from the cache")
        return TrainedRecommender(dataset, found, order, RULES, json.loads(str(stored["metrics"])))
    found, order = training.fit(split, movies, say=say)
    trained = TrainedRecommender(dataset, found, order, RULES, {})
    later = {"validation": split.train, "test": pd.concat([split.train, split.validation])}
    figures = {part: measured(trained, getattr(split, part), known) for part, known in later.items()}
    trained = trained._replace(metrics=figures)
    weights = {name: variable.numpy() for name, variable in _variables(found.model, order).items()}
    kept.keep({"metrics": np.array(json.dumps(trained.metrics)), **weights}, say)
    return trained


def measured(trained: TrainedRecommender, held_out: pd.DataFrame, known: pd.DataFrame) -> dict[str, float]:
    """NDCG@10 stage by stage, over the users who have a history before what is held out; seen films out.

    Args:
        trained: both stages.
        held_out: what is looked for.
        known: what may be read as history, and counts as seen: before test, that is train and validation.

    Returns:
        `{"most popular": ..., "retrieval": ..., "+ ranking": ..., "+ re-ranking": ...}`, rounded to four digits.
    """
    found = trained.retrieval
    asked = training.held_out_lists(found, held_out, known)
    relevant = found.index.matrix(held_out)[asked.users]
    popular = baselines.MostPopular().fit(found.index.matrix(found.train))
    seen = found.index.matrix(known)[asked.users]
    by_popularity = metrics.rank_held_out(lambda rows: popular.score(asked.users[rows]), relevant, seen)
    scores = evaluation.ranked_scores(asked, trained.ranker)
    shown = {
        "retrieval": evaluation.retrieval_pages(asked, LIST_LENGTH),
        "+ ranking": evaluation.ranked_pages(asked, scores, LIST_LENGTH),
        "+ re-ranking": evaluation.pages(asked, scores, training.page_maker(found, trained.rules), LIST_LENGTH),
    }
    figures = {"most popular": metrics.ndcg_at_k(by_popularity, LIST_LENGTH)}
    for name, page in shown.items():
        figures[name] = float(np.mean(evaluation.ndcg_by_user(page, relevant, LIST_LENGTH)))
    return {name: round(value, 4) for name, value in figures.items()}


def _code() -> tuple[ModuleType, ...]:
    """The modules whose code decides what is learnt and measured."""
    ours = (candidates, evaluation, features, films, neighbours, ranker, reranking, training, sys.modules[__name__])
    search = sys.modules[ExactSearch.__module__]  # by its name, `serving` has a function
    theirs = (models.history, models.retrieval, models.towers, preprocessing, search, baselines.neighbours)
    return ours + theirs


def _variables(model: models.TwoTower, order: ranker.Ranker) -> dict[str, tf.Variable]:
    """What was learnt, by name; vocabularies are made from the ratings."""
    stages = {"retrieval": model.trainable_variables, "ranker": order.variables}
    return {f"{stage}_{at}": variable for stage, variables in stages.items() for at, variable in enumerate(variables)}
