"""Catalogues of any size for trying indices out: embeddings with the traits that make real ones hard to search."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BLOCK = 1 << 16  # items drawn at a time; part of the recipe, because it settles the order of the draws
ITEM_SPREAD = 0.7  # length of an item's step away from its cluster's centre, which has length 1
QUERY_SPREAD = 0.5
NORM_SPREAD = 0.35  # standard deviation of the logarithm of the norms
INTERESTS = 3  # clusters that a query takes after


class Catalogue(NamedTuple):
    """Items and queries.

    Attributes:
        embeddings: `[num_items, embedding_dim] float32`, item i has id i.
        queries: `[num_queries, embedding_dim] float32` of length 1; none of them is an item.
    """

    embeddings: np.ndarray
    queries: np.ndarray


def synthetic_catalogue(num_items: int, embedding_dim: int = 64, seed: int = 0, num_queries: int = 1000) -> Catalogue:
    """Draws a catalogue that is as uneven as the embeddings of a trained two-tower model.

    * **Clusters of Zipf sizes.** There are about as many clusters as the square root of the number of items, and the
      r-th largest holds a share of items proportional to 1/r: leaves of very different sizes.
    * **Directions that matter unequally.** Centres and the steps away from them vary with a standard deviation that
      falls as 1/sqrt(j) over the directions j = 1, 2, ..., which are then turned at random, so that no coordinate is
      special.
    * **Norms skewed by popularity.** Lengths are log-normal: the affinity of a popular item is high with everyone, and
      the nearest item by angle is often not the one with the highest inner product.
    * **Queries of another make than items**, as in two towers: each takes after three clusters, in unequal parts, drawn
      by their sizes.

    Args:
        num_items: Length of the catalogue; 10 million items of 64 dimensions take 2.6 GB.
        embedding_dim: Length of the embeddings.
        seed: The same catalogue on every machine, up to rounding. Another number of queries leaves the items as they
            are.
        num_queries: Held-out queries.

    Raises:
        ValueError: A size below 1.
    """
    sizes = {"num_items": num_items, "embedding_dim": embedding_dim, "num_queries": num_queries}
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}.")
    items, queries = (np.random.Generator(np.random.PCG64([seed, stream])) for stream in range(2))
    scale = np.arange(1, embedding_dim + 1, dtype=np.float32) ** -0.5
    scale /= np.linalg.norm(scale)
    turn = np.linalg.qr(items.standard_normal((embedding_dim, embedding_dim)))[0].astype(np.float32)

    def steps(random: np.random.Generator, number: int) -> np.ndarray:
        """`[number, embedding_dim]` steps of about length 1."""
        return random.standard_normal((number, embedding_dim), dtype=np.float32) * scale

    num_clusters = max(1, round(num_items**0.5))
    centres = _unit(steps(items, num_clusters))
    shares = 1 / np.arange(1, num_clusters + 1)
    shares /= shares.sum()

    embeddings = np.empty((num_items, embedding_dim), np.float32)
    for start in range(0, num_items, BLOCK):
        block = embeddings[start : start + BLOCK]
        cluster = items.choice(num_clusters, size=len(block), p=shares)
        direction = _unit(centres[cluster] + ITEM_SPREAD * steps(items, len(block)))
        norms = np.exp(NORM_SPREAD * items.standard_normal((len(block), 1), dtype=np.float32))
        np.matmul(direction * norms, turn, out=block)

    interests = queries.choice(num_clusters, size=(num_queries, INTERESTS), p=shares)
    parts = queries.dirichlet(np.ones(INTERESTS), size=num_queries).astype(np.float32)
    taste = np.einsum("qi,qid->qd", parts, centres[interests])
    return Catalogue(embeddings, _unit(taste + QUERY_SPREAD * steps(queries, num_queries)) @ turn)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
