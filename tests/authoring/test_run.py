"""Runs: what makes one valid, and what is kept of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from recsys_course.authoring import notebooks, run
from recsys_course.authoring.build import derive
from recsys_course.authoring.cleaning import clean_outputs
from recsys_course.authoring.run import read_notebook, run_chapter, run_fingerprint
from recsys_course.data.integrity import seal
from recsys_course.data.names import TABLES, prepared_folder


def kinds(watcher) -> list[str]:
    return [told[0] for told in watcher.told if told[0] != "cell"]


def test_a_run_is_reused_until_its_code_or_dataset_changes(project, watcher):
    chapter = project.chapter(2)
    notebook = derive(project, chapter).solution
    run_chapter(chapter, notebook, watcher, dataset="100k")
    kept = chapter.run.read_bytes()
    run_chapter(chapter, notebook, watcher, dataset="100k")
    assert kinds(watcher) == ["finished", "reused"]
    assert chapter.run.read_bytes() == kept

    notebook.cells[2].source += "\n\nMore words."
    reused = run_chapter(chapter, notebook, watcher, dataset="100k")
    assert kinds(watcher)[2:] == ["reused"]
    assert "More words." in chapter.run.read_text(encoding="utf-8")
    assert reused.metadata.recsys_course.dataset == "100k"

    run_chapter(chapter, notebook, watcher, dataset="latest-small")
    run_chapter(chapter, notebook, watcher, dataset="latest-small", force=True)
    assert kinds(watcher)[3:] == ["finished", "finished"]


def test_cells_know_the_dataset_and_see_no_accelerator(project, watcher, monkeypatch):
    monkeypatch.setenv("COURSE_DATASET", "latest-small")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    chapter = project.chapter(2)
    notebook = derive(project, chapter).solution
    names = "COURSE_DATASET", "CUDA_VISIBLE_DEVICES", "TF_USE_LEGACY_KERAS"
    notebook.cells[3].source = f"import os\n[os.environ[name] for name in {names}]"
    ran = run_chapter(chapter, notebook, watcher)
    assert ran.cells[3].outputs[0].data["text/plain"] == "['latest-small', '', '1']"


def test_the_fingerprint_follows_code_dataset_package_and_libraries(project, monkeypatch, tmp_path):
    notebook = derive(project, project.chapter(2)).solution
    package = tmp_path / "package"
    (package / "authoring").mkdir(parents=True)
    (package / "models.py").write_text("x = 1")
    monkeypatch.setattr(run, "PACKAGE", package)
    seen = [run_fingerprint(notebook, "100k")]

    (package / "authoring" / "cli.py").write_text("anything")
    assert run_fingerprint(notebook, "100k") == seen[0]  # how the course is made changes no output

    (package / "models.py").write_text("x = 2")
    seen.append(run_fingerprint(notebook, "100k"))
    seen.append(run_fingerprint(notebook, "1m"))
    monkeypatch.setattr(run, "_version", lambda library: "9.9")
    seen.append(run_fingerprint(notebook, "1m"))
    notebook.cells[3].source += "\n"
    seen.append(run_fingerprint(notebook, "1m"))
    assert len(set(seen)) == len(seen)


def test_the_fingerprint_follows_an_import_under_the_same_name(project, monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    notebook = derive(project, project.chapter(2)).solution
    seen = [run_fingerprint(notebook, "books")]
    for content in ("first", "second"):
        for table in TABLES:
            folder = prepared_folder(tmp_path, "books", table)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "records").write_text(content)
            seal(folder)
        seen += [run_fingerprint(notebook, "books")]
        assert run_fingerprint(notebook, "books") == seen[-1]
    assert len(set(seen)) == 3


def test_a_damaged_run_is_made_again(project, watcher):
    chapter = project.chapter(2)
    notebook = derive(project, chapter).solution
    chapter.run.parent.mkdir(parents=True)
    chapter.run.write_text('{"cells": [', encoding="utf-8")
    assert read_notebook(chapter.run) is None
    run_chapter(chapter, notebook, watcher)
    assert kinds(watcher) == ["finished"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os; os._exit(1)", "its Python process died"),
        ("import time; time.sleep(60)", "it ran for more than 2 seconds"),
        ("raise ValueError('\\x1b[31mred\\x1b[0m')", "ValueError: red"),
        ("import warnings; warnings.warn('the cause'); 1 / 0", "UserWarning: the cause"),
    ],
)
def test_each_way_to_fail_says_what_happened(project, watcher, monkeypatch, source, reason):
    monkeypatch.setattr(run, "CELL_TIMEOUT", 2)
    chapter = project.chapter(2)
    notebook = derive(project, chapter).solution
    notebook.cells[3].source = source
    with pytest.raises(run.CellFailed, match="02_bugs, cell 4 of 4") as error:
        run_chapter(chapter, notebook, watcher)
    assert reason in str(error.value)
    assert not chapter.run.exists()


def test_what_a_kernel_leaves_in_its_temporary_folder_goes_with_it(project, watcher):
    chapter = project.chapter(2)
    notebook = derive(project, chapter).solution
    notebook.cells[3].source = "import tempfile; path = tempfile.mkstemp()[1]; print(path)"
    ran = run.execute(chapter, notebook, watcher, {})
    left = Path(ran.cells[3].outputs[0].text.strip())
    assert left.parent != Path(tempfile.gettempdir())
    assert not left.parent.exists()


def test_outputs_lose_the_machine_but_not_their_content(tmp_path):
    notebook = notebooks.read_script("# %%\nx = 1\n")
    notebook.metadata["language_info"] = {"version": "3.11.9"}
    (cell,) = notebook.cells
    cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01"}
    cell.outputs = [
        notebooks.nbformat.v4.new_output("stream", name="stderr", text="noise"),
        notebooks.nbformat.v4.new_output("stream", name="stdout", text=f"{tmp_path}/a.csv <Axes at 0x7f00deadbeef>"),
        notebooks.nbformat.v4.new_output("display_data", {"image/png": "aGVsbG8=", "text/plain": f"'{tmp_path}/b'"}),
    ]
    cleaned = clean_outputs(notebook, tmp_path)
    text, picture = cleaned.cells[0].outputs
    assert text.text == "./a.csv <Axes>"
    assert picture.data == {"image/png": "aGVsbG8=", "text/plain": "'./b'"}
    assert "language_info" not in cleaned.metadata
    assert not cleaned.cells[0].metadata
