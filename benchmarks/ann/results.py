"""The results file: JSON that says what was measured, on what, and with what."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.ann.plan import EMBEDDING_DIM, NUM_QUERIES, SEED, Variant

SCHEMA = 1  # a change in how things are measured makes older records worthless: count up
PACKAGES = ("numpy", "tensorflow", "tensorflow-recommenders", "scann", "faiss-cpu", "usearch", "hnswlib", "annoy")


def read(path: Path) -> dict[str, Any]:
    """The file's content; an empty one where there is none, or one of another schema."""
    if path.is_file():
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("schema") == SCHEMA:
            return content
    return {"schema": SCHEMA, "records": {}}


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes the file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=1, sort_keys=True) + "\n")
    os.chmod(unfinished, 0o644)
    os.replace(unfinished, path)


def key(corpus: str, variant: Variant, circumstances: dict[str, Any]) -> str:
    """Names a record. Whatever could change its figures is in it, so that a resumed run mixes nothing."""
    lasting = {name: circumstances[name] for name in ("machine", "versions", "seed", "num_queries", "embedding_dim")}
    text = json.dumps([SCHEMA, corpus, variant._asdict(), lasting], sort_keys=True)
    return f"{corpus} / {variant.name} / {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def circumstances() -> dict[str, Any]:
    """Machine, versions, commit, seeds and date."""
    return {
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_bytes": round(psutil.virtual_memory().total / 2**30) * 2**30,
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
        },
        "versions": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "seed": SEED,
        "num_queries": NUM_QUERIES,
        "embedding_dim": EMBEDDING_DIM,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    def git(*arguments: str) -> str:
        run = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=Path(__file__).parent, check=True)
        return run.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", ".", "../../recsys_course/indices", "../../recsys_course/data")
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
