"""A world of three taste groups, trained once for all tests of the recommender."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from recsys_course import data, models, recommender
from recsys_course.recommender import ranker as ranking
from recsys_course.recommender import training
from recsys_course.serving.user_lists import FILLED

RECIPE = models.HISTORY_RECIPE | {"length": 10, "embedding_dim": 8, "learning_rate": 0.02, "l2": 0.001, "epochs": 3}


class World(NamedTuple):
    synthetic: data.synthetic.SyntheticData
    split: data.Split
    found: recommender.Retrieval
    ranker: recommender.Ranker
    modules: dict[recommender.Rules, recommender.RecommenderModule]  # to trace one takes longer than to ask it

    def module(self, **rules) -> recommender.RecommenderModule:
        given = recommender.Rules(**rules)
        if given not in self.modules:
            self.modules[given] = recommender.build_module(self.found, self.ranker, given)
        return self.modules[given]

    def trained(self, **rules) -> recommender.TrainedRecommender:
        return recommender.TrainedRecommender("synthetic", self.found, self.ranker, recommender.Rules(**rules), {})


@pytest.fixture(scope="session")
def world() -> World:
    synthetic = data.synthetic.taste_groups(num_users=90, num_movies=60, num_groups=3)
    split = data.leave_last_out(synthetic.ratings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "MOST_EPOCHS", 10)
        return World(synthetic, split, *recommender.fit(split, synthetic.movies, RECIPE, say=lambda line: None), {})


class AnyHistory(tf.keras.Model):
    """A query tower that asks the same for everybody: the affinity is a film's last number."""

    def call(self, features):
        return tf.tile([[0.0, 1.0]], [tf.shape(features["history"])[0], 1])


class ByAffinity(tf.keras.Model):
    """A ranker that leaves retrieval's order as it is."""

    def call(self, lists):
        return tf.where(lists["is_film"], lists["features"][:, :, 0], FILLED)


@pytest.fixture
def small():
    """A module without training: `small(histories, biases)`.

    Users are "0", "1", ... and have watched the films of their text, the latest last: `["ab", ""]`. Films are "a", "b",
    ..., and retrieval puts them in the order of their biases, whatever the history.
    """

    def build(histories: list[str], biases: list[float], ranker=None, **rules) -> recommender.RecommenderModule:
        films = [chr(ord("a") + at) for at in range(len(biases))]
        rows = [(str(user), film, at) for user, films in enumerate(histories) for at, film in enumerate(films)]
        columns = ["user_id", "movie_id", "timestamp"]
        train = pd.DataFrame(rows, columns=columns).assign(user_rating=np.float32(5))
        titles = [f"Film {film} ({1990 + at})" for at, film in enumerate(films)]
        genres = [("Drama",) if at % 2 else ("Comedy",) for at in range(len(films))]
        movies = pd.DataFrame({"movie_id": films, "movie_title": titles, "movie_genres": genres})
        index = data.InteractionIndex(map(str, range(len(histories))), films)
        embeddings = np.column_stack([np.zeros(len(films)), biases]).astype(np.float32)
        known = recommender.Films(movies, index, train)
        popularity = np.asarray(index.matrix(train).sum(axis=0)).ravel()
        candidates = recommender.Candidates(AnyHistory(), embeddings, popularity, known)
        features = recommender.PairFeatures(train, movies, index)
        angles = np.linspace(0, np.pi / 2, len(films))
        directions = np.column_stack([np.cos(angles), np.sin(angles)])
        kinds, shares = training.page_kinds(movies, index, given := recommender.Rules(**rules))
        page = recommender.Reranking(directions, kinds, shares, given.diversity)
        users = recommender.Users(train, index, length=4)
        stages = recommender.Stages(users, known, candidates, features, ranker or ByAffinity(), page)
        return recommender.RecommenderModule(stages, directions)

    return build
