"""Alternative texts say what is drawn and what stands at the axes."""

from __future__ import annotations

from recsys_course import plotting
from recsys_course.authoring.figures import figure_text


def test_a_plotting_function_and_its_labels():
    first_line = plotting.ladder.__doc__.partition("\n")[0].rstrip(".")
    source = 'ax = plotting.ladder(rates, "test hit rate at 100", highlight=ours)\nplt.show()'
    assert figure_text(source, "8 · The ladder") == f"8 · The ladder; {first_line}; test hit rate at 100"


def test_labels_set_by_hand_and_in_pieces():
    source = 'for k in (10, 100):\n    ax.set(xlabel="films", ylabel="ratings", title=f"k = {k}")\nax.plot("x", x)'
    assert figure_text(source, "The long tail") == "The long tail; films, ratings, k"


def test_without_any_the_heading_remains():
    for source in ("axes.plot(x)", "plotting.nothing_known(x)", "%matplotlib inline"):
        assert figure_text(source, "The long tail") == "The long tail"
