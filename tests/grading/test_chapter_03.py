"""Chapter 3's checks, proven: other right answers pass, typical mistakes are told by name."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from recsys_course import models
from recsys_course.grading import find, grade

IDS = ["3.1", "3.2", "3.3", "3.4", "3.5"]
COURSE = {
    "3.1": models.losses.in_batch_softmax,
    "3.2": models.losses.correct_log_q,
    "3.3": models.losses.mask_accidental_hits,
    "3.4": models.should_stop,
    "3.5": models.top_k_unseen,
}


@pytest.mark.parametrize("id", IDS)
def test_the_course_s_own_version_passes(id):
    assert grade(id, COURSE[id]).message == f"✔ {id} solved"


def assert_wrong(id, answer, told):
    verdict = grade(id, answer)
    assert verdict.outcome == "wrong", verdict.message
    assert told in verdict.message


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize("id", ["3.1", "3.2", "3.3", "3.5"])
def test_each_misconception_is_told_to_whoever_has_it(id):
    misconceptions = dict(find(id).misconceptions)
    if id == "3.2":  # the planted bug, found again under another name
        (told,) = (message for message in misconceptions if "sign is still" in message)
        del misconceptions[told]
        assert_wrong(id, lambda logits, probability: logits + np.log(np.asarray(probability)), told)
    assert len(misconceptions) >= 3
    for message, mistaken in misconceptions.items():
        assert_wrong(id, mistaken, message)


# --- other right answers ------------------------------------------------------------------------------------------


def softmax_by_keras(logits):
    logits = tf.constant(logits, tf.float64)
    return tf.keras.losses.sparse_categorical_crossentropy(tf.range(len(logits)), logits, from_logits=True)


def softmax_row_by_row(logits):
    losses = []
    for place, row in enumerate(np.asarray(logits)):
        shifted = row - row[place]
        if shifted.max() > 700:
            losses.append(float(shifted.max()))
        else:
            losses.append(float(np.log(np.exp(shifted).sum())))
    return losses


def log_q_column_by_column(logits, sampling_probability):
    corrected = np.array(logits, dtype=float)
    for column, probability in enumerate(sampling_probability):
        corrected[:, column] += np.log(1 / probability)
    return corrected


def mask_by_library(logits, candidate_ids):
    """TFRS' own layer; it adds a very large negative number, where the exercise asks for minus infinity."""
    from tensorflow_recommenders.layers.loss import RemoveAccidentalHits

    logits = tf.constant(logits, tf.float32)
    masked = RemoveAccidentalHits()(tf.eye(len(logits)), logits, tf.constant(candidate_ids)).numpy()
    return np.where(masked < -1e30, -np.inf, masked)


def stop_when_the_last_five_hold_no_record(history):
    return len(history) > 5 and max(history[-5:]) <= max(history[:-5])


def stop_by_a_smoothed_curve(history):
    smooth = [np.mean(history[max(0, epoch - 2) : epoch + 1]) for epoch in range(len(history))]
    return len(smooth) > 4 and max(smooth[-4:]) <= max(smooth[:-4]) + 1e-9


def top_k_by_heap(scores, seen, k):
    import heapq

    seen = set(map(int, seen))
    return heapq.nlargest(k, (item for item in range(len(scores)) if item not in seen), key=lambda item: scores[item])


def top_k_by_mask(scores, seen, k):
    masked = np.array(scores, dtype=float)
    masked[np.asarray(seen, dtype=int)] = -np.inf
    order = np.argsort(masked)[::-1]
    return order[np.isfinite(masked[order])][:k]


@pytest.mark.parametrize(
    ("id", "answer"),
    [
        ("3.1", softmax_by_keras),
        ("3.1", softmax_row_by_row),
        ("3.2", log_q_column_by_column),
        ("3.3", mask_by_library),
        ("3.4", stop_when_the_last_five_hold_no_record),
        ("3.4", stop_by_a_smoothed_curve),
        ("3.5", top_k_by_heap),
        ("3.5", top_k_by_mask),
    ],
)
def test_other_right_answers_pass(id, answer):
    assert grade(id, answer).message == f"✔ {id} solved"


# --- 3.2: the bug hunt --------------------------------------------------------------------------------------------


def test_the_planted_bug_unchanged_is_not_attempted_and_not_wrong():
    assert grade("3.2", find("3.2").planted_bug).outcome == "not attempted"


# --- 3.4: the open design -----------------------------------------------------------------------------------------


def in_place(history):
    history.sort()
    return False


calls: list[int] = []


def counts_its_calls(history):
    calls.append(len(history))
    return len(calls) % 2 == 0


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda history: True, "stops after the very first epoch"),
        (lambda history: len(history) > 1 and history[-1] < history[-2], "stops at a dip of one epoch"),
        (
            lambda history: len(history) - 1 - int(np.argmin(history)) >= 3,
            "higher is better",
        ),
        (lambda history: len(history) >= 20, "stops while the curve rises"),
        (lambda history: len(history) > 1 and history[-1] > 0.4, "stops while the curve rises"),
        (lambda history: False, "goes on too long: the curve goes straight down"),
        (lambda history: len(history) > 3 and history[-4] > history[-3] > history[-2] > history[-1], "in a zigzag"),
        (lambda history: len(history) > 3 and max(history[-3:]) < max(history) - 0.005, "on a plateau"),
        (lambda history: len(history) - 1 - int(np.argmax(history)) >= 15, "goes on too long"),
        (lambda history: np.array(history) > 2, "must return True or False"),
        (lambda history: "no", "must return True or False"),
        (in_place, "changes the history"),
        (counts_its_calls, "two answers"),
        (0.5, "should be a function"),
    ],
)
def test_a_rule_that_fails_is_told_why(answer, told):
    verdict = grade("3.4", answer)
    assert verdict.outcome == "wrong", verdict.message
    assert told.lower() in verdict.message.lower()
