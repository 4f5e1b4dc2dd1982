"""The servers that are compared: what each is, its environment, its command."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".course" / "benchmarks"


class NotHere(Exception):
    """A server that cannot be had on this machine; the message is the reason."""


@dataclass(frozen=True)
class Contender:
    """One server.

    Attributes:
        name: as in the results.
        title: as on the page.
        libraries: whose versions are noted.
        packages: what its environment is made of; nothing for the course's own environment.
        path: of a prediction.
    """

    name: str
    title: str
    libraries: tuple[str, ...]
    packages: tuple[str, ...] = ()
    path: str = "/v1/models/retrieval:predict"

    def python(self) -> Path:
        """The interpreter of its environment, made first where it is missing. Raises NotHere."""
        if not self.packages:
            return Path(sys.executable)
        folder = ENVIRONMENTS / self.name
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
                raise NotHere((done.stderr.strip() or done.stdout.strip()).splitlines()[-1][:300])
        stamp.write_text(wanted)
        return python

    def versions(self) -> dict[str, str]:
        """Versions of its libraries, and of its Python."""
        code = (
            "import json, platform, sys\nfrom importlib.metadata import PackageNotFoundError, version\n"
            "found = {'python': platform.python_version()}\n"
            "for name in sys.argv[1:]:\n"
            "    try: found[name] = version(name)\n"
            "    except PackageNotFoundError: pass\n"
            "print(json.dumps(found))"
        )
        command = [str(self.python()), "-c", code, *self.libraries]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def command(self, artefact: Path, port: int) -> list[str]:
        """How it is started with a version folder on a port."""
        if self.packages:
            return [str(self.python()), str(HERE / f"{self.name}_server.py"), str(artefact), str(port)]
        settings = {"models": str(artefact.parents[1]), "rest_port": port, "grpc_port": 0}
        return [str(self.python()), "-m", "recsys_course.serving.server", json.dumps(settings)]


_COMMON = ("tensorflow", "numpy", "uvicorn", "uvloop", "httptools", "starlette")
CONTENDERS = (
    Contender("course", "course serve", _COMMON),
    Contender("kserve", "KServe", ("kserve", *_COMMON), ("kserve==0.21.0", "tensorflow==2.20.*")),
    Contender(
        "litserve",
        "LitServe",
        ("litserve", "pyzmq", *_COMMON),
        ("litserve==0.2.19", "pyzmq", "tensorflow==2.20.*"),
        path="/predict",
    ),
)
