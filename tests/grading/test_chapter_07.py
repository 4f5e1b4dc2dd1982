"""Chapter 7's checks, proven: other right answers pass, typical mistakes are told by name."""

from __future__ import annotations

import difflib
import re

import numpy as np
import pytest
import tensorflow as tf

from recsys_course import models
from recsys_course.grading import find, grade

IDS = ["7.1", "7.2", "7.3", "7.4"]


def assert_wrong(id, answer, told):
    verdict = grade(id, answer)
    assert verdict.outcome == "wrong", verdict.message
    assert told in verdict.message


@pytest.mark.parametrize("id", ["7.1", "7.2", "7.3"])
def test_each_misconception_is_told_to_whoever_has_it(id):
    misconceptions = dict(find(id).misconceptions)
    if id == "7.2":  # the planted bug, found again under another name
        (told,) = (message for message in misconceptions if "shared out before" in message)
        del misconceptions[told]
        assert_wrong(id, shares_with_keras_first, told)
    assert len(misconceptions) >= 3
    for message, mistaken in misconceptions.items():
        assert_wrong(id, mistaken, message)


def shares_with_keras_first(vectors, is_film, decay):
    shares = tf.nn.softmax(-decay * tf.math.log(tf.range(1.0, 1.0 + is_film.shape[1], dtype=tf.float64)))
    return tf.einsum("l,bl,bld->bd", shares, tf.cast(is_film, tf.float64), tf.cast(vectors, tf.float64))


def test_the_planted_bug_unchanged_is_not_attempted_and_not_wrong():
    assert grade("7.2", find("7.2").planted_bug).outcome == "not attempted"


# --- other right answers ------------------------------------------------------------------------------------------


def pad_by_slices(films, starts, ends, length):
    padded = np.full((len(starts), length), "", dtype=object)
    for row, start, end in zip(padded, starts, ends, strict=True):
        newest = films[max(start, end - length) : end][::-1]
        row[: len(newest)] = newest
    return padded


def pad_by_lists(films, starts, ends, length):
    return [
        [str(films[row]) if row >= start else "" for row in range(end - 1, end - 1 - length, -1)]
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def mean_by_masked_softmax(vectors, is_film, decay):
    """In TensorFlow: a softmax over logits of minus infinity, as attention does it."""
    places = tf.range(1.0, 1.0 + is_film.shape[1], dtype=tf.float64)
    logits = tf.where(is_film, -decay * tf.math.log(places), tf.constant(-np.inf, tf.float64))
    weights = tf.where(tf.reduce_any(is_film, axis=1, keepdims=True), tf.nn.softmax(logits), tf.zeros_like(logits))
    return tf.einsum("bl,bld->bd", weights, tf.cast(vectors, tf.float64))


def mean_by_average(vectors, is_film, decay):
    places = np.arange(1, is_film.shape[1] + 1)
    return [
        np.average(history, axis=0, weights=there * places ** -float(decay))
        if there.any()
        else np.zeros_like(history[0])
        for history, there in zip(vectors, is_film, strict=True)
    ]


def difference_by_hand(ours, theirs):
    by_user = (np.asarray(ours, float) - theirs).mean(axis=0)
    return by_user.mean(), by_user.std(ddof=1) / np.sqrt(by_user.size)


def difference_by_scipy(ours, theirs):
    from scipy import stats

    by_user = np.mean(ours, axis=0) - np.mean(theirs, axis=0)
    return [np.mean(by_user), stats.sem(by_user)]


def name_of(title):
    words = re.sub(r"\(\d{4}\)\s*$", "", title.lower()).replace("'", "")
    return " ".join(w for w in re.sub(r"[^\w]+", " ", words).split() if w not in ("the", "a", "an"))


def film_by_distance(typed, titles):
    """Exact first; then the fewest edits, at most one in four letters."""

    def edits(one, other):
        row = list(range(len(other) + 1))
        for i, a in enumerate(one, 1):
            previous, row[0] = row[0], i
            for j, b in enumerate(other, 1):
                previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
        return row[-1]

    for place, title in enumerate(titles):
        if title.lower() == typed.strip().lower():
            return place
    wanted = name_of(typed)
    if not wanted or not titles:
        return None
    distances = [edits(wanted, name_of(title)) for title in titles]
    best = int(np.argmin(distances))
    return best if distances[best] <= len(wanted) / 4 else None


def film_by_ratio(typed, titles):
    def likeness(title):
        exact = title.lower() == typed.strip().lower()
        return exact + difflib.SequenceMatcher(None, name_of(typed), name_of(title)).ratio()

    scores = [likeness(title) for title in titles]
    return np.argmax(scores) if name_of(typed) and scores and max(scores) > 0.75 else None


@pytest.mark.parametrize(
    ("id", "answer"),
    [
        ("7.1", models.pad_histories),
        ("7.1", pad_by_slices),
        ("7.1", pad_by_lists),
        ("7.2", mean_by_masked_softmax),
        ("7.2", mean_by_average),
        ("7.3", difference_by_hand),
        ("7.3", difference_by_scipy),
        ("7.4", models.find_film),
        ("7.4", film_by_distance),
        ("7.4", film_by_ratio),
    ],
)
def test_other_right_answers_pass(id, answer):
    assert grade(id, answer).message == f"✔ {id} solved"


# --- 7.4: the open design -----------------------------------------------------------------------------------------


def exactly(typed, titles):
    return titles.index(typed) if typed in titles else None


def without_capitals(typed, titles):
    lower = [title.lower() for title in titles]
    return lower.index(typed.strip().lower()) if typed.strip().lower() in lower else None


def begins_so(typed, titles):
    return next((i for i, title in enumerate(titles) if title.lower().startswith(typed.strip().lower())), None)


def contains(typed, titles):
    exact = without_capitals(typed, titles)
    inside = (i for i, title in enumerate(titles) if typed.strip().lower() in title.lower())
    return next(inside, None) if exact is None else exact


def close_titles(typed, titles):
    found = difflib.get_close_matches(typed.strip().lower(), [title.lower() for title in titles], n=1)
    return [title.lower() for title in titles].index(found[0]) if found else None


def always_something(typed, titles):
    scores = [difflib.SequenceMatcher(None, name_of(typed), name_of(title)).ratio() for title in titles]
    exact = without_capitals(typed, titles)
    return int(np.argmax(scores)) if exact is None else exact


def no_year(typed, titles):
    names = [name_of(title) for title in titles]
    found = difflib.get_close_matches(name_of(typed), names, n=1, cutoff=0.75)
    return names.index(found[0]) if found else None


def the_title(typed, titles):
    place = film_by_ratio(typed, titles)
    return None if place is None else titles[place]


def minus_one(typed, titles):
    place = film_by_ratio(typed, titles)
    return -1 if place is None else place


def of_this_catalogue(typed, titles):
    place = film_by_ratio(typed, find("7.4").judge.__globals__["_TITLES"])
    return None if place is None else int(place)


def sorts(typed, titles):
    place = film_by_ratio(typed, titles)
    titles.sort()
    return place


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (exactly, "capitals should not matter"),
        (without_capitals, "the year is left out"),
        (begins_so, "only begins so"),
        (contains, "only begins so"),
        (close_titles, "only begins so"),
        (always_something, "resembles no film"),
        (no_year, "an exact title should give its own film"),
        (the_title, "should return a position"),
        (minus_one, "lies outside the list"),
        (of_this_catalogue, "an exact title should give its own film"),
        (sorts, "changes the list of titles"),
        (lambda typed, titles: None, "an exact title should give its own film"),
        (3, "should be a function"),
    ],
)
def test_a_search_that_fails_is_told_why(answer, told):
    verdict = grade("7.4", answer)
    assert verdict.outcome == "wrong", verdict.message
    assert told in verdict.message
