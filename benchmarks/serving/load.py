"""Clients in a process of their own: each asks over one connection, waits for the answer, and asks again.

Run as a file, with one argument of JSON; prints one line of JSON. It uses the standard library alone and parses no more
of an answer than it must, so that what it measures is the server.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from typing import Any


class Client(asyncio.Protocol):
    """One connection with one request on it at any time."""

    def __init__(self, requests: list[bytes], until: float, seed: int) -> None:
        self._requests, self._until, self._random = requests, until, random.Random(seed)
        self._received = b""
        self.seconds: list[float] = []
        self.failures = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Once the answer is whole, note how long it took and ask again, or end."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < content_length(head):
            return
        self._received = b""
        if head.startswith(b"HTTP/1.1 200") and b"movie_ids" in body:
            self.seconds.append(time.perf_counter() - self._asked)
        else:
            self.failures += 1
        if time.perf_counter() < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The end; before its time it is a failure."""
        self.failures += time.perf_counter() < self._until
        self.done.set_result(None)

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._random.choice(self._requests))


def content_length(head: bytes) -> int:
    """The length that an answer's head states."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    raise ValueError(f"an answer without a length: {head!r}")


async def measure(host: str, port: int, path: str, users: list[str], clients: int, seconds: float) -> dict[str, Any]:
    """Ask for some seconds with some clients.

    Returns:
        Answers a second, percentiles of the latency in milliseconds, and failures.
    """
    requests = []
    for user in users:
        body = json.dumps({"instances": [user]}).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        requests.append(f"{head}\r\n\r\n".encode() + body)
    loop, started = asyncio.get_running_loop(), time.perf_counter()
    connected = [
        (await loop.create_connection(lambda: Client(requests, started + seconds, seed), host, port))[1]  # noqa: B023
        for seed in range(clients)
    ]
    await asyncio.gather(*(client.done for client in connected))
    took = time.perf_counter() - started
    latencies = sorted(value for client in connected for value in client.seconds)
    if not latencies:
        raise RuntimeError(f"no request of {clients} clients was answered at {host}:{port}{path}")
    percentiles = {f"p{p}_ms": round(1000 * latencies[int(p / 100 * (len(latencies) - 1))], 3) for p in (50, 99)}
    return {
        "per_second": round(len(latencies) / took, 1),
        **percentiles,
        "answered": len(latencies),
        "failures": sum(client.failures for client in connected),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(**json.loads(sys.argv[1])))))
