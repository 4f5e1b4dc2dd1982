"""The results file: JSON that says what was measured, on what, and with what."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from benchmarks import circumstances as here
from benchmarks.ann.plan import EMBEDDING_DIM, NUM_QUERIES, SEED, Variant
from recsys_course.authoring.files import write_if_changed

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
    write_if_changed(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def key(corpus: str, variant: Variant, circumstances: dict[str, Any]) -> str:
    """Names a record. Whatever could change its figures is in it, so that a resumed run mixes nothing."""
    lasting = {name: circumstances[name] for name in ("machine", "versions", "seed", "num_queries", "embedding_dim")}
    text = json.dumps([SCHEMA, corpus, variant._asdict(), lasting], sort_keys=True)
    return f"{corpus} / {variant.name} / {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def circumstances() -> dict[str, Any]:
    """Machine, versions, commit, seeds and date."""
    made = here.circumstances(PACKAGES, "benchmarks/ann", "recsys_course/indices", "recsys_course/data")
    return made | {"seed": SEED, "num_queries": NUM_QUERIES, "embedding_dim": EMBEDDING_DIM}
