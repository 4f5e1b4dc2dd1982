"""What every benchmark says of where it ran, and what it gives its processes."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
QUIET = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "1"}


def circumstances(packages: Iterable[str], *code: str) -> dict[str, Any]:
    """What stands at the head of every file of results.

    Args:
        packages: whose versions are noted.
        code: paths whose commit is noted.
    """
    return {"date": today(), "commit": commit(*code), "machine": machine(), "versions": versions(packages)}


def machine() -> dict[str, Any]:
    """What it ran on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
    }


def processor() -> str:
    """The processor's name, as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """The installed version of each package; `None` where it is not installed."""
    return {name: _version(name) for name in packages}


def commit(*paths: str) -> str | None:
    """The commit that is checked out, with a plus where the tracked files of these paths have changed since.

    `None` where there is no git, or no repository.
    """
    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *paths)
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def git(*arguments: str) -> str:
    """What git says of the repository. Raises OSError or CalledProcessError where there is no git, or no repository."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def today() -> str:
    """The date in UTC, as 2026-11-24."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
