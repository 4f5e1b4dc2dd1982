"""The command ``course``, as it is typed; from a sub-folder of a tiny course."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from recsys_course.authoring import cli
from recsys_course.authoring.build import build_chapter, derive
from recsys_course.authoring.run import run_chapter

COURSE = [sys.executable, "-m", "recsys_course.authoring.cli"]


@pytest.fixture
def course(project, monkeypatch):
    """Run the command in this process, in the course's folder ``chapters``; returns (exit status, output)."""
    monkeypatch.chdir(project.root / "chapters")
    monkeypatch.setattr(cli.out, "_width", 200)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli.app, list(arguments))
        return result.exit_code, result.output

    return run


def test_help_is_quick_and_shows_examples():
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from recsys_course.authoring import cli; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.5  # seconds
    slow = {"tensorflow", "nbformat", "jupytext", "nbclient", "pandas", "numpy"}
    assert slow.isdisjoint(done.stdout.split())
    text = subprocess.run([*COURSE, "--help"], capture_output=True, encoding="utf-8", check=True).stdout
    assert "course check 3.1" in text
    for command in ("list", "check", "hint", "run", "build", "data", "site", "welcome"):
        assert f" {command} " in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("check", "9"), "there is no chapter 9; chapters: 1 (counting), 2 (bugs)"),
        (("run", "retrieval"), "there is no chapter retrieval; chapters: 1 (counting), 2 (bugs)"),
        (("check", "1.7"), "there is no exercise 1.7; chapter 1 has: 1.1 (Double it)"),
        (("hint", "2"), "there is no exercise 2; chapter 2 has: 2.1 (Find it)"),
        (("reset", "9"), "there is no chapter 9; chapters: 1 (counting), 2 (bugs)"),
        (("reset",), "Missing argument"),
        (("solution", "1.7", "--yes"), "there is no exercise 1.7; chapter 1 has: 1.1 (Double it)"),
        (("solution", "1.1"), "nobody is here to ask; `course solution 1.1 --yes` shows the answer without"),
        (("solve", "1.1"), "No such command"),
    ],
)
def test_what_cannot_be_understood_is_status_2_with_the_valid_names(course, arguments, complaint):
    status, output = course(*arguments)
    assert status == 2
    assert complaint in output


def test_outside_a_course_it_says_so(course, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert course("list") == (
        2,
        f"course: {tmp_path} is not inside the course: change into the folder that you cloned, then try again\n",
    )


def test_hints_come_one_at_a_time(course, project):
    source = project.chapter(1).source
    second = "# </details>\n#\n# <details><summary>Hint 2</summary>\n#\n# Try *plus*.\n#\n# </details>"
    source.write_text(source.read_text(encoding="utf-8").replace("# </details>", second), encoding="utf-8")

    assert "no more hints" in course("hint", "1.1", "--again")[1]
    first = course("hint", "1.1")[1]
    assert "hint 1 of 2" in first and "Two of them." in first and "plus" not in first
    assert "Two of them." in course("hint", "1.1", "--again")[1]
    after = course("hint", "1.1")[1]
    assert "hint 2 of 2" in after and "Try plus." in after and "Two of them" not in after
    assert "no more hints for 1.1" in course("hint", "1.1")[1]
    every = course("hint", "1.1", "--all")[1]
    assert "Two of them." in every and "Try plus." in every
    assert course("hint", "2.1") == (0, "2.1 has no hints.\n")
    (project.state / "hints.json").write_text("{", encoding="utf-8")  # damaged: starts again
    assert "hint 1 of 2" in course("hint", "1.1")[1]


def test_the_list_shows_each_exercise_and_how_far_you_are(course, project):
    project.state.mkdir()
    (project.state / "progress.json").write_text(json.dumps({"1.1": {"outcome": "solved"}}), encoding="utf-8")
    status, output = course("list")
    assert status == 0
    rows = {line.split()[0]: " ".join(line.split()) for line in output.splitlines() if line[:1].isdigit()}
    assert rows["1.1"] == "1.1 Double it fill in ●○○○○ 5 solved"
    assert rows["2.1"] == "2.1 Find it find the bug ●○○○○ 5 not graded yet"
    assert "1 · Counting" in output


def test_build_check_lists_what_is_stale_and_build_mends_it(course):
    status, output = course("build", "--check", "2")
    assert status == 1
    assert "solutions/02_bugs.ipynb: missing" in output
    status, output = course("build", "2")
    assert status == 0 and "wrote solutions/02_bugs.py, solutions/02_bugs.ipynb, chapters/02_bugs.py" in output
    assert course("build", "--check", "2") == (0, "everything derived is fresh\n")
    assert course("build", "2") == (0, "02_bugs            is up to date\n")
    status, output = course("run", "2")  # the build's own run
    assert (status, "still valid" in output) == (0, True)


def test_a_failing_cell_is_a_message_and_status_1(course, project):
    source = project.chapter(1).source
    source.write_text(source.read_text(encoding="utf-8").replace("print(total)", "1 / 0"), encoding="utf-8")
    status, output = course("run", "1")
    assert status == 1
    assert "cell   5/10" in output and "How many" in output  # the progress, as plain lines
    assert "course: 01_counting, cell 5 of 10, under 'How many': ZeroDivisionError: division by zero" in output
    assert "Traceback" not in output


def test_welcome_shows_what_was_recommended_here(course, project, watcher):
    assert course("welcome")[0] == 1
    chapter = project.chapter(1)
    source = chapter.source.read_text(encoding="utf-8")
    recommend = '# %% tags=["recommendations"]\nprint("Five films\\n  Alien (1979)")\n\n# %%\nimport sys'
    chapter.source.write_text(source.replace("# %%\nimport sys", recommend), encoding="utf-8")
    run_chapter(chapter, derive(project, chapter).solution, watcher)
    status, output = course("welcome")
    assert status == 0
    assert "Five films\n  Alien (1979)" in output
    assert "site/index.html" not in output
    (project.root / "site").mkdir()
    (project.root / "site" / "index.html").touch()
    assert (project.root / "site" / "index.html").as_uri() in course("welcome")[1]


@pytest.mark.parametrize(("returned", "status"), [(0, 0), (1, 1), (2, 130), (5, 1)])
def test_check_grades_one_exercise_with_pytest(course, project, watcher, monkeypatch, returned, status):
    chapter = project.chapter(2)
    chapter.notebook.write_text("{}", encoding="utf-8")
    called = []

    def grade(command, cwd):
        called.append((command, cwd))
        return subprocess.CompletedProcess(command, returned)

    monkeypatch.setattr(subprocess, "run", grade)
    assert course("check", "2.1")[0] == status
    ((command, folder),) = called
    assert command[1:] == ["-m", "pytest", "-q", "--nbval", str(chapter.notebook), "-k", "2.1"]
    assert folder == project.root


GRADED = """\
# %% [markdown]
# # 98 · Graded

# %% tags=["setup"] cellView="form"
# set-up

# %%
from recsys_course import grading

grading.exercise("98.1", answer="double", reference=lambda x: 2 * x, cases=[grading.inputs(2)])

# %% [markdown]
# ### Exercise 98.1 · Double
#
# *fill in · difficulty 1 of 5 · 1 minutes*

# %% tags=["exercise"]
def double(x):
    # BEGIN SOLUTION
    return 2 * x
    # END SOLUTION

# %% tags=["check"]
grading.check("98.1", double)
"""
REGISTER = """
from recsys_course import grading
grading.exercise("98.1", answer="double", reference=lambda x: 2 * x, cases=[grading.inputs(2)])
"""


def test_an_answer_is_graded_from_a_sub_folder_and_from_the_script_when_that_is_newer(project, watcher):
    (project.root / "solutions" / "98_graded.py").write_text(GRADED, encoding="utf-8")
    (project.root / "conftest.py").write_text(REGISTER, encoding="utf-8")
    chapter = project.chapter(98)
    build_chapter(project, chapter, watcher)
    check = {"cwd": project.root / "solutions", "capture_output": True, "encoding": "utf-8"}

    unsolved = subprocess.run([*COURSE, "check", "98"], **check)
    assert unsolved.returncode == 1
    assert "not attempted" in unsolved.stdout

    script = chapter.script.read_text(encoding="utf-8")
    stub = 'raise NotImplementedError("Exercise 98.1: your turn")'
    chapter.script.write_text(script.replace(stub, "return x + x"), encoding="utf-8")
    later = chapter.notebook.stat().st_mtime + 1
    os.utime(chapter.script, (later, later))
    solved = subprocess.run([*COURSE, "check", "98.1"], **check)
    assert solved.returncode == 0, solved.stdout + solved.stderr
    assert "took your edits from chapters/98_graded.py" in solved.stdout
    assert "98.1" in solved.stdout and "solved" in solved.stdout
    listed = subprocess.run([*COURSE, "list"], **check).stdout
    assert "solved" in next(line for line in listed.splitlines() if line.startswith("98.1"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT that a test could send to one process")
def test_ctrl_c_is_clean(project):
    chapter = project.chapter(1)
    wait = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(60)"
    chapter.source.write_text(
        chapter.source.read_text(encoding="utf-8").replace("print(total)", wait), encoding="utf-8"
    )
    process = subprocess.Popen(
        [*COURSE, "run", "1"],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what runs in its background deaf to SIGINT, and that is inherited: here as at a prompt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    pid = project.root / "solutions" / "pid"
    while not (pid.exists() and pid.read_text()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.strip() == "stopped; what was finished before is kept"
    assert not chapter.run.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)  # the kernel is gone, too
