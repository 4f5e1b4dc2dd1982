"""Checks of chapter 6: an error measure, a cross layer, a history as a vector, calibration, and the pairwise loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from recsys_course.grading.core import Wrong, exercise, inputs

# --- 6.1 The perfect model with a large error ---------------------------------------------------------------------


def _flat(values):
    return [float(value) for value in np.asarray(values).ravel()]


def _root_mean_squared_error(predicted, actual):
    pairs = list(zip(_flat(predicted), _flat(actual), strict=True))
    return math.sqrt(sum((guess - stars) ** 2 for guess, stars in pairs) / len(pairs))


def _every_difference(predicted, actual):
    errors = np.asarray(predicted) - np.asarray(actual)
    return np.sqrt(np.mean(errors**2))


def _flattens_predicted_only(predicted, actual):
    return _every_difference(np.ravel(predicted), actual)


def _flattens_actual_only(predicted, actual):
    return _every_difference(predicted, np.ravel(actual))


def _mean_absolute_error(predicted, actual):
    return np.mean(np.abs(np.ravel(predicted) - np.ravel(actual)))


exercise(
    "6.1",
    answer="root_mean_squared_error",
    reference=_root_mean_squared_error,
    cases=[
        inputs(np.array([[4.0], [2.0]]), np.array([4.0, 2.0])),
        inputs(np.array([[3.5], [2.0], [4.5]]), np.array([4.0, 1.0, 5.0])),
        inputs(np.array([3.5, 2.0, 4.5]), np.array([4.0, 1.0, 5.0])),  # both flat
        inputs(np.array([1.0, 5.0, 3.0]), np.array([[2.0], [2.0], [3.0]])),  # the other one is the column
        inputs(np.array([[1.0], [5.0]]), np.array([[2.0], [1.0]])),  # both columns
        inputs(np.array([[3.0]]), np.array([5.0])),
    ],
    misconceptions={
        "your function takes every prediction minus *every* rating: [n, 1] and [n] line up as a column and a row": (
            _every_difference
        ),
        "you have made the predictions flat; now think of ratings that come as a column": _flattens_predicted_only,
        "you have made the ratings flat; it is the predictions that come as a column": _flattens_actual_only,
        "this is the mean squared error; the root is missing, which brings it back to stars": (
            lambda predicted, actual: _root_mean_squared_error(predicted, actual) ** 2
        ),
        "this is the mean absolute error: square, take the mean, then the root, in that order": _mean_absolute_error,
        "this is the root of the *sum*; divide by the number of ratings, or more ratings mean more error": (
            lambda predicted, actual: _root_mean_squared_error(predicted, actual) * math.sqrt(np.size(actual))
        ),
        "errors of different sign cancel out: square each of them before you take the mean": (
            lambda predicted, actual: abs(np.mean(np.ravel(predicted) - np.ravel(actual)))
        ),
    },
    planted_bug=_every_difference,
)

# --- 6.2 A cross layer by hand ------------------------------------------------------------------------------------


def _cross_layer(first, x, kernel, bias):
    # Number by number: another road than the solution's.
    rows, width = np.shape(x)
    crossed = np.empty((rows, width))
    for row in range(rows):
        for column in range(width):
            weighed = sum(x[row][place] * kernel[place][column] for place in range(width)) + bias[column]
            crossed[row, column] = first[row][column] * weighed + x[row][column]
    return crossed


exercise(
    "6.2",
    answer="cross_layer",
    reference=_cross_layer,
    cases=[
        inputs(
            np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0.0, 0.0])
        ),
        inputs(
            np.array([[1.0, -2.0], [0.5, 3.0]]),
            np.array([[2.0, 1.0], [-1.0, 0.25]]),
            np.array([[0.5, 2.0], [-1.0, 0.0]]),  # not symmetric: a transposed kernel shows
            np.array([1.0, -0.5]),
        ),
        inputs(
            np.array([[2.0, -1.0, 0.5]]),
            np.array([[1.0, 0.0, -3.0]]),
            np.array([[0.0, 1.0, 2.0], [3.0, -1.0, 0.0], [0.5, 0.0, 1.0]]),
            np.array([0.1, 0.2, 0.3]),
        ),
        # Nothing to say: the layer hands on what it was given.
        inputs(np.array([[7.0, 8.0]]), np.array([[1.0, 2.0]]), np.zeros((2, 2)), np.zeros(2)),
    ],
    misconceptions={
        "the last term is missing: add `x`, so that a layer with nothing to say can pass it on": (
            lambda first, x, kernel, bias: first * (x @ kernel + bias)
        ),
        "you add `first` at the end; add what the layer before has given, `x`": (
            lambda first, x, kernel, bias: first * (x @ kernel + bias) + first
        ),
        "it is `x` that goes through the kernel, and `first` that multiplies the result; you have them the other way "
        "round": lambda first, x, kernel, bias: x * (first @ kernel + bias) + x,
        "you multiply by `x`; multiply by `first`, so that each layer raises the degree by one and no more": (
            lambda first, x, kernel, bias: x * (x @ kernel + bias) + x
        ),
        "it is `x` that goes through the kernel, what the layer before has given": (
            lambda first, x, kernel, bias: first * (first @ kernel + bias) + x
        ),
        "the kernel is transposed: rows are examples here, so it is `x @ kernel`": (
            lambda first, x, kernel, bias: first * (x @ np.transpose(kernel) + bias) + x
        ),
        "the bias belongs inside the brackets: it is multiplied by `first`, too": (
            lambda first, x, kernel, bias: first * (x @ kernel) + bias + x
        ),
        "the bias is missing": lambda first, x, kernel, bias: first * (x @ kernel) + x,
        "this is a dense layer: without the product with `first` there is no cross": (
            lambda first, x, kernel, bias: x @ kernel + bias + x
        ),
    },
)

# --- 6.3 A history as a vector ------------------------------------------------------------------------------------


def _history_vectors(met, vectors):
    met, vectors = np.asarray(met), np.asarray(vectors, np.float64)
    pooled = np.zeros((len(met), vectors.shape[1]))
    for user, row in enumerate(met):
        films = [film for film, there in enumerate(row) if there]
        for film in films:
            pooled[user] += vectors[film] / math.sqrt(len(films))
    return pooled


def _counts(met):
    return np.asarray(met, np.float64).sum(axis=1, keepdims=True)


def _divides_by_zero(met, vectors):
    with np.errstate(invalid="ignore"):
        return (met @ vectors) / np.sqrt(_counts(met))


exercise(
    "6.3",
    answer="history_vectors",
    reference=_history_vectors,
    cases=[
        inputs(np.array([[1, 0, 1]]), np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])),
        inputs(np.array([[1, 1, 1, 1], [0, 0, 1, 0]]), np.array([[1.0, -1.0], [0.5, 2.0], [-3.0, 0.0], [1.0, 1.0]])),
        inputs(np.array([[0, 0], [1, 1]]), np.array([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]])),  # the first met nothing
        inputs(np.array([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]), np.array([[4.0], [1.0], [-2.0]])),
    ],
    misconceptions={
        "this is the plain sum: divide by the root of the number of films": lambda met, vectors: met @ vectors,
        "this is the mean: a sum over n films is divided by the *root* of n": (
            lambda met, vectors: (met @ vectors) / np.maximum(_counts(met), 1)
        ),
        "someone who has met nothing gets 0 / 0, which is no number; they should get zeros": _divides_by_zero,
        "you divide by the root of n + 1, to avoid the division by zero; that makes everybody else too short": (
            lambda met, vectors: (met @ vectors) / np.sqrt(_counts(met) + 1)
        ),
        "you divide by the root of *all* films; take the number of films that this user has met": (
            lambda met, vectors: (met @ vectors) / np.sqrt(np.shape(met)[1])
        ),
        "you count how many users have met a film; count how many films a user has met": (
            lambda met, vectors: (met / np.sqrt(np.maximum(np.sum(met, axis=0), 1))) @ vectors
        ),
        "each vector is scaled to length 1; it is the number of films that divides, not a vector's length": (
            lambda met, vectors: met @ vectors / np.maximum(np.linalg.norm(met @ vectors, axis=1, keepdims=True), 1e-12)
        ),
    },
)

# --- 6.4 Mend the meaning, keep the order -------------------------------------------------------------------------


Recalibration = Callable[[np.ndarray], Any]  # from predictions to predictions, if it is as it should be


def _world(
    distort: Callable[[np.ndarray], np.ndarray], count: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions distorted from expected ratings, ratings with noise, and the expected ratings themselves."""
    rng = np.random.default_rng(seed)
    expected = rng.uniform(2.0, 4.5, count)
    return distort(expected), expected + rng.normal(scale=0.9, size=count), expected


def _learned(answer: Any, predicted: np.ndarray, actual: np.ndarray) -> Recalibration:
    before = predicted.copy(), actual.copy()
    function = answer(predicted, actual)
    if not (np.array_equal(before[0], predicted) and np.array_equal(before[1], actual)):
        raise Wrong("your function changes the arrays that it is given: work on copies")
    if function is None or not callable(function):
        raise Wrong(
            "recalibrate should return a function that new predictions can be given to; define it inside and return it",
            expected="a function",
            got=type(function).__name__ if function is not None else None,
        )
    return function


def _applied(function: Recalibration, scores: np.ndarray) -> np.ndarray:
    before = scores.copy()
    values = np.asarray(function(scores), dtype=np.float64)
    if not np.array_equal(before, scores):
        raise Wrong("the function that you return changes the predictions that it is given: work on a copy")
    if values.shape != scores.shape:
        raise Wrong(
            "the function that you return should give one rating a prediction",
            given=f"predictions of shape {scores.shape}",
            expected=scores.shape,
            got=values.shape,
        )
    return values


def _off(function: Recalibration, distort: Callable[[np.ndarray], np.ndarray]) -> float:
    """How far fresh predictions, recalibrated, are from the expected ratings; root mean square, in stars."""
    predicted, _, expected = _world(distort, 2000, seed=99)
    return float(np.sqrt(np.mean((_applied(function, predicted) - expected) ** 2)))


_WORLDS = {
    "predictions are all half a star too high": lambda expected: expected + 0.5,
    "predictions exaggerate: twice as far from 3 as they should be": lambda expected: 3 + 2 * (expected - 3),
    "predictions are timid: half as far from 3 as they should be": lambda expected: 3 + 0.5 * (expected - 3),
}


@exercise("6.4", answer="recalibrate")
def _recalibrate(answer: Any) -> None:
    if not callable(answer):
        raise Wrong("recalibrate should be a function that takes predictions and ratings", got=answer)

    example = _learned(answer, np.array([2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    value = _applied(example, np.array([3.5]))[0]
    if not abs(value - 2.5) < 0.6:
        raise Wrong(
            "the example of the text comes out wrong",
            given="learned from predictions [2, 3, 4] and ratings [1, 2, 3]; then asked for [3.5]",
            expected="about 2.5",
            got=value,
        )

    for what, distort in _WORLDS.items():
        predicted, actual, _ = _world(distort, 2000, seed=1)
        off = _off(_learned(answer, predicted, actual), distort)
        if not off < 0.15:
            raise Wrong(
                f"it does not mend this: {what}",
                given="2,000 predictions with their ratings; then 2,000 new predictions",
                expected="new predictions within 0.15 stars of what is right, root mean square",
                got=f"{off:.2f} stars off",
            )

    for count, bound in ((2000, 0.12), (30, 0.45)):
        offs = []
        for seed in range(5):
            predicted, actual, _ = _world(lambda expected: expected, count, seed)
            offs.append(_off(_learned(answer, predicted, actual), lambda expected: expected))
        if not np.mean(offs) < bound:
            raise Wrong(
                f"predictions that were fine already come out worse, learned from {count:,} ratings: "
                + ("it learns the noise" if count == 30 else "leave alone what needs no mending"),
                expected=f"at most {bound} stars off, in the mean of five worlds",
                got=f"{np.mean(offs):.2f} stars off",
            )

    grid = np.linspace(1.0, 5.5, 200)
    for what, distort in {
        **_WORLDS,
        "predictions are fine": lambda expected: expected,
        "the world is upside down: the higher the prediction, the lower the rating": lambda expected: 6 - expected,
    }.items():
        for count in (2000, 30):
            predicted, actual, _ = _world(distort, count, seed=2)
            values = _applied(_learned(answer, predicted, actual), grid)
            if not np.isfinite(values).all():
                raise Wrong(
                    "it gives something that is no finite number",
                    given=f"{what}; asked for {grid[~np.isfinite(values)][0]:.2f}",
                    got=values[~np.isfinite(values)][0],
                )
            falls = np.flatnonzero(np.diff(values) < -1e-9)
            if len(falls):
                lower, higher = grid[falls[0]], grid[falls[0] + 1]
                raise Wrong(
                    "the order is not kept: a higher prediction came out lower",
                    given=f"{what}; predictions {lower:.2f} and {higher:.2f}",
                    expected="the second at least as high as the first",
                    got=[round(float(value), 3) for value in values[falls[0] : falls[0] + 2]],
                )
    for what, distort in {"predictions are fine": lambda expected: expected, **_WORLDS}.items():
        predicted, actual, _ = _world(distort, 2000, seed=3)
        low, high = _applied(_learned(answer, predicted, actual), np.quantile(predicted, [0.05, 0.95]))
        if not high - low > 1.0:
            raise Wrong(
                "it gives nearly the same rating to low and to high predictions: the order is lost in a tie",
                given=what,
                expected="more than 1 star between a very low and a very high prediction",
                got=high - low,
            )

    constant = _learned(answer, np.full(50, 3.25), np.tile([3.0, 4.0], 25))
    value = _applied(constant, np.array([3.25, 3.25]))
    if not np.isfinite(value).all():
        raise Wrong(
            "a model that always says the same has variance 0, and something was divided by it",
            given="learned from fifty predictions of 3.25",
            expected="a finite number, 3.5 at best",
            got=value[0],
        )


# --- 6.5 The pairwise loss ----------------------------------------------------------------------------------------


def _safe(margin):
    return max(-margin, 0.0) + math.log1p(math.exp(-abs(margin)))


def _pairs(scores, ratings):
    places = range(len(scores))
    return [float(scores[i]) - float(scores[j]) for i in places for j in places if ratings[i] > ratings[j]]


def _pairwise_loss(scores, ratings):
    margins = _pairs(scores, ratings)
    return sum(map(_safe, margins)) / len(margins) if margins else 0.0


def _square(values):
    values = np.asarray(values, np.float64)
    return values[:, np.newaxis] - values[np.newaxis, :]


def _overflows(scores, ratings):
    with np.errstate(over="ignore"):
        margins = np.array(_pairs(scores, ratings))
        return np.log(1 + np.exp(-margins)).mean() if len(margins) else 0.0


def _no_pair_is_nan(scores, ratings):
    margins = _pairs(scores, ratings)
    return sum(map(_safe, margins)) / len(margins) if margins else math.nan


def _mean_of(losses):
    return float(np.mean(losses)) if np.size(losses) else 0.0


exercise(
    "6.5",
    answer="pairwise_loss",
    reference=_pairwise_loss,
    cases=[
        inputs(np.array([1.0, 0.0, 0.0]), np.array([5.0, 3.0, 3.0])),
        inputs(np.array([0.2, -1.0, 2.0, 0.5]), np.array([2.0, 5.0, 4.5, 2.0])),
        inputs(np.array([0.0, 3.0, 1.0]), np.array([1.0, 2.0, 5.0])),
        inputs(np.array([1000.0, 0.0]), np.array([1.0, 5.0])),  # exp overflows
        inputs(np.array([0.3, 0.7]), np.array([4.0, 4.0])),  # no pair
        inputs(np.array([1.5]), np.array([3.0])),  # one film alone
    ],
    misconceptions={
        "the sign is wrong: the loss is small where the better film is *ahead*, so the margin enters with a minus": (
            lambda scores, ratings: _mean_of([_safe(-margin) for margin in _pairs(scores, ratings)])
        ),
        "films with equal ratings make no pair; you have counted them, with >= in place of >": (
            lambda scores, ratings: _mean_of(
                [_safe(margin) for margin in _square(scores)[_square(ratings) >= 0].tolist()]
            )
        ),
        "you take all pairs, whichever film is rated higher; only those with r_i > r_j count": (
            lambda scores, ratings: _mean_of(
                [_safe(margin) for margin in _square(scores)[~np.eye(len(scores), dtype=bool)].tolist()]
            )
        ),
        "this is the sum over the pairs; return their mean": (
            lambda scores, ratings: sum(map(_safe, _pairs(scores, ratings)))
        ),
        "you divide by all n² places; divide by the number of pairs": (
            lambda scores, ratings: sum(map(_safe, _pairs(scores, ratings))) / len(scores) ** 2
        ),
        "right for small numbers, but np.exp overflows: np.logaddexp(0, -margin) does not": _overflows,
        "a list without any pair gives the mean of nothing, which is no number; it should cost 0": _no_pair_is_nan,
        "this is the share of pairs in the wrong order; it has no slope to learn from, so take the logistic loss": (
            lambda scores, ratings: _mean_of([margin < 0 for margin in _pairs(scores, ratings)])
        ),
        "this is the hinge loss; the text asks for log(1 + exp(-margin))": (
            lambda scores, ratings: _mean_of([max(0.0, 1 - margin) for margin in _pairs(scores, ratings)])
        ),
    },
)
