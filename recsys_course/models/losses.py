"""The in-batch softmax and its two corrections, in numpy: what `tfrs.tasks.Retrieval` computes. Built in chapter 3.

All three take a square array. Row `i` is the query of training pair `i`, column `j` the candidate of pair `j`, so the
candidates that the users really chose stand on the diagonal and everything else in a row serves as a negative.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def in_batch_softmax(logits: ArrayLike) -> np.ndarray:
    """Cross-entropy of each query against the candidates of its batch. Built in chapter 3.

    `tfrs.tasks.Retrieval` returns the sum of this array.

    Args:
        logits: `[batch, batch]` float affinities, corrected or not; the positives on the diagonal.

    Returns:
        `[batch] float64` losses, in nats: `log(sum_j exp(logits[i, j])) - logits[i, i]`.

    Raises:
        ValueError: `logits` is not square.

    Source: Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations" (2019),
        section 3.2.
    """
    logits = _square(logits)
    largest = logits.max(axis=1, keepdims=True)  # exp of anything above 709 overflows; a shift changes no softmax
    return np.log(np.exp(logits - largest).sum(axis=1)) + largest[:, 0] - np.diag(logits)


def correct_log_q(logits: ArrayLike, sampling_probability: ArrayLike) -> np.ndarray:
    """logQ correction: takes back the head start that popular candidates get as negatives. Built in chapter 3.

    A candidate that stands in the batch ten times as often is pushed down ten times as often. Subtracting the logarithm
    of its sampling probability makes the in-batch sum an estimate of the sum over the whole catalogue.

    Args:
        logits: `[batch, batch]` float affinities.
        sampling_probability: `[batch]`, above 0: how probable it is that a training row holds candidate `j`.

    Returns:
        `[batch, batch] float64`: `logits[i, j] - log(sampling_probability[j])`, the positives included.

    Raises:
        ValueError: shapes that do not fit, or a probability that is not in `(0, 1]`.

    Source: Yi et al. (2019), section 3.2, equation 3.
    """
    logits = _square(logits)
    probability = np.asarray(sampling_probability, np.float64)
    if probability.shape != logits.shape[1:]:
        raise ValueError(f"one sampling probability a candidate: expected {logits.shape[1:]}, got {probability.shape}.")
    if not ((probability > 0) & (probability <= 1)).all():
        raise ValueError(f"sampling probabilities must lie in (0, 1], got {probability.min()} to {probability.max()}.")
    return logits - np.log(probability)


def mask_accidental_hits(logits: ArrayLike, candidate_ids: ArrayLike) -> np.ndarray:
    """Takes a query's own positive out of its negatives, where the batch holds it again. Built in chapter 3.

    Args:
        logits: `[batch, batch]` float affinities.
        candidate_ids: `[batch]` ids of the candidates.

    Returns:
        `[batch, batch] float64`: minus infinity where `candidate_ids[j] == candidate_ids[i]` and `j != i`, else as
        given.

    Raises:
        ValueError: shapes that do not fit.
    """
    logits = _square(logits)
    ids = np.asarray(candidate_ids)
    if ids.shape != logits.shape[1:]:
        raise ValueError(f"one id a candidate: expected {logits.shape[1:]}, got {ids.shape}.")
    hits = (ids[:, np.newaxis] == ids) & ~np.eye(len(ids), dtype=bool)
    return np.where(hits, -np.inf, logits)


def _square(logits: ArrayLike) -> np.ndarray:
    logits = np.asarray(logits, np.float64)
    if logits.ndim != 2 or logits.shape[0] != logits.shape[1] or not logits.size:
        raise ValueError(f"logits must be square, one row and one column a training pair; got shape {logits.shape}.")
    return logits
