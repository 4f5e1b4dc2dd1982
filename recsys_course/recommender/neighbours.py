"""Which films go with which: a few neighbours a film, as tables that a graph can read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_course import baselines, data

NEIGHBOURS = 100  # a film; the tables then grow with the catalogue and not with its square: 48 MB at 60,000 films
SHRINK = 10.0  # users; pulls what few of them say towards 0
SITTING = 5  # ratings before and after one, among a user's in order of time, that count as of the same sitting


class Neighbours(NamedTuple):
    """The films that go best with each film.

    Attributes:
        films: `[num_movies + 1, width] int32` positions; `num_movies` where a film has no more. The last row, which
            stands for no film at all, has none.
        strengths: the same shape, float32, above 0; 0 where there is no film.
    """

    films: np.ndarray
    strengths: np.ndarray


def watched_by_the_same(interactions: sparse.csr_matrix) -> Neighbours:
    """By how many users two films share: the neighbours of `baselines.ItemKNN`.

    Args:
        interactions: `[num_users, num_movies]` training interactions.
    """
    knn = baselines.ItemKNN(NEIGHBOURS, SHRINK).fit(interactions)
    # Its row i holds the films most like i. A history asks the other way round: which films have i as a neighbour?
    return strongest(knn.neighbours.T.tocsr(), NEIGHBOURS)


def rated_in_one_sitting(train: pd.DataFrame, index: data.InteractionIndex) -> Neighbours:
    """By how often two films were rated shortly after one another, whichever came first.

    Counts are divided like `ItemKNN`'s, `n_ij / (sqrt(n_i * n_j) + shrink)`.

    Args:
        train: training ratings, with time stamps.
        index: says which position stands for which film.
    """
    users, films = index.user_positions(train["user_id"]), index.movie_positions(train["movie_id"])
    order = np.lexsort((train["timestamp"].to_numpy(), users))
    users, films = users[order], films[order]
    shape = (index.num_movies, index.num_movies)
    pairs = sparse.csr_matrix(shape, dtype=np.float32)
    for step in range(1, SITTING + 1):
        same = users[step:] == users[:-step]
        at = films[:-step][same], films[step:][same]
        pairs += sparse.csr_matrix((np.ones(len(at[0]), np.float32), at), shape=shape)
    pairs = (pairs + pairs.T).tocoo()
    counts = np.bincount(films, minlength=index.num_movies).astype(np.float32)
    strengths = pairs.data / (np.sqrt(counts[pairs.row] * counts[pairs.col]) + SHRINK)
    apart = pairs.row != pairs.col
    return strongest(sparse.csr_matrix((strengths[apart], (pairs.row[apart], pairs.col[apart])), shape), NEIGHBOURS)


def strongest(matrix: sparse.csr_matrix, k: int) -> Neighbours:
    """The `k` largest entries of each row; of equal ones those furthest left.

    Args:
        matrix: `[num_movies, num_movies]`, its entries above 0.
        k: at most so many a row.
    """
    num_movies = matrix.shape[0]
    matrix = sparse.csr_matrix(matrix)
    counts = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(num_movies), counts)
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    place = np.arange(len(rows)) - np.repeat(matrix.indptr[:-1], counts)
    kept = place < k
    at = rows[order][kept], place[kept]
    width = max(1, int(min(k, counts.max(initial=0))))
    films = np.full((num_movies + 1, width), num_movies, np.int32)
    strengths = np.zeros((num_movies + 1, width), np.float32)
    films[at], strengths[at] = matrix.indices[order][kept], matrix.data[order][kept]
    return Neighbours(films, strengths)
