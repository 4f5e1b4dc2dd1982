"""Stripping, ids and fingerprints: functions of notebooks, no file and no kernel."""

from __future__ import annotations

import pytest

from recsys_course.authoring import notebooks
from recsys_course.authoring.notebooks import (
    exercise_of_cells,
    keep_ids,
    read_script,
    script_text,
    solution_lines,
    strip_notebook,
    strip_solution,
)


def script(*cells: str) -> str:
    return "\n\n".join(cells) + "\n"


HEADING = "# %% [markdown]\n# ### Exercise 1.1 · Title"


def test_a_region_becomes_a_stub_at_its_own_indentation():
    source = "def f(x):\n    if x:\n        # BEGIN SOLUTION\n        return 1\n        # END SOLUTION\n    return 0"
    assert strip_solution(source, "3.1") == (
        'def f(x):\n    if x:\n        raise NotImplementedError("Exercise 3.1: your turn")\n    return 0'
    )


def test_a_stub_given_by_the_author_is_uncommented_line_by_line():
    source = (
        "def f(xs):\n    # BEGIN SOLUTION\n    return sum(xs)\n    # STUB\n    # total = 0\n    # for x in xs:\n"
        "    #     total = x  # the bug\n    #\n    # return total\n    # END SOLUTION"
    )
    assert strip_solution(source, "1.2") == (
        "def f(xs):\n    total = 0\n    for x in xs:\n        total = x  # the bug\n\n    return total"
    )


def test_a_value_stub_and_two_regions_in_one_cell():
    region = "{0} = 3\n"
    source = "".join(
        f"# BEGIN SOLUTION\n{region.format(name)}# STUB\n# {name} = ...\n# END SOLUTION\n" for name in ("a", "b")
    )
    assert strip_solution(source, "1.3") == "a = ...\nb = ...\n"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("# BEGIN SOLUTION\nx = 1", "without '# END SOLUTION' below"),
        ("x = 1\n# END SOLUTION", "without '# BEGIN SOLUTION' above"),
        ("# BEGIN SOLUTION\n# BEGIN SOLUTION\n# END SOLUTION", "inside a region"),
        ("# BEGIN SOLUTION\nx = 1\n# STUB\nx = ...\n# END SOLUTION", "expected only commented lines, got 'x = ...'"),
    ],
)
def test_markers_that_do_not_fit_are_an_error_that_names_the_exercise(source, complaint):
    with pytest.raises(ValueError, match="exercise 4.2") as error:
        strip_solution(source, "4.2")
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    "cells",
    [
        (HEADING, "# %%\n# BEGIN SOLUTION\nx = 1\n# END SOLUTION"),  # not tagged
        (HEADING, '# %% tags=["exercise"]\nx = 1'),  # no region
        ("# %% [markdown]\n# # 1", '# %% tags=["exercise"]\n# BEGIN SOLUTION\nx = 1\n# END SOLUTION'),  # no heading
    ],
)
def test_a_region_stands_in_an_exercise_cell_below_a_heading_and_nowhere_else(cells):
    with pytest.raises(ValueError, match="and nowhere else"):
        strip_notebook(read_script(script(*cells)))


def test_a_stub_that_is_not_python_is_an_error():
    cells = (HEADING, '# %% tags=["exercise"]\n# BEGIN SOLUTION\nx = 1\n# STUB\n# x = = 2\n# END SOLUTION')
    with pytest.raises(ValueError, match="stub of exercise 1.1 is not Python"):
        strip_notebook(read_script(script(*cells)))


def test_an_exercise_ends_at_the_next_heading():
    notebook = read_script(script("# %%\na = 1", HEADING, "# %%\nb = 2", "# %% [markdown]\n# ## Next", "# %%\nc = 3"))
    assert exercise_of_cells(notebook) == [None, "1.1", "1.1", None, None]


def test_solution_lines_leave_out_markers_and_the_given_stub():
    source = "def f():\n    # BEGIN SOLUTION\n    y = 2\n\n    return y\n    # STUB\n    # return 3\n    # END SOLUTION"
    assert solution_lines(source) == {"y = 2", "return y"}


def test_ids_come_from_content_and_are_unique():
    text = script("# %%\nx = 1", "# %%\nx = 1", "# %%\nx = 2")
    first, second = read_script(text), read_script(text)
    ids = [cell.id for cell in first.cells]
    assert ids == [cell.id for cell in second.cells]
    assert len(set(ids)) == 3


def test_ids_survive_an_edit_an_insertion_a_deletion_and_a_move_of_neighbours():
    old = read_script(
        script("# %%\nfirst = 'one two three'", "# %% [markdown]\n# Words.", "# %%\nsecond = 2", "# %%\nthird = 3")
    )
    new = read_script(
        script(
            "# %%\nfirst = 'one two four'",  # edited
            "# %%\nimport something_else",  # inserted
            "# %% [markdown]\n# Words.",
            "# %%\nthird = 3",  # the cell above it is deleted
        )
    )
    kept = [cell.id for cell in keep_ids(new, old).cells]
    was = [cell.id for cell in old.cells]
    assert (kept[0], kept[2], kept[3]) == (was[0], was[1], was[3])
    assert kept[1] not in was


def test_an_inserted_cell_that_equals_an_old_one_gets_an_id_of_its_own():
    old = read_script(script("# %%\nx = 1", "# %%\ny = 2"))
    new = read_script(script("# %%\nx = 1", "# %%\ny = 2", "# %%\nx = 1"))
    ids = [cell.id for cell in keep_ids(new, old).cells]
    assert ids[:2] == [cell.id for cell in old.cells]
    assert len(set(ids)) == 3


def test_text_is_a_fixed_point():
    text = script("# %%\n# %matplotlib inline\ndef f():\n    pass", HEADING, '# %% tags=["check"]\nf()')
    once = script_text(read_script(text))
    assert script_text(read_script(once)) == once
    assert "jupytext_version" not in once


def test_blank_lines_between_cells_stay_as_a_formatter_left_them():
    text = script_text(read_script(script("# %%\nx = 1", "# %%\nx = 2")))
    spaced = text.replace("x = 1\n\n", "x = 1\n\n\n")
    assert spaced != text
    notebook = read_script(spaced)
    assert script_text(notebook) == spaced
    assert "lines_to" not in notebooks.notebook_text(notebook)


def test_prose_and_set_up_do_not_change_what_outputs_depend_on_but_code_does():
    def code(setup: str, words: str, value: int) -> str:
        cells = (f'# %% tags=["setup"]\n{setup}', f"# %% [markdown]\n# {words}", f"# %%\nx = {value}")
        return notebooks.code_fingerprint(read_script(script(*cells)))

    assert code("a", "words", 1) == code("b", "other words", 1)
    assert code("a", "words", 1) != code("a", "words", 2)
