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

    def grade(ids):
        newest = max((script, notebook), key=lambda path: path.stat().st_mtime)
        asked.append(ids)
        text = newest.read_text(encoding="utf-8")
        return {id for id, answer in right if id in ids and answer in text}

    watch(standings(project)[0], grade, said.append, learner)
    assert asked == [["1.1"], ["1.1"], ["1.2"]]
    assert said == [
        "next: 1.1 Double it · fill in, about 5 minutes; waiting for you to save",
        "next: 1.1 Double it · fill in, about 5 minutes; waiting for you to save",
        "next: 1.2 Halve it · fill in, about 7 minutes; waiting for you to save",
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
