"""A cell's saved outputs as plain HTML: text, tables, pictures and drawings, with nothing left of the notebook."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable

from bs4 import BeautifulSoup
from nbformat import NotebookNode

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")

SavePicture = Callable[[bytes], str]


def outputs_to_html(outputs: list[NotebookNode], alt: str, save_picture: SavePicture) -> str:
    """Render everything below one code cell.

    Args:
        outputs: The cell's outputs, as nbformat holds them.
        alt: Alternative text of a picture.
        save_picture: Stores a PNG's bytes and returns the address that the page can use.

    Returns:
        HTML without Markdown in it; empty where the cell shows nothing.

    Raises:
        ValueError: An output is an error, or of a kind that no page can show.
    """
    parts: list[str] = []
    text = ""
    for output in outputs:
        if output.output_type == "error":
            raise ValueError(f"a cell failed with {output.ename}: {output.evalue}")
        if output.output_type == "stream":
            text += output.text
            continue
        if output.data.keys() == {"text/plain"}:
            text += output.data["text/plain"] + "\n"
            continue
        parts += [_text(text), _rich(output, alt, save_picture)]
        text = ""
    body = "\n".join(part for part in [*parts, _text(text)] if part)
    return f'<div class="output">\n{body}\n</div>' if body else ""


def _text(text: str) -> str:
    """Printed text: no colour codes, and of a line that a progress bar wrote again and again only its last state."""
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in ANSI.sub("", text).split("\n")]
    plain = "\n".join(lines).strip("\n")
    if not plain:
        return ""
    # Markdown looks for code fences before it looks for HTML, so none may be seen in here.
    return f"<pre>{html.escape(plain).replace('`', '&#96;').replace('~', '&#126;')}</pre>"


def _rich(output: NotebookNode, alt: str, save_picture: SavePicture) -> str:
    data = output.data
    if "image/svg+xml" in data:
        return inline_svg(data["image/svg+xml"])
    if "image/png" in data:
        source = html.escape(save_picture(base64.b64decode(data["image/png"])))
        size = output.metadata.get("image/png", {})
        width = f' width="{int(size["width"])}"' if "width" in size else ""
        return f'<figure><img src="{source}" alt="{html.escape(alt)}"{width} loading="lazy"></figure>'
    if "text/html" in data:
        return _clean_html(data["text/html"])
    raise ValueError(
        f"no page can show an output of {', '.join(sorted(data)) or 'no kind'}; print it, or return a table"
    )


def _clean_html(markup: str) -> str:
    """A pandas table, or other HTML, without the looks that it brought along; the site's own style serves it."""
    tree = BeautifulSoup(markup, "html.parser")
    for unwanted in tree(["style", "script"]):
        unwanted.decompose()
    for element in tree.find_all(True):
        for name in ("border", "class", "style", "id"):
            element.attrs.pop(name, None)
    # One line without blank ones: Markdown would otherwise end the HTML there.
    return re.sub(r"\s*\n\s*", "\n", str(tree)).strip().replace("`", "&#96;")


def inline_svg(markup: str) -> str:
    """A drawing ready to stand inside a page: no XML preamble, and no blank line, which would end the HTML.

    Args:
        markup: The SVG file's text. Its ``<title>`` is what those get who cannot see it.

    Raises:
        ValueError: There is no ``<svg>`` element.
    """
    found = re.search(r"<svg\b.*</svg>", markup, re.DOTALL)
    if found is None:
        raise ValueError(f"expected an <svg> element, got {markup[:60]!r}")
    return '<figure class="drawing">' + re.sub(r"\s*\n\s*", "\n", found[0]) + "</figure>"
