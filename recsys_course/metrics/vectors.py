"""Vectors as directions, whose inner product is the cosine."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def unit_rows(vectors: ArrayLike) -> np.ndarray:
    """Each row divided by its length.

    Args:
        vectors: `[num_rows, dim]`.

    Returns:
        The same shape, float64; a row of zeros has no direction and stays one.
    """
    vectors = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
