"""One worker: the same program for every process of a job, be it one or many; `TF_CONFIG` says which of them it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.running import answer
from recsys_course import data, models
from recsys_course.authoring.files import write_if_changed
from recsys_course.models.distributed import GatheredTwoTower, fit_with_workers, share_of_batches, this_worker


def built(order: dict[str, Any], train, movies, cls: type[models.TwoTower]) -> models.TwoTower:
    """A compiled model with all of its weights, the same in every process."""
    tf.keras.utils.set_random_seed(order["seed"])
    model = cls(
        models.IdTower("user_id", train["user_id"], order["embedding_dim"]),
        models.IdTower("movie_id", movies["movie_id"], order["embedding_dim"]),
        l2=0.01,
    )
    model.query_tower({"user_id": tf.constant(["nobody"])})
    model.candidate_tower({"movie_id": tf.constant(["nothing"])})
    model.compile(optimizer=tf.keras.optimizers.Adam(0.01))
    return model


def first_loss(strategy: tf.distribute.Strategy, order: dict[str, Any], columns, train, movies, cls: type) -> float:
    """The softmax loss summed over the first batch before anything is learned, all replicas together."""
    worker, num_workers = this_worker()
    plain = {name: values for name, values in columns.items() if name != "sampling_probability"}
    with strategy.scope():
        model = built(order, train, movies, cls)
    batch = next(iter(share_of_batches(plain, order["batch_size"], worker, num_workers, order["seed"])))

    @tf.function
    def step() -> None:
        strategy.run(lambda: model.compute_loss(batch))

    step()
    return float(model.softmax_loss.result()) * order["batch_size"]  # the mean over the rows of all replicas


def main() -> None:
    order, path = answer()
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if this_worker()[1] > 1 else tf.distribute.get_strategy()
    if order["dataset"]:
        train, movies = data.random_split(data.load_ratings(order["dataset"])).train, data.load_movies(order["dataset"])
    else:
        world = data.synthetic.taste_groups(num_users=100, num_movies=80, num_groups=2, ratings_per_user=20)
        train, movies = world.ratings, world.movies
    every = models.training_columns(train, movies, models.sampling_probability(train, movies))
    columns = {name: every[name] for name in ("user_id", "movie_id", "movie_position", "sampling_probability")}
    found: dict[str, Any] = {}
    if order["first_losses"]:
        for name, cls in (("gathered", GatheredTwoTower), ("alone", models.TwoTower)):
            found[name] = first_loss(strategy, order, columns, train, movies, cls)
    model = fit_with_workers(
        strategy,
        lambda: built(order, train, movies, GatheredTwoTower),
        columns,
        order["batch_size"],
        order["epochs"],
        Path(order["folder"]),
        order["seed"],
        say=lambda line: print(f"    {line}", flush=True),
    )
    weights = {f"weight_{at}": weight.numpy() for at, weight in enumerate(model.trainable_variables)}
    if this_worker()[0] == 0:
        np.savez(Path(order["folder"]).with_suffix(".npz"), **weights)
    write_if_changed(path, json.dumps(found))


if __name__ == "__main__":
    main()
