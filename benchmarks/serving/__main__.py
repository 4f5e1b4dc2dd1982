"""Run the comparison: start each server, check its answers, load it, note what it took, stop it; several times over."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.circumstances import QUIET
from benchmarks.peers import NotHere
from benchmarks.running import WORK, stoppable
from benchmarks.serving import page, results
from benchmarks.serving.contenders import CONTENDERS, Contender

LOAD = Path(__file__).with_name("load.py")
SETTINGS = {"clients": [1, 8, 32], "seconds": 5.0, "warm_up_seconds": 1.0, "passes": 3}
START = 120  # seconds that a server may take to answer for the first time
CHECKED = 20  # users whose lists must be the same from every server


@stoppable
def main() -> int:
    """Measure what is not measured yet, and say whether the target is met."""
    parser = argparse.ArgumentParser(prog="make bench-serving", description=__doc__)
    parser.add_argument(
        "--models", type=Path, default=results.ROOT / "models", help="folder with the model `retrieval`"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a second each, once, to see that it works; writes nothing"
    )
    arguments = parser.parse_args()
    settings = SETTINGS | ({"seconds": 1.0, "warm_up_seconds": 0.2, "passes": 1} if arguments.quick else {})
    artefact, users = prepare(arguments.models)
    found = results.begin(settings) if not arguments.quick else {"servers": {}, "settings": settings}
    found["artefact"] = json.loads((artefact / "manifest.json").read_text(encoding="utf-8")).get("dataset")
    here = []
    for contender in CONTENDERS:
        server = found["servers"].setdefault(contender.name, {"title": contender.title, "passes": []})
        try:
            server["versions"] = contender.versions()
            server.pop("error", None)
            here.append(contender)
        except (NotHere, OSError, subprocess.CalledProcessError) as error:
            server["error"] = str(error)
            print(f"  {contender.title} cannot be run here: {error}")
    expected: dict[str, list[str]] = {}
    for number in range(settings["passes"]):
        for contender in here:
            passes = found["servers"][contender.name]["passes"]
            if len(passes) > number and expected:
                continue
            try:
                measured = one_pass(contender, artefact, users, settings, expected)
            except NotHere as error:
                found["servers"][contender.name]["error"] = str(error)
                print(f"  {contender.title} cannot be run here: {error}")
                here = [other for other in here if other is not contender]
                continue
            passes[number:] = [measured]
            if not arguments.quick:
                results.write(found)
    print(page.table(found))
    print(results.verdict(found))
    if not arguments.quick:
        found["finished"] = True
        results.write(found)
        page.write()
        print(f"wrote {results.FILE.relative_to(results.ROOT)} and {page.FILE.relative_to(results.ROOT)}")
    return 0


def prepare(models: Path) -> tuple[Path, list[str]]:
    """The version folder that is served, exported first where there is none, and the users of its catalogue."""
    from recsys_course.serving import export_retrieval, latest, trained_retrieval

    try:
        artefact = latest(models / "retrieval")
    except FileNotFoundError:
        artefact = export_retrieval(trained_retrieval(), WORK / "models").exact
    catalogue = json.loads((artefact / "assets.extra" / "catalogue.json").read_text(encoding="utf-8"))
    return artefact.resolve(), list(catalogue["users"])


def one_pass(
    contender: Contender, artefact: Path, users: list[str], settings: dict[str, Any], expected: dict[str, list[str]]
) -> dict[str, Any]:
    """Start a server, hold its answers against the first server's, and load it."""
    with running(contender, artefact, users[0]) as (port, process, load_seconds):
        address = f"http://127.0.0.1:{port}{contender.path}"
        for user in users[:CHECKED]:
            ids = ask(address, user)["movie_ids"]
            if ids != expected.setdefault(user, ids):
                raise RuntimeError(f"{contender.title} answers otherwise than the others for user {user}: {ids}")
        loads = {}
        for clients in settings["clients"]:
            asked = {"host": "127.0.0.1", "port": port, "path": contender.path, "users": users, "clients": clients}
            load(asked | {"seconds": settings["warm_up_seconds"]})
            loads[str(clients)] = load(asked | {"seconds": settings["seconds"]})
            print(f"  {contender.title:<13} {clients:>2} clients: {loads[str(clients)]}", flush=True)
        family = [process, *process.children(recursive=True)]
        memory = sum(member.memory_info().rss for member in family) / 2**20
    return {"load_seconds": round(load_seconds, 2), "memory_mb": round(memory), "loads": loads}


@contextlib.contextmanager
def running(contender: Contender, artefact: Path, user: str) -> Iterator[tuple[int, psutil.Process, float]]:
    """A server that answers, on a port of its own; and the seconds from its start to its first answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | QUIET
    log = WORK / f"{contender.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("wb") as output:
        command = contender.command(artefact, port)
        process = psutil.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment)
    try:
        while True:
            with contextlib.suppress(OSError, ValueError, KeyError):
                ask(f"http://127.0.0.1:{port}{contender.path}", user)
                break
            if process.poll() is not None or time.monotonic() - started > START:
                said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no word"]
                raise NotHere(f"it did not answer; its last line: {said[-1][:300]}")
            time.sleep(0.05)
        yield port, process, time.monotonic() - started
    finally:
        family = [*process.children(recursive=True), process]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.terminate()
        _, alive = psutil.wait_procs(family, timeout=15)
        for member in alive:
            member.kill()


def ask(address: str, user: str) -> dict[str, Any]:
    """One answer, the slow way."""
    body = json.dumps({"instances": [user]}).encode()
    request = urllib.request.Request(address, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)["predictions"][0]


def load(asked: dict[str, Any]) -> dict[str, Any]:
    """Have the other process ask."""
    done = subprocess.run([sys.executable, str(LOAD), json.dumps(asked)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
