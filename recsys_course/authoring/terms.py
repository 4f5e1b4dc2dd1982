"""Markdown extension: the first mention of a term on a page leads to where it is explained, and says it in passing.

The pages themselves are the one source. Of the glossary it is the definition list: its terms, and the first paragraph
of each definition. Words of everyday use that are terms too, listed under ``everyday`` at the head of the glossary,
stay as they are. Of the notation it is every table of names in code, metrics and parameters, with a column that says
what they mean or which choice is in them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import yaml
from markdown import Markdown
from markdown.extensions import Extension
from markdown.extensions.toc import slugify
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString

HEAD = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
ENTRY = re.compile(r"^(?P<terms>\S.*)\n:   (?P<meaning>(?:.+\n?)+)", re.MULTILINE)
LEFT_ALONE = {"a", "abbr", "code", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "kbd", "pre", "script", "summary"}
REFERENCE = "api/"  # docstrings, which speak to those who know the terms
NAMES_ROW = re.compile(r"`\w+`(?:, `\w+`)*")
HEADING = re.compile(r"^#+ (.+)$")
SAYING = ("Means", "The choice in it")  # heads of the columns that explain


class Term(NamedTuple):
    """What a mention turns into."""

    address: str
    meaning: str


def anchor_of(terms: str) -> str:
    """The anchor of a glossary entry; an entry may name several terms, with commas between them."""
    return slugify(terms, "-")


@cache
def read_glossary(path: Path) -> dict[str, Term]:
    """Every term in small letters, with its anchor and a plain-text meaning.

    Raises:
        ValueError: a word is said to be of everyday use and is no term.
    """
    text = path.read_text(encoding="utf-8")
    head = HEAD.match(text)
    everyday = {word.lower() for word in (yaml.safe_load(head[1]) or {}).get("everyday", [])} if head else set()
    terms: dict[str, Term] = {}
    for entry in ENTRY.finditer(text):
        term = Term(f"/{path.name}#{anchor_of(entry['terms'])}", _plain(entry["meaning"]))
        terms |= {name.strip().lower(): term for name in entry["terms"].split(",")}
    if unknown := everyday - terms.keys():
        raise ValueError(f"{path}: 'everyday' names {', '.join(sorted(unknown))}, which the glossary does not explain")
    return {name: term for name, term in terms.items() if name not in everyday}


@cache
def read_names(path: Path) -> dict[str, Term]:
    """Every metric and parameter of the notation, with the heading above it and what its row says of it."""
    names: dict[str, Term] = {}
    heading, saying = "", None
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := HEADING.match(line):
            heading = slugify(found[1], "-")
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            saying = None
        elif saying is None:  # the head of a table
            saying = next((at for at, cell in enumerate(cells) if cell in SAYING), 0)
        elif saying and NAMES_ROW.fullmatch(cells[0]):
            term = Term(f"/{path.name}#{heading}", _plain(cells[saying]))
            names |= {name: term for name in re.findall(r"`(\w{3,})`", cells[0])}
    return names


def _plain(markdown: str) -> str:
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", " ".join(markdown.split()))
    return re.sub(r"[*`$\\]", "", text)


class _LinkTerms(Treeprocessor):
    def __init__(self, md: Markdown, glossary: Path, notation: Path) -> None:
        super().__init__(md)
        self.glossary, self.notation = glossary, notation

    def run(self, root: Element) -> None:
        if "relpath" not in self.md.treeprocessors:  # not a page of MkDocs', so the link could not be resolved
            return
        page = self.md.treeprocessors["relpath"].file.src_uri
        if page.startswith(REFERENCE):
            return
        if page == self.glossary.name:
            for entry in root.iter("dt"):
                entry.set("id", anchor_of("".join(entry.itertext())))
            return
        self.terms = read_glossary(self.glossary)
        self.met: set[str] = set()  # addresses
        self.names = read_names(self.notation) if page != self.notation.name else {}
        alternatives = "|".join(re.escape(name) for name in sorted(self.terms, key=len, reverse=True))
        self.pattern = re.compile(rf"(?<![\w-])({alternatives})s?(?![\w-])", re.IGNORECASE)
        self._link_in(root)

    def _link_in(self, element: Element) -> None:
        """Replaces mentions in an element's own text and behind each of its children."""
        children = list(element)
        self._link_text(element, None)
        for child in children:
            if child.tag == "code" and element.tag != "pre":
                self._link_name(child)
            elif child.tag not in LEFT_ALONE:
                self._link_in(child)
            self._link_text(element, child)

    def _link_name(self, code: Element) -> None:
        """Puts a link into a piece of code that is a name of the notation, and nothing else."""
        name = code.text or ""
        if name in self.names and name not in self.met:
            self.met.add(name)
            link = _link(self.names[name], name)
            code.text = None
            code.append(link)

    def _link_text(self, parent: Element, after: Element | None) -> None:
        text = parent.text if after is None else after.tail
        if not text or isinstance(text, AtomicString):
            return
        place = 0 if after is None else list(parent).index(after) + 1
        for found in self.pattern.finditer(text):
            term = self.terms[found[1].lower()]
            if term.address in self.met:
                continue
            self.met.add(term.address)
            link = _link(term, found[0])
            link.tail = text[found.end() :]
            if after is None:
                parent.text = text[: found.start()]
            else:
                after.tail = text[: found.start()]
            parent.insert(place, link)
            self._link_text(parent, link)  # what follows
            return


def _link(term: Term, text: str) -> Element:
    link = Element("a", {"class": "term", "href": term.address, "title": term.meaning})
    link.text = AtomicString(text)
    return link


class TermsExtension(Extension):
    """Takes the paths of the two pages, seen from where MkDocs runs; links lead to them at the docs' root."""

    def __init__(self, **options: object) -> None:
        self.config = {
            "glossary": ["docs/glossary.md", "the page that explains the terms"],
            "notation": ["docs/notation.md", "the page that explains names of metrics and parameters"],
        }
        super().__init__(**options)

    def extendMarkdown(self, md: Markdown) -> None:
        # After inline marks have become elements (20), before MkDocs makes links to files relative (0).
        pages = Path(self.getConfig("glossary")), Path(self.getConfig("notation"))
        md.treeprocessors.register(_LinkTerms(md, *pages), "terms", 7)


def makeExtension(**options: object) -> TermsExtension:
    """Return the extension; Markdown calls this by name."""
    return TermsExtension(**options)
