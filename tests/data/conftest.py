"""TFDS data folders of the tests' own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import latest_small


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TFDS data folder, in force for this test."""
    folder = tmp_path / "tfds"
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    monkeypatch.delenv("COURSE_DATASET", raising=False)
    return folder


@pytest.fixture(scope="session")
def latest_small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TFDS data folder with latest-small in miniature; shared, so not for tests that damage it."""
    folder = tmp_path_factory.mktemp("latest-small")
    latest_small.prepare(folder)
    return folder
