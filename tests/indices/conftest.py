"""A corpus small enough to sort, and an index of every adapter."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import pytest
from support.indices import DIM, NUM_ITEMS, careful

from recsys_course import indices

# Before Faiss is loaded: on so few items its threads would spend their time waiting for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


class Corpus(NamedTuple):
    embeddings: np.ndarray
    queries: np.ndarray
    ids: np.ndarray


@pytest.fixture(scope="session", params=[name for name, one in indices.ADAPTERS.items() if one.is_available()])
def name(request):
    return request.param


@pytest.fixture
def index(name):
    """Not built yet."""
    return careful(name)


@pytest.fixture(scope="session")
def corpus():
    """Directions at random, norms that differ, ids that are no positions."""
    random = np.random.default_rng(0)
    embeddings = random.standard_normal((NUM_ITEMS, DIM), dtype=np.float32)
    embeddings *= np.exp(0.2 * random.standard_normal((NUM_ITEMS, 1), dtype=np.float32))
    queries = random.standard_normal((20, DIM), dtype=np.float32)
    return Corpus(embeddings, queries, random.permutation(NUM_ITEMS) * 7 + 3)


@pytest.fixture(scope="session")
def built(name, corpus):
    """Built from the corpus, shared by tests that only search."""
    return careful(name).build(corpus.embeddings, corpus.ids)


@pytest.fixture(scope="session")
def right(corpus):
    """All items for each query, best first: `[num_queries, num_items]` ids, by a plain sort."""
    return corpus.ids[np.argsort(-(corpus.queries @ corpus.embeddings.T), axis=1)]
