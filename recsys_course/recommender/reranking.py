"""The last stage: from films in order to a page of them. Variety by greedy choice, and rules about kinds of films."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from recsys_course.metrics.vectors import unit_rows
from recsys_course.serving.user_lists import FILLED

BROKEN = 1e6  # what a broken rule costs, in nats: more than any score, so a rule yields only where nothing else is left


class Rules(NamedTuple):
    """What a page should look like.

    Attributes:
        diversity: what likeness costs: a film that equals one above it loses so many nats, one that has nothing in
            common with any loses nothing. 0 keeps the ranker's order.
        genre_share: of the page, the largest part that may carry one and the same genre, above 0, up to 1.
        old_after: years, counted back from the newest film, after which a film counts as old.
        old_share: of the page, the largest part that may be old, above 0, up to 1.
    """

    diversity: float = 0.0
    genre_share: float = 1.0
    old_after: int = 20
    old_share: float = 1.0


class Reranking(tf.Module):
    """Picks films one by one: of those that are left, the one that is worth most beside those already picked.

    A film's worth is its score, less `diversity` times its likeness to the most alike film above it (maximal marginal
    relevance), less a prohibitive price where it would exceed a rule. So where the rules leave nothing, they yield
    before the list gets shorter. Nothing is drawn at random, and of equal films the earlier candidate is picked.

    Args:
        directions: `[num_movies, dim] float32`: films as vectors; likeness is the cosine between two, 0 if it is below.
        kinds: `[num_movies, num_kinds] bool`: which rule concerns which film.
        shares: `[num_kinds]`: the largest part of a page for each kind; at least one film of each may always be shown.
        diversity: see `Rules`.

    Raises:
        ValueError: a share is not in (0, 1], or `diversity` is negative.

    Source: Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
        Summaries" (1998), section 2, divided by their lambda.
    """

    def __init__(self, directions: np.ndarray, kinds: np.ndarray, shares: np.ndarray, diversity: float) -> None:
        super().__init__()
        shares = np.asarray(shares, np.float64)
        if not ((shares > 0) & (shares <= 1)).all():
            raise ValueError(f"a rule's share of the page must lie in (0, 1], got {shares.tolist()}.")
        if not diversity >= 0:
            raise ValueError(f"diversity must be at least 0, got {diversity}.")
        self.directions = tf.Variable(unit_rows(directions).astype(np.float32), trainable=False)
        self.kinds = tf.Variable(np.asarray(kinds, np.float32), trainable=False)
        self.shares = tf.constant(shares)
        self.diversity = tf.constant(diversity, tf.float32)

    def __call__(self, candidates: tf.Tensor, scores: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The page of each row.

        Args:
            candidates: `[batch, num_candidates] int32` positions of films.
            scores: `[batch, num_candidates] float32`, in nats; `FILLED` where a place is empty.
            k: `[batch] int32`: how long each row's page shall be, from 1 to `num_candidates`; rules count by it.

        Returns:
            `[batch, longest]` int32 places among the candidates, as many as the longest page asks for, in the order of
            the page; and bool, whether there was still a film to pick.
        """
        longest = tf.reduce_max(tf.concat([[1], k], axis=0))
        vectors = tf.gather(self.directions, candidates)  # [batch, num_candidates, dim]
        kinds = tf.gather(self.kinds, candidates)  # [batch, num_candidates, num_kinds]
        # What 10 · 0.3 gives in binary must not become 4 by rounding up.
        room = tf.math.ceil(self.shares * tf.cast(k[:, tf.newaxis], tf.float64) - 1e-9)
        room = tf.cast(room, tf.float32)  # [batch, num_kinds]
        num_candidates = tf.shape(candidates)[1]

        def step(
            at: tf.Tensor,
            left: tf.Tensor,  # [batch, num_candidates] bool: not picked yet
            likeness: tf.Tensor,  # [batch, num_candidates]: to the most alike of those that are
            shown: tf.Tensor,  # [batch, num_kinds]: how many of each kind are
            places: tf.TensorArray,
            found: tf.TensorArray,
        ) -> tuple[tf.Tensor | tf.TensorArray, ...]:
            broken = tf.reduce_any((kinds > 0) & (shown >= room)[:, tf.newaxis], axis=2)
            worth = scores - self.diversity * likeness - BROKEN * tf.cast(broken, tf.float32)
            place = tf.argmax(tf.where(left, worth, -np.inf), axis=1, output_type=tf.int32)  # [batch]
            picked = tf.gather(vectors, place, batch_dims=1)  # [batch, dim]
            likeness = tf.maximum(likeness, tf.einsum("bcd,bd->bc", vectors, picked))
            places, found = places.write(at, place), found.write(at, tf.reduce_any(left, axis=1))
            shown += tf.gather(kinds, place, batch_dims=1)
            left &= tf.range(num_candidates) != place[:, tf.newaxis]
            return at + 1, left, likeness, shown, places, found

        none = tf.zeros_like(room)
        rows = (tf.TensorArray(kind, longest, element_shape=[None]) for kind in (tf.int32, tf.bool))
        start = (0, scores > FILLED, tf.zeros_like(scores), none, *rows)
        *_, places, found = tf.while_loop(lambda at, *_: at < longest, step, start)
        return tf.transpose(places.stack()), tf.transpose(found.stack())
