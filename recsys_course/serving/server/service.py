"""What REST and gRPC have in common: who is let in, what is checked, how long it may take, what is counted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

from recsys_course.serving.server.errors import Code, RequestError, invalid
from recsys_course.serving.server.metrics import Metrics
from recsys_course.serving.server.repository import Repository, Version
from recsys_course.serving.server.servable import Signature, Tensors
from recsys_course.serving.server.settings import Settings


class Service:
    """Answers predictions, for whichever protocol asks.

    Attributes:
        settings: as the server was started.
        metrics: what is counted.
        repository: the models.
        stopping: whether the server has been told to stop.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.metrics = settings, Metrics()
        self.repository = Repository(settings, self.metrics)
        self.stopping = False
        self.in_flight = 0

    @contextlib.contextmanager
    def request(self, protocol: str, model: str) -> Iterator[None]:
        """Let a request in and count it, from its first byte to its answer.

        Raises:
            RequestError: too many are in flight already (resource exhausted).
        """
        outcome, started = "OK", time.perf_counter()
        try:
            if self.in_flight >= self.settings.max_in_flight:
                raise RequestError(Code.RESOURCE_EXHAUSTED, f"{self.in_flight} requests in flight: come again later")
            self.in_flight += 1
            self.metrics.in_flight.set(self.in_flight)
            try:
                yield
            finally:
                self.in_flight -= 1
                self.metrics.in_flight.set(self.in_flight)
        except RequestError as error:
            outcome = error.code.name
            raise
        except BaseException as error:
            outcome = "CANCELLED" if isinstance(error, asyncio.CancelledError) else "INVALID_ARGUMENT"
            raise
        finally:
            model = model if model in self.repository.models else ""  # names that clients make up are not kept
            self.metrics.requests.labels(protocol, model, outcome).inc()
            self.metrics.seconds.labels(protocol, model).observe(time.perf_counter() - started)

    async def predict(self, version: Version, signature: Signature, inputs: Tensors, seconds: float) -> Tensors:
        """The outputs of a signature.

        Args:
            version: from the repository; it stays alive until the answer is out.
            signature: one of its signatures.
            inputs: arrays by name.
            seconds: how long it may take; the server's own deadline if that is shorter.

        Raises:
            RequestError: the inputs do not fit the signature, or the time is up.
        """
        self._check(signature, inputs)
        try:
            async with asyncio.timeout(min(seconds, self.settings.deadline)):
                return await version.batchers[signature.name].run(inputs)
        except TimeoutError:
            raise RequestError(Code.DEADLINE_EXCEEDED, "The deadline passed before the answer was ready") from None

    def _check(self, signature: Signature, inputs: Tensors) -> None:
        if inputs.keys() != signature.inputs.keys():
            expected, given = sorted(signature.inputs), sorted(inputs)
            raise invalid(f"Signature {signature.name!r} has the inputs {expected}, but got {given}")
        for name, spec in signature.inputs.items():
            array = inputs[name]
            if array.dtype != spec.dtype.as_numpy_dtype:
                raise invalid(f"Input {name!r} is of type {spec.dtype.name}, but got {array.dtype}")
            spec.check(array)
            if spec.any_rows and len(array) > self.settings.max_rows:
                raise invalid(f"A request may have {self.settings.max_rows} rows, but {name!r} has {len(array)}")
