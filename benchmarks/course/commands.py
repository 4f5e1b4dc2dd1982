"""The course's two commands, as on a machine that has never seen it: a clean clone, an empty home, a fresh `.venv`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.circumstances import ROOT
from benchmarks.course.cores import limited_to
from benchmarks.course.page import COMMANDS, COURSE, INSTALL
from benchmarks.running import Failed, Records, resident_mb

LONGEST = 3600  # seconds that one command may take
EVERY = 30  # seconds between two lines of progress
# What a user's shell may say of another Python, another dataset or another home's folders; and make of the make
# that this runs under.
LEFT_OUT = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "TFDS_DATA_DIR", "PIP_CACHE_DIR"}
LEFT_OUT |= {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}
LEFT_OUT_BEGINNINGS = ("COURSE_", "XDG_", "TF_", "OMP_")
PIP_SETTINGS = (".config/pip", ".pip", "Library/Application Support/pip")  # of a user, below the home folder


def measure(records: Records, cores: int) -> None:
    """Runs what has not ended with 0 yet, in a clone of the commit that is checked out.

    Args:
        records: where it is kept, command by command.
        cores: that a command may use.

    Raises:
        Failed: the clone or the environment could not be made, or a command took too long.
    """
    missing = [name for name in COMMANDS if not is_done(records, name)]
    for name in COMMANDS:
        if name not in missing:
            print(f"  {name}: measured before", flush=True)
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix="course-clone-", ignore_cleanup_errors=True) as scratch:
        clone = Path(scratch) / "course"
        _git("clone", "--quiet", str(ROOT), str(clone))
        for name in (INSTALL, *(name for name in missing if name != INSTALL)):
            # As clean as at first, but for what the installation has made: `make test` must not find what
            # `make course` has computed.
            _git("-C", str(clone), "clean", "-xdfq", "-e", ".venv", "-e", "*.egg-info")
            home = Path(tempfile.mkdtemp(dir=scratch, prefix="home-"))
            with limited_to(cores):
                found = run(name, clone, clean_environment(os.environ, home), records.folder / f"{name}.log")
            records[name] = found | sizes(name, clone, home)
            if name == INSTALL and found["status"] != 0:
                raise Failed(f"{name} ended with {found['status']}")


def is_done(records: Records, name: str) -> bool:
    """Whether a command has been measured, and ended with 0."""
    return name in records and records[name]["status"] == 0


def clean_environment(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """The variables of a user who has just logged in, with an empty home but for the own settings of pip.

    Args:
        environment: this user's.
        home: an empty folder; pip's settings are copied into it, unless `PIP_CONFIG_FILE` names them.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name not in LEFT_OUT and not name.startswith(LEFT_OUT_BEGINNINGS)
    }
    own = {str(Path(prefix) / "bin") for prefix in (sys.prefix, environment.get("VIRTUAL_ENV", sys.prefix))}
    kept["PATH"] = os.pathsep.join(one for one in environment["PATH"].split(os.pathsep) if one not in own)
    for place in PIP_SETTINGS:
        if (settings := Path.home() / place).is_dir():
            shutil.copytree(settings, home / place)
    return kept | {"HOME": str(home)}


def run(name: str, folder: Path, environment: dict[str, str], log: Path) -> dict[str, Any]:
    """Runs a command to its end, telling now and then what it has said last.

    Args:
        name: the command, words apart.
        folder: where it runs.
        environment: its variables.
        log: gets all that it prints.

    Returns:
        Exit status, wall and processor seconds, and the memory of its largest process.

    Raises:
        Failed: it took too long.
    """
    print(f"  {name}", flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as said:
        started = time.monotonic()
        # Of a group of its own, so that what it has started ends with it.
        process = subprocess.Popen(
            name.split(), cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        ended = 0
        try:
            told = started
            while not ended:
                time.sleep(0.2)
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
                if (now := time.monotonic()) > started + LONGEST:
                    raise Failed(f"{name} took more than {LONGEST / 60:.0f} minutes; what it said stands in {log}")
                if now > told + EVERY and not ended:
                    told = now
                    print(f"    {now - started:5.0f} s  {_last_line(log)}", flush=True)
        finally:
            if not ended:
                os.killpg(process.pid, signal.SIGKILL)
                os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    print(f"    {wall:5.0f} s  ended with {process.returncode}", flush=True)
    if process.returncode:
        print(f"    {_last_line(log)}\n    all of it: {log}", flush=True)
    return {
        "status": process.returncode,
        "wall_seconds": wall,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "memory_mb": resident_mb(usage),
    }


def sizes(name: str, clone: Path, home: Path) -> dict[str, Any]:
    """What a command leaves: the size of `.venv`, or of the folder and the home; of a course, its chapters' seconds."""
    if name == INSTALL:
        return {"venv_mb": disk_mb(clone / ".venv")}
    left = {"folder_mb": disk_mb(clone), "home_mb": disk_mb(home)}
    if name == COURSE:
        left["chapters"] = {
            run.stem: json.loads(run.read_text(encoding="utf-8"))["metadata"]["recsys_course"]["seconds"]
            for run in sorted((clone / ".course" / "notebooks").glob("*.ipynb"))
        }
    return left


def disk_mb(folder: Path) -> float:
    """What a folder takes on the disk, in MiB; a file of several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for path, _, files in os.walk(folder):
        for one in (path, *(os.path.join(path, file) for file in files)):
            found = os.lstat(one)
            seen[found.st_dev, found.st_ino] = 512 * found.st_blocks
    return sum(seen.values()) / 2**20


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"git {arguments[0]}: {done.stderr.strip()[-300:]}")


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-4000:].decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip()[:100] if lines else ""
