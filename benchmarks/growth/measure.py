"""Pipeline, training step and evaluation for one size, in a process of its own."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

from benchmarks.running import answer, cpu_seconds, peak_memory_mb
from recsys_course import data, metrics, models
from recsys_course.authoring.files import write_if_changed

EMBEDDING_DIM, BATCH = 32, 512
SCORES_AT_ONCE = 1 << 24  # of a block of the evaluation: its memory is then the same for every catalogue
RATINGS_A_USER = 100
REPEATS = 3


def synthetic_ratings(num_ratings: int, num_movies: int, seed: int = 0) -> dict[str, np.ndarray]:
    """User and film of every rating, as positions: a hundred a user on average, few films far more often than most."""
    random = np.random.Generator(np.random.PCG64(seed))
    num_users = max(1, num_ratings // RATINGS_A_USER)
    return {
        "user": random.integers(0, num_users, num_ratings),
        "movie": np.minimum((num_movies * random.random(num_ratings) ** 3).astype(np.int64), num_movies - 1),
    }


def measure(order: dict[str, Any]) -> dict[str, Any]:
    """Seconds and memory of each part.

    Args:
        order: `num_ratings`, `num_movies`, `steps` to time.
    """
    num_movies = order["num_movies"]
    drawn = synthetic_ratings(order["num_ratings"], num_movies)
    num_users = int(drawn["user"].max()) + 1
    users, movies = (np.array([str(one) for one in range(count)], dtype=object) for count in (num_users, num_movies))
    columns = {
        "user_id": users[drawn["user"]],
        "movie_id": movies[drawn["movie"]],
        "movie_position": drawn["movie"],
    }
    found = {"start": {"memory_mb": peak_memory_mb()}}

    def one_pass() -> None:
        for _ in data.batches(columns, 8192, shuffle=True):
            pass

    found["pipeline"] = _spent(one_pass)

    tf.keras.utils.set_random_seed(0)
    model = models.TwoTower(
        models.IdTower("user_id", users, EMBEDDING_DIM), models.IdTower("movie_id", movies, EMBEDDING_DIM), l2=0.04
    )
    model.compile(optimizer=tf.keras.optimizers.Adam(0.005))
    some = data.batches({name: values[: BATCH * 8] for name, values in columns.items()}, BATCH).repeat()
    model.fit(some, steps_per_epoch=3, verbose=0)  # traces the graph
    found["training step"] = _spent(
        lambda: model.fit(some, steps_per_epoch=order["steps"], verbose=0), parts=order["steps"]
    )

    queries = model.query_tower({"user_id": tf.constant(users)}).numpy()
    candidates = model.candidate_tower({"movie_id": tf.constant(movies)}).numpy()
    last = np.random.Generator(np.random.PCG64(1)).integers(0, num_movies, num_users)
    held_out = sparse.csr_matrix(
        (np.ones(num_users, np.float32), (np.arange(num_users), last)), (num_users, num_movies)
    )
    block = max(1, SCORES_AT_ONCE // num_movies)
    found["evaluation"] = _spent(
        lambda: metrics.rank_held_out(lambda rows: queries[rows] @ candidates.T, held_out, block_size=block)
    )
    return found


def _spent(work: Callable[[], Any], parts: int = 1) -> dict[str, float]:
    """Median seconds of three times the same work, for one of its equal parts; and the memory held by then."""
    wall, cpu = [], []
    for _ in range(REPEATS):
        gc.collect()  # what the last time left behind would count as memory of this one
        started, used = time.perf_counter(), cpu_seconds()
        work()
        wall.append(time.perf_counter() - started)
        cpu.append(cpu_seconds() - used)
    return {
        "wall_seconds": median(wall) / parts,
        "cpu_seconds": median(cpu) / parts,
        "memory_mb": peak_memory_mb(),
    }


def main() -> None:
    order, path = answer()
    write_if_changed(path, json.dumps(measure(order)))


if __name__ == "__main__":
    main()
