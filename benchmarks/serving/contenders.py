"""The servers that are compared: what each is, its environment, its command."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import Peer

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Contender(Peer):
    """One server.

    Attributes:
        name: as in the results, and of its environment's folder.
        title: as on the page.
        packages: what its environment is made of; nothing for the course's own environment.
        libraries: whose versions are noted.
        path: of a prediction.
    """

    libraries: tuple[str, ...]
    path: str = "/v1/models/retrieval:predict"

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
    Contender("course", "course serve", libraries=_COMMON),
    Contender("kserve", "KServe", ("kserve==0.21.0", "tensorflow==2.20.*"), libraries=("kserve", *_COMMON)),
    Contender(
        "litserve",
        "LitServe",
        ("litserve==0.2.19", "pyzmq", "tensorflow==2.20.*"),
        libraries=("litserve", "pyzmq", *_COMMON),
        path="/predict",
    ),
)
