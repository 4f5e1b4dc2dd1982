"""Checks of chapter 3: the in-batch softmax and its two corrections, when to stop, and a list without seen items."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_course.grading.core import Wrong, exercise, inputs

# --- 3.1 In-batch softmax by hand ---------------------------------------------------------------------------------


def _softmax(logits, axis):
    exponentials = np.exp(np.asarray(logits, np.float64))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


def _in_batch_softmax(logits):
    # Another road than the solution's: a sum of log(1 + exp) steps, which never overflows.
    logits = np.asarray(logits, np.float64)
    return np.array([np.logaddexp.reduce(row) - row[place] for place, row in enumerate(logits)])


def _softmax_over_columns(logits):
    return -np.log(np.diag(_softmax(logits, axis=0)))


def _softmax_over_everything(logits):
    return -np.log(np.diag(_softmax(logits, axis=None)))


exercise(
    "3.1",
    answer="in_batch_softmax",
    reference=_in_batch_softmax,
    cases=[
        inputs(np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 1.0]])),
        inputs(np.array([[-1.0, 0.5], [2.0, -3.0]])),
        inputs(np.array([[0.7]])),  # one pair, no negatives: nothing to lose
        inputs(np.array([[1000.0, 0.0], [999.0, 1000.0]])),  # exp overflows
        inputs(np.array([[-2000.0, -2001.0], [-2000.0, -2000.0]])),  # exp underflows to 0 throughout
    ],
    misconceptions={
        "your softmax runs down the columns; each row is one query, and its probabilities must sum to 1": (
            _softmax_over_columns
        ),
        "your softmax runs over the whole square; each row is a question of its own": _softmax_over_everything,
        "right for small numbers, but np.exp overflows or underflows: subtract each row's largest logit first": (
            lambda logits: -np.log(np.diag(_softmax(logits, axis=1)))
        ),
        "right for small numbers, but a sum of np.exp becomes infinite or 0: first take out each row's largest logit": (
            lambda logits: np.log(np.exp(np.asarray(logits, np.float64)).sum(axis=1)) - np.diag(logits)
        ),
        "the sign is wrong: the loss is *minus* the logarithm, so it is never negative": (
            lambda logits: -_in_batch_softmax(logits)
        ),
        "these are the probabilities of the diagonal; the loss is minus their logarithm": (
            lambda logits: np.exp(-_in_batch_softmax(logits))
        ),
        "you have added the rows up; return one loss a row": lambda logits: _in_batch_softmax(logits).sum(),
        "you have averaged the rows; return one loss a row": lambda logits: _in_batch_softmax(logits).mean(),
        "you left the positive out of the sum: the denominator runs over the whole row, the diagonal included": (
            lambda logits: np.array(
                [np.logaddexp.reduce(np.delete(row, i), initial=-np.inf) - row[i] for i, row in enumerate(logits)]
            )
        ),
    },
)

# --- 3.2 The correction that made it worse ------------------------------------------------------------------------


def _correct_log_q(logits, sampling_probability):
    weights = 1 / np.asarray(sampling_probability, np.float64)
    return np.asarray(logits, np.float64) + np.log(weights)[np.newaxis, :]


def _adds_log_q(logits, sampling_probability):
    return np.asarray(logits) + np.log(sampling_probability)


def _corrects_negatives_only(logits, sampling_probability):
    corrected = _correct_log_q(logits, sampling_probability)
    np.fill_diagonal(corrected, np.diag(logits))
    return corrected


exercise(
    "3.2",
    answer="correct_log_q",
    reference=_correct_log_q,
    cases=[
        inputs(np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([0.5, 0.1])),
        inputs(np.array([[2.0, -1.0, 0.0], [0.5, 3.0, 1.0], [1.0, 0.0, -2.0]]), np.array([0.6, 0.003, 0.04])),
        inputs(np.array([[0.3, 0.2], [0.1, 0.4]]), np.array([1.0, 1.0])),  # certain to be drawn: nothing to correct
    ],
    misconceptions={
        "the sign is still the wrong one: log q is negative, and a rare film must come out *higher*": _adds_log_q,
        "you subtract the probability itself; it is its logarithm that turns into a factor 1 / q under exp": (
            lambda logits, sampling_probability: np.asarray(logits) - np.asarray(sampling_probability)
        ),
        "you correct rows; a probability belongs to a candidate, and candidates are columns. Along a row the softmax "
        "would not even notice": (
            lambda logits, sampling_probability: np.asarray(logits) - np.log(sampling_probability)[:, np.newaxis]
        ),
        "you left the diagonal alone; the positives stand in the same sum and are corrected like everything else": (
            _corrects_negatives_only
        ),
        "you divide the affinity by q; it is exp(affinity) that is weighed by 1 / q": (
            lambda logits, sampling_probability: np.asarray(logits) / np.asarray(sampling_probability)
        ),
        "log2 or log10 does not undo exp: use the natural logarithm": (
            lambda logits, sampling_probability: np.asarray(logits) - np.log2(sampling_probability)
        ),
    },
    planted_bug=_adds_log_q,
)

# --- 3.3 Mask the accidental hits ---------------------------------------------------------------------------------


def _mask_accidental_hits(logits, candidate_ids):
    masked = np.array(logits, dtype=np.float64)
    for row, own in enumerate(candidate_ids):
        for column, other in enumerate(candidate_ids):
            if row != column and own == other:
                masked[row, column] = -np.inf
    return masked


def _same_film(candidate_ids):
    ids = np.asarray(candidate_ids)
    return ids[:, np.newaxis] == ids


def _masks_whole_columns(logits, candidate_ids):
    repeated = _same_film(candidate_ids).sum(axis=1) > 1
    return np.where(repeated & ~np.eye(len(repeated), dtype=bool), -np.inf, logits)


def _masks_later_copies_only(logits, candidate_ids):
    return np.where(np.triu(_same_film(candidate_ids), k=1), -np.inf, logits)


def _off_diagonal(candidate_ids):
    return _same_film(candidate_ids) & ~np.eye(len(candidate_ids), dtype=bool)


exercise(
    "3.3",
    answer="mask_accidental_hits",
    reference=_mask_accidental_hits,
    cases=[
        inputs(np.arange(1.0, 10).reshape(3, 3), np.array(["A", "B", "A"])),
        inputs(np.arange(16.0).reshape(4, 4) - 8, np.array([7, 7, 3, 7])),
        inputs(np.ones((2, 2)), np.array([1, 2])),  # no film twice: nothing changes
        inputs(np.array([[0.5, -0.5], [0.25, 0.0]]), np.array([4, 4])),  # nothing but the positives is left
    ],
    misconceptions={
        "you mask the diagonal too: that is the positive itself, and without it there is nothing to learn": (
            lambda logits, candidate_ids: np.where(_same_film(candidate_ids), -np.inf, logits)
        ),
        "a logit of 0 is not out of the softmax: it adds exp(0) = 1 to the sum. Use minus infinity": (
            lambda logits, candidate_ids: np.where(_off_diagonal(candidate_ids), 0.0, logits)
        ),
        "you mask a repeated film for every row; it is an accidental hit only for the rows whose own film it is": (
            _masks_whole_columns
        ),
        "you mask in one direction: the first copy's row loses the second, but the second's row keeps the first": (
            _masks_later_copies_only
        ),
        "you mask the true negatives and keep the accidental hits: the condition is the wrong way round": (
            lambda logits, candidate_ids: np.where(_same_film(candidate_ids), logits, -np.inf)
        ),
    },
)

# --- 3.4 When to stop ---------------------------------------------------------------------------------------------


def _ended(answer: Any, curve: list[float]) -> int | None:
    """The number of epochs after which the rule ends the training; None where it never does."""
    for epoch in range(1, len(curve) + 1):
        history = list(curve[:epoch])
        stop = answer(history)
        if history != curve[:epoch]:
            raise Wrong(
                "your rule changes the history that it is given: work on a copy", given=curve[:epoch], got=history
            )
        if isinstance(stop, str) or np.ndim(stop) != 0 or stop not in (True, False):
            raise Wrong("should_stop must return True or False", given=curve[:epoch], got=stop)
        if stop != answer(list(curve[:epoch])):
            raise Wrong("asked twice about the same history, your rule gives two answers", given=curve[:epoch])
        if stop:
            return epoch
    return None


def _shown(curve: list[float], epochs: int) -> list[float]:
    return [round(value, 3) for value in curve[:epochs]]


@exercise("3.4", answer="should_stop")
def _should_stop(answer: Any) -> None:
    if not callable(answer):
        raise Wrong("should_stop should be a function that takes the list of hit rates so far", got=answer)
    # The curves have other levels, so that no fixed threshold passes.
    rising = [0.6 - 0.5 * 0.9**epoch for epoch in range(40)]
    if (epoch := _ended(answer, rising)) is not None:
        told = (
            "it stops after the very first epoch: there is nothing yet to compare with"
            if epoch == 1
            else "it stops while the curve rises at every single epoch. Higher is better here: these are no losses"
        )
        raise Wrong(told, given=_shown(rising, epoch), expected=False, got=True)

    dip = [0.2 + 0.01 * epoch - 0.025 * (epoch in (4, 9, 14)) for epoch in range(25)]
    if (epoch := _ended(answer, dip)) is not None:
        told = "it stops at a dip of one epoch, from which the curve recovers at once: wait for a few"
        raise Wrong(told, given=_shown(dip, epoch), expected=False, got=True)

    peak = 6
    climb = [0.3 + 0.02 * epoch for epoch in range(peak)]
    falling = climb + [climb[-1] - 0.01 * step for step in range(1, 31)]
    zigzag = climb + [climb[-1] - 0.01 * step + 0.012 * (step % 2) - 0.012 for step in range(1, 31)]
    plateau = climb + [climb[-1] - 0.001] * 30
    for curve, what in (
        (falling, "the curve goes straight down"),
        (
            zigzag,
            "the curve sinks in a zigzag, where every other epoch is better than the one before: compare with the best",
        ),
        (plateau, "the curve lies on a plateau and finds no new best"),
    ):
        epoch = _ended(answer, curve)
        if epoch is None or epoch > peak + 10:
            raise Wrong(
                f"it goes on too long: {what}",
                given=_shown(curve, peak + 10),
                expected="True, ten epochs after the best or before",
                got=f"True only after epoch {epoch}" if epoch else f"False, {len(curve) - peak} epochs after the best",
            )


# --- 3.5 The best films not yet seen ------------------------------------------------------------------------------


def _top_k_unseen(scores, seen, k):
    ranked = sorted(set(range(len(scores))) - {int(item) for item in seen}, key=lambda item: -scores[item])
    return np.array(ranked[:k], dtype=np.int64)


def _cuts_before_filtering(scores, seen, k):
    best = np.argsort(-np.asarray(scores))[:k]
    return best[~np.isin(best, seen)]


def _zeroes_the_seen(scores, seen, k):
    scores = np.array(scores, dtype=float)
    scores[np.asarray(seen, dtype=int)] = 0
    return np.argsort(-scores)[:k]


def _positions_among_the_unseen(scores, seen, k):
    left = np.delete(np.asarray(scores), np.asarray(seen, dtype=int))
    return np.argsort(-left)[:k]


def _pads_with_seen(scores, seen, k):
    scores = np.array(scores, dtype=float)
    scores[np.asarray(seen, dtype=int)] = -np.inf
    return np.argsort(-scores, kind="stable")[:k]


exercise(
    "3.5",
    answer="top_k_unseen",
    reference=_top_k_unseen,
    cases=[
        inputs(scores=np.array([0.9, -0.2, 0.7, 0.8]), seen=np.array([0, 2]), k=2),
        inputs(scores=np.array([-3.0, -1.0, -2.0, -5.0, -4.0]), seen=np.array([1]), k=3),  # all below zero
        inputs(scores=np.array([0.1, 0.4, 0.3, 0.2]), seen=np.array([], dtype=np.int64), k=2),
        inputs(scores=np.array([0.1, 0.4, 0.3]), seen=np.array([1, 2]), k=3),  # fewer left than asked for
        inputs(scores=np.array([0.1, 0.4]), seen=np.array([1, 0]), k=1),  # nothing left
    ],
    misconceptions={
        "the seen items are still in the list": lambda scores, seen, k: np.argsort(-np.asarray(scores))[:k],
        "you cut to k first and take the seen ones out afterwards, so the list comes out short": _cuts_before_filtering,
        "a seen item's score of 0 beats every negative score: take it out, or use minus infinity": _zeroes_the_seen,
        "these are positions among the *unseen* items; translate them back into positions of `scores`": (
            _positions_among_the_unseen
        ),
        "when fewer than k items are left, your list is filled up with seen ones": _pads_with_seen,
        "the list runs from the worst up: sort by descending score": (
            lambda scores, seen, k: _top_k_unseen(-np.asarray(scores), seen, k)
        ),
        "these are the scores; return the positions of the items": (
            lambda scores, seen, k: np.asarray(scores)[_top_k_unseen(scores, seen, k)]
        ),
    },
)
