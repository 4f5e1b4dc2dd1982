"""What each stage adds, and what variety costs, on users of whom something later is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from scipy import sparse

from recsys_course import metrics
from recsys_course.recommender.ranker import Ranker
from recsys_course.recommender.reranking import Reranking
from recsys_course.recommender.training import HeldOutLists

NO_FILM = -1


def retrieval_pages(asked: HeldOutLists, k: int) -> np.ndarray:
    """`[num_lists, k]` positions in retrieval's own order; `NO_FILM` where a list has no more."""
    return np.where(asked.lists.is_film[:, :k], asked.candidates[:, :k], NO_FILM)


def ranked_scores(asked: HeldOutLists, ranker: Ranker) -> np.ndarray:
    """`[num_lists, num_candidates] float32`: what the ranker says of each candidate."""
    return ranker.predict({"features": asked.lists.features, "is_film": asked.lists.is_film}, 256, verbose=0)


def ranked_pages(asked: HeldOutLists, scores: np.ndarray, k: int) -> np.ndarray:
    """`[num_lists, k]` positions in the ranker's order, of equal scores the earlier candidate first."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    is_film = np.take_along_axis(asked.lists.is_film, order, axis=1)
    return np.where(is_film, np.take_along_axis(asked.candidates, order, axis=1), NO_FILM)


def pages(asked: HeldOutLists, scores: np.ndarray, reranking: Reranking, k: int) -> np.ndarray:
    """`[num_lists, k]` positions as the page shows them; `NO_FILM` where there is none."""
    lengths = np.full(len(scores), k, np.int32)
    places, found = reranking(tf.constant(asked.candidates), tf.constant(scores), tf.constant(lengths))
    return np.where(found, np.take_along_axis(asked.candidates, places.numpy(), axis=1), NO_FILM)


def ndcg_by_user(shown: np.ndarray, held_out: sparse.csr_matrix, k: int) -> np.ndarray:
    """NDCG of each list by itself, so that two ways of making them can be compared user by user.

    Args:
        shown: `[num_lists, at least k]` positions, `NO_FILM` where there is none.
        held_out: `[num_lists, num_movies]`, at least one interaction a row.
        k: length of the list that is judged.

    Returns:
        `[num_lists] float64`.
    """
    ranked = metrics.rank_held_out(page_scorer(shown, held_out.shape[1]), held_out)
    starts = np.searchsorted(ranked.users, np.arange(held_out.shape[0] + 1))
    of_user = (slice(*ends) for ends in zip(starts[:-1], starts[1:], strict=True))
    return np.array([metrics.ndcg_at_k(metrics.HeldOutRanks(*(part[own] for part in ranked)), k) for own in of_user])


def page_scorer(shown: np.ndarray, num_movies: int) -> Callable[[np.ndarray], np.ndarray]:
    """A page as scores for `metrics.rank_held_out`: the first film scores highest, what is not on it scores 0."""

    def score(rows: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(rows), num_movies + 1), np.float32)  # the last column takes the empty places
        scores[np.arange(len(rows))[:, np.newaxis], shown[rows]] = np.arange(shown.shape[1], 0, -1)
        return scores[:, :num_movies]

    return score


def interval(differences: np.ndarray, seed: int = 42, draws: int = 10_000) -> tuple[float, float]:
    """95 % interval of a mean, by drawing the users again and again (bootstrap).

    Args:
        differences: `[num_users]`, one number a user: of two methods on the same user, say, so that what makes a user
            easy or hard drops out.
        seed: start of the draws.
        draws: how many.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13, percentile interval.
    """
    generator = np.random.default_rng(seed)
    means = [np.mean(generator.choice(differences, len(differences))) for _ in range(draws)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
