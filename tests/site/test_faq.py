"""Every message of the page of errors is one that the course really prints."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOLE = "\0"
MESSAGES = re.findall(r"^```text\n(.+?)\n```$", (ROOT / "docs" / "faq.md").read_text(encoding="utf-8"), re.M | re.S)


def texts_of(source: str) -> list[str]:
    """Every string of a module, with a hole where an f-string or a template puts a value."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else HOLE for part in node.values]
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(re.sub(r"\{\w+\}", HOLE, node.value))
    return found


@cache
def printed() -> list[str]:
    files = [*sorted((ROOT / "recsys_course").rglob("*.py")), next((ROOT / "solutions").glob("01_*.py"))]  # its set-up
    return [text for file in files for text in texts_of(file.read_text(encoding="utf-8"))]


def is_printed(message: str, texts: list[str]) -> bool:
    """Whether a text holds the message word for word, three dots standing for anything."""
    pattern = re.compile(".*?".join(re.escape(part) for part in re.split(r"\s*\.\.\.\s*", message)), re.DOTALL)
    return any(pattern.search(text) for text in texts)


@pytest.mark.parametrize("message", MESSAGES)
def test_the_message_is_in_the_code(message: str) -> None:
    message = message.removeprefix("set-up: ").removeprefix("NotImplementedError: ")
    assert sum(len(part) for part in message.split("...")) > 15, "the fixed part has to say something"
    assert is_printed(message, printed())


def test_a_message_nobody_prints_is_found_out() -> None:
    assert len(MESSAGES) > 15
    assert not is_printed("Python 3.11, 3.12 or 3.14 is needed", printed())
    assert is_printed("Hello ... and goodbye", ["Hello \0 and goodbye"])
    assert not is_printed("Hello ... and goodbye", ["Hello", " and goodbye"])
