"""Pytest plugin that ``course grade`` loads: each exercise's result, a line of JSON as soon as it is known.

What was graded before a notebook had to be stopped is thus kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--course-results", type=Path, help="Append the results to this file, one JSON object a line.")


def pytest_configure(config: pytest.Config) -> None:
    if path := config.getoption("--course-results"):
        config.pluginmanager.register(Results(path), "recsys_course_results")


class Results:
    """Writes exercise, outcome, message and seconds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        graded: Any = dict(report.user_properties).get("exercise")
        if report.when == "call" and graded is not None:
            result = {key: graded[key] for key in ("id", "outcome", "message")} | {"seconds": report.duration}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
