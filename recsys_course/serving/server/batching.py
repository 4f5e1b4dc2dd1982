"""Run requests at once when nothing runs, together when something does.

A call of a model costs nearly as much for one row as for ten. So while one batch runs, whatever arrives waits, and goes
together as the next batch. With one client nobody ever waits for company; with many, batches grow by themselves. There
is no time-out to tune.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from recsys_course.serving.server.errors import RequestError, invalid
from recsys_course.serving.server.metrics import Metrics
from recsys_course.serving.server.servable import Signature, Tensors

ALONE_AT_ONCE = 4  # requests of a signature without batches that run beside each other
_Results = Sequence[Tensors | RequestError]  # one for each request
_Company = tuple[tuple[int, ...], ...] | None


@dataclass(eq=False, slots=True)
class _Job:
    inputs: Tensors
    rows: int
    company: _Company  # jobs that agree in this may share a batch; None: it runs alone
    answer: asyncio.Future[Tensors]


class Batcher:
    """Runs one signature of one version, in threads of its own: a slow model holds up nobody else's requests.

    Args:
        signature: what to run.
        max_batch_rows: most rows that run together.
        metrics: is told the size of each batch.
    """

    def __init__(self, signature: Signature, max_batch_rows: int, metrics: Metrics) -> None:
        self._signature, self._max_rows, self._metrics = signature, max_batch_rows, metrics
        self._lanes = 1 if signature.batchable else ALONE_AT_ONCE
        self._pool = ThreadPoolExecutor(self._lanes, thread_name_prefix=f"signature {signature.name}")
        self._waiting: deque[_Job] = deque()
        self._running = 0

    async def run(self, inputs: Tensors) -> Tensors:
        """The outputs for one request's inputs. Cancelling it takes it out of the queue, unless it runs already."""
        job = _Job(inputs, *self._company(inputs), asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        job.answer.get_loop().call_soon(self._start)  # after all that arrived at the same moment, so that they go along
        return await job.answer

    def _company(self, inputs: Tensors) -> tuple[int, _Company]:
        """Rows of a request, and what others must have in common with it to share a batch."""
        sizes = {array.shape[0] for array in inputs.values() if array.ndim}
        if not self._signature.batchable or len(sizes) != 1:
            return 1, None
        return sizes.pop(), tuple(array.shape[1:] for array in inputs.values())

    def _start(self) -> None:
        while self._running < self._lanes and (batch := self._next()):
            self._running += 1
            self._metrics.batch_rows.observe(sum(job.rows for job in batch))
            done = self._pool.submit(_run, self._signature, [job.inputs for job in batch], [job.rows for job in batch])
            done.add_done_callback(partial(self._hand_back, batch))

    def _next(self) -> list[_Job]:
        """The longest waiting job with all that may go along with it, in their order."""
        batch: list[_Job] = []
        others: deque[_Job] = deque()
        rows = 0
        while self._waiting:
            job = self._waiting.popleft()
            if job.answer.done():  # its client has gone, or its time is up
                continue
            if not batch or (None is not job.company == batch[0].company and rows + job.rows <= self._max_rows):
                batch.append(job)
                rows += job.rows
            else:
                others.append(job)
        self._waiting = others
        return batch

    def _hand_back(self, batch: list[_Job], done: Future[_Results]) -> None:
        """From the thread that has run a batch to the event loop."""
        batch[0].answer.get_loop().call_soon_threadsafe(self._finished, batch, done)

    def _finished(self, batch: list[_Job], done: Future[_Results]) -> None:
        self._running -= 1
        self._start()  # before the answers are written, so that the model works meanwhile
        for job, result in zip(batch, done.result(), strict=True):
            if job.answer.done():
                continue
            if isinstance(result, RequestError):
                job.answer.set_exception(result)
            else:
                job.answer.set_result(result)


def _run(signature: Signature, requests: list[Tensors], rows: list[int]) -> _Results:
    """Outputs, or an error, for each of several requests: together, or one by one where one of them is bad."""
    if len(requests) > 1:
        try:
            return _together(signature, requests, rows)
        except RequestError:
            pass
    results: list[Tensors | RequestError] = []
    for inputs in requests:
        try:
            results.append(signature.run(inputs))
        except RequestError as error:
            results.append(error)
    return results


def _together(signature: Signature, requests: list[Tensors], rows: list[int]) -> list[Tensors]:
    merged = {name: np.concatenate([inputs[name] for inputs in requests]) for name in signature.inputs}
    outputs = signature.run(merged)
    if any(len(array) != sum(rows) for array in outputs.values()):
        raise invalid("an output has not one row for each row of the inputs")
    ends = np.cumsum(rows)[:-1]
    parts = {name: np.split(array, ends) for name, array in outputs.items()}
    return [dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)]
