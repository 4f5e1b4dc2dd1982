"""Many clients at once, and how long each of them waited."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self


class Load:
    """Clients that ask, wait for the answer and ask again, for as long as the `with` block lasts.

    Args:
        ask: called with the number of a client; sends one request, and raises whatever is wrong with its answer.
        num_clients: how many ask at the same time.

    Attributes:
        latencies: seconds from a request to its answer, of every request that was answered.
        failures: what was raised for the others, in words.
        seconds: how long the block took.
    """

    def __init__(self, ask: Callable[[int], object], num_clients: int) -> None:
        self.latencies: list[float] = []
        self.failures: list[str] = []
        self.seconds = 0.0
        self._ask, self._ended = ask, threading.Event()
        self._clients = [threading.Thread(target=self._run, args=(number,)) for number in range(num_clients)]

    @property
    def per_second(self) -> float:
        """Answers a second, of all clients together."""
        return len(self.latencies) / self.seconds

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for client in self._clients:
            client.join()
        self.seconds = time.perf_counter() - self._started

    def _run(self, number: int) -> None:
        while not self._ended.is_set():
            started = time.perf_counter()
            try:
                self._ask(number)
            except Exception as error:  # a failure is a result here; the client goes on
                self.failures.append(f"{type(error).__name__}: {error}")
                self._ended.wait(0.01)  # nobody hammers a server that is down
            else:
                self.latencies.append(time.perf_counter() - started)


def latency_percentile(latencies: Sequence[float], percent: float) -> float:
    """The latency that `percent` of the requests did not exceed: a nearest-rank percentile. Built in chapter 5.

    Args:
        latencies: `[num_requests]` of any unit, in any order.
        percent: above 0, up to 100; 99 for p99.

    Returns:
        The smallest of the latencies that at least `percent` of all are no greater than; always one that was measured.

    Raises:
        ValueError: no latencies, or a percent that is out of range.
    """
    if not len(latencies) or not 0 < percent <= 100:
        raise ValueError(f"needs latencies and a percent in (0, 100], got {len(latencies)} latencies and {percent}.")
    # Divided last: 0.07 * 100 is a hair more than 7, and its ceiling 8.
    rank = math.ceil(percent * len(latencies) / 100)
    return float(sorted(latencies)[rank - 1])
