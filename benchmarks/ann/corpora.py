"""The catalogues on disk, each with queries and their exact top 100; made once."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.ann.plan import CORPORA, EMBEDDING_DIM, NUM_QUERIES, SEED
from recsys_course import data, indices

DEPTH = 100


class Questions(NamedTuple):
    """Queries with their right answers: half to choose settings by, half to report.

    Attributes:
        queries: `[num_queries, embedding_dim] float32`.
        right: `[num_queries, 100] int64`: the exact top 100.
    """

    queries: np.ndarray
    right: np.ndarray


def ensure(corpus: Path) -> None:
    """Makes the catalogue that the folder is named for, whole or not at all, unless it is there."""
    if corpus.is_dir():
        return
    corpus.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=corpus.parent, prefix=f".{corpus.name}."))
    try:
        num_items = CORPORA[corpus.name]
        if num_items is None:
            embeddings, queries = _movielens()
        else:
            embeddings, queries = data.synthetic_catalogue(num_items, EMBEDDING_DIM, SEED, NUM_QUERIES)
        right = indices.Exact().build(embeddings).search(queries, DEPTH).ids
        for part, values in (("embeddings", embeddings), ("queries", queries), ("right", right)):
            np.save(unfinished / f"{part}.npy", values)
        os.rename(unfinished, corpus)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def embeddings_of(corpus: Path) -> np.ndarray:
    """`[num_items, embedding_dim] float32`."""
    return np.load(corpus / "embeddings.npy")


def questions_of(corpus: Path) -> tuple[Questions, Questions]:
    """The half of the queries that chooses, and the half that is reported."""
    queries, right = np.load(corpus / "queries.npy"), np.load(corpus / "right.npy")
    middle = len(queries) // 2
    return Questions(queries[:middle], right[:middle]), Questions(queries[middle:], right[middle:])


def _movielens() -> tuple[np.ndarray, np.ndarray]:
    """Films and users as chapter 3's model embeds them."""
    import tensorflow as tf

    from recsys_course.serving.trained import trained_retrieval

    trained = trained_retrieval(say=lambda line: None)
    users = trained.model.query_tower({"user_id": tf.constant(trained.user_ids)}).numpy()
    shuffled = np.random.default_rng(SEED).permutation(len(users))[:NUM_QUERIES]
    return trained.candidate_embeddings(), users[shuffled]
