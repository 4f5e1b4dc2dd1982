"""Batching: at once when idle, together when busy, and never so that a request could tell."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import numpy as np
import pytest

from recsys_course.serving.server.batching import Batcher
from recsys_course.serving.server.errors import Code, RequestError
from recsys_course.serving.server.metrics import Metrics
from recsys_course.serving.server.servable import Servable


@pytest.fixture(scope="module")
def servable(toy):
    return Servable(toy)


class Gate:
    """A signature whose calls are recorded, and held until the gate opens."""

    def __init__(self, signature):
        self._signature, self.open, self.sizes = signature, threading.Event(), []

    def __getattr__(self, name):
        return getattr(self._signature, name)

    def run(self, inputs):
        self.sizes.append(len(inputs.get("text", inputs.get("x"))))
        self.open.wait(10)
        return self._signature.run(inputs)


def floats(*values):
    return np.array(values, np.float32)


def ask_all(signature, requests, max_rows=64):
    """Answers, or errors, to requests that come while the first one runs; and the sizes of the calls."""

    async def main():
        gate = Gate(signature)
        batcher = Batcher(gate, max_rows, Metrics())
        tasks = [asyncio.ensure_future(batcher.run(requests[0]))]
        await asyncio.sleep(0.05)
        tasks += [asyncio.ensure_future(batcher.run(request)) for request in requests[1:]]
        await asyncio.sleep(0.05)
        gate.open.set()
        return await asyncio.gather(*tasks, return_exceptions=True), gate.sizes

    return asyncio.run(main())


def test_what_waits_runs_together_and_everybody_gets_their_own(servable):
    requests = [{"x": floats(*range(n))} for n in (1, 2, 3, 1)]
    answers, sizes = ask_all(servable.signature("serving_default"), requests)
    assert sizes == [1, 6]  # the first at once, then all that came meanwhile
    for request, answer in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(answer["y"], 2 * request["x"], strict=True)


def test_a_batch_has_a_largest_size(servable):
    answers, sizes = ask_all(servable.signature("serving_default"), [{"x": floats(1, 2, 3)}] * 6, max_rows=7)
    assert sizes == [3, 6, 6, 3] and all(answer["y"].tolist() == [2, 4, 6] for answer in answers)


def test_a_bad_request_fails_alone(servable):
    requests = [{"x": floats(4)}, {"x": floats(9)}, {"x": floats(-1)}, {"x": floats(16, 25)}]
    answers, sizes = ask_all(servable.signature("not_negative"), requests)
    assert sizes == [1, 4, 1, 1, 2]
    assert [answers[at]["y"].tolist() for at in (0, 1, 3)] == [[2], [3], [4, 5]]
    assert isinstance(answers[2], RequestError) and answers[2].code == Code.INVALID_ARGUMENT
    assert "x must not be negative" in answers[2].message and "node" not in answers[2].message


def test_an_answer_that_depends_on_its_company_gets_none(servable):
    """`repeat` is as wide as the largest k of the batch: alone, each request gets the width it asked for."""
    signature = servable.signature("repeat")
    assert not signature.batchable
    requests = [{"x": floats(7), "k": np.array([k], np.int32)} for k in (1, 3, 2)]
    answers, sizes = ask_all(signature, requests)
    assert sizes == [1, 1, 1]
    assert [answer["y"].tolist() for answer in answers] == [[[7]], [[7, 7, 7]], [[7, 7]]]


def test_rows_of_other_shapes_wait_for_a_batch_of_their_own(servable):
    describe = servable.signature("describe")
    texts = np.array([b"a", b"b"], object)
    odd = {"text": texts[:1], "pair": np.ones((2, 2), np.int64)}  # not as many texts as pairs
    even = {"text": texts, "pair": np.ones((2, 2), np.int64)}
    answers, sizes = ask_all(describe, [even, even, odd, even])
    assert sizes == [2, 4, 1]  # texts
    assert answers[2]["sum"].tolist() == [2, 2] and answers[2]["upper"].tolist() == [b"A"]


def test_who_gives_up_waiting_is_never_run(servable):
    async def main():
        gate = Gate(servable.signature("serving_default"))
        batcher = Batcher(gate, 64, Metrics())
        first = asyncio.ensure_future(batcher.run({"x": floats(1)}))
        await asyncio.sleep(0.05)
        second = asyncio.ensure_future(batcher.run({"x": floats(2, 2)}))
        third = asyncio.ensure_future(batcher.run({"x": floats(3)}))
        await asyncio.sleep(0.05)
        second.cancel()
        gate.open.set()
        await asyncio.gather(first, third)
        return gate.sizes

    assert asyncio.run(main()) == [1, 1]


def test_a_model_that_fails_in_an_odd_way_fails_its_request_only(servable):
    signature = servable.signature("serving_default")

    def failing(x):
        if 13 in x:
            raise MemoryError("no room")
        return signature._call(x)

    answers, _ = ask_all(dataclasses.replace(signature, _call=failing), [{"x": floats(n)} for n in (1, 13, 2)])
    assert answers[0]["y"] == 2 and answers[2]["y"] == 4
    assert answers[1].code == Code.UNAVAILABLE and "no room" in answers[1].message


def test_what_arrives_at_one_moment_goes_together_though_nothing_runs(servable):
    async def main():
        gate = Gate(servable.signature("serving_default"))
        gate.open.set()
        batcher = Batcher(gate, 64, Metrics())
        await asyncio.gather(*(batcher.run({"x": floats(n)}) for n in range(5)))
        await batcher.run({"x": floats(5)})
        return gate.sizes

    assert asyncio.run(main()) == [5, 1]
