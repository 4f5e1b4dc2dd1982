"""Chapter 2's checks, proven: other right answers pass, typical mistakes are told by name."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from support.answers import solution_answer

from recsys_course import preprocessing
from recsys_course.grading import find, grade

DAY = 86_400


@pytest.mark.parametrize("id", ["2.1", "2.2", "2.3", "2.5"])
def test_each_misconception_is_told_to_whoever_has_it(id):
    for message, mistaken in find(id).misconceptions.items():
        assert_wrong(id, mistaken, message)


def assert_wrong(id, answer, told):
    verdict = grade(id, answer)
    assert verdict.outcome == "wrong", verdict.message
    assert told in verdict.message


# --- 2.1 ----------------------------------------------------------------------------------------------------------


def other_index_of(vocabulary, ids):
    """Keras' own layer."""
    if not vocabulary:
        return [0] * len(ids)
    return tf.keras.layers.StringLookup(vocabulary=vocabulary)(tf.constant(ids, tf.string))


def test_other_index_of_passes():
    assert grade("2.1", other_index_of).outcome == "solved"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda known, ids: [["?", *known].index(id) if id in known else -1 for id in ids], "gave unknown ids -1"),
        (lambda known, ids: [known.index(id) if id in known else 0 for id in ids], "known ids count from 1"),
        (lambda known, ids: [known.index(id) if id in known else len(known) for id in ids], "OOV behind"),
        (lambda known, ids: [sorted(known).index(id) + 1 if id in known else 0 for id in ids], "you sorted"),
        (lambda known, ids: [known.index(id) + 1 for id in ids if id in known], "left the unknown ids out"),
    ],
)
def test_wrong_index_of(answer, told):
    assert_wrong("2.1", answer, told)


def test_index_of_that_fails_on_a_newcomer_shows_the_learners_line():
    def index_of(vocabulary, ids):
        return [vocabulary.index(id) + 1 for id in ids]

    verdict = grade("2.1", index_of)
    assert verdict.outcome == "raised"
    assert "vocabulary.index(id) + 1" in verdict.message


# --- 2.2 ----------------------------------------------------------------------------------------------------------


def other_collision_share(num_ids, num_bins):
    """Summed over the number of others that land in the bin: binomial probabilities of 1, 2, 3, ..."""
    others, hit = num_ids - 1, 1 / num_bins
    return sum(math.comb(others, k) * hit**k * (1 - hit) ** (others - k) for k in range(1, min(others, 60) + 1))


def test_other_collision_share_passes():
    assert grade("2.2", other_collision_share).outcome == "solved"


def test_the_reference_agrees_with_a_count_of_all_throws():
    """3 ids into 4 bins: of the 64 throws, count the ids that are not alone."""
    throws = np.array(np.meshgrid(*[range(4)] * 3)).reshape(3, -1).T
    shared = np.mean([[list(throw).count(bin) > 1 for bin in throw] for throw in throws])
    assert find("2.2").reference(3, 4) == pytest.approx(shared) == pytest.approx(7 / 16)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda num_ids, num_bins: 1 - (1 - 1 / num_bins) ** num_ids, "collide with itself"),
        (lambda num_ids, num_bins: (1 - 1 / num_bins) ** (num_ids - 1), "the opposite"),
        (lambda num_ids, num_bins: min(1, num_ids / num_bins), "by chance"),
        (lambda num_ids, num_bins: (num_ids - 1) / num_bins, "added the probabilities up"),
    ],
)
def test_wrong_collision_share(answer, told):
    assert_wrong("2.2", answer, told)


# --- 2.3 ----------------------------------------------------------------------------------------------------------


def other_z_scores(timestamps, train_timestamps):
    """The course's layers."""
    return preprocessing.timestamp_normalizer(train_timestamps)(timestamps)


def test_other_z_scores_pass():
    assert grade("2.3", other_z_scores).outcome == "solved"


def keras_alone(timestamps, train_timestamps):
    layer = tf.keras.layers.Normalization(axis=None)
    layer.adapt(train_timestamps)
    return layer(timestamps)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda new, train: (np.float32(new) - np.float32(train.mean())) / np.float32(train.std() or 1), "float32"),
        (lambda new, train: (new - new.mean()) / (new.std() or 1), "of the rows at hand"),
        (lambda new, train: (new - train.mean()) / (train.var() or 1), "by the variance"),
        (lambda new, train: (new - train.mean()) / train.std(), "should get 0"),
        (keras_alone, "float32"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_wrong_z_scores(answer, told):
    assert_wrong("2.3", answer, told)


# --- 2.4 ----------------------------------------------------------------------------------------------------------


def triangles_of_day_and_week(timestamps):
    """Without sines: how far from midnight and from six o'clock; and the same for the week, at half the height."""

    def triangle(position):
        return 4 * np.abs(position % 1 - 0.5) - 1

    day, week = (timestamps % DAY) / DAY, (timestamps % (7 * DAY)) / (7 * DAY)
    columns = [triangle(day), triangle(day + 0.25), triangle(week) / 2, triangle(week + 0.25) / 2]
    return np.stack(columns, axis=1).tolist()


@pytest.mark.parametrize("answer", [triangles_of_day_and_week, preprocessing.daily_cycle])
def test_other_time_features_pass(answer):
    assert grade("2.4", answer).message == "✔ 2.4 solved"


def circle(seconds):
    angle = seconds * (2 * np.pi / DAY)
    return np.stack([np.sin(angle), np.cos(angle)], axis=1)


def test_the_solution_is_the_courses_own_version():
    moments = np.random.default_rng(1).integers(0, 2_000_000_000, size=100)
    np.testing.assert_allclose(solution_answer("2.4")(moments), preprocessing.daily_cycle(moments), atol=1e-6)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda t: (t % DAY) / DAY, "two-dimensional"),
        (lambda t: t[:, None], "larger than 10"),
        (lambda t: (t[:, None] % DAY) / 3_600, "larger than 10"),
        (lambda t: circle(t % DAY) * np.nan, "NaN or infinite"),
        (lambda t: ["morning"] * len(t), "array of numbers"),
        (lambda t: (t[:, None] - t.mean()) / (t.std() or 1), "statistic of the batch"),
        (lambda t: (t[:, None] % DAY) / DAY, "torn at midnight"),
        (lambda t: np.eye(24)[(t % DAY) // 3_600], "torn at midnight"),
        (lambda t: (t[:, None] - 1_000_000_000) / 1e9, "no time of day"),
        (lambda t: np.zeros([len(t), 2]), "have the same features"),
        (lambda t: circle((t % DAY) // 3_600 * 3_600), "two moments 20 seconds apart"),
        (lambda t: circle(t.astype(np.float32) % np.float32(DAY)), "two moments 20 seconds apart"),
    ],
)
def test_wrong_time_features(answer, told):
    assert_wrong("2.4", answer, told)


def test_time_features_that_are_no_function():
    assert_wrong("2.4", 3, "should be a function")


# --- 2.5 ----------------------------------------------------------------------------------------------------------


def other_masked_mean(vectors, mask):
    """A ragged tensor forgets the padding by itself; the mean of nothing is then mended."""
    words = tf.ragged.boolean_mask(tf.constant(vectors), tf.constant(mask))
    mean = tf.reduce_mean(words, axis=1)
    return tf.where(tf.math.is_nan(mean), tf.zeros_like(mean), mean)


def test_other_masked_mean_passes():
    assert grade("2.5", other_masked_mean).message == "✔ 2.5 solved"


def test_the_courses_own_masked_mean_passes():
    assert grade("2.5", preprocessing.masked_mean).outcome == "solved"


def weights_of(mask):
    return tf.cast(mask, tf.float32)[:, :, tf.newaxis]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda v, m: tf.reduce_mean(v, axis=1), "padding included"),
        (lambda v, m: tf.reduce_sum(v * weights_of(m), axis=1) / m.shape[1], "width of the batch"),
        (lambda v, m: tf.reduce_sum(v * weights_of(m), 1) / tf.reduce_sum(weights_of(m), 1), "empty title"),
        (lambda v, m: tf.reduce_sum(v * weights_of(m), 1), "that is the sum"),
        (lambda v, m: tf.keras.layers.GlobalAveragePooling1D()(v, mask=tf.constant(m)), "empty title"),
    ],
)
def test_wrong_masked_mean(answer, told):
    assert_wrong("2.5", answer, told)
