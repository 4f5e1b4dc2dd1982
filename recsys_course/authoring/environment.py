"""Make ``.venv`` from the lock file: the first step of ``make course`` and ``make test``.

Run as a file by whichever Python the machine offers, so it uses the standard library alone:

    python3 -I recsys_course/authoring/environment.py

An environment counts as finished only when its stamp, the hash of what it was made from, is written as the very last
step. A run that was stopped half-way therefore starts the environment afresh, and a finished one costs nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
OURS = "course-made-this"  # says that we may replace the folder
PACKAGES = "course-packages"  # stamp: what the installed packages were made from
COURSE = "course-itself"  # stamp: what the course's own installation was made from
NEEDED_BYTES = 6 * 2**30  # 3.1 GB installed, the downloads while installing, the data and the notebooks
SUPPORTED = ((3, 11), (3, 14))

# What pip prints, and what a person can do about it. The first that matches is shown.
REMEDIES = (
    (r"No space left on device", "the disk is full: free about 6 GB, then run the same command again"),
    (
        r"HASHES? .*MISMATCH|DO NOT MATCH THE HASHES",
        "a downloaded package is not the one in requirements.lock: if your package index is a mirror, ask its keeper; "
        "`pip cache purge` helps where a download was damaged",
    ),
    (
        r"name resolution|getaddrinfo|Failed to establish|Network is unreachable|NewConnectionError|ConnectTimeout"
        r"|Read timed out|ProxyError|Connection refused|Connection reset|Could not fetch URL|\(from versions: none\)",
        "the package index cannot be reached: check the network, or pip's index and proxy settings, then run the same "
        "command again",
    ),
    (
        r"No matching distribution|not a supported wheel",
        "a pinned package has no build for this machine: use 64-bit Python 3.11, 3.12 or 3.13 on Linux, macOS (Apple "
        "silicon) or Windows",
    ),
)


def main() -> int:
    """Bring ``.venv`` up to date with the lock file. Returns the exit status; errors are one line on stderr."""
    try:
        check_python(sys.version_info[:2])
        with exclusive():
            if stamp(PACKAGES) != packages_fingerprint():
                make()
            if stamp(COURSE) != course_fingerprint():
                install_course()
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to go on", file=sys.stderr)
        return 130
    except (SetupError, OSError) as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    return 0


class SetupError(Exception):
    """What went wrong and what to do, in one line."""


def check_python(version: tuple[int, int]) -> None:
    """Raise SetupError unless ``version`` is one that the lock file serves."""
    if not SUPPORTED[0] <= version < SUPPORTED[1]:
        raise SetupError(
            f"Python 3.11, 3.12 or 3.13 is needed, this is {version[0]}.{version[1]}: install one of them and name it, "
            "as in `make course PYTHON=python3.12`"
        )


def packages_fingerprint() -> str:
    """Hash of what the packages are made from: the lock, the line of Python, the place."""
    python_line = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return hashlib.sha256(b"\0".join((LOCK.read_bytes(), python_line.encode(), str(VENV).encode()))).hexdigest()


def course_fingerprint() -> str:
    """Hash of what the course's own installation is made from: its entry points and metadata, not its modules."""
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()


def stamp(name: str) -> str | None:
    """What a finished step was made from, or None where it was not finished or the Python is gone."""
    try:
        return (VENV / name).read_text() if python().exists() else None
    except OSError:
        return None


def python() -> Path:
    """The environment's interpreter."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make() -> None:
    """Create or replace ``.venv`` and install into it exactly what the lock names, checked by hash."""
    if VENV.exists() and not (VENV / OURS).exists():
        raise SetupError(f"{VENV} was not made by this course: move it away, then run the same command again")
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        raise SetupError(
            f"about {NEEDED_BYTES / 2**30:.0f} GB of disk are needed under {ROOT}, {free / 2**30:.1f} GB are free: "
            "free some space, then run the same command again"
        )
    started = time.monotonic()
    if VENV.exists():
        shutil.rmtree(VENV)
    VENV.mkdir()
    (VENV / OURS).touch()
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Making .venv with Python {version} (about 3 GB, one to five minutes) ...", flush=True)
    run_quietly([sys.executable, "-m", "venv", str(VENV)], "python -m venv")
    install_packages()
    (VENV / PACKAGES).write_text(packages_fingerprint())
    print(f"  .venv is ready ({time.monotonic() - started:.0f} s)", flush=True)


def pip_install(*arguments: str) -> list[str]:
    """The command line of a pip that takes exactly what it is told and nothing more."""
    return [str(python()), "-m", "pip", "install", "--no-deps", "--disable-pip-version-check", *arguments]


def install_course() -> None:
    """Install the course itself, editable. Its build tools are in the environment, so nothing is downloaded."""
    command = pip_install("-q", "--no-build-isolation", "--no-index", "-e", str(ROOT))
    run_quietly(command, "installing the course itself")
    (VENV / COURSE).write_text(course_fingerprint())


def install_packages() -> None:
    """Install what the lock names, checked by hash, and show how far it is: packages fetched of packages pinned."""
    command = pip_install("--progress-bar", "off", "--require-hashes", "-r", str(LOCK))
    total = len(re.findall(r"^[A-Za-z0-9]\S*==", LOCK.read_text(encoding="utf-8"), re.M))
    seen, output = 0, []
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
    )
    assert process.stdout is not None  # a pipe, see above
    try:
        for line in process.stdout:
            output.append(line)
            if match := re.match(r"(?:Collecting|Ignoring) ([\w.-]+)", line):
                seen += 1
                show(f"  fetching {seen}/{total}  {match[1]}", last=seen == total, every=40, count=seen)
            elif line.startswith("Installing collected"):
                show(f"  unpacking {total} packages ...", last=True)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
    if process.returncode:
        raise SetupError(diagnose("".join(output)))


def show(text: str, *, last: bool = False, every: int = 1, count: int = 0) -> None:
    """One line that is rewritten on a terminal; in a log only every so many."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="\n" if last else "", flush=True)
    elif last or count % every == 0:
        print(text, flush=True)


def run_quietly(command: list[str], what: str) -> None:
    """Run a command whose output matters only when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise SetupError(f"{what} failed: {diagnose(done.stdout + done.stderr)}")


def diagnose(output: str) -> str:
    """One line on why a step failed and what to do, from what it printed."""
    for pattern, remedy in REMEDIES:
        if re.search(pattern, output):
            return remedy
    if "ensurepip" in output:
        return "this Python cannot make environments: on Debian or Ubuntu `apt install python3-venv`"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return errors[-1] if errors else "no message was printed; run the same command again"


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """Let one process at a time make the environment; a second waits, then finds it finished."""
    course = ROOT / ".course"
    course.mkdir(exist_ok=True)
    with open(course / "environment.lock", "a+") as handle:
        if sys.platform == "win32":
            import msvcrt

            while True:  # msvcrt gives up after ten seconds; the environment takes minutes
                with contextlib.suppress(OSError):
                    handle.seek(0)
                    msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
                    break
        else:
            import fcntl

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("Another process is making .venv; waiting for it ...", flush=True)
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
