"""From affinities to a list of films."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from recsys_course.metrics.vectors import unit_rows


def top_k_unseen(scores: ArrayLike, seen: ArrayLike, k: int) -> np.ndarray:
    """The `k` best items that the user has not seen, best first. Built in chapter 3.

    Args:
        scores: `[num_items]` floats; higher is better.
        seen: `[num_seen]` integer positions of the items to leave out.
        k: length of the list.

    Returns:
        `[min(k, num_items - num_seen)] int64` positions; of equal scores the earlier position comes first.

    Raises:
        ValueError: `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}.")
    scores = np.asarray(scores, np.float64)
    unseen = np.setdiff1d(np.arange(len(scores)), seen)
    return unseen[np.argsort(-scores[unseen], kind="stable")[:k]]


class FromLiked(NamedTuple):
    """A list made from a few liked items, best first.

    Attributes:
        positions: `[length] int64` items.
        scores: `[length] float64` in -1 to 1: the mean of each item's cosines with the liked ones.
        nearest: `[length] int64`: which liked item has the highest cosine with each.
    """

    positions: np.ndarray
    scores: np.ndarray
    nearest: np.ndarray


def taste_directions(embeddings: ArrayLike) -> np.ndarray:
    """In which direction each item's embedding differs from the mean of all.

    What all items have in common says nothing of taste, and how far an item stands from the rest says most about how
    often it was chosen. What is left is what it was chosen with.

    Args:
        embeddings: `[num_items, embedding_dim]` candidate embeddings.

    Returns:
        The same shape, float64, each row of length 1 (0 where an item is the mean itself).
    """
    embeddings = np.asarray(embeddings, np.float64)
    return unit_rows(embeddings - embeddings.mean(axis=0))


def recommend_from_liked(embeddings: ArrayLike, liked: ArrayLike, k: int) -> FromLiked:
    """Recommends to somebody of whom the model knows nothing but a few items that they like.

    The mean of their `taste_directions` stands in for a query embedding, so a score is a mean of cosines, and each of
    the liked items has a share in it that can be named.

    Args:
        embeddings: `[num_items, embedding_dim]` candidate embeddings.
        liked: `[num_liked]` integer positions.
        k: length of the list.

    Returns:
        The `min(k, num_items - num_liked)` best of the other items.

    Raises:
        ValueError: nothing is liked, or `k` is below 1.
    """
    liked = np.asarray(liked, np.int64)
    if liked.size == 0:
        raise ValueError("expected at least one liked item, got none.")
    directions = taste_directions(embeddings)
    cosines = directions @ directions[liked].T  # [num_items, num_liked]
    scores = cosines.mean(axis=1)
    positions = top_k_unseen(scores, liked, k)
    return FromLiked(positions, scores[positions], liked[cosines[positions].argmax(axis=1)])
