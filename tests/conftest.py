"""Shared by all tests: the environment TensorFlow must find, and which files ``-n`` starts first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before TensorFlow is imported by any test module: Keras 2 for TensorFlow Recommenders, a quiet log, no accelerator.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("MPLBACKEND", "agg")

ROOT = Path(__file__).parents[1]
# A file goes to one worker. Begun last, one of these would keep it busy while the others have nothing left to do.
LONGEST_FIRST = (
    "tests/authoring/test_slicing.py",
    "solutions/",
    "tests/test_learners_view.py",
    "tests/site/test_built_pages.py",  # makes the site, for which every other test of it would wait
    "tests/benchmarks/",
    "tests/authoring/",
    "tests/site/",
)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, "loadscopereorder"):  # xdist's own order is by the number of tests, not by their time
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    path = item.path.relative_to(ROOT).as_posix() if item.path.is_relative_to(ROOT) else ""
    return next((turn for turn, start in enumerate(LONGEST_FIRST) if path.startswith(start)), len(LONGEST_FIRST))
