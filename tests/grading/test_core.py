"""Exercises and their verdicts, on small exercises registered here; no chapter and no TensorFlow is needed."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_course.grading import registry
from recsys_course.grading.core import GradingError, Wrong, check, exercise, find, grade, inputs


def recall(ranked, relevant, k):
    return len(set(ranked[:k]) & set(relevant)) / len(relevant) if relevant else 0.0


def precision(ranked, relevant, k):
    return len(set(ranked[:k]) & set(relevant)) / k


def without_guard(ranked, relevant, k):
    return len(set(ranked[:k]) & set(relevant)) / len(relevant)


def handed_out(ranked, relevant, k):
    """As in the chapter."""
    return len(set(ranked) & set(relevant)) / len(relevant)  # where is the bug?


@pytest.fixture(autouse=True)
def exercises(monkeypatch):
    monkeypatch.setattr(registry, "_exercises", {})
    monkeypatch.delenv("COURSE_GRADING", raising=False)
    exercise(
        "99.1",
        answer="recall_at_k",
        reference=recall,
        cases=[inputs([1, 2, 3], [2, 9], k=2), inputs([1, 2, 3], [2], k=2), inputs([4], [], k=1)],
        misconceptions={
            "you divided by k; recall divides by the number of relevant items": precision,
            "a user without relevant items has no recall to divide": without_guard,
        },
        planted_bug=handed_out,
    )
    exercise(
        "99.2",
        answer="softmax",
        reference=lambda affinities: np.exp(affinities) / np.exp(affinities).sum(axis=1, keepdims=True),
        cases=[inputs(affinities=np.arange(6.0).reshape(2, 3))],
    )

    @exercise("99.3", answer="my_list")
    def _(answer):
        if len(answer) != 3:
            raise Wrong("my_list should have three items", given=[1, 2], expected=3, got=len(answer))


def define(source: str):
    """The function that a source defines, as far from this file as a notebook's cell is."""
    namespace = {"np": np, "recall": recall}
    exec(compile(textwrap.dedent(source), "<cell 7>", "exec"), namespace)
    return [value for key, value in namespace.items() if callable(value) and key not in ("recall", "np")][-1]


def told(id, answer):
    verdict = grade(id, answer)
    return verdict.outcome, verdict.message.splitlines()


def test_a_right_answer_is_solved_however_it_is_written():
    assert told("99.1", recall) == ("solved", ["✔ 99.1 solved"])
    assert told("99.1", lambda ranked, relevant, k: np.float32(recall(ranked, relevant, k)))[0] == "solved"
    assert (
        told("99.2", lambda affinities: [[np.exp(x) / sum(map(np.exp, row)) for x in row] for row in affinities])[0]
        == "solved"
    )
    assert told("99.3", [1, 2, 3])[0] == "solved"


def test_a_wrong_answer_is_told_by_call_expected_got_and_its_misconception():
    assert told("99.1", lambda ranked, relevant, k: precision(ranked, relevant, k)) == (
        "wrong",
        [
            "✘ 99.1 wrong · case 2 of 3",
            "  you divided by k; recall divides by the number of relevant items",
            "  called    recall_at_k([1, 2, 3], [2], k=2)",
            "  expected  1.0",
            "  got       0.5",
        ],
    )
    # Wrong in a way that has no name: no misconception is put into the learner's mouth.
    assert told("99.1", lambda ranked, relevant, k: 1 / 3)[1] == [
        "✘ 99.1 wrong · case 1 of 3",
        "  called    recall_at_k([1, 2, 3], [2, 9], k=2)",
        "  expected  0.5",
        "  got       0.333333",
    ]


def test_of_two_misconceptions_that_fit_the_failing_case_the_one_that_fits_more_cases_is_told():
    exercise(
        "99.4",
        answer="f",
        reference=lambda x: x + 1,
        cases=[inputs(0), inputs(2), inputs(3)],
        misconceptions={"always nought": lambda x: 0, "you doubled": lambda x: 2 * x},
    )
    assert grade("99.4", lambda x: x + x).message.splitlines()[1] == "  you doubled"
    assert grade("99.4", lambda x: 0).message.splitlines()[1] == "  always nought"


def test_what_is_left_open_is_not_attempted():
    def stub(ranked, relevant, k):
        raise NotImplementedError("Exercise 99.1: your turn")

    def renamed(ranked, relevant, k):
        # Comments, docstring, annotations and the function's name are no change.
        return len(set(ranked) & set(relevant)) / len(relevant)

    for answer in (..., stub, renamed, lambda ranked, relevant, k: ...):
        assert told("99.1", answer)[0] == "not attempted"
    for answer in (..., [1, ..., 3]):
        assert told("99.3", answer)[0] == "not attempted"

    def changed(ranked, relevant, k):
        return len(set(ranked) & set(relevant)) / len(relevant) / 2

    assert told("99.1", changed)[0] == "wrong"


def test_a_planted_bug_is_known_again_in_a_cell_that_does_not_import_what_it_uses(tmp_path):
    # The check's file imports numpy, the notebook's cell does not: Python compiles the two differently.
    source = "def scaled(x):\n    return np.sum(x) + np.mean(x)\n"
    names = {}
    for name, text in (("check", "import numpy as np\n\n" + source), ("cell", source)):
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        names[name] = {"np": np}
        exec(compile(text, str(path), "exec"), names[name])
    planted, handed = names["check"]["scaled"], names["cell"]["scaled"]
    exercise("99.5", answer="scaled", reference=np.sum, cases=[inputs(np.ones(3))], planted_bug=planted)
    assert told("99.5", handed)[0] == "not attempted"
    assert told("99.5", lambda x: np.sum(x) + np.max(x))[0] == "wrong"


def test_a_missing_return_a_value_for_a_function_and_a_missing_value_are_named():
    assert told("99.1", lambda ranked, relevant, k: None)[1][1] == "  your function returned None: is there a return?"
    assert told("99.1", 0.5)[1][1:] == ["  recall_at_k should be a function", "  got       0.5"]
    assert told("99.3", None)[1][1] == "  my_list is None: does the cell above give it a value?"


def test_another_shape_or_type_is_named():
    assert told("99.2", lambda affinities: np.ones(3))[1][-1] == "  differs   expected shape (2, 3), got shape (3,)"
    assert told("99.1", lambda ranked, relevant, k: "0.5")[1][-2:] == ["  expected  0.5", "  got       '0.5'"]
    assert told("99.2", lambda affinities: affinities * 0)[1][-3:] == [
        "  expected  [[0.09 , 0.2447, 0.6652], [0.09 , 0.2447, 0.6652]]",
        "  got       [[0., 0., 0.], [0., 0., 0.]]",
        "  differs   6 of 6 values differ, the first at [0, 0]",
    ]


def test_an_error_is_told_by_the_learners_own_line():
    answer = define(
        """
        def helper(items):
            return 1 / len(items)

        def recall_at_k(ranked, relevant, k):
            part = helper(relevant)
            return len(set(ranked[:k]) & set(relevant)) * part
        """
    )
    assert told("99.1", answer) == (
        "raised",
        [
            "✘ 99.1 raised · case 3 of 3",
            "  a user without relevant items has no recall to divide",
            "  called    recall_at_k([4], [], k=1)",
            "  raised    ZeroDivisionError: division by zero",
            "  your line 3",  # without its text: this "cell" is known to nobody
        ],
    )
    # Raised inside a library: still the learner's line.
    broken = define("def softmax(affinities):\n    return np.linalg.inv(affinities)")
    assert told("99.2", broken)[1][-1] == "  your line 2"


def test_arguments_that_do_not_fit_are_told_with_the_signature():
    outcome, lines = told("99.1", lambda ranked, relevant: 0.5)
    assert outcome == "raised"
    assert lines[-1] == "  yours is  recall_at_k(ranked, relevant)"


def test_exit_and_endless_recursion_are_errors_like_others():
    def leaves(ranked, relevant, k):
        raise SystemExit(0)

    def again(ranked, relevant, k):
        return again(ranked, relevant, k)

    assert told("99.1", leaves)[1][2] == "  raised    your code called exit(): return a value instead"
    assert told("99.1", again)[1][2] == "  raised    RecursionError: your function calls itself without end"


def test_a_changed_argument_is_noticed_and_no_call_sees_what_another_has_changed():
    def removes(ranked, relevant, k):
        found = recall(ranked, relevant, k)
        ranked.clear()
        return found

    outcome, lines = told("99.1", removes)
    assert outcome == "wrong"
    assert lines[1:3] == [
        "  the result is right, but your function changed its argument ranked: work on a copy",
        "  called    recall_at_k([1, 2, 3], [2, 9], k=2)",
    ]
    assert told("99.1", recall)[0] == "solved"

    def in_place(affinities):
        affinities -= affinities.max()
        return np.exp(affinities) / np.exp(affinities).sum(axis=1, keepdims=True)

    assert "changed its argument affinities" in grade("99.2", in_place).message


def test_an_open_check_tells_what_it_found_and_never_its_own_insides():
    assert told("99.3", [1]) == (
        "wrong",
        [
            "✘ 99.3 wrong",
            "  my_list should have three items",
            "  given     [1, 2]",
            "  expected  3",
            "  got       1",
        ],
    )
    assert told("99.3", 7) == (
        "raised",
        [
            "✘ 99.3 raised",
            "  my_list is not what this exercise can use",
            "  raised    TypeError: object of type 'int' has no len()",
            "  got       7",
        ],
    )


def test_check_prints_in_a_notebook_and_raises_while_grading(capsys, monkeypatch):
    check("99.1", recall)
    check("99.1", precision)
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["✔ 99.1 solved", "✘ 99.1 wrong · case 2 of 3"]

    monkeypatch.setenv("COURSE_GRADING", "1")
    check("99.1", recall)
    assert capsys.readouterr().out == "✔ 99.1 solved\n"
    with pytest.raises(GradingError) as raised:
        check("99.1", precision)
    assert raised.value._render_traceback_() == [grade("99.1", precision).message]


def test_an_endless_answer_that_is_stopped_tells_the_call(capsys, monkeypatch):
    def endless(ranked, relevant, k):
        raise KeyboardInterrupt  # what a notebook's stop button does to a loop

    with pytest.raises(KeyboardInterrupt):
        check("99.1", endless)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [
        "  called    recall_at_k([1, 2, 3], [2, 9], k=2)",
        "  raised    stopped while your code was still running: is there a loop that never ends?",
    ]
    monkeypatch.setenv("COURSE_GRADING", "1")
    with pytest.raises(GradingError, match="99.1 raised"):
        check("99.1", endless)


def test_the_courses_own_version_is_no_answer(capsys):
    check("99.1", inputs)  # a function of the package, as the cell below a check puts in the answer's place
    assert "not attempted" in capsys.readouterr().out


def test_an_unknown_exercise_lists_those_that_there_are():
    for id in ("99.9", "98.1", "nonsense"):
        with pytest.raises(ValueError, match=r"no exercise '.*'; there are: .*99\.1, 99\.2, 99\.3"):
            find(id)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": "1"}, "chapter and number"),
        ({"id": "99.1"}, "registered twice"),
        ({"id": "99.5", "reference": recall}, "belong together"),
        ({"id": "99.5", "cases": [inputs()]}, "belong together"),
        ({"id": "99.5", "misconceptions": {"you": recall}}, "needs both"),
    ],
)
def test_a_badly_written_exercise_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        exercise(**arguments, answer="x")


def test_the_check_cell_is_the_one_source():
    assert find("99.1").check_cell == 'grading.check("99.1", recall_at_k)'


def test_long_arguments_stand_on_lines_of_their_own():
    table = pd.DataFrame({"user_id": ["1", "2"], "user_rating": [4.0, 5.0]})
    exercise("99.6", answer="mean", reference=lambda table, by: 4.5, cases=[inputs(table, by="user_rating")])
    assert grade("99.6", lambda table, by: 5).message.splitlines() == [
        "✘ 99.6 wrong · case 1 of 1",
        "  called    mean(table, by) with",
        "              table =   user_id  user_rating",
        "                      0       1          4.0",
        "                      1       2          5.0",
        "              by = 'user_rating'",
        "  expected  4.5",
        "  got       5",
    ]


def test_a_sparse_argument_is_shown_and_compared():
    matrix = sparse.csr_matrix(np.eye(2, dtype=np.float32))
    exercise("99.7", answer="twice", reference=lambda matrix: matrix + matrix, cases=[inputs(matrix)])
    assert told("99.7", lambda matrix: 2 * matrix)[0] == "solved"
    assert told("99.7", lambda matrix: matrix)[1][1:4] == [
        "  called    twice([[1., 0.], [0., 1.]])",
        "  expected  [[2., 0.], [0., 2.]]",
        "  got       [[1., 0.], [0., 1.]]",
    ]
