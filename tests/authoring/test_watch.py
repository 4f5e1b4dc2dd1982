"""``course watch``: what is saved is graded, once, and the next exercise is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from recsys_course.authoring.build import build_chapter
from recsys_course.authoring.start import standings
from recsys_course.authoring.watching import watch

SECOND = """\
# %% [markdown]
# ### Exercise 1.2 · Halve it
#
# *fill in · difficulty 1 of 5 · 7 minutes*

# %% tags=["exercise"]
def halve(number):
    # BEGIN SOLUTION
    return number / 2
    # END SOLUTION

# %% tags=["check"]
grading.check("1.2", halve)

# %% [markdown]
# ## Summary
"""


@pytest.fixture
def chapter(project, watcher):
    """Chapter 1 with two exercises, built."""
    chapter = project.chapter(1)
    text = chapter.source.read_text(encoding="utf-8")
    chapter.source.write_text(text.replace("# %% [markdown]\n# ## Summary\n", SECOND), encoding="utf-8")
    build_chapter(project, chapter, watcher)
    return chapter


class Learner:
    """Acts between two looks at the files, one act a look; each save is a second later than the one before."""

    def __init__(self, *acts) -> None:
        self.acts, self.clock = list(acts), time.time()

    def __call__(self) -> None:
        assert self.acts, "watch is still waiting after the learner's last act"
        for path in self.acts.pop(0)() or ():
            self.clock += 1
            os.utime(path, (self.clock, self.clock))


def save(path, before: str, after: str):
    def act():
        if path.suffix == ".py":
            text = path.read_text(encoding="utf-8")
            assert before in text
            path.write_text(text.replace(before, after), encoding="utf-8")
        else:
            notebook = nbformat.read(path, as_version=4)
            (cell,) = (cell for cell in notebook.cells if before in cell.source)
            cell.source = cell.source.replace(before, after)
            nbformat.write(notebook, path)
        return [path]

    return act


def test_each_save_grades_what_it_changed_and_the_next_exercise_is_named(project, chapter):
    first, second = (f'raise NotImplementedError("Exercise 1.{n}: your turn")' for n in (1, 2))
    notebook, script = chapter.notebook, chapter.script
    whole = notebook.read_bytes()
    asked, said = [], []

    def damage():
        notebook.write_text("{", encoding="utf-8")
        return [notebook]

    def mend():
        notebook.write_bytes(whole)
        return [notebook]

    learner = Learner(
        lambda: None,  # nothing happens: nothing is graded
        save(notebook, "You will count.", "I count."),  # prose: nothing is graded
        damage,  # half written
        mend,
        lambda: [notebook],  # saved, and unchanged
        save(notebook, first, "return number"),  # wrong
        save(script, first, "return 2 * number"),  # right, and in the script
        save(script, second, "return number / 2"),
    )
    right = {("1.1", "return 2 * number"), ("1.2", "return number / 2")}

    def grade(graded, ids):
        newest = max((script, notebook), key=lambda path: path.stat().st_mtime)
        assert graded == chapter
        asked.append(ids)
        text = newest.read_text(encoding="utf-8")
        return {id for id, answer in right if id in ids and answer in text}

    watch(standings(project)[:1], grade, said.append, learner)
    assert asked == [["1.1"], ["1.1"], ["1.2"]]
    assert said == [
        "next: 1.1 Double it · fill in, about 5 minutes; waiting for you to save",
        "next: 1.1 Double it · fill in, about 5 minutes; waiting for you to save",
        "next: 1.2 Halve it · fill in, about 7 minutes; waiting for you to save",
        "1 · Counting: all 2 solved",
    ]


def test_whichever_chapter_is_saved_is_graded_and_gone_on_with(project, chapter, watcher):
    other = project.chapter(2)
    build_chapter(project, other, watcher)
    stub = 'raise NotImplementedError("Exercise 1.1: your turn")'
    asked, said = [], []
    learner = Learner(
        save(other.script, "return total / 2", "return total / 3"),  # wrong: it stays the next
        save(other.script, "return total / 3", "return total / len(numbers)"),
        save(chapter.notebook, stub, "return 2 * number"),
        save(chapter.notebook, stub.replace("1.1", "1.2"), "return number / 2"),
    )

    def grade(graded, ids):
        asked.append((graded.number, ids))
        return set(ids) if "/ 3" not in other.script.read_text(encoding="utf-8") else set()

    watch(standings(project), grade, said.append, learner)
    assert asked == [(2, ["2.1"]), (2, ["2.1"]), (1, ["1.1"]), (1, ["1.2"])]
    assert [line.partition(" · fill")[0].partition(" · find")[0] for line in said] == [
        "next: 1.1 Double it",
        "next: 2.1 Find it",
        "2 · Bugs: all 1 solved",
        "next: 1.1 Double it",
        "next: 1.2 Halve it",
        "1 · Counting: all 2 solved",
    ]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT that a test could send to one process")
def test_ctrl_c_ends_it_without_a_traceback(project, chapter):
    process = subprocess.Popen(
        [sys.executable, "-m", "recsys_course.authoring.cli", "watch", "1"],
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert "next: 1.1 Double it" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
