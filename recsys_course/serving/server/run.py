"""Start, listen, stop: both protocols on one event loop, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import sys
import time
from typing import Any, NoReturn

import tensorflow as tf
import uvicorn

from recsys_course.serving.server import grpc_api
from recsys_course.serving.server.errors import CannotStart
from recsys_course.serving.server.rest import application
from recsys_course.serving.server.service import Service
from recsys_course.serving.server.settings import Settings

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
log = logging.getLogger(__name__)


def run(settings: Settings) -> NoReturn:
    """Serve until told to stop, finish what is in flight, and end the process.

    The exit status is 0, or 1 where requests had to be given up.

    Raises:
        CannotStart: a port is taken, or the address is not this machine's; says which and what to do.
    """
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("recsys_course").setLevel(logging.INFO)
    with listen(settings.host, settings.rest_port, "REST") as rest:
        listen(settings.host, settings.grpc_port, "gRPC").close()
        _hush_tensorflow()
        # Uvicorn takes the signals over while it serves, and afterwards hands them back to whoever had them before.
        # That must not end the process, since gRPC may still have an answer to write.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        # Uvicorn's own choice: uvloop where it is installed, as it takes httptools for parsing: both cost less.
        with asyncio.Runner(loop_factory=uvicorn.Config("", loop="auto", log_config=None).get_loop_factory()) as runner:
            left = runner.run(_serve(settings, rest))
    log.info("stopped; requests given up: %d", left)
    sys.stdout.flush()
    os._exit(1 if left else 0)  # a thread that computes for nobody cannot be stopped, and Python would wait for it


def _hush_tensorflow() -> None:
    """Let TensorFlow say what it says once, at the first session of a process whatever its log level, to nobody."""
    kept, nobody = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, 2)
    try:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            session.run(tf.constant(0))
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nobody)


def listen(host: str, port: int, protocol: str) -> socket.socket:
    """A socket that holds a port. Raises CannotStart where it cannot be had."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        held = socket.socket(family, kind, number)
    except OSError as error:
        raise CannotStart(f"cannot listen on {host!r}: {error.strerror}") from error
    try:
        if os.name == "posix":  # elsewhere it would let two servers have one port
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
        held.listen(2048)
    except OSError as error:
        held.close()
        option = f"--{protocol.lower()}-port"
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"port {port} ({protocol}) is in use: stop what has it, or choose another: {option} {port + 10}"
            ) from error
        raise CannotStart(f"cannot listen on {host}:{port} ({protocol}): {error.strerror}") from error
    return held


async def _serve(settings: Settings, rest: socket.socket) -> int:
    """Serve until a signal comes. Returns the number of requests that were given up."""
    service = Service(settings)
    config = uvicorn.Config(
        application(service),
        lifespan="off",
        ws="none",
        proxy_headers=False,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=int(settings.idle),
        timeout_graceful_shutdown=int(settings.grace),
    )
    http, rpc = uvicorn.Server(config), grpc_api.server(service)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        grpc_port = rpc.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError as error:
        raise CannotStart(f"cannot listen on {host}:{settings.grpc_port} (gRPC)") from error
    await rpc.start()
    tasks = [asyncio.create_task(service.repository.watch()), asyncio.create_task(_close_the_slow(http, settings))]
    serving = asyncio.create_task(http.serve(sockets=[rest]))
    _greet(settings, host, rest.getsockname()[1], grpc_port)
    gc.freeze()  # what TensorFlow brought along lives as long as we do; no need to look through it again and again
    while not http.should_exit and not serving.done():
        await asyncio.sleep(0.05)
    service.stopping = True
    log.info("stopping: %d requests in flight", service.in_flight)
    await asyncio.gather(serving, rpc.stop(settings.grace))
    for task in tasks:
        task.cancel()
    return service.in_flight


async def _close_the_slow(http: uvicorn.Server, settings: Settings) -> None:
    """Close connections that make no progress: no whole request in time, or an answer that nobody fetches.

    However slowly bytes trickle in, the clock runs from the moment that the connection began to wait.
    """
    since: dict[object, float] = {}
    while True:
        now, before = time.monotonic(), since
        since = {}
        connections: list[Any] = list(http.server_state.connections)  # HTTP's alone, which have a cycle
        for connection in connections:
            cycle = connection.cycle
            waiting = cycle is None or cycle.response_complete
            stage = (connection, None if waiting else cycle)
            since[stage] = before.get(stage, now)
            if now - since[stage] > settings.idle + (0 if waiting else settings.idle + settings.deadline):
                connection.transport.abort()
        await asyncio.sleep(min(1.0, settings.idle / 4))


def _greet(settings: Settings, host: str, rest_port: int, grpc_port: int) -> None:
    lines = [
        f"Serving {settings.models}",
        f"  page     http://{host}:{rest_port}/",
        f"  REST     http://{host}:{rest_port}/v1/models/",
        f"  gRPC     {host}:{grpc_port}",
        f"  metrics  http://{host}:{rest_port}/metrics",
    ]
    if settings.host not in LOOPBACK:
        lines.append(
            "Whoever reaches this address can ask: there is no authentication. Put a proxy with a lock in front."
        )
    lines.append("Ctrl-C stops it.")
    print("\n".join(lines), flush=True)
