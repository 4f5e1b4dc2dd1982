"""A newer version of the course over half-solved chapters: two git repositories, real pulls."""

from __future__ import annotations

import shutil
import subprocess

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from recsys_course.authoring import update as updating
from recsys_course.authoring.build import derive
from recsys_course.authoring.carrying import carry_over, signature
from recsys_course.authoring.notebooks import notebook_text, read_script
from recsys_course.authoring.project import CourseError, find_project

DOUBLE, TRIPLE = "Exercise 1.1: your turn", "Exercise 1.2: your turn"
ADDED = """\
# %% [markdown]
# ### Exercise 1.{0} · Number {0}
#
# *fill in · difficulty 1 of 5 · 5 minutes*

# %% tags=["exercise"]
def exercise_{0}(number):
    # BEGIN SOLUTION
    return {0}
    # END SOLUTION

# %% tags=["check"]
grading.check("1.{0}", exercise_{0})

# %% [markdown]
# ## Summary
"""


def git(folder, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    return done.stdout.strip()


def publish(project, message: str) -> None:
    """Derive the chapters, as a build does but for the execution, and commit all."""
    for chapter in project.chapters:
        derived = derive(project, chapter)
        chapter.solution.write_text(notebook_text(derived.solution), encoding="utf-8")
        chapter.script.write_text(derived.script, encoding="utf-8")
        chapter.notebook.write_text(notebook_text(derived.notebook), encoding="utf-8")
    git(project.root, "add", "-A")
    git(project.root, "commit", "-q", "-m", message)


def edit(path, *changes: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def upstream(project):
    """The course's own repository, with exercises 1.1, 1.2 and 2.1."""
    git(project.root, "init", "-q", "-b", "main")
    (project.root / ".gitignore").write_text("/.course/\n/kept/\n", encoding="utf-8")
    edit(project.chapter(1).source, ("# %% [markdown]\n# ## Summary\n", ADDED.format(2)))
    publish(project, "first version")
    return project


@pytest.fixture
def mine(upstream, tmp_path):
    """A learner's clone: 1.1 and 1.2 solved in the notebook, with a helper and a note; 2.1 in the script."""
    git(tmp_path, "clone", "-q", str(upstream.root), "mine")
    project = find_project(tmp_path / "mine")
    path = project.chapter(1).notebook
    notebook = nbformat.read(path, as_version=4)
    at = next(i for i, cell in enumerate(notebook.cells) if DOUBLE in cell.source)
    notebook.cells[at].source = "def double(number):\n    return my_helper(number)"
    notebook.cells.insert(at, new_code_cell("def my_helper(number):\n    return 2 * number"))
    notebook.cells.insert(2, new_markdown_cell("A note of mine."))
    third = next(cell for cell in notebook.cells if TRIPLE in cell.source)
    third.source = "def exercise_2(number):\n    return 1 + 1"
    nbformat.write(notebook, path)
    edit(project.chapter(2).script, ("total / 2", "total / len(numbers)  # mine"))
    return project


def renew(upstream) -> None:
    """Another version: prose, a cell, the text of an answered exercise's neighbour, one exercise more."""
    edit(
        upstream.chapter(1).source,
        ("You will count.", "You will count, and now we say why."),
        ("sum([1, 2, 3])", "sum([1, 2, 3, 4])"),
        ("# %% [markdown]\n# ## Summary\n", ADDED.format(3)),
    )
    edit(upstream.chapter(2).source, ("# # 2 · Bugs", "# # 2 · Bugs, old and new"))
    publish(upstream, "second version")


def contents(project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((project.root / "chapters").iterdir())}


def is_carried(project) -> None:
    cells = nbformat.read(project.chapter(1).notebook, as_version=4).cells
    sources = [cell.source for cell in cells]
    helper = sources.index("def my_helper(number):\n    return 2 * number")
    assert sources[helper + 1] == "def double(number):\n    return my_helper(number)"
    assert sources[helper + 2] == 'grading.check("1.1", double)'
    assert "def exercise_2(number):\n    return 1 + 1" in sources
    assert "A note of mine." in sources
    text = "\n".join(sources)
    assert "and now we say why" in text and "sum([1, 2, 3, 4])" in text and "1.3: your turn" in text
    assert DOUBLE not in text and TRIPLE not in text
    assert len({cell.id for cell in cells}) == len(cells)
    script = project.chapter(2).script.read_text(encoding="utf-8")
    assert "return total / len(numbers)  # mine" in script and "Bugs, old and new" in script


def test_answers_and_cells_of_ones_own_move_to_the_new_version(upstream, mine):
    before = contents(mine)
    renew(upstream)
    said: list[str] = []
    updating.update(mine, said.append)

    is_carried(mine)
    assert git(mine.root, "rev-parse", "HEAD") == git(upstream.root, "rev-parse", "HEAD")
    assert any("01_counting.ipynb: your answers to 1.1, 1.2 and 2 more cells of yours" in line for line in said)
    assert any("02_bugs.py: your answers to 2.1" in line for line in said)
    assert not any(line.startswith("left") for line in said)
    assert {path.read_bytes() for path in mine.kept.iterdir()} == {before["01_counting.ipynb"], before["02_bugs.py"]}
    script, notebook = mine.chapter(2).script.stat(), mine.chapter(2).notebook.stat()
    assert script.st_mtime_ns > notebook.st_mtime_ns  # still the one that is graded

    after, said = contents(mine), []
    updating.update(mine, said.append)
    assert contents(mine) == after and "nothing was changed" in said[0]
    assert len(list(mine.kept.iterdir())) == 2

    edit(upstream.chapter(1).source, ("now we say why", "later we say how"))  # and once more, over the carried one
    publish(upstream, "third version")
    updating.update(mine, said.append)
    text = mine.chapter(1).notebook.read_text(encoding="utf-8")
    assert text.count("my_helper(number)") == 2 and "later we say how" in text and text.count("A note of mine.") == 1


@pytest.mark.parametrize("step", range(1, 12))
def test_interrupted_anywhere_the_next_call_finishes_it(upstream, mine, monkeypatch, step):
    renew(upstream)
    steps = iter(range(1, 1000))

    def stopping(function):
        def call(*arguments, **options):
            if next(steps) == step:
                raise KeyboardInterrupt
            return function(*arguments, **options)

        return call

    changing = {"checkout", "merge"}
    run_git = updating._git
    git_that_stops = stopping(lambda *arguments, **options: run_git(*arguments, **options))
    monkeypatch.setattr(
        updating, "_git", lambda root, *a, **o: (git_that_stops if a[0] in changing else run_git)(root, *a, **o)
    )
    for name in ("write_if_changed", "back_up", "carry_over"):
        monkeypatch.setattr(updating, name, stopping(getattr(updating, name)))
    with pytest.raises(KeyboardInterrupt):
        updating.update(mine, str)
    monkeypatch.undo()
    before = mine.kept.exists() and {path.read_bytes() for path in mine.kept.iterdir()}
    updating.update(mine, str)
    is_carried(mine)
    assert not updating.is_unfinished(mine)
    assert not before or before <= {path.read_bytes() for path in mine.kept.iterdir()}


def test_what_finds_no_place_is_told_with_its_copy(upstream, mine):
    edit(upstream.chapter(1).source, ("def double(number)", "def double(number, times)"))
    gone = upstream.chapter(1).source.read_text(encoding="utf-8")
    start, end = gone.index("# %% [markdown]\n# ### Exercise 1.2"), gone.index("# %% [markdown]\n# ## Summary")
    upstream.chapter(1).source.write_text(gone[:start] + gone[end:], encoding="utf-8")
    for path in upstream.root.glob("*/02_*"):
        path.unlink()
    publish(upstream, "fewer")
    said: list[str] = []
    updating.update(mine, said.append)

    left = "\n".join(line for line in said if line.startswith("left"))
    assert "1.1: what it asks for changed from double(number) to double(number, times); yours is in kept/01_" in left
    assert "1.2: the course no longer has this exercise; yours is in kept/01_" in left
    assert "02_bugs.py: the course no longer has this chapter; your work is in kept/02_bugs" in left
    assert DOUBLE in mine.chapter(1).notebook.read_text(encoding="utf-8")


def test_where_git_refuses_everything_is_as_it_was(upstream, mine):
    renew(upstream)
    (upstream.root / "pyproject.toml").open("a").write("# newer\n")
    git(upstream.root, "commit", "-q", "-am", "third")
    (mine.root / "pyproject.toml").open("a").write("# mine\n")
    before = contents(mine)
    with pytest.raises(CourseError, match="pyproject.toml"):
        updating.update(mine, str)
    assert contents(mine) == before and not updating.is_unfinished(mine)

    git(mine.root, "commit", "-q", "-am", "mine")
    with pytest.raises(CourseError, match="commits of your own"):
        updating.update(mine, str)
    assert git(mine.root, "status", "--short") == ""
    git(mine.root, "checkout", "-q", "-b", "other")
    with pytest.raises(CourseError, match="follows no other"):
        updating.update(mine, str)
    shutil.rmtree(mine.root / ".git")
    with pytest.raises(CourseError, match="is not a git clone"):
        updating.update(mine, str)


def test_a_damaged_notebook_stays_in_its_copy(upstream, mine):
    mine.chapter(1).notebook.write_text("{", encoding="utf-8")
    renew(upstream)
    said: list[str] = []
    updating.update(mine, said.append)
    assert any(line.startswith("left     chapters/01_counting.ipynb: it cannot be read") for line in said)
    assert "{" in {path.read_text(encoding="utf-8") for path in mine.kept.iterdir()}


def test_an_editor_that_drops_ids_and_tags_loses_no_answer(upstream):
    base = nbformat.read(upstream.chapter(1).notebook, as_version=4)
    mine = nbformat.from_dict(base)
    for number, cell in enumerate(mine.cells):
        cell.id, cell.metadata = f"x{number}", {}
        if DOUBLE in cell.source:
            cell.source = "import operator\n\n\ndef double(number):\n    return operator.add(number, number)"
    done = carry_over(mine, base, base)
    assert done.answers == ["1.1"] and not done.left and done.other_cells == 0
    assert len(done.notebook.cells) == len(base.cells)


def test_a_cell_that_both_changed_is_the_courses_and_one_that_only_the_learner_changed_stays():
    text = '# %%\na = 1\n\n# %%\nb = 1\n\n# %% tags=["check"]\nc = 1\n'
    base, mine, new = (read_script(text) for _ in range(3))
    for cell, word in zip(mine.cells, "abc", strict=True):
        cell.source = f"{word} = 2"
    new.cells[0].source = "a = 3"
    done = carry_over(mine, base, new)
    assert [cell.source for cell in done.notebook.cells] == ["a = 3", "b = 2", "c = 1"]
    assert done.left == ["a cell that you edited (a = 2): the course changed it too"]


def test_a_signature_is_what_the_rest_of_the_chapter_relies_on():
    assert signature('def f(a, *, b=2):\n    """Doc."""\n    return a') == ["f(a, *, b=2)"]
    assert signature("x = y = ...\nclass A(B):\n    def call(self, z): ...") == ["x", "y", "class A: call(self, z)"]
