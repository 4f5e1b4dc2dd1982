"""Which cells a check needs: what is kept, what is left out, and where everything runs; then the proof, by chapter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import latest_small

from recsys_course.authoring.project import find_project
from recsys_course.authoring.slicing import needed_cells

PROJECT = find_project(Path(__file__).parent)

OPENING = ["import os", "import numpy as np\nfrom recsys_course import grading"]
CHECK = 'grading.check("1.1", answer)'


def ran(own: str, *above: str, learners: str = "") -> list[str] | None:
    """Of the course's cells above an exercise, and one that a learner has put below them, those that run."""
    sources = [*OPENING, *above, *([learners] if learners else []), own, CHECK]
    check = len(sources) - 1
    needed = needed_cells(sources, check, [check - 1], [*OPENING, *above, CHECK])
    if needed is None:
        return None
    assert {0, 1, check - 1, check} <= needed
    return [sources[i] for i in sorted(needed - {0, 1, check - 1, check})]


READS = "def answer():\n    return table"


def test_what_nothing_refers_to_stays_out():
    assert ran("def answer(x):\n    return np.sum(x)", "model = train()", "table = load()", "print(table)") == []


def test_a_name_is_followed_upwards_and_a_variable_of_a_function_is_not():
    above = ["a = 1", "def helper(x):\n    return a * x", "x = slow()", "def other():\n    return helper(2)"]
    assert ran("def answer(x):\n    y = x\n    return helper(y)", *above) == above[:2]


@pytest.mark.parametrize(
    "changes",
    [
        "table['a'] = 1",
        "table.a.b = 1",
        "table.add_row(3)",
        "fill(table)",
        "del table",
        "table += 1",
        "for table in tables: pass",
        "with open('x') as table: pass",
        "import table",
        "def table(): pass",
        "if (table := 3): pass",
        "def change():\n    global table\n    table = 1\nchange()",
        "try: pass\nexcept Exception as table: pass",
    ],
)
def test_every_cell_that_may_change_what_the_answer_uses_runs(changes):
    assert ran(READS, "table = load()", "unrelated()", changes) == ["table = load()", changes]


def test_another_name_for_the_same_thing_counts():
    above = ["table = load()", "view = table.rows", "view.clear()", "other = load()", "other.clear()"]
    assert ran(READS, *above) == above[:3]


def test_a_function_that_remembers_counts_with_those_who_call_it():
    above = ["seen = []", "def remember(x):\n    seen.append(x)\n    return seen", "remember(3)", "print(4)"]
    assert ran("def answer():\n    return remember(1)", *above) == above[:3]


def test_constants_modules_and_functions_cannot_change_so_their_readers_stay_out():
    above = ["K = 10", "def helper(x):\n    return K", "print(K, helper(1), np.zeros(K))"]
    assert ran("def answer():\n    return helper(K)", *above) == above[:2]


def test_a_member_of_a_module_that_is_replaced_counts():
    above = ["np.sum = len", "print(np.sum([]))"]
    assert "np.sum = len" in ran("def answer(x):\n    return np.sum(x)", *above)


def test_a_builtin_that_is_shadowed_counts():
    assert ran("def answer(x):\n    return len(x)", "len = slow()", "x = 1") == ["len = slow()"]


@pytest.mark.parametrize("learners", ["notes = table.sum()", "print(1 / 0)", "import antigravity", "while True: pass"])
def test_what_a_learner_has_added_runs_and_with_it_what_it_needs(learners):
    below = ["table = load()"] if "table" in learners else []
    assert ran("def answer():\n    return 1", "table = load()", "train()", learners=learners) == [*below, learners]


def test_a_learners_other_functions_stay_out_unless_they_are_used():
    other = "def earlier_answer(x):\n    return table[x]"
    assert ran("def answer():\n    return 1", "table = load()", learners=other) == []
    assert ran("def answer():\n    return earlier_answer(1)", "table = load()", learners=other) == [
        "table = load()",
        other,
    ]


def test_a_default_or_a_decorator_runs_when_a_function_is_defined():
    for learners in ("def f(x=change(table)): pass", "@table.register\ndef f(): pass", "class A(make(table)): pass"):
        assert ran("def answer():\n    return 1", "table = load()", learners=learners) == ["table = load()", learners]


@pytest.mark.parametrize(
    "unsure",
    [
        "exec('table = 1')",
        "globals()['table'] = 1",
        "from numpy import *",
        "%run other.py",
        "!rm data.csv",
        "get_ipython().run_cell('x = 1')",
        "import builtins",
        "setattr(np, 'sum', len)",
        "import sys; sys.modules['numpy'] = None",
        "getattr(answer, '__globals__')",
        "x = answer.__globals__",
        "values = np.random.normal(size=3)",
        "print(_)",
        "text = open('notes.txt').read()",
        "import os; os.environ['A'] = '1'",
    ],
)
def test_where_it_cannot_be_read_off_everything_runs(unsure):
    assert ran("def answer():\n    return 1", "table = load()", learners=unsure) is None
    assert ran(f"{unsure}\ndef answer():\n    return 1", "table = load()") is None


def test_another_notebook_than_the_courses_runs_whole():
    assert needed_cells(["a = 1", "def answer(): return a", CHECK], 2, [1], ["b = 2", CHECK]) is None


def test_a_cell_that_is_not_python_runs_and_needs_nothing():
    assert ran("def answer():\n    return 1", "table = load()", learners="table = = 3") == ["table = = 3"]


# --- The proof ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """Latest-small, to be copied: what one chapter keeps beside it, the next one must not find."""
    folder = tmp_path_factory.mktemp("latest_small")
    latest_small.prepare(folder)
    return folder


SELECTED_BY_NAME = {"stub", "solution", "nothing", "a number", "its argument", "raises"}


@pytest.mark.parametrize("chapter", PROJECT.chapters, ids=lambda chapter: chapter.stem)
def test_the_verdict_on_every_exercise_is_a_whole_runs(chapter, prepared, tmp_path):
    """Each exercise, as handed out, solved, and wrong in every typical way: all cells and the needed ones agree.

    All cells: the chapter from top to bottom as it is handed out, and none outside the exercises may fail, so nothing
    below an exercise depends on its answer. They run on latest-small, with its other ids, half stars, and nothing about
    the people; so every chapter does.
    """
    shutil.copytree(prepared, tmp_path / "data")
    variables = {"TFDS_DATA_DIR": str(tmp_path / "data"), "COURSE_DATASET": "latest-small"}
    variables["PYTHONPATH"] = os.pathsep.join([str(PROJECT.root / "tests"), str(PROJECT.root)])
    done = subprocess.run(
        [sys.executable, "-m", "support.verdicts", str(chapter.number)],
        cwd=tmp_path,
        env=os.environ | variables,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr[-3000:]  # a cell outside the exercises that fails ends it
    verdicts = json.loads(done.stdout.splitlines()[-1])
    for which, found in verdicts.items():
        assert found["some"] == found["full"], which
        verdict = found["full"][1]
        outcome = "solved" if which.endswith("solution") else "not attempted" if which.endswith("stub") else "Error"
        assert outcome in verdict, (which, verdict)
    kinds = {which.split(" ", 1)[1] for which in verdicts}
    assert kinds >= SELECTED_BY_NAME
    selected = [found["cells"] for found in verdicts.values() if found["cells"] is not None]
    assert len(selected) > len(verdicts) / 2, "most checks run a selection"
    assert min(selected) <= 6
