"""How alike are the items of a list? A list of ten sequels may hit, and still be a poor page."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys_course.metrics.vectors import unit_rows


def intra_list_similarity(lists: ArrayLike, vectors: ArrayLike) -> float:
    """The mean cosine between two items of the same list, averaged over lists; lower is more varied.

    Args:
        lists: `[num_lists, k]` integer rows of `vectors`; -1 where a list has no more items. Lists with fewer than two
            items are left out.
        vectors: `[num_items, dim]` whatever describes the items: embeddings, or genres as zeros and ones. The cosine
            with a row of zeros is 0.

    Returns:
        A number between -1 and 1.

    Raises:
        ValueError: no list has two items.

    Source: Ziegler et al., "Improving Recommendation Lists Through Topic Diversification" (2005), section 3.3, as a
        mean over pairs instead of their sum, so that lists of different length can be compared.
    """
    lists, directions = np.asarray(lists), unit_rows(vectors)
    means = []
    for row in lists:
        items = directions[row[row >= 0]]
        if len(items) >= 2:
            alike = items @ items.T
            means.append((alike.sum() - np.trace(alike)) / (len(items) * (len(items) - 1)))
    if not means:
        raise ValueError(f"no list of {len(lists):,} holds two items, so there is nothing to compare.")
    return float(np.mean(means))
