"""What the server counts, for Prometheus."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """A server's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        named: dict[str, Any] = {"namespace": "recsys", "registry": self.registry}
        self.requests = Counter(
            "requests",
            "Predictions asked for, by outcome (a gRPC status name).",
            ["protocol", "model", "outcome"],
            **named,
        )
        self.seconds = Histogram(
            "request_seconds",
            "Time from a whole request to its answer.",
            ["protocol", "model"],
            buckets=SECONDS,
            **named,
        )
        self.batch_rows = Histogram("batch_rows", "Rows that ran together.", buckets=ROWS, **named)
        self.in_flight = Gauge("in_flight", "Requests being read, waiting or running.", **named)
        self.available = Gauge("version_available", "1 for each version that answers.", ["model", "version"], **named)
        self.load_seconds = Histogram(
            "load_seconds",
            "Time to load a version and warm it up.",
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            **named,
        )
        self.broken = Counter("broken_versions", "Versions that could not be loaded.", ["model"], **named)
