"""What counts as the same answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_course.grading.comparison import agree, difference

nan = float("nan")
frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


class Tensor:
    """As much of a tensor as the comparison asks for."""

    def __init__(self, values, dtype=np.float32):
        self.array = np.array(values, dtype)
        self.shape = self.array.shape

    def numpy(self):
        return self.array


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (0.1 + 0.2, 0.3),
        (np.float32(1 / 3), 1 / 3),
        (nan, nan),
        ([1, 2], (1, 2)),
        ([1, 2], np.array([1.0, 2.0])),
        ([[1, nan]], np.array([[1, nan]])),
        ([np.array([1, 2]), np.array([3])], [[1, 2], [3]]),
        (Tensor([1, 2]), [1, 2]),
        ([Tensor(1.0), Tensor(2.0)], [1, 2]),
        (Tensor([b"a", b"b"], object), ["a", "b"]),
        (np.array([b"a"]), ["a"]),
        (b"text", "text"),
        (pd.Series([1, 2], index=[7, 8]), [1, 2]),
        (pd.Categorical(["x", "y"]), ["x", "y"]),
        (frame.astype({"b": "category"}).set_index([[5, 6]]), frame),
        (sparse.csr_matrix([[0, 1]]), np.array([[0, 1]])),
        ({"a": [1.0]}, {"a": (1,)}),
        ({1, 2}, frozenset({2, 1})),
        ([], np.array([])),
        (None, None),
        (("a", 1.0), ["a", 1]),
        ([("a", 1)], [("a", 1.0)]),
        ([None, 1], [None, 1]),
        (True, np.bool_(True)),
    ],
)
def test_the_same_answer(one, other):
    assert difference(one, other) is None
    assert difference(other, one) is None


@pytest.mark.parametrize(
    ("got", "expected", "reason"),
    [
        (1.001, 1.0, ""),
        (0, 1, ""),
        (nan, 1.0, ""),
        ("1", 1, ""),
        (1, "1", ""),
        (None, 1, ""),
        (["1"], [1], "expected numbers, got text"),
        ([1, 2, 4], [1, 2, 3], "1 of 3 values differ, the first at [2]"),
        ([[1, 2], [3, 5]], np.array([[1, 2], [3, 4]]), "1 of 4 values differ, the first at [1, 1]"),
        ([1, 2], [1, 2, 3], "expected shape (3,), got shape (2,)"),
        ([[1], [2]], [1, 2], "expected shape (2,), got shape (2, 1)"),
        ([1.0], 1.0, "expected a single number, got shape (1,)"),
        (["a", "c"], ["a", "b"], "1 of 2 values differ, the first at [1]"),
        ([("a", 1)], [("a", 2)], "item 0 differs: item 1 differs"),
        ([("a", 1)], [("a", 2), ("b", 3)], "expected 2 items, got 1"),
        ("ab", ["a", 1], "expected a list, got a str"),
        ({1, 2}, {1, 3}, "missing: ['3']; not expected: ['2']"),
        ([1, 2], {1, 2}, "expected a set, got a list"),
        ({"a": 1}, {"a": 1, "b": 2}, "missing: b"),
        (frame.rename(columns={"b": "c"}), frame, "missing: b; not expected: c"),
        (frame.assign(a=[1, 3]), frame, "'a' differs: 1 of 2 values differ, the first at [1]"),
        ([1, 2], frame, "expected named columns a, b, got a list"),
    ],
)
def test_another_answer_is_told_by_what_differs(got, expected, reason):
    assert reason in difference(got, expected)
    assert not agree(got, expected)
