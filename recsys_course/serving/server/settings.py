"""What a server is told at its start, and the bounds that keep one client from stalling another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where the models are, where to listen, and how much is too much.

    Attributes:
        models: folder with one folder a model, and in it one folder a version: ``models/retrieval/1``.
        host: address to listen on. The default can be reached from this machine alone.
        rest_port: port of REST, the page and the metrics; 0 takes any free one.
        grpc_port: port of gRPC; 0 takes any free one.
        max_body_bytes: longest request body that is read.
        max_rows: most rows in one request.
        max_batch_rows: most rows of several requests that run together.
        max_in_flight: most requests that are read, waiting or running; whoever comes then is told to come again.
        deadline: seconds until an answer that is not ready is given up.
        idle: seconds that a connection may stay open without a whole request on it.
        grace: seconds that requests in flight have to finish once the server is told to stop.
        poll: seconds between two looks at the models folder.
    """

    models: Path
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    max_body_bytes: int = 2**20
    max_rows: int = 1024
    max_batch_rows: int = 64
    max_in_flight: int = 256
    deadline: float = 10.0
    idle: float = 30.0
    grace: float = 20.0
    poll: float = 0.5
