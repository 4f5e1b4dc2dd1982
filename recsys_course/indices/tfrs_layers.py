"""TensorFlow Recommenders' index layers: the ones that go into a SavedModel and are served with the query tower."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_course.indices.interface import Index
from recsys_course.indices.scann import SMALLEST_CODE_BOOK, quiet_stderr

SCORES_AT_A_TIME = 1 << 24  # 64 MB of float32 affinities


class _TfrsIndex(Index):
    """A layer, and a traced function that searches it: `(queries, k) -> scores, keys`."""

    library = "tensorflow_recommenders"

    def _wrap(self, layer: Any, embedding_dim: int) -> None:
        import tensorflow as tf

        module = tf.Module()
        module.layer = layer
        module.search = tf.function(
            lambda queries, k: layer(queries, k=k),
            input_signature=[tf.TensorSpec([None, embedding_dim], tf.float32), tf.TensorSpec([], tf.int32)],
        )
        self._take(module)

    def _take(self, module: Any) -> None:
        self._module, self.layer = module, module.layer
        self._search_layer = module.search.get_concrete_function()

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        import tensorflow as tf

        step = max(1, SCORES_AT_A_TIME // self.num_items)
        found = [
            self._search_layer(tf.constant(queries[start : start + step]), tf.constant(k))
            for start in range(0, len(queries), step)
        ]
        scores, keys = ([part.numpy() for part in parts] for parts in zip(*found, strict=True))
        return np.concatenate(scores), np.concatenate(keys)


@dataclass(kw_only=True, eq=False)
class TfrsBruteForce(_TfrsIndex):
    """`tfrs.layers.factorized_top_k.BruteForce`: exact search by stock TensorFlow operations, so any server loads it.

    Attributes:
        layer: The built layer. It returns keys, the rows of the embeddings given to `build`.
    """

    @property
    def is_exact(self) -> bool:
        return True

    def _build(self, embeddings: np.ndarray) -> None:
        import tensorflow as tf
        import tensorflow_recommenders as tfrs

        layer = tfrs.layers.factorized_top_k.BruteForce()
        self._wrap(layer.index(tf.constant(embeddings)), embeddings.shape[1])

    def _write(self, folder: Path) -> None:
        np.save(folder / "embeddings.npy", self.layer.get_weights()[1])

    def _read(self, folder: Path) -> None:
        self._build(np.load(folder / "embeddings.npy", allow_pickle=False))


@dataclass(kw_only=True, eq=False)
class TfrsScann(_TfrsIndex):
    """`tfrs.layers.factorized_top_k.ScaNN`: a tree, quantised scores, and reordering if asked for.

    All parameters are fixed when the layer is built: it offers no way to change them afterwards, nor ScaNN's
    anisotropic loss or SOAR; [`Scann`][recsys_course.indices.Scann] does. Scores are estimates unless candidates are
    reordered. Its tree starts at random, so two builds differ.

    Where the leaves searched hold fewer than `k` items the layer itself fills up with item 0 beside a score of NaN;
    this adapter pads as [`TopK`][recsys_course.indices.TopK] says.

    Args:
        num_leaves: Leaves that the tree divides the items into.
        num_leaves_to_search: Leaves that each search looks into.
        dimensions_per_block: Dimensions that share one 4-bit code.
        num_reordering_candidates: How many of the best by estimate are scored again exactly; `None`: none are.
        training_iterations: Of k-means, for the tree.
        parallelize_batch_searches: Whether a batch of queries uses all cores.

    Attributes:
        layer: The built layer. It returns keys, the rows of the embeddings given to `build`.
    """

    num_leaves: int = 100
    num_leaves_to_search: int = 10
    dimensions_per_block: int = 2
    num_reordering_candidates: int | None = None
    training_iterations: int = 12
    parallelize_batch_searches: bool = True

    library = "scann"
    instead = "TfrsBruteForce"
    at_least = {
        "num_leaves": 1,
        "num_leaves_to_search": 1,
        "dimensions_per_block": 1,
        "num_reordering_candidates": 1,
        "training_iterations": 1,
    }

    @property
    def is_reproducible(self) -> bool:
        return False

    def _smallest_corpus(self) -> int:
        return max(self.num_leaves, SMALLEST_CODE_BOOK)

    def _build(self, embeddings: np.ndarray) -> None:
        import tensorflow as tf
        import tensorflow_recommenders as tfrs

        layer = tfrs.layers.factorized_top_k.ScaNN(**self.parameters)
        with quiet_stderr():
            self._wrap(layer.index(tf.constant(embeddings)), embeddings.shape[1])

    def _write(self, folder: Path) -> None:
        import tensorflow as tf

        with quiet_stderr():
            tf.saved_model.save(self._module, str(folder / "layer"))

    def _read(self, folder: Path) -> None:
        import tensorflow as tf
        from scann import scann_ops  # noqa: F401  registers the operations that the saved layer is made of

        self._take(tf.saved_model.load(str(folder / "layer")))
