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
    once, and each batch is one gather by column.

    Args:
      columns: arrays of the same length by name, ``[num_rows, ...]``; text as str or bytes; pandas columns serve, too.
      batch_size: rows a batch; the last batch holds what is left.
      shuffle: a new order every epoch. The orders follow from ``seed`` alone: the first, second, ... pass over a
        freshly made dataset is the same in every process.
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
    tensors = {name: tf.convert_to_tensor(np.asarray(values)) for name, values in columns.items()}
    starts = tf.data.Dataset.range(0, num_rows, batch_size)

    if shuffle:
        # One random number an epoch, drawn anew whenever an iterator is made; the order of all rows follows from it.
        epochs = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(1)

        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            order = tf.random.experimental.stateless_shuffle(tf.range(num_rows), seed=[seed, number])

            def gather(start: tf.Tensor) -> dict[str, tf.Tensor]:
                rows = order[start : start + batch_size]
                return {name: tf.gather(values, rows) for name, values in tensors.items()}

            return starts.map(gather)

        dataset = epochs.flat_map(epoch)
    else:

        def slices(start: tf.Tensor) -> dict[str, tf.Tensor]:
            return {name: values[start : start + batch_size] for name, values in tensors.items()}

        dataset = starts.map(slices)
    num_batches = -(-num_rows // batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(num_batches)).prefetch(tf.data.AUTOTUNE)
