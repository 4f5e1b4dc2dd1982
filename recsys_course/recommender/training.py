"""How the two stages are trained: retrieval on the training ratings, ranking on what retrieval found for later ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf

from recsys_course import data, models
from recsys_course.recommender.candidates import Candidates, is_known
from recsys_course.recommender.features import PairFeatures, film_ages, film_genres
from recsys_course.recommender.films import Films
from recsys_course.recommender.module import RecommenderModule, Stages
from recsys_course.recommender.ranker import CandidateLists, Ranker, fit_ranker
from recsys_course.recommender.reranking import Reranking, Rules
from recsys_course.recommender.users import Users, history_positions
from recsys_course.serving.user_lists import FILLED

BLOCK_SIZE = 256  # users whose candidates are looked up at a time
MOST_USERS = 5_000  # of more, as many are drawn by lot: their lists take 66 MB, and teach no less
LEVELS = 3  # each takes two ratings off the end of every user's training history, for the ranker to learn from


@dataclass(frozen=True, eq=False)
class Retrieval:
    """The first stage, trained, with all that is known from the training ratings.

    Attributes:
        model: a two-tower model whose query tower reads histories.
        train: what it was trained on.
        movies: the catalogue.
        index: says which position stands for which user and which film.
        length: films a history.
        films, candidates, features: the parts of the graph that need no ranker.
        directions: `[num_movies, embedding_dim - 1]`: what makes films alike, the biases left out.
    """

    model: models.TwoTower
    train: pd.DataFrame
    movies: pd.DataFrame
    index: data.InteractionIndex
    length: int
    films: Films
    candidates: Candidates
    features: PairFeatures
    directions: np.ndarray


class HeldOutLists(NamedTuple):
    """What retrieval finds for users of whom something later is known.

    Attributes:
        users: `[num_lists] int64` rows of the index, one list each.
        candidates: `[num_lists, num_candidates] int32` positions, best first.
        lists: what the ranker sees of them.
    """

    users: np.ndarray
    candidates: np.ndarray
    lists: CandidateLists


def retrieval(
    model: models.TwoTower,
    train: pd.DataFrame,
    movies: pd.DataFrame,
    index: data.InteractionIndex,
    length: int = models.HISTORY_RECIPE["length"],
) -> Retrieval:
    """The first stage around a trained model; see `Retrieval`."""
    films = Films(movies, index, train)
    popularity = np.asarray(index.matrix(train).sum(axis=0)).ravel()
    embeddings = models.candidate_embeddings(model, index, movies)
    candidates = Candidates(model.query_tower, embeddings, popularity, films)
    features, directions = PairFeatures(train, movies, index), models.taste_directions(embeddings[:, :-1])
    return Retrieval(model, train, movies, index, length, films, candidates, features, directions)


def held_out_lists(found: Retrieval, held_out: pd.DataFrame, known: pd.DataFrame) -> HeldOutLists:
    """Asks retrieval as it would have been asked before the held-out interactions: one list a user.

    A user's history is what is known strictly before the earliest of their held-out time stamps; users who have none
    are left out, for they are answered by popularity. All that is known counts as seen. Of more than `MOST_USERS`
    users that many are drawn, the same ones each time.

    Args:
        found: the first stage.
        held_out: what came later.
        known: what came before it, of the same users: train, as a rule.

    Raises:
        ValueError: no user with held-out ratings has a history before them.
    """
    index = found.index
    moments = held_out.astype({"user_id": str}).groupby("user_id")["timestamp"].min()
    if len(moments) > MOST_USERS:
        moments = moments.iloc[np.sort(np.random.default_rng(0).choice(len(moments), MOST_USERS, replace=False))]
    histories = models.histories(known, moments.index, found.length, moments.to_numpy())
    listed = tf.constant(history_positions(histories, index))
    history = found.films.history(listed, found.length)
    asked = is_known(history, index.num_movies).numpy()
    if not asked.any():
        raise ValueError(
            f"none of {len(asked):,} users has a rating strictly before their held-out ones: do all ratings of a user "
            "share one time stamp?"
        )
    users, history = index.user_positions(moments.index[asked]), history[asked]
    seen, later = index.matrix(known), index.matrix(held_out)
    parts = []
    for at in range(0, len(users), BLOCK_SIZE):
        rows, block = users[at : at + BLOCK_SIZE], history[at : at + BLOCK_SIZE]
        mine = seen[rows]
        out = tf.RaggedTensor.from_row_splits(mine.indices.astype(np.int32), mine.indptr.astype(np.int64))
        affinities, candidates = found.candidates(block, out)
        is_film = affinities > FILLED
        features = found.features(block, candidates, tf.where(is_film, affinities, 0.0))
        chosen = later[rows[:, np.newaxis], candidates.numpy()].toarray() > 0
        parts.append((candidates.numpy(), features.numpy(), is_film.numpy(), chosen))
    candidates, features, is_film, chosen = (np.concatenate(part) for part in zip(*parts, strict=True))
    return HeldOutLists(users, candidates, CandidateLists(features, is_film, chosen))


def lists_to_learn_from(
    train: pd.DataFrame,
    movies: pd.DataFrame,
    index: data.InteractionIndex,
    recipe: Mapping[str, Any],
    say: Callable[[str], None],
) -> CandidateLists:
    """What a retrieval model finds for ratings that it has not been trained on, taken from the end of train.

    Of a rating that it *has* been trained on it thinks too highly; a ranker that learnt from such lists would trust it
    too much. So a first model learns without the last few ratings of each user, and is then asked for them, one by one.

    Returns:
        Up to `2 * LEVELS` lists a user.
    """
    levels, earlier = [], train
    for _ in range(LEVELS):
        levels.append(data.leave_last_out(earlier))
        earlier = levels[-1].train
    say("a first retrieval model, which knows nothing of the ratings that the ranker will learn from:")
    first = retrieval(models.fit_history(earlier, movies, recipe, say), earlier, movies, index, recipe["length"])
    lists = []
    for level in levels:
        lists.append(held_out_lists(first, level.validation, level.train).lists)
        lists.append(held_out_lists(first, level.test, pd.concat([level.train, level.validation])).lists)
    return CandidateLists(*(np.concatenate(parts) for parts in zip(*lists, strict=True)))


def fit(
    split: data.Split,
    movies: pd.DataFrame,
    recipe: Mapping[str, Any] = models.HISTORY_RECIPE,
    say: Callable[[str], None] = print,
) -> tuple[Retrieval, Ranker]:
    """Trains both stages on train; validation only says when the ranker has learnt enough.

    Args:
        split: validation is later than train, for each user or for all.
        movies: the catalogue.
        recipe: of retrieval; its seed is the seed of everything.
        say: told what happens, a line at a time.
    """
    index = data.InteractionIndex.of(pd.concat(split)[["user_id", "movie_id"]], movies)
    learn = lists_to_learn_from(split.train, movies, index, recipe, say)
    say("retrieval, on all training ratings:")
    model = models.fit_history(split.train, movies, recipe, say)
    found = retrieval(model, split.train, movies, index, recipe["length"])
    choose = held_out_lists(found, split.validation, split.train).lists
    say(f"ranking, on {learn.has_choice.sum():,} lists of {learn.chosen.shape[1]} candidates")
    return found, fit_ranker(learn, choose)


def build_module(found: Retrieval, ranker: Ranker, rules: Rules) -> RecommenderModule:
    """The live module: the two stages under some rules."""
    users = Users(found.train, found.index, found.length)
    stages = Stages(users, found.films, found.candidates, found.features, ranker, page_maker(found, rules))
    return RecommenderModule(stages, found.directions)


def page_maker(found: Retrieval, rules: Rules) -> Reranking:
    """The last stage under some rules; likeness is that of retrieval's embeddings."""
    kinds, shares = page_kinds(found.movies, found.index, rules)
    return Reranking(found.directions, kinds, shares, rules.diversity)


def page_kinds(movies: pd.DataFrame, index: data.InteractionIndex, rules: Rules) -> tuple[np.ndarray, np.ndarray]:
    """What the rules speak of: every genre, and old films.

    Returns:
        `[num_movies, num_kinds] bool`, films in the order of the index; and `[num_kinds]` shares.
    """
    genres = film_genres(movies, index)
    kinds = np.column_stack([genres, film_ages(movies, index) > rules.old_after])
    return kinds, np.array([rules.genre_share] * genres.shape[1] + [rules.old_share])
