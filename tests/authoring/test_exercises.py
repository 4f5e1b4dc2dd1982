"""Exercises read out of a notebook, and the record of progress."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from recsys_course.authoring.exercises import ExerciseText, read_exercises, read_progress, record_progress

TEXT = """\
### Exercise 3.1 · In-batch softmax · by hand

*find the bug · difficulty 2 of 5 · 10 minutes*

Work on a *tiny* example first.

<details><summary>Hint 1</summary>

Sum over the **rows**:

```python
scores.sum(axis=1)
```

</details>

<details>
<summary>Hint 2</summary>

Then divide.

</details>

<details><summary>Answer to a question</summary>

no hint

</details>
"""


def test_title_card_and_hints_are_read_wherever_the_cells_are_cut():
    whole = new_notebook(
        cells=[new_markdown_cell("# 3 · Retrieval"), new_markdown_cell(TEXT), new_code_cell("def f(): ...")]
    )
    head, tail = TEXT.split("<details>\n", 1)
    cut = new_notebook(cells=[new_markdown_cell(head), new_code_cell("1"), new_markdown_cell("<details>\n" + tail)])
    expected = ExerciseText(
        id="3.1",
        title="In-batch softmax · by hand",
        kind="find the bug",
        difficulty=2,
        minutes=10,
        hints=("Sum over the **rows**:\n\n```python\nscores.sum(axis=1)\n```", "Then divide."),
    )
    assert read_exercises(whole) == [expected]
    assert read_exercises(cut) == [expected]


def test_an_exercise_ends_where_the_next_section_begins_and_a_missing_card_is_no_error():
    notebook = new_notebook(
        cells=[
            new_markdown_cell("### Exercise 1.1 · First"),
            new_markdown_cell("### Exercise 1.2 · Second\n\n<details><summary>Hint 1</summary>\n\nmine\n\n</details>"),
            new_markdown_cell("## Something else\n\n<details><summary>Hint 1</summary>\n\nnobody's\n\n</details>"),
        ]
    )
    assert read_exercises(notebook) == [ExerciseText("1.1", "First"), ExerciseText("1.2", "Second", hints=("mine",))]


def test_progress_is_merged_by_exercise(tmp_path):
    assert read_progress(tmp_path) == {}
    record_progress(tmp_path, {"1.1": {"outcome": "wrong"}, "1.2": {"outcome": "solved"}})
    record_progress(tmp_path, {"1.1": {"outcome": "solved"}, "2.1": {"outcome": "raised"}})
    outcomes = {id: entry["outcome"] for id, entry in read_progress(tmp_path).items()}
    assert outcomes == {"1.1": "solved", "1.2": "solved", "2.1": "raised"}
    assert sorted(path.name for path in (tmp_path / ".course").iterdir()) == ["progress.json", "progress.lock"]


def test_a_broken_record_counts_as_none_and_is_replaced(tmp_path):
    record_progress(tmp_path, {"1.1": {"outcome": "solved"}})
    tmp_path.joinpath(".course", "progress.json").write_text('{"1.1": {"outc', encoding="utf-8")
    assert read_progress(tmp_path) == {}
    record_progress(tmp_path, {"1.2": {"outcome": "solved"}})
    assert read_progress(tmp_path) == {"1.2": {"outcome": "solved"}}


def test_a_failed_write_leaves_the_record_as_it_was(tmp_path):
    record_progress(tmp_path, {"1.1": {"outcome": "solved"}})
    with pytest.raises(TypeError):
        record_progress(tmp_path, {"1.2": {"outcome": object()}})
    assert json.loads((tmp_path / ".course" / "progress.json").read_text()) == {"1.1": {"outcome": "solved"}}
    assert len(list((tmp_path / ".course").iterdir())) == 2


def _record_many(root, name):
    for number in range(25):
        record_progress(root, {f"{name}.{number}": {"outcome": "solved"}})


def test_two_processes_at_once_lose_nothing(tmp_path):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(_record_many, [tmp_path, tmp_path], ["1", "2"]))
    assert len(read_progress(tmp_path)) == 50
