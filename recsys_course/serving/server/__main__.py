"""The server as a child process: its settings in one argument, and it lives as long as its standard input is open."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

from recsys_course.serving.server.errors import CannotStart
from recsys_course.serving.server.run import run
from recsys_course.serving.server.settings import Settings


def main() -> int:
    """Serve with settings as JSON, such as ``{"models": "models", "rest_port": 0}``; returns where it cannot start."""
    settings = json.loads(sys.argv[1])
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    try:
        run(Settings(**settings | {"models": Path(settings["models"])}))
    except CannotStart as error:
        print(f"course serve: {error}", file=sys.stderr)
        return 1


def _stop_at_end_of_input() -> None:
    """Whoever started us has closed the pipe, or is gone: no server outlives the notebook that started it."""
    sys.stdin.buffer.read()
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
