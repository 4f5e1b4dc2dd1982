"""What the course is compared with: each library in an environment of its own, which knows nothing of the course's."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.running import WORK, last_word


class NotHere(Exception):
    """A peer that cannot be had on this machine; the message is the reason."""


@dataclass(frozen=True)
class Peer:
    """One library, or one server.

    Attributes:
        name: of its environment's folder.
        title: as people call it.
        packages: what its environment is made of; nothing for the course's own environment.
    """

    name: str
    title: str
    packages: tuple[str, ...] = ()

    def python(self) -> Path:
        """The interpreter of its environment, made first where it is missing. Raises NotHere."""
        if not self.packages:
            return Path(sys.executable)
        folder = WORK / self.name
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        stamp, wanted = folder / "made-of", hashlib.sha256("\n".join(self.packages).encode()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            return python
        print(f"  {self.title}: an environment with {', '.join(self.packages)} ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        for command in (
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *self.packages],
        ):
            done = subprocess.run(command, capture_output=True, text=True, errors="replace")
            if done.returncode:
                raise NotHere(last_word(done.stderr.strip() or done.stdout, done.returncode))
        stamp.write_text(wanted)
        return python

    def run(self, script: Path, *arguments: str) -> None:
        """Runs a file in its environment. Raises NotHere where the environment cannot be made or the file fails."""
        done = subprocess.run(
            [str(self.python()), str(script), *arguments], stderr=subprocess.PIPE, text=True, errors="replace"
        )
        if done.returncode:
            raise NotHere(last_word(done.stderr, done.returncode))
