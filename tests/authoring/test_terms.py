"""Mentions of terms lead to the glossary, once a page, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from markdown import Markdown
from markdown.treeprocessors import Treeprocessor

from recsys_course.authoring.project import find_project
from recsys_course.authoring.terms import TermsExtension, read_glossary, read_names

GLOSSARY = """\
---
everyday: [Index]
---
# Glossary

Two-tower model
:   A *query tower* and a [candidate](x.md) `tower`
    that meet in a dot product.

    More of it.

Query
:   What is known when a recommendation is asked for.

NDCG, MAP
:   Measures.

Index
:   A structure.
"""


NOTATION = """\
# Notation

## Ranking metrics

| Metric | Formula | The choice in it |
|---|---|---|
| `recall_at_k` | mean of $\\frac{1}{2}$ | **all** held-out items, not $\\min(n, k)$ |

## Parameter names

| Name | Means | Not |
|---|---|---|
| `k` | length of a list | `top_n` |
| `num_users`, `num_items` | how many there are | a much longer text about what not to write |

| Baseline | Score |
|---|---|
| `MostPopular` | how many met it |
"""


@pytest.fixture
def page(tmp_path: Path):
    glossary, notation = tmp_path / "glossary.md", tmp_path / "notation.md"
    glossary.write_text(GLOSSARY, encoding="utf-8")
    notation.write_text(NOTATION, encoding="utf-8")

    def convert(text: str, page: str | None = "a.md") -> BeautifulSoup:
        md = Markdown(extensions=["def_list", "tables", TermsExtension(glossary=glossary, notation=notation)])
        if page:
            resolver = Treeprocessor(md)  # as MkDocs has one, which knows the page
            resolver.file = SimpleNamespace(src_uri=page)
            md.treeprocessors.register(resolver, "relpath", 0)
        return BeautifulSoup(md.convert(text), "html.parser")

    return convert


def links(page: BeautifulSoup) -> list[tuple[str, str, str]]:
    return [(link.get_text(), link["href"], link["title"]) for link in page.select("a.term")]


def test_the_first_mention_leads_to_the_entry_and_says_its_meaning(page):
    soup = page("A two-tower model, and Two-tower models *again*, answer a query.")
    assert links(soup) == [
        (
            "two-tower model",
            "/glossary.md#two-tower-model",
            "A query tower and a candidate tower that meet in a dot product.",
        ),
        ("query", "/glossary.md#query", "What is known when a recommendation is asked for."),
    ]
    assert soup.get_text() == "A two-tower model, and Two-tower models again, answer a query."


def test_an_entry_of_several_terms_is_found_by_each(page):
    assert links(page("MAP and NDCG")) == [("MAP", "/glossary.md#ndcg-map", "Measures.")]


def test_mentions_in_and_behind_marks_and_in_tables_count(page):
    assert [text for text, *_ in links(page("*a query* and MAP"))] == ["query", "MAP"]
    assert [text for text, *_ in links(page("| a | b |\n|---|---|\n| query | x |"))] == ["query"]


def test_names_of_the_notation_are_explained_where_they_stand_alone_in_code(page):
    soup = page("`recall_at_k`, `recall_at_k(3)`, `num_items`, `k`, `recall_at_k`, `MostPopular`")
    assert links(soup) == [
        ("recall_at_k", "/notation.md#ranking-metrics", "all held-out items, not min(n, k)"),
        ("num_items", "/notation.md#parameter-names", "how many there are"),
    ]
    assert [code.get_text() for code in soup("code")].count("recall_at_k") == 2
    assert links(page("`recall_at_k`", page="notation.md")) == []


@pytest.mark.parametrize(
    "text", ["`query`", "## Query", "[query](x.md)", "    query", "pre-query-thing", "inquery", "An index"]
)
def test_code_headings_links_parts_of_words_and_everyday_words_stay(page, text):
    assert links(page(text)) == []


def test_the_glossary_gets_anchors_and_no_links(page):
    soup = page(GLOSSARY.partition("# Glossary")[2], page="glossary.md")
    assert [entry["id"] for entry in soup("dt")] == ["two-tower-model", "query", "ndcg-map", "index"]
    assert links(soup) == []


@pytest.mark.parametrize("where", [None, "api/models.md"])
def test_nothing_is_linked_outside_a_page_of_mkdocs_and_in_the_reference(page, where):
    assert links(page("a query", page=where)) == []


def test_an_everyday_word_without_an_entry_is_an_error(tmp_path):
    (tmp_path / "glossary.md").write_text(GLOSSARY.replace("[Index]", "[Index, Nothing]"), encoding="utf-8")
    with pytest.raises(ValueError, match="'everyday' names nothing"):
        read_glossary(tmp_path / "glossary.md")


def test_the_courses_own_glossary_and_notation_explain_in_words():
    root = find_project(Path(__file__).parent).root
    terms = read_glossary(root / "docs" / "glossary.md")
    text = (root / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert len({term.address for term in terms.values()}) > 50
    assert text.count("\n:   ") >= len({term.address for term in terms.values()})
    names = read_names(root / "docs" / "notation.md")
    assert {"recall_at_k", "candidate_sampling_probability", "num_users"} <= names.keys()
    for name, term in (terms | names).items():
        assert len(term.meaning) > 3 and not set(term.meaning) & set("*`$[]"), name
