"""``pytest --nbval`` on notebooks of the course, as a learner types it, on a small chapter that needs no TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

# Imported here, before pytester remembers what is imported: some of what these need cannot be imported twice.
from recsys_course.authoring import notebook_items  # noqa: F401
from recsys_course.grading import registry

pytest_plugins = ["pytester"]

# The checks of four small exercises. The notebooks' first cell imports them in the kernel, conftest.py in pytest.
CHECKS = """
from recsys_course.grading import exercise, inputs

exercise("99.1", answer="double", reference=lambda x: x + x, cases=[inputs(2), inputs(3)],
         misconceptions={"you squared x": lambda x: x * x})
exercise("99.2", answer="triple", reference=lambda x: 3 * x, cases=[inputs(1)])
exercise("99.3", answer="halve", reference=lambda x: x / 2, cases=[inputs(1), inputs(0)])
exercise("99.4", answer="negate", reference=lambda x: -x, cases=[inputs(1)])
"""
SETUP = "from pathlib import Path\n\nimport fake_chapter\nfrom recsys_course import grading\n\nstep = 1"
ANSWERS = {
    "double": "def double(x):\n    return 2 * x",
    "triple": "def triple(x):\n    return double(x) + x",  # needs the cells above
    "halve": "def halve(x):\n    return x / 2",
    "negate": "def negate(x):\n    return -step * x",
}
STUB = 'def {0}(x):\n    raise NotImplementedError("Exercise: your turn")'
STUBBORN = "while True:\n    try:\n        while True:\n            pass\n    except KeyboardInterrupt:\n        pass"
ENDLESS = "def {0}(x):\n    while True:\n        pass"
LIGHT = ["-p", "no:schemathesis", "-p", "no:hypothesispytest"]  # what other processes need not import
ROLE = {"recsys_course": {"role": "chapter", "chapter": "99_fake"}}


def chapter(**changed: str | None) -> NotebookNode:
    """The chapter's notebook, solved but for the exercise cells that are given; None deletes an exercise's check."""
    notebook = new_notebook(metadata=ROLE)
    notebook.cells = [new_markdown_cell("# 99 · Numbers"), new_code_cell(SETUP)]
    for number, (name, answer) in enumerate(ANSWERS.items(), start=1):
        text = (
            f"### Exercise 99.{number} · The {name} of a number\n\n*fill in · difficulty 1 of 5 · 2 minutes*\n\n"
            f"<details><summary>Hint 1</summary>\n\nLook up the word\n{name}.\n\n</details>"
        )
        source = changed.get(name, answer)
        notebook.cells += [new_markdown_cell(text), new_code_cell(source if source is not None else answer)]
        if source is not None:
            notebook.cells.append(new_code_cell(f'grading.check("99.{number}", {name})'))
        notebook.cells.append(new_code_cell(ANSWERS[name]))
    return notebook


@pytest.fixture
def grade(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Write notebooks by name, and run ``pytest --nbval`` with the given arguments."""
    pytester.makepyfile(fake_chapter=CHECKS)
    pytester.makeconftest("import fake_chapter")
    pytester.makepyprojecttoml('[tool.recsys_course]\nrepository = "someone/course"\nbranch = "main"')

    def run(notebooks: dict[str, NotebookNode], *arguments: str) -> pytest.RunResult:
        monkeypatch.setattr(registry, "_exercises", {})  # as in a process of its own
        for name, notebook in notebooks.items():
            # As JSON, because nbformat.write would put right what an editor has left wrong.
            pytester.path.joinpath(f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        return pytester.runpytest_inprocess("--nbval", "-ra", *arguments)

    return run


def table(result: pytest.RunResult) -> dict[str, str]:
    """The outcomes in the table that ends the report, by exercise."""
    heading = max(i for i, line in enumerate(result.outlines) if line.startswith("===") and ".ipynb" in line)
    lines = result.outlines[heading:]
    return {line.split()[1]: line[50:].strip() for line in lines if line[:6].strip() and line[4:7] == "99."}


def cell_of(notebook: NotebookNode, text: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.cell_type == "code" and text in cell.source)


def test_a_chapter_is_graded_exercise_by_exercise(grade, pytester):
    notebook = chapter(
        double="def double(x):\n    return x ** 2",
        triple=STUB.format("triple"),
        halve="def halve(x):\n    part = 2 * x\n    return x * x / part",
    )
    result = grade({"fake": notebook})

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert table(result) == {"99.1": "wrong", "99.2": "not attempted", "99.3": "raised", "99.4": "solved"}
    result.stdout.fnmatch_lines(
        [
            "*fake.ipynb*",
            "*99.1  The double of a number * wrong",
            "✘ 99.1 wrong · case 2 of 2",
            "  you squared x",
            "  called    double(3)",
            "  expected  6",
            "  got       9",
            "  hint      Look up the word double.",
            "○ 99.2 not attempted · The triple of a number",
            "  hint      Look up the word triple.",
            "✘ 99.3 raised · case 2 of 2",
            "  called    halve(0)",
            "  raised    ZeroDivisionError: division by zero",
            "  your line 3: return x * x / part",
            "1 of 4 solved; another hint: course hint 99.1",
            "*1 wrong, 1 not attempted, 1 raised, 1 solved*",
        ],
    )
    for internal in ("Traceback", "core.py", "nbval_cell", "GradingError", "FAILURES"):
        result.stdout.no_fnmatch_line(f"*{internal}*")
    progress = json.loads(pytester.path.joinpath(".course", "progress.json").read_text(encoding="utf-8"))
    assert {id: entry["outcome"] for id, entry in progress.items()} == table(result)
    assert progress["99.4"]["notebook"] == "fake.ipynb"


def test_exit_status_is_0_only_when_all_are_solved_and_last_failed_runs_what_is_left(grade):
    first = grade({"fake": chapter(halve=STUB.format("halve"))})
    assert first.ret == pytest.ExitCode.TESTS_FAILED

    second = grade({"fake": chapter()}, "--lf")
    assert second.ret == pytest.ExitCode.OK
    assert table(second) == {"99.3": "solved"}


@pytest.mark.parametrize("selection", [["-k", "99.3", "fake.ipynb"], ["fake.ipynb::99.3"]])
def test_a_selected_exercise_runs_with_the_cells_above_it(grade, selection):
    notebook = chapter(halve="def halve(x):\n    return step * (triple(x) - double(x)) / 2")
    result = grade({"fake": notebook}, *selection)
    assert result.ret == pytest.ExitCode.OK
    assert table(result) == {"99.3": "solved"}


@pytest.fixture
def handed_out(pytester) -> NotebookNode:
    """The chapter within a course: its solution stands where the course keeps it, with a cell that leaves a trace."""
    solved = chapter()
    solved.cells.insert(2, new_code_cell("Path('slow').touch()"))
    solved.metadata["recsys_course"]["role"] = "solution"
    pytester.mkdir("solutions")
    pytester.path.joinpath("solutions", "99_fake.py").touch()
    pytester.path.joinpath("solutions", "99_fake.ipynb").write_text(json.dumps(solved), encoding="utf-8")
    learners = chapter(
        double="def double(x):\n    return x ** 2", halve="def halve(x):\n    return x / 0 * len(triple)"
    )
    learners.cells.insert(2, new_code_cell("Path('slow').touch()"))
    return learners


def test_one_exercise_runs_what_it_needs_with_the_verdict_of_a_whole_run(grade, handed_out, pytester):
    def told(result: pytest.RunResult, id: str) -> list[str]:
        start = next((i for i, line in enumerate(result.outlines) if line[2:6] == id), None)
        return [] if start is None else result.outlines[start : start + 4]

    slow = pytester.path / "slow"
    whole = grade({"fake": handed_out})
    assert slow.exists()
    slow.unlink()
    for id in ("99.1", "99.2", "99.3"):
        one = grade({"fake": handed_out}, "-k", id)
        assert table(one) == {id: table(whole)[id]}
        assert told(one, id) == told(whole, id)
        assert not slow.exists(), "the course's own cell, which nothing refers to, stays out"

    cell_of(handed_out, "def double").source += "\nexec('')"
    assert table(grade({"fake": handed_out}, "-k", "99.1")) == {"99.1": table(whole)["99.1"]}
    assert slow.exists(), "where it is not certain, everything runs"


def test_two_workers_grade_two_notebooks_each_in_one_kernel(grade, pytester):
    notebooks = {"one": chapter(), "two": chapter(triple=STUB.format("triple"))}
    for name, notebook in notebooks.items():
        cell_of(
            notebook, "import fake_chapter"
        ).source += f"\nwith open('{name}.txt', 'a') as file: file.write('start ')"
    result = grade(notebooks, "-n", "2", *LIGHT)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*= one.ipynb =*", "4 of 4 solved", "*= two.ipynb =*", "3 of 4 solved; another hint: course hint 99.2"]
    )
    assert [pytester.path.joinpath(f"{name}.txt").read_text() for name in notebooks] == ["start ", "start "]


def saved_by_jupyter(notebook: NotebookNode) -> NotebookNode:
    """Outputs of an earlier run, when 99.1 was right and the others were not."""
    for count, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.execution_count = count + 1
        if "grading.check" in cell.source:
            text = "✔ 99.1 solved\n" if "99.1" in cell.source else "✘ wrong\n"
            cell.outputs = [new_output("stream", name="stdout", text=text)]
    return notebook


def saved_by_vs_code(notebook: NotebookNode) -> NotebookNode:
    """A kernel that exists on that machine only, metadata of its own, mime types of its own."""
    notebook = saved_by_jupyter(notebook)
    notebook.metadata["kernelspec"] = {"display_name": ".venv (3.12.4)", "language": "python", "name": "venv-a1b2"}
    notebook.metadata["vscode"] = {"interpreter": {"hash": "0"}}
    for cell in notebook.cells:
        cell.metadata["vscode"] = {"languageId": "python"}
    cell_of(notebook, "def double").outputs = [
        new_output("display_data", {"application/vnd.dataresource+json": {"rows": [1]}, "text/plain": "x"})
    ]
    return notebook


def saved_by_colab(notebook: NotebookNode) -> NotebookNode:
    """An older format without cell ids, and nothing left of our metadata."""
    notebook = saved_by_jupyter(notebook)
    notebook.nbformat_minor = 0
    notebook.metadata = {"colab": {"provenance": []}, "kernelspec": {"name": "python3", "display_name": "Python 3"}}
    for number, cell in enumerate(notebook.cells):
        cell.metadata = {"id": f"x{number}", "cellView": "form"}
        del cell["id"]
    return notebook


def saved_with_cleared_counts(notebook: NotebookNode) -> NotebookNode:
    """Outputs without an execution count, which nbval by itself refuses."""
    notebook = saved_by_jupyter(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
    return notebook


def saved_with_tags_that_excuse(notebook: NotebookNode) -> NotebookNode:
    """What makes nbval by itself pass a cell that raises, or skip it."""
    cell_of(notebook, 'check("99.1"').metadata["tags"] = ["check", "raises-exception"]
    cell_of(notebook, "def triple").source = "# NBVAL_SKIP\n" + cell_of(notebook, "def triple").source
    return notebook


def test_saved_outputs_metadata_and_tags_never_decide(grade):
    editors = [
        saved_by_jupyter,
        saved_by_vs_code,
        saved_by_colab,
        saved_with_cleared_counts,
        saved_with_tags_that_excuse,
    ]
    notebooks = {save.__name__: save(chapter(double="def double(x):\n    return x ** 2")) for save in editors}
    result = grade(notebooks)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.outlines.count("  you squared x") == len(editors)
    assert result.outlines.count("3 of 4 solved; another hint: course hint 99.1") == len(editors)
    assert "5 wrong, 15 solved" in result.outlines[-1]
    result.stdout.no_fnmatch_line("*warning*")


def test_a_check_cell_that_is_missing_edited_or_moved_is_not_solved(grade):
    notebook = chapter(double=None)
    cell_of(notebook, 'check("99.2"').source = 'grading.check("99.2", lambda x: 3 * x)'
    cell_of(notebook, 'check("99.3"').source = '# grading.check("99.3", halve)'
    cell_of(notebook, 'check("99.4"').source = "grading.check('99.4', negate)  # another kind of quotes is no edit"
    result = grade({"fake": notebook})

    assert table(result) == {
        "99.1": "check cell missing",
        "99.2": "check cell edited",
        "99.3": "check cell edited",
        "99.4": "solved",
    }
    result.stdout.fnmatch_lines(
        ["✘ 99.1 check cell missing", "  put this back*", '  cell      grading.check("99.1", double)']
    )


def test_an_exercise_of_which_a_part_or_all_was_deleted_is_still_counted(grade):
    notebook = chapter()
    gone = ("99.4", "def negate", "def halve")
    notebook.cells = [cell for cell in notebook.cells if not any(text in cell.source for text in gone)]
    result = grade({"fake": notebook})
    assert table(result) == {"99.1": "solved", "99.2": "solved", "99.3": "raised", "99.4": "check cell missing"}
    result.stdout.fnmatch_lines(["  halve has no value here: does the exercise's cell still define it[?]"])


def test_a_cell_that_never_ends_costs_its_own_exercise_only(grade):
    notebook = chapter(
        double=ENDLESS.format("double"),  # hangs in its check cell
        triple="while True:\n    pass",  # hangs by itself
        halve=STUBBORN,  # hangs, and cannot be interrupted
    )
    result = grade({"fake": notebook}, "--nbval-cell-timeout=2")

    assert table(result) == {"99.1": "raised", "99.2": "raised", "99.3": "raised", "99.4": "solved"}
    result.stdout.fnmatch_lines(
        [
            "✘ 99.1 raised",
            "  called    double(2)",
            "  raised    stopped while your code was still running: is there a loop that never ends?",
            "  your line [23]: *",
            "✘ 99.2 raised",
            "  raised    not finished after 2 s: a loop that never ends?*",
            "✘ 99.3 raised",
            "  raised    not finished after 2 s: a loop that never ends?*",
            "  hint      Look up the word halve.",
        ]
    )


def test_a_cell_that_ends_the_kernel_costs_its_own_exercise_only(grade):
    notebook = chapter(double="import os\n\nos._exit(1)", triple="def triple(x):\n    raise SystemExit")
    result = grade({"fake": notebook})
    assert table(result) == {"99.1": "raised", "99.2": "raised", "99.3": "solved", "99.4": "solved"}
    result.stdout.fnmatch_lines(["  raised    the kernel's process ended*", "  raised    your code called exit()*"])


def test_errors_in_exercise_cells_and_elsewhere_are_told_by_their_line(grade):
    notebook = chapter(
        double="def double(x):\n    return 2 *",
        triple='raise NotImplementedError("Exercise 99.2: your turn")',
        halve="helper = undefined_name\n\ndef halve(x):\n    return helper(x)",
    )
    cell_of(notebook, ANSWERS["negate"]).source = "def negate(x):\n    return -step * x"
    notebook.cells.insert(2, new_code_cell("notes = 1 / 0"))
    result = grade({"fake": notebook})

    assert table(result) == {"99.1": "raised", "99.2": "not attempted", "99.3": "raised", "99.4": "solved"}
    result.stdout.fnmatch_lines(
        [
            "  raised    SyntaxError: invalid syntax",
            "  your line 2: return 2 *",
            "  raised    NameError: name 'undefined_name' is not defined",
            "  your line 1: helper = undefined_name",
            "A cell outside the exercises failed, code cell 2: ZeroDivisionError:*, in line 1: notes = 1 / 0",
        ]
    )


def solution() -> NotebookNode:
    """A solution notebook with its outputs, as the build writes it."""
    notebook = new_notebook(metadata={"recsys_course": {"role": "solution", "chapter": "99_fake"}})
    warns = "import sys; x += 1; print('this machine has no such accelerator', file=sys.stderr)"
    for count, (source, text) in enumerate([("x = 20", ""), (warns, ""), ("print(2 * x)", "42\n")], start=1):
        outputs = [new_output("stream", name="stdout", text=text)] if text else []
        notebook.cells.append(new_code_cell(source, outputs=outputs, execution_count=count))
    notebook.metadata["kernelspec"] = {"name": "no-such-kernel", "display_name": "", "language": "python"}
    return notebook


def test_solutions_are_compared_strictly_and_a_selected_cell_runs_with_those_above_it(grade):
    wrong = solution()
    wrong.cells[2].outputs[0].text = "43\n"
    both = grade({"right": solution(), "wrong": wrong})
    both.assert_outcomes(passed=5, failed=1)
    both.stdout.fnmatch_lines(["*Cell outputs differ*"])

    one = grade({"right": solution()}, "right.ipynb::Cell 2")
    one.assert_outcomes(passed=1)


def test_other_notebooks_are_nbvals_and_without_nbval_there_is_nothing(grade, pytester):
    plain = new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}})
    plain.cells = [new_code_cell("1 + 1")]
    grade({"plain": plain, "fake": chapter()}, "plain.ipynb").assert_outcomes(passed=1)

    pytester.makepyfile(test_other="import os\n\ndef test_it():\n    assert 'COURSE_GRADING' not in os.environ")
    result = pytester.runpytest_subprocess(*LIGHT)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*ipynb*")
