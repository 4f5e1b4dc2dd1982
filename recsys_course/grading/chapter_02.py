"""Checks of chapter 2: an id's index, hash collisions, z-scores, features of a time stamp, a masked mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_course.grading.core import Wrong, exercise, inputs

tf: Any = None  # only named, in the planted bug, which is compared and never called: TensorFlow is not needed here

DAY = 86_400  # seconds

# --- 2.1 The index of an id ---------------------------------------------------------------------------------------


def _index_of(vocabulary, ids):
    known = list(vocabulary)
    return [known.index(id) + 1 if id in known else 0 for id in ids]


def _oov_is_minus_one(vocabulary, ids):
    return [index or -1 for index in _index_of(vocabulary, ids)]


def _counts_from_zero(vocabulary, ids):
    return [max(index - 1, 0) for index in _index_of(vocabulary, ids)]


def _oov_is_last(vocabulary, ids):
    return [index - 1 if index else len(vocabulary) for index in _index_of(vocabulary, ids)]


def _sorts(vocabulary, ids):
    return _index_of(sorted(vocabulary), ids)


def _numbers_the_batch(vocabulary, ids):
    return _index_of(list(dict.fromkeys(id for id in ids if id in vocabulary)), ids)


def _leaves_out(vocabulary, ids):
    return [index for index in _index_of(vocabulary, ids) if index]


def _learns_newcomers(vocabulary, ids):
    return _index_of([*vocabulary, *(id for id in ids if id not in vocabulary)], ids)


exercise(
    "2.1",
    answer="index_of",
    reference=_index_of,
    cases=[
        inputs(["ann", "bob"], ["bob", "zoe"]),
        inputs(["7", "42", "10"], ["10", "8", "7", "42", "7", "9"]),
        inputs(["eve", "dan"], ["Dan", "eve"]),
        inputs([], ["ann"]),
        inputs(["ann"], []),
    ],
    misconceptions={
        "you gave unknown ids -1; no row of a table has that number. OOV is index 0": _oov_is_minus_one,
        "your first known id has index 0, which is OOV's: the known ids count from 1": _counts_from_zero,
        "you put OOV behind the known ids; it is index 0, and the known ids count from 1": _oov_is_last,
        "you sorted the vocabulary; its order is given and counts": _sorts,
        "you numbered the ids as they come in `ids`; the index is the place in the vocabulary": _numbers_the_batch,
        "you left the unknown ids out; each id gets an index, unknown ones 0": _leaves_out,
        "you gave each unknown id a new index of its own; the table has no row for it": _learns_newcomers,
    },
)

# --- 2.2 How many ids share a bin? --------------------------------------------------------------------------------


def _collision_share(num_ids, num_bins):
    # The number of others in one's bin is binomial; 1 minus its probability of 0, by way of logarithms.
    if num_bins == 1:
        return float(num_ids > 1)
    return -np.expm1((num_ids - 1) * np.log1p(-1 / num_bins))


def _counts_itself(num_ids, num_bins):
    return 1 - (1 - 1 / num_bins) ** num_ids


def _birthday(num_ids, num_bins):
    return 1 - np.prod(1 - np.arange(num_ids) / num_bins) if num_ids <= num_bins else 1.0


def _load(num_ids, num_bins):
    return min(1.0, num_ids / num_bins)


def _pigeonholes(num_ids, num_bins):
    return max(0.0, 1 - num_bins / num_ids)


def _all_miss(num_ids, num_bins):
    return 1 - _collision_share(num_ids, num_bins)


def _adds_probabilities(num_ids, num_bins):
    return (num_ids - 1) / num_bins


exercise(
    "2.2",
    answer="collision_share",
    reference=_collision_share,
    cases=[
        inputs(num_ids=3, num_bins=4),
        inputs(num_ids=2, num_bins=2),
        inputs(num_ids=1, num_bins=10),
        inputs(num_ids=1_000, num_bins=1_000),
        inputs(num_ids=5, num_bins=1),
        inputs(num_ids=1_682, num_bins=20_000),
    ],
    misconceptions={
        "you let the id collide with itself: there are num_ids - 1 others": _counts_itself,
        "that is the probability that any two ids collide (the birthday paradox); asked is the share of the ids that "
        "share a bin": _birthday,
        "that is the number of ids for a bin; even half-empty tables have collisions, by chance": _load,
        "you count only the ids for which there is no bin left; chance also leaves bins empty": _pigeonholes,
        "that is the share of ids that are alone in their bin: the opposite": _all_miss,
        "you added the probabilities up, which counts double where two others hit at once (and can exceed 1); let "
        "all others miss, and take the opposite": _adds_probabilities,
    },
)

# --- 2.3 Z-scores that keep the seconds ---------------------------------------------------------------------------


def _z_scores(timestamps, train_timestamps):
    origin = int(train_timestamps[0])
    given, train = (np.asarray(seconds, np.int64) - origin for seconds in (timestamps, train_timestamps))
    mean = train.sum() / len(train)
    deviation = np.sqrt(((train - mean) ** 2).sum() / len(train))
    return (given - mean) / deviation if deviation > 0 else given - mean


def _casts_first(timestamps, train_timestamps):
    given, train = np.float32(timestamps), np.float32(train_timestamps)
    deviation = train.std(dtype=np.float64)
    return (given - np.float32(train.mean(dtype=np.float64))) / (deviation or 1)


def _casts_first_to_the_end(timestamps, train_timestamps):
    given, train = np.float32(timestamps), np.float32(train_timestamps)
    return (given - train.mean()) / (train.std() or 1)


def _casts_rows_and_mean(timestamps, train_timestamps):
    return (np.float32(timestamps) - np.float32(train_timestamps.mean())) / (train_timestamps.std() or 1)


def _own_statistics(timestamps, train_timestamps):
    return _z_scores(timestamps, timestamps)


def _divides_by_variance(timestamps, train_timestamps):
    return (timestamps - train_timestamps.mean()) / (train_timestamps.var() or 1)


def _sample_deviation(timestamps, train_timestamps):
    return (timestamps - train_timestamps.mean()) / (train_timestamps.std(ddof=1) or 1)


def _zero_by_zero(timestamps, train_timestamps):
    with np.errstate(all="ignore"):
        return (timestamps - train_timestamps.mean()) / train_timestamps.std()


def _range(timestamps, train_timestamps):
    low, high = train_timestamps.min(), train_timestamps.max()
    return (timestamps - low) / ((high - low) or 1)


_FLOAT32 = (
    "your time stamps became float32 before the mean was subtracted, and lost up to half a minute or more: subtract "
    "first, cast last"
)

exercise(
    "2.3",
    answer="z_scores",
    reference=_z_scores,
    cases=[
        inputs(np.array([10, 25, 40]), np.array([10, 20, 30, 40])),
        inputs(np.array([0, 100]), np.array([10, 20, 30, 40])),
        inputs(1_600_000_007 + np.array([0, 20, 40, 60]), 1_600_000_007 + np.array([0, 20, 40, 100])),
        inputs(np.array([884_000_001]), np.array([884_000_001] * 3)),
    ],
    misconceptions={
        _FLOAT32: _casts_first,
        _FLOAT32 + " (the statistics are float32 as well)": _casts_first_to_the_end,
        _FLOAT32 + " (so did the mean)": _casts_rows_and_mean,
        "you took mean and deviation of the rows at hand; they come from the training set": _own_statistics,
        "you divided by the variance; a z-score divides by its square root": _divides_by_variance,
        "you divided by the sample deviation (n - 1); here, as in Keras, it is n": _sample_deviation,
        "all training stamps are equal and you divided by a deviation of 0: that stamp should get 0": _zero_by_zero,
        "you scaled to the range from smallest to largest; a z-score has mean 0 and deviation 1": _range,
    },
)

# --- 2.4 Features of a time stamp ---------------------------------------------------------------------------------


@exercise("2.4", answer="time_features")
def _time_features(answer: Any) -> None:
    if not callable(answer):
        raise Wrong("time_features should be a function", got=answer)
    days = DAY * np.array([9_131, 10_957, 15_000, 20_089])  # midnights of 1995, 2000, 2011 and 2025, UTC
    rng = np.random.default_rng(0)
    moments = np.sort(rng.integers(days[0], days[-1], size=50))
    features = _features_of(answer, moments)
    _check_own_row_only(answer, moments, features)
    for midnight in days.tolist():
        _check_one_day(answer, midnight)


def _features_of(answer: Any, moments: np.ndarray) -> np.ndarray:
    """The features as a model sees them: `[num_rows, num_features]` float32."""
    raw = answer(moments.copy())
    if raw is Ellipsis:
        raise NotImplementedError
    try:
        features = np.asarray(raw, np.float32)
    except (TypeError, ValueError):
        raise Wrong("the features should be one array of numbers", got=raw) from None
    if features.ndim != 2 or len(features) != len(moments) or features.shape[1] == 0:
        raise Wrong(
            "the result should be two-dimensional, a row for each time stamp",
            given=f"{len(moments)} time stamps",
            expected=f"shape ({len(moments)}, num_features)",
            got=f"shape {features.shape}",
        )
    if not np.isfinite(features).all():
        raise Wrong("some features are NaN or infinite", given=moments[~np.isfinite(features).all(axis=1)][:3])
    if np.abs(features).max() > 10:
        row = np.abs(features).max(axis=1).argmax()
        raise Wrong(
            "some features are larger than 10: raw counts of seconds, days or years drown every other input",
            given=moments[row],
            got=features[row],
        )
    return features


def _check_own_row_only(answer: Any, moments: np.ndarray, features: np.ndarray) -> None:
    for rows in (slice(0, 1), slice(10, 25)):
        if not np.allclose(_features_of(answer, moments[rows]), features[rows], atol=1e-5):
            raise Wrong(
                "a row's features change with the rows beside it: you used a statistic of the batch. A service sees "
                "one row at a time; use constants, or statistics of the training set",
                given=moments[rows][:1],
                expected=features[rows][0],
                got=_features_of(answer, moments[rows])[0],
            )


def _check_one_day(answer: Any, midnight: int) -> None:
    def clock(day: int, hour: int, minute: int = 0) -> int:
        return midnight + day * DAY + hour * 3_600 + minute * 60

    def distances(here: int, near: int, far: int) -> tuple[float, float]:
        a, b, c = _features_of(answer, np.array([here, near, far])).astype(np.float64)
        return float(np.linalg.norm(a - b)), float(np.linalg.norm(a - c))

    date = str(np.datetime64(midnight, "s").astype("datetime64[D]"))
    if distances(clock(0, 9), clock(0, 9), clock(0, 21))[1] < 1e-6:
        raise Wrong("nine in the morning and nine in the evening have the same features", given=date)
    near, far = distances(clock(0, 23, 59), clock(1, 0, 1), clock(0, 12))
    if near >= far:
        raise Wrong(
            "the clock is torn at midnight: 23:59 is no closer to 00:01, two minutes later, than to noon",
            given=f"the night after {date}",
            expected="distance to 00:01 below the distance to noon",
            got=f"{near:.4g} to 00:01, {far:.4g} to noon",
        )
    near, far = distances(clock(0, 9), clock(1, 9), clock(0, 21))
    if near >= far:
        raise Wrong(
            "there is no time of day in your features: nine in the morning is no closer to nine the next morning than "
            "to nine in the evening",
            given=date,
            expected="distance to the next morning below the distance to the evening",
            got=f"{near:.4g} to the next morning, {far:.4g} to the evening",
        )
    moments = clock(0, 8) + 20 * np.arange(31)
    steps = np.abs(np.diff(_features_of(answer, moments), axis=0)).max(axis=1)
    if not (steps > 0).all():
        raise Wrong(
            "two moments 20 seconds apart have the same features: either the time was rounded, or the seconds became "
            "float32 before the large part was taken off",
            given=moments[steps.argmin() : steps.argmin() + 2],
        )


# --- 2.5 The title that shrinks -----------------------------------------------------------------------------------


def _shrinking_mean(vectors, mask):  # compared with the answer, never called
    weights = tf.cast(mask, vectors.dtype)[:, :, tf.newaxis]
    return tf.reduce_mean(vectors * weights, axis=1)


def _masked_mean(vectors, mask):
    rows = []
    for words, real in zip(np.asarray(vectors), np.asarray(mask), strict=True):
        rows.append(words[real].mean(axis=0) if real.any() else np.zeros(words.shape[1]))
    return np.array(rows)


def _weights(mask):
    return np.asarray(mask, np.float32)[:, :, np.newaxis]


def _counts_padding(vectors, mask):
    return np.mean(vectors, axis=1)


def _divides_by_width(vectors, mask):
    return np.mean(vectors * _weights(mask), axis=1)


def _nan_when_empty(vectors, mask):
    with np.errstate(all="ignore"):
        return np.sum(vectors * _weights(mask), axis=1) / np.sum(_weights(mask), axis=1)


def _sums(vectors, mask):
    return np.sum(vectors * _weights(mask), axis=1)


def _one_more_word(vectors, mask):
    return np.sum(vectors * _weights(mask), axis=1) / (np.sum(_weights(mask), axis=1) + 1)


def _words_of_the_batch(vectors, mask):
    return np.sum(vectors * _weights(mask), axis=1) / np.sum(_weights(mask))


def _keeps_padding_above(vectors, mask):
    return np.sum(vectors, axis=1) / np.maximum(np.sum(_weights(mask), axis=1), 1)


exercise(
    "2.5",
    answer="masked_mean",
    reference=_masked_mean,
    cases=[
        inputs(np.array([[[2, 4], [4, 0], [9, 9]]], np.float32), np.array([[True, True, False]])),
        inputs(
            np.array([[[3, 6], [5, 5], [7, 7]], [[1, 0], [2, 0], [6, 3]]], np.float32),
            np.array([[True, False, False], [True, True, True]]),
        ),
        inputs(
            np.array([[[3, 6], [5, 5]], [[8, 8], [9, 9]]], np.float32),
            np.array([[True, True], [False, False]]),
        ),
        inputs(
            np.array([[[3, 6, 1], [5, 5, 1], [7, 8, 1], [2, 2, 2]]], np.float32), np.array([[True, False, True, False]])
        ),
    ],
    misconceptions={
        "you averaged over all places, padding included": _counts_padding,
        "you divide by the width of the batch: a title's vector shrinks when a longer title stands beside it. Divide "
        "by its own number of words": _divides_by_width,
        "an empty title divides 0 by 0 and becomes NaN; it should become zeros": _nan_when_empty,
        "that is the sum of the words, not their mean": _sums,
        "you divide by one word too many; adding 1 avoids 0 / 0, but it changes every other title": _one_more_word,
        "you divide by the words of the whole batch; each title has a number of its own": _words_of_the_batch,
        "you divide by the right number, but the sum above still contains the padding": _keeps_padding_above,
    },
    planted_bug=_shrinking_mean,
)
