"""Formulas become MathML; code, prices and escaped dollars stay what they are."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from markdown import Markdown

from recsys_course.authoring.mathml import to_mathml


def render(text: str) -> str:
    return Markdown(
        extensions=["recsys_course.authoring.mathml", "pymdownx.superfences", "admonition", "tables", "md_in_html"]
    ).convert(text)


@pytest.mark.parametrize(
    ("tex", "element"),
    [
        (r"\frac{1}{B}", "mfrac"),
        (r"\hat{y}_i", "mover"),
        (r"x_i^2", "msubsup"),
        (r"\sum_{i=1}^{n} x_i", "munderover"),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "mtable"),
    ],
)
def test_formula_is_drawn_with_the_element_it_needs(tex: str, element: str) -> None:
    tree = ElementTree.fromstring(to_mathml(tex, "block"))
    assert any(node.tag.endswith(f"}}{element}") for node in tree.iter())
    assert tree.get("display") == "block"
    assert tree.get("alttext") == tex


def test_inline_formula_keeps_its_sentence() -> None:
    page = render("Divide by $|R_u|$, not by $k$.")
    assert page.count("<math") == 2
    assert page.startswith("<p>Divide by <math") and page.endswith("</math>.</p>")


def test_underscores_and_stars_inside_a_formula_are_not_emphasis() -> None:
    page = render("$a_i * b_i$ and $c_i * d_i$")
    assert "<em>" not in page and page.count("<math") == 2


def test_escaped_braces_survive() -> None:
    assert "&#x0007B;" in render(r"the set $\{1, 2\}$")


@pytest.mark.parametrize(
    "text",
    ["It costs $5 and that one $10.", "a $5-$10 ticket", r"an escaped \$x\$ here", "a lone $ sign", "US$ and AU$"],
)
def test_money_is_not_mathematics(text: str) -> None:
    page = render(text)
    assert "<math" not in page
    assert page == f"<p>{text}</p>".replace("\\", "")


@pytest.mark.parametrize(
    "text", ["`$x$`", "``a $x$ b``", "```python\nprice = '$x$'\n```", "    indented = '$x$'", "```\n$$\nx\n$$\n```"]
)
def test_code_is_left_alone(text: str) -> None:
    page = render(text)
    assert "<math" not in page and "$" in page


@pytest.mark.parametrize(
    "text",
    [
        "Before\n\n$$\nx = 1\n$$\n\nafter",
        "Before\n$$\nx = 1\n$$\nafter",
        "Before\n\n$$ x = 1 $$\n\nafter",
        "Before\n\n$$\nx\n\n- 1\n= 1\n$$\n\nafter",
    ],
)
def test_display_formula_stands_between_paragraphs(text: str) -> None:
    page = render(text)
    assert page.index("Before</p>") < page.index('<div class="math"><math') < page.index("<p>after")
    assert "<ul>" not in page and "<h" not in page


def test_two_display_formulas_stay_two() -> None:
    assert render("$$\na\n$$\n\nand\n\n$$\nb\n$$").count('<div class="math">') == 2


def test_formulas_work_in_folds_tables_and_lists() -> None:
    assert "<math" in render("!!! note\n    with $x$\n\n    $$\n    y\n    $$\n")
    assert "<math" in render("| a | b |\n|---|---|\n| $x$ | 1 |\n")
    assert render("- one $x$\n- two\n\n    $$\n    y\n    $$\n").count("<math") == 2


@pytest.mark.parametrize(
    ("tex", "problem"),
    [
        (r"\frac{1", "braces"),
        (r"\nosuchthing x", r"\\nosuchthing is not understood"),
        (r"\left( x", "cannot be translated"),
        (r"a & b", "& is not understood"),
        (r"\boldsymbol{\mu}", "style 'bold-italic'"),
    ],
)
def test_a_formula_that_would_not_show_is_an_error_that_names_it(tex: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        render(f"${tex}$")
    assert tex in str(caught.value)


def test_a_display_formula_never_closed_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"never closed: '\$\$\\nx = 1"):
        render("$$\nx = 1\n\nand on")
