"""CONTRIBUTING is right: its exercise builds and is graded as it stands there, and its map shows every room."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nbformat import NotebookNode

from recsys_course.authoring.build import Derived, derive
from recsys_course.authoring.exercises import read_exercises
from recsys_course.authoring.notebooks import exercise_of_cells
from recsys_course.grading import exercise, find, grade, inputs, registry

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "recsys_course"
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

# --- The exercise that shows how to add one -----------------------------------------------------------------------


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's check in a register of its own, so that no other test meets exercise 9.1."""
    monkeypatch.setattr(registry, "_exercises", {})
    exec(BLOCKS[1], {"exercise": exercise, "inputs": inputs, "np": np})


@pytest.fixture
def derived(project) -> Derived:
    """A tiny course's chapter with the page's exercise at its end, derived as `course build` does it."""
    with project.chapter(1).source.open("a", encoding="utf-8") as file:
        file.write("\n" + BLOCKS[0])
    return derive(project, project.chapter(1))


def the_cell(notebook: NotebookNode, tag: str) -> str:
    owners = exercise_of_cells(notebook)
    mine = (cell for cell, owner in zip(notebook.cells, owners, strict=True) if owner == "9.1")
    return next(cell.source for cell in mine if tag in cell.metadata.get("tags", []))


def answer(cell: str) -> Any:
    namespace: dict[str, Any] = {"np": np}
    exec(cell, namespace)
    return namespace["mean_reciprocal_rank"]


def test_its_card_and_its_hints_are_read(derived):
    found = next(text for text in read_exercises(derived.solution) if text.id == "9.1")
    assert (found.title, found.kind, found.difficulty, found.minutes) == ("How far down the list?", "fill in", 2, 10)
    assert len(found.hints) == 2


def test_its_check_cell_is_the_registered_one_and_its_solution_passes(derived, checks):
    assert the_cell(derived.solution, "check") == find("9.1").check_cell
    verdict = grade("9.1", answer(the_cell(derived.solution, "exercise")))
    assert verdict.outcome == "solved", verdict.message


def test_its_stub_is_not_attempted(derived, checks):
    assert grade("9.1", answer(the_cell(derived.notebook, "exercise"))).outcome == "not attempted"


def test_its_proof_holds_and_every_misconception_is_told(checks):
    def assert_wrong(id: str, answer: Any, told: str) -> None:
        verdict = grade(id, answer)
        assert verdict.outcome == "wrong" and told in verdict.message, verdict.message
        shown.append(told)

    shown: list[str] = []
    proof: dict[str, Any] = {"np": np, "pytest": pytest, "grade": grade, "assert_wrong": assert_wrong}
    exec(BLOCKS[2], proof)
    right, wrong = (value for name, value in proof.items() if name.startswith("test_"))
    right()
    (cases,) = wrong.pytestmark
    for case in cases.args[1]:
        wrong(*case)
    assert len(shown) == len(find("9.1").misconceptions) == 3


# --- The map ------------------------------------------------------------------------------------------------------


def modules(folder: Path) -> set[str]:
    """The modules of a package, by name. A chapter's checks are one of many alike, and stand for each other."""
    return {path.stem for path in folder.glob("*.py") if not re.match(r"__|chapter_\d", path.stem)}


def rooms(heading: str) -> dict[str, str]:
    """The table under a heading: name in backticks (several may share a row) -> what stands beside it."""
    section = PAGE.split(f"\n### {heading}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", section, re.MULTILINE)
    return {name: about for names, about in rows for name in re.findall(r"`([\w./]+)`", names)}


def packages() -> list[Path]:
    """Every package of the course, and those inside them; authoring has a table of its own."""
    found = (path.parent for path in PACKAGE.rglob("__init__.py"))
    return sorted(folder for folder in found if folder not in (PACKAGE, PACKAGE / "authoring"))


def test_the_map_shows_every_part_of_the_package_and_no_other():
    parts = {folder.relative_to(PACKAGE).as_posix() for folder in packages()} | {"authoring"} | modules(PACKAGE)
    assert set(rooms("The package: `recsys_course`")) == parts


@pytest.mark.parametrize("folder", packages(), ids=lambda folder: folder.relative_to(PACKAGE).as_posix())
def test_the_map_shows_every_module_and_no_other(folder):
    about = rooms("The package: `recsys_course`")[folder.relative_to(PACKAGE).as_posix()]
    assert set(re.findall(r"`(\w+)`", about)) == modules(folder), "CONTRIBUTING.md, The package"


def test_the_map_shows_every_module_of_authoring_and_no_other():
    shown = rooms("How the course is made: `recsys_course/authoring`")
    assert set(shown) == modules(PACKAGE / "authoring"), "CONTRIBUTING.md, How the course is made"


def test_the_map_shows_every_part_of_the_benchmarks_and_no_other():
    folders = {path.name for path in (ROOT / "benchmarks").iterdir() if path.is_dir() and path.name[0] not in "._"}
    parts = modules(ROOT / "benchmarks") | {name for name in folders if name != "__pycache__"}
    assert set(rooms("What is measured: `benchmarks`")) == parts, "CONTRIBUTING.md, What is measured"


def test_every_path_on_the_page_is_there():
    paths = set(re.findall(r"`((?:\.\w+|\w+)(?:/[\w.]+)+|\w+\.(?:md|yml|toml|lock))`", PAGE))
    made = {".course/notebooks"}
    examples = {path for path in paths if "NN" in path}
    missing = [
        path for path in sorted(paths - made - examples) if not ((ROOT / path).exists() or (PACKAGE / path).exists())
    ]
    assert len(paths) > 20 and missing == []
