"""A tiny course in a temporary folder: two chapters without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

from recsys_course.authoring.project import Project, find_project

PYPROJECT = """\
[tool.recsys_course]
repository = "someone/their-course"
branch = "main"

[tool.pytest.ini_options]
addopts = "-p no:schemathesis -p no:hypothesispytest"
"""

HEADER = """\
# ---
# jupyter:
#   jupytext: {formats: "ipynb,py:percent"}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

"""

FIRST = (
    HEADER
    + '''\
# %% [markdown]
# # 1 · Counting
#
# You will count.

# %% tags=["setup"] cellView="form"
# set-up

# %%
class grading:
    check = staticmethod(lambda number, answer: print("checked", number))

# %% [markdown]
# ## How many
#
# *Predict* the output.

# %%
total = sum([1, 2, 3])
print(total)

# %% [markdown]
# ### Exercise 1.1 · Double it
#
# *fill in · difficulty 1 of 5 · 5 minutes*
#
# `double(2)` is 4.
#
# <details><summary>Hint 1</summary>
#
# Two of them.
#
# </details>

# %% tags=["exercise"]
def double(number):
    """Twice the number."""
    # BEGIN SOLUTION
    twice_the_number = number + number
    return twice_the_number
    # END SOLUTION


# %% tags=["check"]
grading.check("1.1", double)

# %% [markdown]
# ## Summary

# %%
import sys
print("noise", file=sys.stderr)
print(object(), __import__("os").getcwd() + "/x")
'''
)

SECOND = (
    HEADER
    + """\
# %% [markdown]
# # 2 · Bugs

# %% tags=["setup"] cellView="form"
# set-up

# %% [markdown]
# ### Exercise 2.1 · Find it
#
# *find the bug · difficulty 1 of 5 · 5 minutes*

# %% tags=["exercise"]
def mean(numbers):
    # BEGIN SOLUTION
    return sum(numbers) / len(numbers)
    # STUB
    # total = 0
    # for number in numbers:
    #     total += number
    # return total / 2
    # END SOLUTION
"""
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A course of two chapters, nothing derived yet."""
    root = tmp_path / "course"
    (root / "solutions").mkdir(parents=True)
    (root / "chapters").mkdir()
    (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (root / "solutions" / "01_counting.py").write_text(FIRST, encoding="utf-8")
    (root / "solutions" / "02_bugs.py").write_text(SECOND, encoding="utf-8")
    return find_project(root / "chapters")


class Silent:
    """A watcher that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple] = []

    def reused(self, chapter, seconds):
        self.told.append(("reused", chapter.stem))

    def cell(self, chapter, number, total, about):
        self.told.append(("cell", chapter.stem, number, total, about))

    def finished(self, chapter, total, seconds):
        self.told.append(("finished", chapter.stem))


@pytest.fixture
def watcher() -> Silent:
    """Hears how far a run is."""
    return Silent()
