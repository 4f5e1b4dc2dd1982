"""From TFDS' prepared records to numpy, many records at a time.

Parsing one record after another reaches some 20,000 rows a second; a batch of serialised records parsed by one
operation, some 700,000. Memory holds one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from recsys_course.data.integrity import Damaged
from recsys_course.data.names import DatasetError

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_datasets as tfds

BATCH_SIZE = 65_536


def read_batches(folder: Path, features: Iterable[str] | None = None) -> Iterator[dict[str, np.ndarray]]:
    """Reads a prepared TFDS folder in batches.

    Args:
      folder: for example ``.../movielens/100k-ratings/0.1.1``.
      features: names to read, as far as the dataset has them; when left out, all of one value a record (no genres).

    Yields:
      Arrays of at most ``BATCH_SIZE`` rows by name: ``object`` of bytes for text, else the feature's own dtype. A
      feature that is a sequence comes as an ``object`` array of arrays.
    """
    import tensorflow as tf

    info = _info(folder)
    serialized = info.features.get_serialized_info()
    if features is None:
        names = [name for name in serialized if serialized[name].shape == ()]
    else:
        names = [name for name in features if name in serialized]
    wanted = {name: _feature(serialized[name]) for name in names}

    def parse(records: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.io.parse_example(records, wanted)

    paths = [str(path) for path in info.splits["train"].filepaths]
    records = tf.data.TFRecordDataset(paths).batch(BATCH_SIZE).map(parse).prefetch(1)
    stated = info.splits["train"].num_examples
    with tqdm(total=stated, desc=f"reading {folder.parent.name}", unit="row", unit_scale=True, delay=2) as progress:
        for batch in records:
            arrays = {name: _array(batch[name], serialized[name].tf_dtype) for name in names}
            yield arrays
            progress.update(len(arrays[names[0]]))


def count(folder: Path) -> int:
    """Reads every record of a prepared folder and returns how many there are.

    Raises:
      Damaged: when the folder's own description states another number.
      DatasetError: when the records are in another file format than tfrecord.
      Exception: whatever TFDS or TensorFlow raise for a folder that they cannot read.
    """
    found = sum(len(next(iter(batch.values()))) for batch in read_batches(folder))
    stated = _info(folder).splits["train"].num_examples
    if found != stated:
        raise Damaged(f"{found:,} records where {stated:,} are stated")
    return found


def genre_names(folder: Path) -> list[str]:
    """The names behind TFDS' genre numbers, in their order."""
    return _info(folder).features["movie_genres"].feature.names


def _info(folder: Path) -> tfds.core.DatasetInfo:
    import tensorflow_datasets as tfds

    info = tfds.builder_from_directory(folder).info
    if info.file_format.value != "tfrecord":
        raise DatasetError(
            f"{folder} was prepared in the file format {info.file_format.value}; the course reads tfrecord. Move that "
            "folder away, or set TFDS_DATA_DIR to another one."
        )
    return info


def _feature(spec: tfds.features.TensorInfo) -> tf.io.FixedLenFeature | tf.io.RaggedFeature:
    import tensorflow as tf

    stored = {tf.string: tf.string, tf.float32: tf.float32}.get(spec.tf_dtype, tf.int64)
    return tf.io.FixedLenFeature((), stored) if spec.shape == () else tf.io.RaggedFeature(stored)


def _array(tensor: tf.Tensor | tf.RaggedTensor, dtype: tf.DType) -> np.ndarray:
    import tensorflow as tf

    if isinstance(tensor, tf.RaggedTensor):
        values, ends = tensor.values.numpy(), tensor.row_splits.numpy()
        rows = np.empty(len(ends) - 1, dtype=object)
        rows[:] = np.split(values, ends[1:-1])
        return rows
    return tensor.numpy() if dtype == tf.string else tensor.numpy().astype(dtype.as_numpy_dtype)
