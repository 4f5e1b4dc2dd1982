"""The two-tower model trained by several processes at once, as if they were one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from recsys_course import data
from recsys_course.models.retrieval import TwoTower


class GatheredTwoTower(TwoTower):
    """A `TwoTower` whose rows meet the candidates of all replicas.

    Each replica of a distributed training sees its part of a batch. Left alone, a row of it meets only the candidates
    of that part: fewer negatives, another loss, another model for every number of workers. Here the candidates of all
    parts are gathered first. The loss, its gradients and so the model are then those of one process with the whole
    batch, whatever the number of replicas.

    The arguments are those of `TwoTower`; with a single replica the two are the same.
    """

    def compute_loss(self, features: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns this replica's part of the mean loss of a training pair: summed over replicas it is that mean."""
        queries = self.query_tower(features, training=training)  # [batch, embedding_dim]
        candidates = self.candidate_tower(features, training=training)  # [batch, embedding_dim]
        probability = features.get("sampling_probability")
        gather, batch_size = _gathering(tf.shape(queries)[0])
        total = self.task(
            queries,
            gather(candidates),  # [all, embedding_dim]
            candidate_ids=gather(features["movie_position"]),
            candidate_sampling_probability=None if probability is None else gather(probability),
            compute_metrics=False,
        )
        rows = tf.cast(tf.shape(queries)[0], tf.float32)
        self.softmax_loss.update_state(total / rows, sample_weight=rows)
        squared_lengths = tf.reduce_sum(queries**2) + tf.reduce_sum(candidates**2)
        return (total + self.l2 * squared_lengths) / batch_size


def _gathering(rows: tf.Tensor) -> tuple[Callable[[tf.Tensor], tf.Tensor], tf.Tensor]:
    """How to gather this batch from all replicas, and how many rows that makes.

    What is gathered is turned so that the replica's own rows come first: its positives then stand on the diagonal,
    where the task looks for them, and all others to the right of it.
    """
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync == 1:
        return lambda values: values, tf.cast(rows, tf.float32)
    sizes = replica.all_gather(rows[tf.newaxis], axis=0)  # [replicas]: the last batch may fall in unequal parts
    own = tf.reduce_sum(sizes[: replica.replica_id_in_sync_group])  # rows of the replicas before this one

    def gather(values: tf.Tensor) -> tf.Tensor:
        # `identity`: what comes straight from a dataset bears no device, and the gathering asks for one.
        return tf.roll(replica.all_gather(tf.identity(values), axis=0), -own, axis=0)

    return gather, tf.cast(tf.reduce_sum(sizes), tf.float32)


def this_worker() -> tuple[int, int]:
    """This process's number and how many workers there are, as `TF_CONFIG` says; 0 of 1 without it."""
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    if not config:
        return 0, 1
    return config["task"]["index"], len(config["cluster"]["worker"])


def share_of_batches(
    columns: Mapping[str, np.ndarray], batch_size: int, worker: int, num_workers: int, seed: int
) -> tf.data.Dataset:
    """A worker's share of every batch: the batches are the same for any number of workers.

    Args:
        columns: as `data.batches` takes them; every worker holds all of them.
        batch_size: rows of a whole batch.
        worker: whose share, from 0.
        num_workers: how many share a batch.
        seed: of this epoch's order, which has to be the same for all workers.
    """
    # An order of our own, from numpy: it depends on nothing but the seed, not on what TensorFlow drew before.
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(next(iter(columns.values()))))
    shuffled = {name: np.asarray(values)[order] for name, values in columns.items()}

    def share(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        rows = tf.shape(next(iter(batch.values())))[0]
        first, last = rows * worker // num_workers, rows * (worker + 1) // num_workers
        return {name: values[first:last] for name, values in batch.items()}

    return data.batches(shuffled, batch_size).map(share)


def fit_with_workers(
    strategy: tf.distribute.Strategy,
    build: Callable[[], TwoTower],
    columns: Mapping[str, np.ndarray],
    batch_size: int,
    epochs: int,
    folder: Path,
    seed: int = 42,
    say: Callable[[str], None] = print,
) -> TwoTower:
    """Trains, and keeps a checkpoint an epoch; where one is found, training goes on from there.

    Every worker runs this same call. When one of them dies the others cannot go on, and whoever started them has to end
    them and start all of them again: the epoch that was under way is lost, and nothing else.

    Args:
        strategy: `tf.distribute.MultiWorkerMirroredStrategy()` with `TF_CONFIG` set; any other serves a single process.
        build: makes the compiled model; called inside the strategy's scope.
        columns: training columns.
        batch_size: rows of a whole batch, all workers together.
        epochs: in all, those before an interruption included.
        folder: of the checkpoints, which all workers must be able to read.
        seed: of the epochs' orders.
        say: told of every epoch.
    """
    worker, num_workers = this_worker()
    with strategy.scope():
        model = build()
    done = tf.Variable(0, dtype=tf.int64)  # outside of the scope: each worker counts for itself
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, done=done)
    # Saving takes all workers, but only one may write to one place.
    place = folder if worker == 0 else folder.with_name(f"{folder.name}-worker-{worker}")
    kept = tf.train.CheckpointManager(checkpoint, str(place), max_to_keep=1)
    if latest := tf.train.latest_checkpoint(str(folder)):
        checkpoint.restore(latest)
        say(f"worker {worker}: goes on after epoch {int(done.numpy())}")
    steps = -(-len(next(iter(columns.values()))) // batch_size)
    for epoch in range(int(done.numpy()), epochs):
        shares = strategy.distribute_datasets_from_function(
            lambda context, epoch=epoch: share_of_batches(columns, batch_size, worker, num_workers, seed + epoch)
        )
        logs = model.fit(shares, steps_per_epoch=steps, epochs=1, verbose=0).history
        done.assign(epoch + 1)
        kept.save()
        say(f"worker {worker}: epoch {epoch + 1} of {epochs}, softmax loss {logs['softmax_loss'][-1]:.6f}")
    return model
