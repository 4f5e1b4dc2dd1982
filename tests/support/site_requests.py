"""What a browser asked for while it showed the site."""

from __future__ import annotations

from pathlib import Path


def foreign(asked: list[str], address: str, site: Path) -> list[str]:
    """Those of the addresses that are not the site's own, whether it is served or opened from disk."""
    return [url for url in asked if not url.startswith((address, site.as_uri(), "data:", "blob:"))]
