"""Markdown extension: ``$...$`` and ``$$...$$`` become MathML when the site is built.

The reader's browser draws the formulas by itself, so no script, style or font of another host is needed.

A dollar sign opens a formula only where a formula can start: no space after it, none before the closing one, and no
digit after that. So "between $5 and $10" stays a price. Code is never touched, and a backslash escapes a dollar.
"""

from __future__ import annotations

import html
import re
from xml.etree.ElementTree import Element, SubElement

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.blockprocessors import BlockProcessor
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

INLINE = r"(?<![\\$])(?P<fence>\$\$?)(?!\s|\$)(?P<tex>(?:\\.|[^$\\])+?)(?<!\s)(?P=fence)(?![\d$])"
BLOCK = re.compile(r"^ {0,3}\$\$(?P<tex>.+?)\$\$[ ]*(?:\n|$)", re.MULTILINE | re.DOTALL)


def to_mathml(tex: str, display: str = "inline") -> str:
    """Translate one formula.

    Args:
        tex: The formula in LaTeX, without its dollar signs.
        display: ``"inline"`` or ``"block"``.

    Returns:
        A ``<math>`` element; the formula's source is its alternative text.

    Raises:
        ValueError: The formula cannot be read, or holds something that no browser would draw; it names the formula.
    """
    tex = tex.strip()
    braces = re.sub(r"\\.", "", tex)
    if braces.count("{") != braces.count("}"):
        raise ValueError(f"formula ${tex}$: its curly braces do not pair up")
    try:
        mathml = convert(tex.replace("{aligned}", "{align*}"), display=display)
    except Exception as error:  # the translator raises many kinds, StopIteration among them
        raise ValueError(f"formula ${tex}$ cannot be translated: {type(error).__name__} {error}".rstrip()) from error
    if unknown := re.search(r">(\\[A-Za-z]+|&)<", mathml):
        raise ValueError(f"formula ${tex}$: {unknown[1]} is not understood here")
    if letters := re.search(r'mathvariant="(?!normal)([^"]+)"', mathml):
        raise ValueError(
            f"formula ${tex}$: browsers do not draw letters in the style {letters[1]!r}; use \\mathbf or none"
        )
    # Named functions stand off their neighbours; as identifiers browsers would set "x log p" without a space.
    mathml = re.sub(r"<(mi|mo)>([a-z]{2,})</\1>", r'<mo lspace="0.17em" rspace="0.17em">\2</mo>', mathml)
    return mathml.replace("<math ", f'<math alttext="{html.escape(tex)}" ', 1)


class _InlineMath(InlineProcessor):
    """Formulas inside a line of text."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
        display = "block" if m["fence"] == "$$" else "inline"
        return self.md.htmlStash.store(to_mathml(m["tex"], display)), m.start(), m.end()


class _BlockMath(BlockProcessor):
    """Formulas that stand alone; blank lines, and lines that look like lists or headings, may be part of them."""

    def test(self, parent: Element, block: str) -> bool:
        return re.search(r"^ {0,3}\$\$", block, re.MULTILINE) is not None

    def run(self, parent: Element, blocks: list[str]) -> bool:
        text = blocks[0]
        taken = 1
        while (found := BLOCK.search(text)) is None:
            if taken == len(blocks):
                raise ValueError(f"a formula opened by $$ is never closed: {text.strip()[:80]!r}")
            text += "\n\n" + blocks[taken]
            taken += 1
        del blocks[:taken]
        if before := text[: found.start()].rstrip("\n"):
            self.parser.parseBlocks(parent, [before])
        SubElement(parent, "div", {"class": "math"}).text = self.parser.md.htmlStash.store(
            to_mathml(found["tex"], "block")
        )
        if after := text[found.end() :].lstrip("\n"):
            blocks.insert(0, after)
        return True


class MathMLExtension(Extension):
    """Adds the two kinds of formulas, and ``\\$`` for a plain dollar."""

    def extendMarkdown(self, md: Markdown) -> None:
        if "$" not in md.ESCAPED_CHARS:
            md.ESCAPED_CHARS.append("$")
        # After code spans (190), so that they stay as they are; before escapes (180), which would eat backslashes.
        md.inlinePatterns.register(_InlineMath(INLINE, md), "mathml", 185)
        # After indented code (80), before headings and lists (70 and less).
        md.parser.blockprocessors.register(_BlockMath(md.parser), "mathml", 75)


def makeExtension(**config: object) -> MathMLExtension:
    """Return the extension; Markdown calls this by name."""
    return MathMLExtension(**config)
