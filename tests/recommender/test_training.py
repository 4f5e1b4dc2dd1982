"""How the second stage learns: from what retrieval has not been trained on, as of the moment, and to some effect."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from recsys_course import metrics, models
from recsys_course.recommender import CandidateLists, Ranker, evaluation, fit_ranker, held_out_lists, training
from recsys_course.recommender import ranker as ranking
from recsys_course.recommender import trained as kept
from recsys_course.recommender.features import PairFeatures
from recsys_course.recommender.trained import measured
from recsys_course.serving.retrieval_module import ExactSearch
from recsys_course.serving.user_lists import FILLED


@pytest.fixture(scope="module")
def asked(world):
    return held_out_lists(world.found, world.split.test, world.split.train)


def test_a_list_holds_what_was_unseen_and_marks_what_was_chosen(world, asked):
    index, train = world.found.index, world.found.train
    seen, held_out = index.matrix(train).toarray() > 0, index.matrix(world.split.test).toarray() > 0
    assert len(asked.users) > 80 and len(np.unique(asked.users)) == len(asked.users)
    for user, films, is_film, chosen in zip(
        asked.users, asked.candidates, asked.lists.is_film, asked.lists.chosen, strict=True
    ):
        assert is_film.sum() == (~seen[user]).sum(), "the catalogue is small: all that is unseen is a candidate"
        assert not seen[user, films[is_film]].any()
        np.testing.assert_array_equal(chosen & is_film, held_out[user, films] & is_film)
        assert chosen[is_film].sum() == 1


def test_the_order_and_the_first_feature_are_retrieval_s(world, asked):
    found = world.found
    moments = world.split.test.set_index("user_id")["timestamp"].loc[found.index.user_ids[asked.users]]
    history = models.histories(found.train, found.index.user_ids[asked.users], found.length, moments.to_numpy())
    queries = found.model.query_tower({"history": tf.constant(history)}).numpy()
    affinities = queries @ models.candidate_embeddings(found.model, found.index, found.movies).T
    mine = np.take_along_axis(affinities, asked.candidates, axis=1)
    is_film = asked.lists.is_film
    np.testing.assert_allclose(asked.lists.features[:, :, 0][is_film], mine[is_film], rtol=1e-4, atol=1e-5)
    assert (np.diff(asked.lists.features[:, :, 0], axis=1)[is_film[:, 1:]] <= 1e-6).all()


def test_users_without_a_past_are_left_out_and_a_world_of_them_is_refused(world):
    at_once = world.split.test.assign(timestamp=0)
    with pytest.raises(ValueError, match="share one time stamp"):
        held_out_lists(world.found, at_once, world.split.train)
    some = pd.concat([at_once[:5], world.split.test[5:]])
    assert len(held_out_lists(world.found, some, world.split.train).users) <= len(some) - 5


def test_of_very_many_users_some_are_drawn_the_same_each_time(world, asked, monkeypatch):
    monkeypatch.setattr(training, "MOST_USERS", 20)
    first, again = (held_out_lists(world.found, world.split.test, world.split.train) for _ in range(2))
    assert 15 < len(first.users) <= 20 and set(first.users) < set(asked.users)
    np.testing.assert_array_equal(first.users, again.users)
    np.testing.assert_array_equal(first.candidates, asked.candidates[np.isin(asked.users, first.users)])


def test_the_ranker_learns_from_ratings_that_its_retrieval_has_not_met(world, monkeypatch):
    met, asked = [], []
    fit_history, lists = models.fit_history, training.held_out_lists
    monkeypatch.setattr(models, "fit_history", lambda train, *rest: met.append(train) or fit_history(train, *rest))
    monkeypatch.setattr(training, "held_out_lists", lambda *given: asked.append(given[1:]) or lists(*given))
    recipe = models.HISTORY_RECIPE | {"epochs": 1, "embedding_dim": 4}
    index, train = world.found.index, world.split.train
    training.lists_to_learn_from(train, world.synthetic.movies, index, recipe, lambda line: None)

    def pairs(ratings):
        return set(zip(ratings["user_id"], ratings["movie_id"], strict=True))

    (first,) = met
    learnt = [pairs(held_out) for held_out, _ in asked]
    assert len(learnt) == 2 * training.LEVELS
    assert not pairs(first) & set().union(*learnt)
    assert pairs(first) | set().union(*learnt) == pairs(train) and sum(map(len, learnt)) == len(set().union(*learnt))
    for held_out, known in asked:
        latest = known.groupby("user_id", observed=True)["timestamp"].max()
        assert (latest.loc[held_out["user_id"]].to_numpy() <= held_out["timestamp"].to_numpy()).all()
        assert not pairs(held_out) & pairs(known)


def planted(num_lists: int, seed: int) -> CandidateLists:
    """Lists in which the second feature decides, and the first only seems to."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(num_lists, 20, 3)).astype(np.float32) * [1, 10, 1] + [0, 100, 0]
    is_film = np.arange(20) < random.integers(10, 21, (num_lists, 1))
    features[~is_film] = 0
    best = np.where(is_film, features[:, :, 1], -np.inf).argmax(axis=1)
    return CandidateLists(features.astype(np.float32), is_film, np.arange(20) == best[:, np.newaxis])


def test_the_ranker_finds_what_decides():
    tf.keras.utils.set_random_seed(1)
    ranker, lists = fit_ranker(planted(600, 0), planted(100, 1)), planted(200, 2)
    scores = ranker({"features": lists.features, "is_film": lists.is_film}).numpy()
    assert (scores[~lists.is_film] == FILLED).all()
    assert np.mean(scores.argmax(axis=1) == lists.chosen.argmax(axis=1)) > 0.9


def test_without_a_choice_there_is_nothing_to_learn():
    lists = planted(10, 0)
    none = lists._replace(chosen=np.zeros_like(lists.chosen))
    for learn, choose in ((none, lists), (lists, none)):
        with pytest.raises(ValueError, match="ranker needs lists"):
            fit_ranker(learn, choose)


def test_a_feature_that_never_differs_does_no_harm(monkeypatch):
    monkeypatch.setattr(ranking, "MOST_EPOCHS", 2)
    lists = planted(50, 0)
    lists.features[:, :, 2] = 7.0
    assert np.isfinite(fit_ranker(lists, lists)({"features": lists.features, "is_film": lists.is_film})).all()


def test_both_stages_fill_the_page_from_the_user_s_own_group(world):
    module, index = world.module(), world.found.index
    answer = module.top_k(tf.constant(index.user_ids), tf.fill([index.num_users], 3))
    group = dict(zip(world.synthetic.movies["movie_id"], world.synthetic.movie_group, strict=True))
    shown = np.array([[group[movie] for movie in row] for row in answer["movie_ids"].numpy().astype(str)])
    own = world.synthetic.user_group[index.user_ids.astype(int) - 1]
    assert np.mean(shown == own[:, np.newaxis]) > 0.8


def test_rules_speak_of_genres_and_of_old_films(world):
    movies = pd.DataFrame(
        {
            "movie_id": ["1", "2", "3"],
            "movie_title": ["A (1950)", "B", "C (1990)"],
            "movie_genres": [("Drama",), ("Comedy", "Drama"), ()],
        }
    )
    index = type(world.found.index)([], movies["movie_id"])
    kinds, shares = training.page_kinds(movies, index, training.Rules(genre_share=0.5, old_after=30, old_share=0.2))
    assert kinds.tolist() == [[False, True, True], [True, True, False], [False, False, False]]
    assert shares.tolist() == [0.5, 0.5, 0.2]


# --- Evaluation ---------------------------------------------------------------------------------------------------


def test_ndcg_by_user_averages_to_the_metric(world, asked):
    index = world.found.index
    relevant = index.matrix(world.split.test)[asked.users]
    shown = evaluation.retrieval_pages(asked, 10)
    scores = np.zeros((len(shown), index.num_movies))
    np.put_along_axis(scores, asked.candidates, np.where(asked.lists.is_film, -np.arange(60.0) + 1000, 0), axis=1)
    expected = metrics.ndcg_at_k(metrics.rank_held_out(lambda rows: scores[rows], relevant), 10)
    assert np.mean(evaluation.ndcg_by_user(shown, relevant, 10)) == pytest.approx(expected)


def test_pages_without_rules_are_the_ranker_s_order(world, asked):
    scores = evaluation.ranked_scores(asked, world.ranker)
    maker = training.page_maker(world.found, training.Rules())
    np.testing.assert_array_equal(
        evaluation.pages(asked, scores, maker, 10), evaluation.ranked_pages(asked, scores, 10)
    )


def test_the_figures_of_an_artefact_are_told_stage_by_stage(world, asked):
    index = world.found.index
    relevant = index.matrix(world.split.test)[asked.users]
    figures = measured(world.trained(), world.split.test, world.split.train)
    assert list(figures) == ["most popular", "retrieval", "+ ranking", "+ re-ranking"]
    retrieved = evaluation.ndcg_by_user(evaluation.retrieval_pages(asked, 10), relevant, 10)
    assert figures["retrieval"] == pytest.approx(retrieved.mean(), abs=1e-4)
    assert figures["+ ranking"] == figures["+ re-ranking"] > 1.5 * figures["most popular"] > 0


def test_an_interval_holds_the_mean_and_narrows_with_more_users():
    random = np.random.default_rng(0)
    few, many = random.normal(1, 1, 50), random.normal(1, 1, 5_000)
    (a, b), (c, d) = (evaluation.interval(values, draws=1_000) for values in (few, many))
    assert a < few.mean() < b and c < many.mean() < d and d - c < (b - a) / 5
    assert evaluation.interval(few, draws=1_000) == (a, b)


def test_an_untrained_ranker_can_be_made_from_the_number_of_features_alone():
    ranker = ranking.untrained_ranker(len(PairFeatures.NAMES))
    assert isinstance(ranker, Ranker) and len(ranker.variables) == 6


def test_what_was_learnt_is_kept_under_the_code_of_the_search_too():
    code = kept._code()
    assert sys.modules[ExactSearch.__module__] in code
    assert all(isinstance(part, ModuleType) for part in code)
