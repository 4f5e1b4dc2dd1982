"""A server in a process of its own, started and stopped from Python: for a notebook, a test, a benchmark."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_ADDRESSES = re.compile(r"^  REST +(http://\S+)/v1/models/$\n^  gRPC +(\S+)$", re.MULTILINE)


class LocalServer:
    """`course serve` in the background, on free ports; ends with the process that started it, if not before.

    Use it in a `with`, or call `stop`.

    Args:
        models: folder with the models.
        settings: any of `Settings`; the ports are free ones unless named.

    Attributes:
        rest: address of REST, such as `http://127.0.0.1:40001`.
        grpc: address of gRPC, such as `127.0.0.1:40002`.
        process: the child.

    Raises:
        RuntimeError: it ended before it was ready, or was not ready in time; shows what it printed.
    """

    def __init__(self, models: Path | str, *, wait: float = 60.0, **settings: Any) -> None:
        settings = {"models": str(models), "rest_port": 0, "grpc_port": 0} | settings
        self._folder = tempfile.TemporaryDirectory(prefix="course-serve-")
        environment = {"PYTHONIOENCODING": "utf-8", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-m", "recsys_course.serving.server", json.dumps(settings)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=os.environ | environment
            )
        try:
            self.rest, self.grpc = self._until(time.monotonic() + wait)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def log(self) -> str:
        """What the server has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def _log(self) -> Path:
        return Path(self._folder.name) / "log"

    def stop(self, wait: float = 60.0) -> int:
        """Let requests in flight finish, end the process, and return its exit status."""
        assert self.process.stdin is not None  # a pipe, see above
        self.process.stdin.close()
        return self.process.wait(wait)

    def __enter__(self) -> LocalServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _until(self, latest: float) -> tuple[str, str]:
        """The addresses, as soon as the models answer."""
        while time.monotonic() < latest and self.process.poll() is None:
            if found := _ADDRESSES.search(self.log()):
                try:
                    urllib.request.urlopen(f"{found[1]}/readyz", timeout=5).close()
                    return found[1], found[2]
                except (urllib.error.URLError, OSError):
                    pass
            time.sleep(0.05)
        raise RuntimeError(f"the server did not become ready:\n{self.log()}")
