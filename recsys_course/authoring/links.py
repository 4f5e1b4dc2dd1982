"""Whatever a page of the finished site names must be there: pages, anchors, pictures, scripts, files to download.

MkDocs checks what is written in Markdown. This looks at what came out, so that HTML written by hand, an output of a
notebook or a theme's own link is held to the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ADDRESSES = {"href", "src", "srcset", "data", "poster"}
ROOTED = "404.html"  # a server shows it at any depth, so its links start at the server's root, wherever that will be


@dataclass
class _Page(HTMLParser):
    anchors: set[str] = field(default_factory=set)
    addresses: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name in {"id", "name"}:
                self.anchors.add(value)
            elif name in ADDRESSES:
                self.addresses.append(value.split()[0] if name == "srcset" else value)


def dead_links(site: Path) -> list[str]:
    """What is missing, a line each: the page, the address as it stands there, and whether file or anchor is missing.

    Args:
        site: The folder of a built site. Addresses of other hosts are not looked at.
    """
    pages: dict[Path, _Page] = {}
    for path in sorted(site.resolve().rglob("*.html")):
        pages[path] = _Page()
        pages[path].feed(path.read_text(encoding="utf-8"))
    dead = []
    for path, page in pages.items():
        if path.name == ROOTED:
            continue
        for address in dict.fromkeys(page.addresses):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            if not target.is_file():
                dead.append(f"{path.relative_to(site.resolve()).as_posix()}: {address!r} leads to no file")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                dead.append(f"{path.relative_to(site.resolve()).as_posix()}: {address!r} leads to no such anchor")
    return dead
