"""``course grade``: what a submitted notebook does to itself costs its own rows only. Small notebooks, real kernels."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from xml.etree import ElementTree

import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from typer.testing import CliRunner

from recsys_course.authoring import cli
from recsys_course.authoring.gradebook import as_csv, as_junit
from recsys_course.authoring.submissions import Limits, Row, _wait, find_submissions, grade_submissions

CHECKS = """
from recsys_course.grading import exercise, inputs

exercise("98.1", answer="double", reference=lambda x: x + x, cases=[inputs(2), inputs(3)])
exercise("98.2", answer="triple", reference=lambda x: 3 * x, cases=[inputs(1)])
"""
DOUBLE, TRIPLE = "def double(x):\n    return 2 * x", "def triple(x):\n    return 3 * x"
LOOP = "while True:\n    pass"
EAT = "eaten = []\nwhile True:\n    eaten.append(b'x' * 20_000_000)\n    __import__('time').sleep(0.02)"
PRINT = "for _ in range(5_000):\n    print('x' * 1_000)\n\n\n" + DOUBLE
DELETE = "import os, shutil\n\nshutil.rmtree(os.getcwd())\n\n\n" + DOUBLE
EXIT = "import os\n\nos._exit(0)"


def notebook(double: str = DOUBLE, triple: str = TRIPLE):
    """A chapter of two exercises. It claims to be a solution, whose check cells would not count."""
    made = new_notebook(metadata={"recsys_course": {"role": "solution", "chapter": "98_small"}})
    made.cells = [new_code_cell("import fake_chapter\nfrom recsys_course import grading")]
    for number, (name, answer) in enumerate({"double": double, "triple": triple}.items(), start=1):
        made.cells += [new_markdown_cell(f"### Exercise 98.{number} · {name}"), new_code_cell(answer)]
        made.cells += [new_code_cell(f'grading.check("98.{number}", {name})')]
    return made


@pytest.fixture
def left_running():
    """What this process has started and not ended since the test began."""
    before = set(psutil.Process().children(recursive=True))
    return lambda: set(psutil.Process().children(recursive=True)) - before


@pytest.fixture
def hand_in(project, tmp_path, monkeypatch):
    """Write submissions, by path, into a folder."""
    library = tmp_path / "library"
    library.mkdir()
    (library / "fake_chapter.py").write_text(CHECKS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(library))
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p fake_chapter")  # the judges know the exercises, as of a real chapter
    monkeypatch.setattr("recsys_course.authoring.submissions.exercise_ids", lambda number: ["98.1", "98.2"])
    (project.root / "solutions" / "98_small.py").write_text("# %%\n", encoding="utf-8")
    monkeypatch.chdir(project.root)

    def write(**notebooks):
        for name, made in notebooks.items():
            path = tmp_path / "handed" / name / "98_small.ipynb"
            path.parent.mkdir(parents=True)
            path.write_text(made if isinstance(made, str) else json.dumps(made), encoding="utf-8")
        return tmp_path / "handed"

    return write


def grade(project, folder, **limits):
    told = []
    rows = grade_submissions(
        project, folder, find_submissions(project, folder), Limits(**limits), 2, lambda *of: told.append(of)
    )
    assert len(told) == len(list(folder.rglob("*.ipynb")))
    return {(row.student, row.exercise): row for row in rows}


def test_what_a_notebook_does_costs_its_own_rows_only(project, hand_in, tmp_path):
    folder = hand_in(
        able=notebook(),
        chatty=notebook(double=PRINT),
        deleting=notebook(double=DELETE),
        greedy=notebook(double=EAT),
        leaving=notebook(double=EXIT),
        wrong=notebook(triple="def triple(x):\n    return x"),
        broken="{",
    )
    before = {path: path.read_bytes() for path in folder.rglob("*.ipynb")}
    rows = grade(project, folder, seconds=100, memory=700)

    outcomes = {key: row.outcome for key, row in rows.items()}
    assert outcomes == {
        ("able", "98.1"): "solved",
        ("able", "98.2"): "solved",
        ("broken", "98.1"): "not graded",
        ("broken", "98.2"): "not graded",
        ("chatty", "98.1"): "solved",
        ("chatty", "98.2"): "solved",
        ("deleting", "98.1"): "solved",
        ("deleting", "98.2"): "solved",
        ("greedy", "98.1"): "raised",
        ("greedy", "98.2"): "solved",
        ("leaving", "98.1"): "raised",
        ("leaving", "98.2"): "solved",
        ("wrong", "98.1"): "solved",
        ("wrong", "98.2"): "wrong",
    }
    assert "out of memory" in rows["greedy", "98.1"].message
    assert "JSONDecodeError" in rows["broken", "98.1"].message
    assert {path: path.read_bytes() for path in folder.rglob("*.ipynb")} == before
    assert not (project.root / ".course" / "progress.json").exists()  # the teacher's own


KILL_THE_JUDGE = "import os, signal, time\n\nos.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(60)"


@pytest.mark.skipif(os.name == "nt", reason="Windows kernels have another parent")
def test_what_was_graded_before_a_judge_broke_off_counts(project, hand_in, left_running):
    rows = grade(project, hand_in(hostile=notebook(triple=KILL_THE_JUDGE)), seconds=100, memory=2000)
    assert rows["hostile", "98.1"].outcome == "solved"
    assert rows["hostile", "98.2"].outcome == "not graded"
    assert rows["hostile", "98.2"].message.startswith("grading broke off")
    assert not left_running()


BUSY = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while 1: 0'])"  # ends only with its child


def test_time_is_limited_for_all_that_a_judge_has_started(left_running):
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    assert _wait(process, Limits(1, 2000), threading.Event()) == "time limit: not finished after 1 s"
    assert process.returncode and not left_running()


def test_a_judge_that_outgrows_the_memory_goes_itself(left_running):
    process = subprocess.Popen([sys.executable, "-c", "x = b'x' * 300_000_000; import time; time.sleep(60)"])
    assert _wait(process, Limits(50, 200), threading.Event()).startswith("memory limit")
    assert not left_running()


def test_an_interruption_ends_what_runs(project, hand_in, left_running):
    folder = hand_in(a_broken="{", b_endless=notebook(double=LOOP), c_endless=notebook(double=LOOP))

    def interrupt(*of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade_submissions(project, folder, find_submissions(project, folder), Limits(100, 2000), 2, interrupt)
    assert not left_running()


def test_who_handed_in_what_is_read_from_the_files_names(project, tmp_path):
    names = {
        "anna/01_counting.ipynb": ("anna", "01_counting"),
        "bob_02_bugs.ipynb": ("bob", "02_bugs"),
        "group a/carl-01_counting (2).ipynb": ("group a/carl", "01_counting"),
        "dora.ipynb": ("dora", "02_bugs"),  # from its metadata
        "eve/homework.ipynb": ("eve", ""),
        "eve/.ipynb_checkpoints/01_counting.ipynb": None,
    }
    for name in names:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made = new_notebook(metadata={"recsys_course": {"chapter": "02_bugs"}} if name == "dora.ipynb" else {})
        path.write_text(json.dumps(made), encoding="utf-8")
    found = find_submissions(project, tmp_path / "in")
    assert {one.path.relative_to(tmp_path / "in").as_posix(): (one.student, one.chapter) for one in found} == {
        name: read for name, read in names.items() if read
    }
    (row,) = grade_submissions(
        project, tmp_path / "in", [one for one in found if not one.chapter], Limits(9, 9), 1, print
    )
    assert (row.student, row.outcome) == ("eve", "not graded") and "no chapter" in row.message


def test_the_command_writes_a_table_and_junit_and_its_status_says_whether_all_were_graded(project, hand_in):
    folder = hand_in(able=notebook(), broken="{")
    result = CliRunner().invoke(cli.app, ["grade", str(folder), "--jobs", "2", "--seconds", "60"])
    assert result.exit_code == 1
    assert "able  98_small.ipynb  2 of 2 solved\n" in result.output
    assert "broken  98_small.ipynb  0 of 2 solved; 2 not graded: it cannot be graded" in result.output
    table = list(csv.DictReader((folder / "grades.csv").open(encoding="utf-8", newline="")))
    assert list(table[0]) == ["student", "notebook", "exercise", "outcome", "message", "seconds"]
    assert [row["outcome"] for row in table] == ["solved", "solved", "not graded", "not graded"]
    assert float(table[0]["seconds"]) > 0
    suites = ElementTree.parse(folder / "grades.xml").getroot()
    assert [(suite.get("tests"), suite.get("errors")) for suite in suites] == [("2", "0"), ("2", "2")]
    for wrong in ("nowhere", str(project.root / "chapters")):
        assert CliRunner().invoke(cli.app, ["grade", wrong]).exit_code == 2


def test_whatever_stands_in_a_message_the_files_stay_readable():
    message = "✘ \x1b[31m\x00 <&> \ud800 \"q\", 'r'\nsecond line" + "x" * 3000
    rows = [Row("=evil()", "a.ipynb", "1.1", "wrong", message, 1.5), Row("=evil()", "a.ipynb", "1.2", "solved", "", 0)]
    suite = ElementTree.fromstring(as_junit(rows).split("\n", 1)[1])[0]
    assert (suite.get("failures"), suite.get("time")) == ("1", "1.5")
    text = suite[0][0].text
    assert "<&>" in text and "second line" in text and len(text) < 2100
    (first, second) = csv.DictReader(as_csv(rows).splitlines(keepends=True))
    assert first["student"] == "'=evil()" and first["message"] == text
    assert second["outcome"] == "solved"
