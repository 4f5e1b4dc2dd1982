"""How good is an index? Which says nothing of how good the model is whose embeddings it holds."""

from __future__ import annotations

import numpy as np


def neighbor_recall_at_k(found_ids: np.ndarray, exact_ids: np.ndarray) -> float:
    """The share of the exact top `k` that an approximate index found, averaged over queries. Built in chapter 4.

    The order within the list plays no part. Places that hold no item (id -1, or the empty string) count neither as
    found nor as to be found: where exclusions leave a query five items, five are what there is to find.

    Args:
        found_ids: `[num_queries, k]` ids from the index.
        exact_ids: `[num_queries, k]` ids from exact search, for the same queries.

    Raises:
        ValueError: Shapes that differ or are not two-dimensional, ids of different types, or nothing to be found.
    """
    found, exact = np.asarray(found_ids), np.asarray(exact_ids)
    if found.ndim != 2 or found.shape != exact.shape:
        raise ValueError(
            f"found_ids and exact_ids must both be [num_queries, k], got {found.shape} and {exact.shape}. "
            "Search both indices with the same queries and the same k."
        )
    if (found.dtype.kind in "iu") != (exact.dtype.kind in "iu"):
        raise ValueError(f"ids must be of one type, got {found.dtype} and {exact.dtype}: nothing would ever match.")
    # Numbers for (query, id), so that one pass finds the common ones of all queries.
    names, codes = np.unique(np.concatenate([found, exact], axis=1), return_inverse=True)
    codes = codes.reshape(len(found), 2 * found.shape[1]) + len(names) * np.arange(len(found))[:, None]
    found_codes, exact_codes = np.split(codes, 2, axis=1)
    real = exact != (-1 if exact.dtype.kind in "iu" else "")
    hits = (np.isin(exact_codes, found_codes) & real).sum(axis=1)
    to_find = real.sum(axis=1)
    if not to_find.any():
        raise ValueError("exact_ids holds no item for any query: there is nothing to be found.")
    return float(np.mean(hits[to_find > 0] / to_find[to_find > 0]))
