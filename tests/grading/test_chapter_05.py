"""Chapter 5's checks, proven: other right answers pass, typical mistakes are told by name."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from recsys_course import serving
from recsys_course.grading import find, grade

COURSE = {
    "5.1": serving.checked_k,
    "5.3": serving.publish,
    "5.4": serving.differing_users,
    "5.5": serving.latency_percentile,
}


@pytest.mark.parametrize("id", ["5.1", "5.4", "5.5"])
def test_the_course_s_own_version_passes(id):
    assert grade(id, COURSE[id]).message == f"✔ {id} solved"


def test_the_course_s_own_publish_passes_but_for_its_manifest():
    """It writes a file more than the exercise asks for; taken away again, every other property holds."""

    def publish(base, write):
        folder = serving.publish(base, write)
        (folder / "manifest.json").unlink()
        return folder

    assert grade("5.3", publish).message == "✔ 5.3 solved"


def assert_wrong(id, answer, told):
    verdict = grade(id, answer)
    assert verdict.outcome == "wrong", verdict.message
    assert told.lower() in verdict.message.lower().replace("\n", " "), verdict.message


@pytest.mark.parametrize("id", ["5.4", "5.5"])
def test_each_misconception_is_told_to_whoever_has_it(id):
    misconceptions = find(id).misconceptions
    assert len(misconceptions) >= 3
    for message, mistaken in misconceptions.items():
        assert_wrong(id, mistaken, message)


@pytest.mark.parametrize("id", ["5.2", "5.3", "5.4"])
def test_the_planted_bug_unchanged_is_not_attempted_and_not_wrong(id):
    assert grade(id, find(id).planted_bug).outcome == "not attempted"


# --- 5.1 ----------------------------------------------------------------------------------------------------------


def refuses_then_clips(k, num_movies):
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(k > 0), ["k below 1:", k])]):
        return tf.clip_by_value(k, 1, num_movies)


def where_it_is_too_long(k, num_movies):
    tf.debugging.assert_positive(k)
    return tf.where(k > num_movies, num_movies, k)


@pytest.mark.parametrize("answer", [refuses_then_clips, where_it_is_too_long])
def test_5_1_other_right_answers_pass(answer):
    assert grade("5.1", answer).message == "✔ 5.1 solved"


def python_s_if(k, num_movies):
    if k < 1:
        raise ValueError("k must be at least 1")
    return min(k, num_movies)


def raises_for_good(k, num_movies):
    if tf.reduce_any(k < 1):
        raise ValueError("k must be at least 1")
    return tf.minimum(k, num_movies)


def refuses_both_ends(k, num_movies):
    tf.debugging.assert_positive(k)
    tf.debugging.assert_less_equal(k, num_movies)
    return k


def only_the_first(k, num_movies):
    tf.debugging.assert_positive(k[:1])
    return tf.minimum(k, num_movies)


def one_for_all(k, num_movies):
    tf.debugging.assert_positive(k)
    return tf.fill(tf.shape(k), tf.minimum(tf.reduce_max(tf.concat([[0], k], 0)), num_movies))


def forgets_to_cut(k, num_movies):
    tf.debugging.assert_positive(k)
    return k


def one_short(k, num_movies):
    tf.debugging.assert_positive(k)
    return tf.minimum(k, num_movies - 1)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda k, num_movies: tf.clip_by_value(k, 1, num_movies), "you turn a k below 1 into a valid one"),
        (lambda k, num_movies: tf.minimum(k, num_movies), "a k below 1 must be refused"),
        (python_s_if, "the graph cannot be built"),
        (raises_for_good, "the graph cannot be built"),
        (refuses_both_ends, "cut to its size, not refused"),
        (only_the_first, "for whichever user of the batch"),
        (one_for_all, "each k belongs to its own user"),
        (forgets_to_cut, "k is not cut to the size"),
        (one_short, "a list of all films is allowed"),
        (lambda k, num_movies: tf.cast(tf.minimum(k, num_movies), tf.int64), "one int32 for each k"),
        (lambda k, num_movies: None, "is there a return"),
        (5, "should be a function"),
    ],
)
def test_5_1_mistakes_are_told(answer, told):
    assert_wrong("5.1", answer, told)


# --- 5.2 ----------------------------------------------------------------------------------------------------------

USER, HOUR = tf.TensorSpec([None], tf.string, "user_id"), tf.TensorSpec([None], tf.int64, "hour")


def signature(*specs):
    """Decorates the body of a signature; what comes out takes the tower."""
    return lambda body: lambda tower: tf.function(body(tower), input_signature=list(specs))


@signature(HOUR, USER)
def other_order_and_name(tower):
    def call(hour, user_id):
        return {"query": tower(dict(user_id=user_id, hour=hour))}

    return call


def concrete(tower):
    function = other_order_and_name(tower)
    function.get_concrete_function()
    return function


@pytest.mark.parametrize("answer", [other_order_and_name, concrete])
def test_5_2_other_right_answers_pass(answer):
    assert grade("5.2", answer).message == "✔ 5.2 solved"


@signature(USER, HOUR)
def takes_the_hour_and_drops_it(tower):
    return lambda user_id, hour: {"embedding": tower({"user_id": user_id})}


@signature(USER, HOUR)
def under_another_key(tower):
    return lambda user_id, hour: {"embedding": tower({"user_id": user_id, "hours": hour})}


@signature(USER)
def frozen_at_the_time_of_export(tower):
    return lambda user_id: {"embedding": tower({"user_id": user_id, "hour": tf.fill(tf.shape(user_id), np.int64(9))})}


@signature(USER, tf.TensorSpec([None], tf.int64, "timestamp"))
def under_another_name(tower):
    return lambda user_id, timestamp: {"embedding": tower({"user_id": user_id, "hour": timestamp})}


@signature(tf.TensorSpec([1], tf.string, "user_id"), tf.TensorSpec([1], tf.int64, "hour"))
def one_at_a_time(tower):
    return lambda user_id, hour: {"embedding": tower({"user_id": user_id, "hour": hour})}


@signature(USER, tf.TensorSpec([None], tf.float32, "hour"))
def hours_as_floats(tower):
    return lambda user_id, hour: {"embedding": tower({"user_id": user_id, "hour": tf.cast(hour, tf.int64)})}


@signature(USER, HOUR)
def half_the_day(tower):
    return lambda user_id, hour: {"embedding": tower({"user_id": user_id, "hour": hour % 12})}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (takes_the_hour_and_drops_it, "it never reaches the tower"),
        (under_another_key, "look at the keys that you pass on"),
        (frozen_at_the_time_of_export, "the signature has no hour"),
        (under_another_name, "the signature has no hour"),
        (one_at_a_time, "a batch of any size"),
        (hours_as_floats, "of type int64"),
        (half_the_day, "is not the one that the tower gives"),
        (lambda tower: tower, "return the tf.function itself"),
        (
            lambda tower: tf.function(lambda user_id, hour: tower({"user_id": user_id})),
            "cannot be saved as a signature",
        ),
        ("serve", "should be a function"),
    ],
)
def test_5_2_mistakes_are_told(answer, told):
    assert_wrong("5.2", answer, told)


# --- 5.3 ----------------------------------------------------------------------------------------------------------


def next_number(base):
    return max([int(path.name) for path in base.iterdir() if path.name.isdecimal()], default=0) + 1


def beside_the_base(base, write):
    unfinished = base.parent / f"unfinished-{uuid.uuid4()}"
    unfinished.mkdir()
    write(unfinished)
    os.rename(unfinished, base / str(next_number(base)))
    return base / str(next_number(base) - 1)


def cleans_up(base, write):
    with tempfile.TemporaryDirectory(dir=base, prefix=".new") as outer:
        inner = Path(outer) / "version"
        inner.mkdir()
        write(inner)
        return shutil.move(inner, base / str(next_number(base)))


@pytest.mark.parametrize("answer", [beside_the_base, cleans_up])
def test_5_3_other_right_answers_pass(answer):
    assert grade("5.3", answer).message == "✔ 5.3 solved"


def copies_the_finished_files(base, write):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        return Path(shutil.copytree(folder, base / str(next_number(base))))


def one_name_for_all(base, write):
    unfinished = base / "unfinished"
    unfinished.mkdir()
    write(unfinished)
    return unfinished.rename(base / str(next_number(base)))


def one_name_for_all_and_what_lies_in_it(base, write):
    unfinished = base / "unfinished"
    unfinished.mkdir(exist_ok=True)
    return beside_the_base(
        base, lambda folder: (write(folder), [p.rename(folder / p.name) for p in unfinished.iterdir()])
    )


def by_text(base, write):
    numbers = sorted(path.name for path in base.iterdir() if path.name.isdecimal())
    unfinished = Path(tempfile.mkdtemp(dir=base, prefix=".tmp"))
    write(unfinished)
    return unfinished.rename(base / str(int(numbers[-1]) + 1 if numbers else 1))


def swallows(base, write):
    try:
        return beside_the_base(base, write)
    except RuntimeError:
        return None


def publishes_all_the_same(base, write):
    unfinished = Path(tempfile.mkdtemp(dir=base, prefix=".tmp"))
    try:
        write(unfinished)
    finally:
        folder = unfinished.rename(base / str(next_number(base)))
    return folder


def marks_it_when_done(base, write):
    folder = base / str(next_number(base))
    folder.mkdir()
    write(folder)
    (folder / "DONE").touch()
    return folder


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (marks_it_when_done, "while the files were being written, the version could be seen"),
        (copies_the_finished_files, "a rename is one step"),
        (one_name_for_all, "its folder is still there: take a new name"),
        (by_text, "as text, 9 comes after 10"),
        (swallows, "let the error through"),
        (publishes_all_the_same, "and yet there is a new version"),
        (lambda base, write: beside_the_base(base, write) and None, "should return the folder"),
        (lambda base, write: base / "1", "next number"),
        (3, "should be a function"),
    ],
)
def test_5_3_mistakes_are_told(answer, told):
    assert_wrong("5.3", answer, told)


def test_5_3_leftovers_of_a_crash_must_not_get_into_the_next_version():
    def publish(base, write):
        unfinished = base / "unfinished"
        unfinished.mkdir(exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=base, prefix=".tmp"))
        try:
            write(fresh)
        except RuntimeError:
            for path in fresh.iterdir():
                path.rename(unfinished / path.name)
            raise
        for path in unfinished.iterdir():
            path.rename(fresh / path.name)
        return fresh.rename(base / str(next_number(base)))

    assert_wrong("5.3", publish, "should be a version like any other")


# --- 5.4, 5.5 -----------------------------------------------------------------------------------------------------


def by_items(live, served):
    def freeze(lists):
        return {(user, tuple(movies)) for user, movies in lists.items()}

    return sorted({user for user, _ in freeze(live) ^ freeze(served)})


def by_inverted_cdf(latencies, percent):
    return np.percentile(latencies, percent, method="inverted_cdf")


def by_walking_up(latencies, percent):
    latencies = sorted(latencies)
    for place, latency in enumerate(latencies, start=1):
        if place * 100 >= percent * len(latencies):
            return latency


@pytest.mark.parametrize(("id", "answer"), [("5.4", by_items), ("5.5", by_inverted_cdf), ("5.5", by_walking_up)])
def test_other_right_answers_pass(id, answer):
    assert grade(id, answer).message == f"✔ {id} solved"


def test_sorting_the_caller_s_list_in_place_is_told():
    def sorts(latencies, percent):
        latencies.sort()
        return latencies[-int(-percent * len(latencies) // 100) - 1]

    assert_wrong("5.5", sorts, "changed its argument latencies")
