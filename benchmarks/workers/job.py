"""A job of several workers on this machine: started, watched, and started again when one of them dies."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.circumstances import QUIET, ROOT
from benchmarks.running import Failed

RESTARTS = 2


def run(order: dict[str, Any], num_workers: int, seconds: float, kill_after_epoch: int | None = None) -> dict[str, Any]:
    """Runs a job to its end; returns what its first worker found.

    Args:
        order: for every worker; `folder` is where the checkpoints go.
        num_workers: how many processes.
        seconds: that the job may take, restarts included.
        kill_after_epoch: kill the last worker once the checkpoint of this epoch is there, once.

    Raises:
        Failed: out of time, or dead more often than `RESTARTS` times.
    """
    until = time.monotonic() + seconds
    deaths = 0
    while True:
        with tempfile.TemporaryDirectory() as scratch:
            workers = _start(order, num_workers, Path(scratch))
            try:
                killed = _watch(workers, Path(order["folder"]), until, None if deaths else kill_after_epoch)
            finally:
                for worker in workers:
                    worker.kill()
                    worker.wait()
            if not killed and not any(worker.returncode for worker in workers):
                found = json.loads((Path(scratch) / "answer-0.json").read_text(encoding="utf-8"))
                return found | {"restarts": deaths}
            said = (Path(scratch) / "stderr-0").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        deaths += 1
        if deaths > RESTARTS or time.monotonic() > until:
            raise Failed((said or ["a worker died without a word"])[-1][:300])
        print("    a worker died: all are ended and started again", flush=True)


def _start(order: dict[str, Any], num_workers: int, scratch: Path) -> list[subprocess.Popen]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(num_workers)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]
    workers = []
    for number in range(num_workers):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        environment = os.environ | QUIET | ({"TF_CONFIG": json.dumps(config)} if num_workers > 1 else {})
        answer = scratch / f"answer-{number}.json"
        with (scratch / f"stderr-{number}").open("wb") as errors:
            command = [sys.executable, "-m", "benchmarks.workers.worker", json.dumps(order), str(answer)]
            workers.append(subprocess.Popen(command, cwd=ROOT, env=environment, stderr=errors))
    return workers


def _watch(workers: list[subprocess.Popen], folder: Path, until: float, kill_after_epoch: int | None) -> bool:
    """Waits until all have ended, one has died, or time is out; whether it has killed one itself."""
    while time.monotonic() < until:
        if kill_after_epoch and (folder / f"ckpt-{kill_after_epoch}.index").is_file():
            workers[-1].kill()
            return True
        states = [worker.poll() for worker in workers]
        if all(state == 0 for state in states) or any(states):
            return False
        time.sleep(0.02)
    raise Failed("the job took too long")
