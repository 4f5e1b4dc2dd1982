"""So many processor cores for what is measured, whatever the machine has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil


def thread_limits(threads: int) -> dict[str, str]:
    """The variables that tell TensorFlow and the libraries for arrays how many threads to use."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return dict.fromkeys(names, str(threads))


@contextmanager
def limited_to(cores: int) -> Iterator[None]:
    """Holds this process, and what it starts meanwhile, to so many cores; all that there are where there are fewer.

    macOS gives no such means; there only `thread_limits` holds.
    """
    this = psutil.Process()
    if not hasattr(this, "cpu_affinity"):
        yield
        return
    before = this.cpu_affinity()
    this.cpu_affinity(before[:cores])
    try:
        yield
    finally:
        this.cpu_affinity(before)
