"""One model on one split, in a process of its own: told on validation, read on the test, with every seed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.peers import NotHere
from benchmarks.ranking.contenders import CONTENDERS, Contender
from benchmarks.ranking.tasks import Task, tasks
from benchmarks.running import answer, cpu_seconds
from recsys_course import metrics
from recsys_course.authoring.files import write_if_changed


def rmse_and_cost(contender: Contender, task: Task, seed: int) -> tuple[float, float]:
    """RMSE in stars, predictions cut to the scale, and the processor seconds of learning and predicting."""
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    started = cpu_seconds()
    predicted = contender.predict(task, seed)
    seconds = cpu_seconds() - started
    predicted = np.clip(predicted, task.train["user_rating"].min(), task.train["user_rating"].max())
    return metrics.rmse(predicted, task.asked["user_rating"]), seconds


def measured(contender: Contender, validation: Task, test: Task, seeds: list[int]) -> dict[str, Any]:
    """Errors and costs, one a seed; a peer that cannot be had here gives its reason in their place."""
    seeds = seeds if contender.random else seeds[:1]
    try:
        if contender.peer:
            contender.peer.python()  # so that making its environment counts for nobody
        chosen = [rmse_and_cost(contender, validation, seed)[0] for seed in seeds]
        read = [rmse_and_cost(contender, test, seed) for seed in seeds]
    except NotHere as error:
        return {"error": str(error)}
    return {
        "seeds": seeds,
        "validation_rmse": [round(value, 4) for value in chosen],
        "test_rmse": [round(value, 4) for value, _ in read],
        "cpu_seconds": [round(seconds, 1) for _, seconds in read],
    }


def main() -> None:
    order, path = answer()
    found = measured(CONTENDERS[order["model"]], *tasks(order["split"], order["u1"]), order["seeds"])
    write_if_changed(path, json.dumps(found))


if __name__ == "__main__":
    main()
