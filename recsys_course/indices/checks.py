"""What every index asks of its input, in one wording."""

from __future__ import annotations

from collections.abc import Sized

import numpy as np


def check_vectors(vectors: np.ndarray, name: str, rows: str, embedding_dim: int | None = None) -> np.ndarray:
    """Contiguous, finite float32 vectors, or a ValueError that names what came.

    Args:
        vectors: Anything NumPy can read, with a floating-point dtype.
        name: Of the argument, for the message.
        rows: What the rows are, for the message.
        embedding_dim: The length that the vectors must have, where it is known. Rows may then be missing altogether.
    """
    vectors = np.asarray(vectors)
    wanted = f"{name} must be [{rows}, {embedding_dim or 'embedding_dim'}] float32"
    if vectors.ndim != 2:
        hint = f" For a single one write {name}[None]." if vectors.ndim == 1 else ""
        raise ValueError(f"{wanted}, got shape {vectors.shape}.{hint}")
    if not np.issubdtype(vectors.dtype, np.floating):
        raise ValueError(f"{wanted}, got dtype {vectors.dtype}. {name}.astype(np.float32) converts numbers.")
    if embedding_dim is None:
        if 0 in vectors.shape:
            raise ValueError(f"{wanted} with at least one row and one column, got shape {vectors.shape}.")
    elif vectors.shape[1] != embedding_dim:
        raise ValueError(
            f"{wanted}, got shape {vectors.shape}: queries and items must be embeddings of the same length, "
            "from the two towers of one model."
        )
    with np.errstate(over="ignore"):  # float64 beyond float32's range becomes infinite, and is refused below
        vectors = np.ascontiguousarray(vectors, np.float32)
    finite = np.isfinite(vectors)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise ValueError(
            f"{name} must be finite, got {vectors[row, column]} in row {row}, column {column}. Has the model diverged?"
        )
    return vectors


def check_same_length(embeddings: np.ndarray, ids: Sized) -> None:
    """As many ids as embeddings, or a ValueError."""
    if len(embeddings) != len(ids):
        raise ValueError(f"one id for each embedding: got {len(embeddings)} embeddings and {len(ids)} ids.")
