"""The figures show what they were given: read back from the axes, not by eye."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from recsys_course import plotting


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_training_curves_draws_a_line_a_curve_from_epoch_1():
    ax = plotting.training_curves({"train": [3.0, 2.0, 1.5], "validation": [3.5, 2.5]}, ylabel="loss in nats")
    train, validation = ax.get_lines()
    assert train.get_xydata().tolist() == [[1, 3.0], [2, 2.0], [3, 1.5]]
    assert validation.get_xydata().tolist() == [[1, 3.5], [2, 2.5]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train", "validation"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss in nats")


def test_ladder_keeps_the_order_from_top_to_bottom_and_highlights_one_bar():
    ax = plotting.ladder({"popular": 0.41, "ours": 0.63}, xlabel="hit rate", highlight="ours")
    assert [bar.get_width() for bar in ax.patches] == [0.41, 0.63]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["popular", "ours"]
    assert ax.yaxis_inverted()
    assert {text.get_text() for text in ax.texts} == {"0.410", "0.630"}
    assert ax.patches[0].get_facecolor() != ax.patches[1].get_facecolor()


def test_embedding_map_colours_by_group_and_names_the_points_asked_for():
    points = np.array([[0, 0], [1, 2], [3, 1]])
    ax = plotting.embedding_map(points, ["Horror", "Comedy", "Horror"], labels={1: "Airplane!"})
    horror, comedy = ax.collections
    assert horror.get_offsets().tolist() == [[0, 0], [3, 1]]
    assert comedy.get_offsets().tolist() == [[1, 2]]
    (name,) = ax.texts
    assert (name.get_text(), tuple(name.xy)) == ("Airplane!", (1, 2))


def test_all_draw_on_the_axes_they_are_given():
    axes = plt.subplots(1, 3)[1]
    assert plotting.training_curves({"a": [1.0]}, "loss", ax=axes[0]) is axes[0]
    assert plotting.ladder({"a": 1.0}, "hit rate", ax=axes[1]) is axes[1]
    assert plotting.embedding_map(np.zeros((1, 2)), ["a"], ax=axes[2]) is axes[2]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plotting.training_curves({}, "loss"), "at least one curve"),
        (lambda: plotting.ladder({}, "hit rate"), "at least one model"),
        (lambda: plotting.ladder({"a": 1.0}, "hit rate", highlight="b"), r"one of \['a'\], got 'b'"),
        (lambda: plotting.embedding_map(np.zeros((2, 3)), ["a", "b"]), r"\(2, 3\)"),
        (lambda: plotting.embedding_map(np.zeros((2, 2)), ["a"]), "1 groups"),
    ],
)
def test_bad_input_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
