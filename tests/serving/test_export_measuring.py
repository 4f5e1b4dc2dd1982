"""Parity, load and percentiles; and chapter 5's own versions of them, held against the package's."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.answers import solution_answer

from recsys_course import serving


def test_whoever_differs_in_anything_is_named():
    live = {"1": ["a", "b"], "2": ["a", "b"], "3": ["a"], "10": [], "9": ["a"]}
    served = {"1": ["a", "b"], "2": ["b", "a"], "3": ["a", "b"], "9": ["a"], "8": []}
    assert serving.differing_users(live, served) == ["10", "2", "3", "8"]
    assert serving.differing_users(live, live) == serving.differing_users({}, {}) == []
    assert serving.differing_users({"1": ("a",)}, {"1": ["a"]}) == [], "a tuple and a list hold the same films"


def test_load_counts_answers_and_failures_of_all_clients_at_once():
    meeting = threading.Barrier(4, timeout=10)
    asked = []

    def ask(client: int) -> None:
        if client not in asked:
            meeting.wait()  # passes only if four clients really ask at the same time
        asked.append(client)
        time.sleep(0.005)
        if client == 3:
            raise ConnectionError("refused")

    with serving.Load(ask, num_clients=4) as load:
        time.sleep(0.2)
    assert set(asked) == {0, 1, 2, 3}
    assert len(load.latencies) + len(load.failures) == len(asked)
    assert set(load.failures) == {"ConnectionError: refused"}
    assert min(load.latencies) >= 0.005 and load.seconds >= 0.2
    assert load.per_second == pytest.approx(len(load.latencies) / load.seconds)
    ended = len(asked)
    time.sleep(0.05)
    assert len(asked) == ended, "no client goes on after the block"


def test_percentiles_are_latencies_that_somebody_had():
    random = np.random.default_rng(0)
    for length in (1, 7, 100, 1_001):
        latencies = random.exponential(size=length).round(2)  # with ties
        for percent in (0.1, 10, 50, 99, 99.9, 100):
            expected = np.percentile(latencies, percent, method="inverted_cdf")
            assert serving.latency_percentile(latencies, percent) == expected
    assert serving.latency_percentile(range(1, 101), 7) == 7  # 0.07 * 100 is a hair more than 7, and NumPy says 8
    for latencies, percent in (([], 50), ([1.0], 0), ([1.0], 101)):
        with pytest.raises(ValueError, match="percent in"):
            serving.latency_percentile(latencies, percent)


def test_what_the_chapter_builds_is_what_the_package_has(tmp_path):
    random = np.random.default_rng(1)
    for _ in range(20):
        latencies, percent = random.exponential(size=random.integers(1, 50)), random.integers(1, 101)
        ours, theirs = serving.latency_percentile, solution_answer("5.5")
        assert ours(latencies, percent) == theirs(latencies, percent)
        live, served = (
            {str(user): list(random.integers(0, 3, 2)) for user in random.integers(0, 9, 6)} for _ in range(2)
        )
        assert serving.differing_users(live, served) == solution_answer("5.4")(live, served)
        k = tf.constant(random.integers(1, 30, 5), tf.int32)
        np.testing.assert_array_equal(serving.checked_k(k, 12), solution_answer("5.1")(k, 12))
    for answer in (serving.checked_k, solution_answer("5.1")):
        with pytest.raises(tf.errors.InvalidArgumentError, match="k must be at least 1"):
            answer(tf.constant([3, 0]), 12)

    def write(folder: Path) -> None:
        (folder / "saved_model.pb").write_text("graph")

    for publish in (serving.publish, solution_answer("5.3")):
        base = tmp_path / publish.__module__
        (base / "9").mkdir(parents=True)
        assert publish(base, write) == base / "10"
        assert (base / "10" / "saved_model.pb").read_text() == "graph"
        assert sorted(path.name for path in base.iterdir()) == ["10", "9"]
