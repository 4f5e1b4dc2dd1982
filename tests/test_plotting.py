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


def test_recall_curves_draws_costs_against_recalls():
    ax = plotting.recall_curves({"ScaNN": ([0.1, 0.4], [0.8, 0.99]), "exact": ([3.0], [1.0])}, "ms", log=True)
    scann, exact = ax.get_lines()
    assert scann.get_xydata().tolist() == [[0.1, 0.8], [0.4, 0.99]]
    assert exact.get_xydata().tolist() == [[3.0, 1.0]]
    assert exact.get_marker() != "None", "a single setting is a point, and has to be seen"
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "ms", "neighbour recall")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ScaNN", "exact"]


def test_overlaps_puts_the_bars_of_a_count_side_by_side():
    ax = plotting.overlaps({"before": [3, 2, 0], "after": [0, 1, 4]}, "shared", "users")
    assert [bar.get_height() for bar in ax.patches] == [3, 2, 0, 0, 1, 4]
    centres = [bar.get_x() + bar.get_width() / 2 for bar in ax.patches]
    assert centres == pytest.approx([-0.2, 0.8, 1.8, 0.2, 1.2, 2.2])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("shared", "users")


def test_time_by_size_draws_each_line_and_the_limit():
    ax = plotting.time_by_size([10, 100], {"exact": [1.0, 9.0], "index": [2.0, 2.5]}, limit=[0.5, 5.0])
    exact, index, limit = ax.get_lines()
    assert exact.get_xydata().tolist() == [[10, 1.0], [100, 9.0]]
    assert index.get_xydata().tolist() == [[10, 2.0], [100, 2.5]]
    assert limit.get_xydata().tolist() == [[10, 0.5], [100, 5.0]] and limit.get_linestyle() == "--"
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert len(plotting.time_by_size([10], {"exact": [1.0]}).get_lines()) == 1


def test_all_draw_on_the_axes_they_are_given():
    axes = plt.subplots(1, 6)[1]
    assert plotting.training_curves({"a": [1.0]}, "loss", ax=axes[0]) is axes[0]
    assert plotting.ladder({"a": 1.0}, "hit rate", ax=axes[1]) is axes[1]
    assert plotting.embedding_map(np.zeros((1, 2)), ["a"], ax=axes[2]) is axes[2]
    assert plotting.recall_curves({"a": ([1.0], [1.0])}, "ms", ax=axes[3]) is axes[3]
    assert plotting.overlaps({"a": [1, 2]}, "shared", "users", ax=axes[4]) is axes[4]
    assert plotting.time_by_size([1], {"a": [1.0]}, ax=axes[5]) is axes[5]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plotting.training_curves({}, "loss"), "at least one curve"),
        (lambda: plotting.ladder({}, "hit rate"), "at least one model"),
        (lambda: plotting.ladder({"a": 1.0}, "hit rate", highlight="b"), r"one of \['a'\], got 'b'"),
        (lambda: plotting.embedding_map(np.zeros((2, 3)), ["a", "b"]), r"\(2, 3\)"),
        (lambda: plotting.embedding_map(np.zeros((2, 2)), ["a"]), "1 groups"),
        (lambda: plotting.recall_curves({}, "ms"), "at least one curve"),
        (lambda: plotting.recall_curves({"a": ([1.0, 2.0], [0.5])}, "ms"), "'a' has 2 costs and 1 recalls"),
        (lambda: plotting.overlaps({}, "shared", "users"), "at least one index"),
        (lambda: plotting.overlaps({"a": [1], "b": [1, 2]}, "shared", "users"), "all counted alike"),
        (lambda: plotting.time_by_size([1], {}), "at least one line"),
        (lambda: plotting.time_by_size([1, 2], {"a": [1.0]}), "'a' has 1 times for 2 sizes"),
        (lambda: plotting.time_by_size([1], {"a": [1.0]}, limit=[1.0, 2.0]), "'limit' has 2 times for 1 sizes"),
    ],
)
def test_bad_input_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_calibration_draws_each_model_and_the_diagonal():
    ax = plotting.calibration({"one": ([2.0, 3.0], [2.5, 2.8]), "other": ([1.0, 4.5], [1.0, 4.0])}, "stars")
    one, other, diagonal = ax.lines
    assert one.get_xydata().tolist() == [[2.0, 2.5], [3.0, 2.8]]
    assert other.get_label() == "other"
    assert diagonal.get_xydata().tolist() == [[1.0, 1.0], [4.5, 4.5]]
    assert "stars" in ax.get_xlabel() and "stars" in ax.get_ylabel()
    with pytest.raises(ValueError, match="at least one curve"):
        plotting.calibration({}, "stars")
