"""Columns in memory as a ``tf.data`` pipeline that is never what a training step waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


def batches(
    columns: Mapping[str, np.ndarray], batch_size: int, *, shuffle: bool = False, seed: int = 42
) -> tf.data.Dataset:
    """Batches of rows as dictionaries of tensors.

    Chapter 1 builds the general pipeline (map, cache, shuffle, batch, prefetch), which handles one row at a time. Where
    all rows fit in memory, whole batches can be gathered at once, hundreds of times faster: the columns become tensors
    once, and a batch is one gather a column.

    Args:
      columns: arrays of the same length by name, ``[num_rows, ...]``; text as str or bytes; pandas columns serve, too.
      batch_size: rows a batch; the last batch holds what is left.
      shuffle: all rows in a new order every epoch. The orders follow from ``seed`` and TensorFlow's global seed: under
        the same ``tf.random.set_seed`` the first, second, ... pass over a fresh dataset is the same in every process.
      seed: used only when ``shuffle`` is set.

    Returns:
      A dataset of ``ceil(num_rows / batch_size)`` dictionaries, prefetched.

    Raises:
      ValueError: for no columns, columns of different length, no rows, or a batch size below one.
    """
    import tensorflow as tf

    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"Columns must be present and equally long, but came as {lengths}.")
    num_rows = next(iter(lengths.values()))
    if num_rows < 1 or batch_size < 1:
        raise ValueError(f"At least one row and a batch size of at least 1 are needed: {num_rows=}, {batch_size=}.")
    num_batches = -(-num_rows // batch_size)
    tensors = {name: tf.convert_to_tensor(np.asarray(values)) for name, values in columns.items()}

    def rows_from(start: tf.Tensor) -> tf.Tensor:
        return tf.range(start, tf.minimum(start + batch_size, num_rows))

    def in_order(start: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: tf.gather(values, rows_from(start)) for name, values in tensors.items()}

    def shuffled(start: tf.Tensor, epoch: tf.Tensor) -> dict[str, tf.Tensor]:
        # A permutation computed place by place: no epoch begins with a pause to shuffle, and none is held in memory.
        rows = tf.random.experimental.index_shuffle(rows_from(start), [seed, epoch], num_rows - 1)
        return {name: tf.gather(values, rows) for name, values in tensors.items()}

    starts = tf.data.Dataset.range(0, num_rows, batch_size)
    if shuffle:
        # One random number an epoch: drawn anew whenever an iterator is made, the same for all batches of that epoch.
        epochs = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1)
        epoch_of_batch = epochs.flat_map(lambda epoch: tf.data.Dataset.from_tensors(epoch).repeat(num_batches))
        dataset = tf.data.Dataset.zip(starts, epoch_of_batch)
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    else:
        dataset = starts
    gather = shuffled if shuffle else in_order
    return dataset.map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
