"""What holds for the course as a whole: derived files are fresh, nothing leaks, every chapter keeps the contract."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import subprocess
from pathlib import Path
from statistics import median

import nbformat
import pytest
from nbformat import NotebookNode

from recsys_course import grading
from recsys_course.authoring.build import orphans, stale
from recsys_course.authoring.exercises import read_exercises
from recsys_course.authoring.notebooks import (
    BEGIN,
    STUB,
    exercise_of_cells,
    read_script,
    solution_lines,
    strip_notebook,
    strip_solution,
)
from recsys_course.authoring.project import Chapter, find_project
from recsys_course.authoring.setup_cell import setup_source

PROJECT = find_project(Path(__file__).parent)
ROOT = PROJECT.root
HINTS = re.compile(r"<details>\s*<summary>\s*Hint.*?</details>", re.DOTALL)

every_chapter = pytest.mark.parametrize("chapter", PROJECT.chapters, ids=lambda chapter: chapter.stem)


def source_of(chapter: Chapter) -> NotebookNode:
    return read_script(chapter.source.read_text(encoding="utf-8"))


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(cell: NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


# --- Derived files ------------------------------------------------------------------------------------------------


def is_changed(*paths: Path) -> bool:
    """Whether git sees a change to the files since the last commit; no where there is no git, or no repository."""
    command = ["git", "-C", str(ROOT), "diff", "--quiet", "HEAD", "--", *map(str, paths)]
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True).returncode == 1
    return False


@every_chapter
def test_derived_files_are_fresh(chapter):
    found = stale(PROJECT, chapter)
    if found and is_changed(chapter.script, chapter.notebook) and not is_changed(chapter.source, chapter.solution):
        pytest.skip(f"chapters/{chapter.stem} holds answers of yours: `course check {chapter.number}` grades them")
    assert found == [], f"run `course build {chapter.number}`"


def test_every_derived_file_has_a_source():
    assert len(PROJECT.chapters) >= 3
    assert orphans(PROJECT) == []


@every_chapter
def test_the_set_up_cell_is_the_template_everywhere(chapter):
    for path in (chapter.source, chapter.script, chapter.solution, chapter.notebook):
        text = path.read_text(encoding="utf-8")
        notebook = read_script(text) if path.suffix == ".py" else nbformat.reads(text, as_version=4)
        first, *others = code_cells(notebook)
        assert first.source == setup_source(PROJECT), path.name
        assert first.metadata.tags == ["setup"] and first.metadata.cellView == "form"
        assert not any(tagged(cell, "setup") for cell in others)


@every_chapter
def test_notebooks_are_small_and_hold_nothing_of_the_machine(chapter):
    for path in (chapter.solution, chapter.notebook):
        text = path.read_text(encoding="utf-8")
        assert len(text.encode()) < 1_000_000, path.name
        cells = nbformat.reads(text, as_version=4).cells
        outputs = json.dumps([cell.get("outputs", []) for cell in cells])
        # The root's own folder may be short ("/app"), so it has to be followed by a separator.
        for folder in (ROOT, Path.home(), Path("/home"), Path("/Users"), Path("/tmp")):
            assert not re.search(rf"(?<![\w.~]){re.escape(folder.as_posix())}/", outputs), (path.name, folder)
        assert "stderr" not in outputs
        assert '"output_type": "error"' not in outputs


@every_chapter
def test_no_cell_may_fail_silently(chapter):
    for path in (chapter.source, chapter.script, chapter.solution, chapter.notebook):
        assert "raises-exception" not in path.read_text(encoding="utf-8"), path.name


# --- Leaks --------------------------------------------------------------------------------------------------------


def leaks(solution: NotebookNode, learners: NotebookNode) -> list[str]:
    """The answer lines that a learner can read: in a cell or an output, except in a hint, which may come close, and
    except where the stub itself hands them out. Lines of a few characters (``else:``) give nothing away."""
    outputs = [output.get("text", "") for cell in code_cells(learners) for output in cell.get("outputs", [])]
    visible = "\n".join([HINTS.sub("", cell.source) for cell in learners.cells] + outputs)
    found = []
    for cell in code_cells(solution):
        given = strip_solution(cell.source, "0.0")
        found += [
            line for line in solution_lines(cell.source) if len(line) >= 12 and line not in given and line in visible
        ]
    return found


@every_chapter
def test_no_solution_line_leaks_into_a_chapter(chapter):
    solution = source_of(chapter)
    assert any(solution_lines(cell.source) for cell in code_cells(solution))
    script = read_script(chapter.script.read_text(encoding="utf-8"))
    notebook = nbformat.read(chapter.notebook, as_version=4)
    for learners in (script, notebook):
        assert leaks(solution, learners) == []
    for text in (chapter.script.read_text(encoding="utf-8"), chapter.notebook.read_text(encoding="utf-8")):
        assert BEGIN not in text and STUB not in text


@pytest.mark.parametrize("where", ["markdown", "code", "output", "stub"])
def test_a_planted_leak_is_found(where):
    solution = source_of(PROJECT.chapters[0])
    learners = strip_notebook(solution)
    assert leaks(solution, learners) == []
    cell = next(cell for cell in code_cells(solution) if tagged(cell, "exercise"))
    given = strip_solution(cell.source, "0.0")
    line = next(line for line in sorted(solution_lines(cell.source)) if len(line) >= 12 and line not in given)
    if where == "markdown":
        learners.cells[0].source += f"\n\n    {line}\n"
    elif where == "code":
        code_cells(learners)[-1].source += f"\n# {line}"
    elif where == "output":
        code_cells(learners)[-1].outputs = [nbformat.v4.new_output("stream", text=f"hello {line}\n")]
    else:
        stub = next(cell for cell in code_cells(learners) if tagged(cell, "exercise"))
        stub.source = cell.source
    assert line in leaks(solution, learners)


@every_chapter
def test_no_hint_gives_a_whole_answer_away(chapter):
    notebook = source_of(chapter)
    hints = {text.id: "\n".join(text.hints) for text in read_exercises(notebook)}
    for cell, exercise in zip(notebook.cells, exercise_of_cells(notebook), strict=True):
        if cell.cell_type == "code" and tagged(cell, "exercise"):
            lines = {line.split("  #")[0] for line in solution_lines(cell.source)}
            assert not all(line in hints[exercise] for line in lines), exercise


# --- The contract of a chapter ------------------------------------------------------------------------------------


@every_chapter
def test_it_opens_with_title_objectives_and_what_it_takes(chapter):
    opening = source_of(chapter).cells[0].source
    assert re.match(rf"# {chapter.number} · \S", opening)
    assert len(re.findall(r"^- ", opening, re.MULTILINE)) >= 3, "objectives: what the reader will be able to do"
    rows = {row.lower() for row in re.findall(r"^\| *(\w+) *\|", opening, re.MULTILINE)}
    assert {"time", "data", "needs", "sources"} <= rows


@every_chapter
def test_seeds_stand_in_the_first_cell_after_the_set_up(chapter):
    first = code_cells(source_of(chapter))[1].source
    assert "tf.keras.utils.set_random_seed(42)" in first
    assert "tf.config.experimental.enable_op_determinism()" in first


@every_chapter
def test_exercises_are_complete(chapter):
    notebook = source_of(chapter)
    texts = read_exercises(notebook)
    assert 3 <= len(texts) <= 5, "a chapter has three to five exercises: one more goes into another, or replaces one"
    assert [text.id for text in texts] == [f"{chapter.number}.{m}" for m in range(1, len(texts) + 1)]
    kinds = {text.kind for text in texts}
    assert kinds <= {"fill in", "find the bug", "open design"} and len(kinds) >= 2
    owners = exercise_of_cells(notebook)
    for text in texts:
        assert 1 <= text.difficulty <= 5 and text.minutes > 0, f"{text.id}: *kind · difficulty D of 5 · MM minutes*"
        assert len(text.hints) >= 2, f"{text.id}: hints come in stages"
        cells = [
            (at, cell) for at, cell in enumerate(notebook.cells) if owners[at] == text.id and cell.cell_type == "code"
        ]
        roles = [next((tag for tag in ("exercise", "check") if tagged(cell, tag)), "") for _, cell in cells]
        assert roles[:2] == ["exercise", "check"] and set(roles[2:]) <= {""}, (text.id, roles)
        check_at, check = cells[1]
        assert check.source == grading.find(text.id).check_cell
        numbers = [int(number) for number in re.findall(r"<summary>\s*Hint (\d+)", _prose(notebook, owners, text.id))]
        assert numbers == list(range(1, len(text.hints) + 1))
        assert any(cell.cell_type == "code" for cell in notebook.cells[check_at + 1 :]), (
            f"{text.id}: the chapter goes on"
        )


def _prose(notebook: NotebookNode, owners: list[str | None], exercise: str) -> str:
    cells = zip(notebook.cells, owners, strict=True)
    return "\n".join(cell.source for cell, owner in cells if owner == exercise and cell.cell_type == "markdown")


@every_chapter
def test_every_registered_check_has_its_exercise(chapter):
    registered = [number for number in grading.exercise_ids() if number.split(".")[0] == str(chapter.number)]
    assert registered == [text.id for text in read_exercises(source_of(chapter))]


@every_chapter
def test_it_has_predictions_a_baseline_and_a_misconception(chapter):
    notebook = source_of(chapter)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert len(re.findall(r"\*Predict", prose)) >= 3
    assert re.search(r"\*\*[^*]*misconception", prose, re.IGNORECASE), "one named misconception, in bold"
    assert any("baselines." in cell.source for cell in code_cells(notebook)), "a baseline beside every model"


@every_chapter
def test_it_closes_with_summary_questions_production_and_reading(chapter):
    prose = "\n\n".join(cell.source for cell in source_of(chapter).cells if cell.cell_type == "markdown")
    sections = re.split(r"^## ", prose, flags=re.MULTILINE)[-4:]
    summary, questions, production, reading = sections
    assert summary.startswith("Summary")
    assert questions.count("<details>") == 3, "three questions with folded answers"
    assert production.startswith("What breaks in production")
    assert reading.startswith("Further reading")


@every_chapter
def test_cells_are_short_and_prose_stays_beside_code(chapter):
    notebook = source_of(chapter)
    code = [cell for cell in code_cells(notebook) if not tagged(cell, "setup")]
    lines = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in code]
    assert max(lines) <= 30
    assert median(lines) <= 8
    words = sum(len(cell.source.split()) for cell in notebook.cells if cell.cell_type == "markdown")
    assert words <= 25 * sum(lines)


# --- Dependencies point one way -----------------------------------------------------------------------------------

MAY_IMPORT = {
    "data": set(),
    "preprocessing": {"data"},
    "models": {"preprocessing", "data", "metrics"},
    "metrics": set(),
    "baselines": set(),
    "indices": {"metrics"},
    "plotting": set(),
    "diagrams": set(),
    "grading": {"data", "preprocessing", "models", "metrics", "baselines"},
    "serving": {"data", "preprocessing", "models", "metrics", "baselines", "indices"},
    "recommender": {"data", "preprocessing", "models", "metrics", "baselines", "serving"},
    "authoring": {"grading", "data", "serving", "recommender"},  # the last two in the command line alone
}


def imports(tree: ast.Module) -> set[str]:
    """Every module or member that a module imports, at its top or inside functions, as dotted names."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_imports_point_one_way():
    package = ROOT / "recsys_course"
    for path in sorted(package.rglob("*.py")):
        part = path.relative_to(package).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        assert part in MAY_IMPORT, f"{path}: say in MAY_IMPORT what {part} may import"
        names = imports(ast.parse(path.read_text(encoding="utf-8")))
        ours = {name.split(".")[1] for name in names if name.startswith("recsys_course.")}
        assert ours - {part, "__version__"} <= MAY_IMPORT[part], path
        assert not any(name.split(".")[0] in {"chapters", "solutions"} for name in names), path


def test_an_import_inside_a_function_counts():
    tree = ast.parse("def f():\n    from recsys_course import models\n    import recsys_course.plotting as p")
    assert imports(tree) == {"recsys_course.models", "recsys_course.plotting"}
