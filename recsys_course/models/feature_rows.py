"""Users and films as rows of features: what a factorisation machine reads.

A row holds the labels that describe a user or a film, a one for each, and its history: with what weight it is made of
the films that the user has rated, or of the users who have rated the film. The row's own id is no column here; whoever
reads the rows gives each of them a vector of its own besides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_course.data.interactions import sorted_ids
from recsys_course.data.titles import YEAR

Labels = Mapping[str, Iterable[str]]

_WORD = re.compile(r"[^\W\d_]{3,}")


class FeatureRows(NamedTuple):
    """One row of features an id.

    Attributes:
        ids: `[num_rows] object` array of str.
        matrix: `[num_rows, num_features] float32`, sparse.
        names: `[num_features] object` array of str: what each column says.
    """

    ids: np.ndarray
    matrix: sparse.csr_matrix
    names: np.ndarray


def feature_rows(
    ids: Iterable[str],
    labels: Labels | None = None,
    history: tuple[Iterable[str], Iterable[str]] | None = None,
) -> FeatureRows:
    """Puts labels and history beside each other.

    Args:
        ids: whom the rows describe, repeated at will.
        labels: the labels of each id; an id without an entry has none. Each distinct label becomes a column of zeros
            and ones.
        history: two columns of the training ratings: ids of these rows, and what each of them met. Everything ever met
            becomes a column; a row of `n` entries holds `1 / sqrt(n)` in each.

    Returns:
        The rows, ids in the order of `data.InteractionIndex`: labels first, in alphabetical order, then the history's
        columns.

    Raises:
        ValueError: there is no id, or the history names an id that is not among them.
    """
    order = sorted_ids(pd.Series(ids).unique())
    if not len(order):
        raise ValueError("feature_rows needs at least one id, got none.")
    blocks, names = [sparse.csr_matrix((len(order), 0), dtype=np.float32)], []
    if labels is not None:
        columns = sorted({label for id in order for label in labels.get(id, ())})
        blocks.append(_ones(((id, label) for id in order for label in labels.get(id, ())), order, columns))
        names += columns
    if history is not None:
        rows, met = (pd.Series(column).astype(str) for column in history)
        unknown = set(rows.unique()) - set(order)
        if unknown:
            raise ValueError(
                f"the history names {min(unknown)!r}, which is none of the {len(order):,} ids of the rows."
            )
        ever_met = sorted_ids(met.unique())
        blocks.append(history_weights(_ones(zip(rows, met, strict=True), order, ever_met)))
        names += [f"met {id}" for id in ever_met]
    return FeatureRows(order, sparse.hstack(blocks, "csr", dtype=np.float32), np.array(names, dtype=object))


def history_weights(interactions: sparse.csr_matrix) -> sparse.csr_matrix:
    """Who met what, each row scaled so that its length as a vector is 1.

    A sum over `n` things of a like size and any direction grows with `sqrt(n)`. Divided by it, a history of ten and one
    of a thousand give vectors of comparable length, and the longer one may still say more than a mean would.

    Args:
        interactions: `[num_rows, num_items]`, sparse; any non-zero entry counts as one.

    Returns:
        `[num_rows, num_items] float32`, sparse: `1 / sqrt(n)` where there is an entry, `n` being the number of entries
        of its row. An empty row stays empty.

    Source: Koren, "Factorization Meets the Neighborhood" (2008), section 4, for the factor.
    """
    weights = sparse.csr_matrix(interactions, dtype=np.float32, copy=True)
    weights.eliminate_zeros()
    counts = np.diff(weights.indptr)
    weights.data = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts).astype(np.float32)
    return weights


def user_labels(ratings: pd.DataFrame) -> dict[str, list[str]]:
    """What the dataset says about people, by user: group of age, gender, occupation; nothing where it is silent."""
    wanted = {"bucketized_user_age": "age", "user_gender": "gender", "user_occupation_text": "occupation"}
    there = {column: name for column, name in wanted.items() if column in ratings}
    users = ratings.drop_duplicates("user_id")
    labels: dict[str, list[str]] = {str(id): [] for id in users["user_id"]}
    for column, name in there.items():
        for id, value in zip(users["user_id"], users[column], strict=True):
            labels[str(id)].append(f"{name} {_readable(column, value)}")
    return labels


def movie_labels(movies: pd.DataFrame, words: int | None = None) -> dict[str, list[str]]:
    """What the catalogue says about films, by film: genres, decade, and words of the title.

    Args:
        movies: the catalogue.
        words: in how many titles a word has to occur to become a label; `None` leaves the words out.
    """
    titles = [re.sub(YEAR, "", title) for title in movies["movie_title"]]
    spoken = [sorted({word.lower() for word in _WORD.findall(title)}) for title in titles]
    common = Counter(word for title in spoken for word in title)
    labels = {}
    for id, title, genres, said in zip(
        movies["movie_id"], movies["movie_title"], movies["movie_genres"], spoken, strict=True
    ):
        year = re.search(YEAR, title)
        labels[id] = [f"genre {name}" for name in genres] + ([f"{year[1][:3]}0s"] if year else [])
        if words is not None:
            labels[id] += [f"word {word}" for word in said if common[word] >= words]
    return labels


def _readable(column: str, value: object) -> str:
    if column == "user_gender":  # TFDS: True is male
        return "male" if value else "female"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def _ones(pairs: Iterable[tuple[str, str]], rows: Iterable[str], columns: Iterable[str]) -> sparse.csr_matrix:
    sides, pairs = (pd.Index(rows), pd.Index(columns)), list(pairs)
    at = [index.get_indexer([pair[side] for pair in pairs]) for side, index in enumerate(sides)]
    matrix = sparse.csr_matrix((np.ones(len(pairs), np.float32), at), shape=tuple(map(len, sides)))
    matrix.data[:] = 1.0  # scipy has added repeated pairs up
    return matrix
