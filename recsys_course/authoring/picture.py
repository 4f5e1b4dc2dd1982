"""The pictures of the running recommender on the home page: `python -m recsys_course.authoring.picture`.

Opens the built site's own page in a Chromium that is on this machine, chooses three films, and keeps what it shows.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from recsys_course.authoring.browsers import find_chromium
from recsys_course.authoring.project import CourseError, find_project

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

FILMS = ("Star Wars", "Alien", "Terminator, The")
SIZE: ViewportSize = {"width": 920, "height": 1600}  # two films a row, and nothing to scroll
COLOURS = 64


def take_pictures(browser: Browser, site: Path, folder: Path) -> list[Path]:
    """Pictures of the page with films chosen and recommended, for the light and the dark site.

    Args:
        browser: A Chromium that Playwright drives.
        site: A built site.
        folder: Where `recommender-light.png` and `recommender-dark.png` go.

    Raises:
        CourseError: There is no built site.
    """
    page_file = site / "try.html"
    if not page_file.is_file():
        raise CourseError(f"{page_file} is missing: build the site first, with `course site`")
    taken = []
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport=SIZE, color_scheme=scheme, device_scale_factor=2)
        page.goto(page_file.as_uri())
        for film in FILMS:
            page.get_by_role("combobox").fill(film)
            page.keyboard.press("Enter")
        page.evaluate("document.activeElement.blur()")
        picture = Image.open(io.BytesIO(page.locator("#try").screenshot()))
        page.close()
        taken.append(folder / f"recommender-{scheme}.png")
        picture.convert("RGB").quantize(COLOURS).save(taken[-1], optimize=True)
    return taken


def main() -> int:
    """Take them for this checkout."""
    root = find_project().root
    try:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
            for path in take_pictures(browser, root / "site", root / "docs" / "assets"):
                print(path.relative_to(root))
            browser.close()
    except ImportError:
        print(
            "picture: Playwright is missing: pip install playwright (its own browsers are not needed)", file=sys.stderr
        )
        return 1
    except CourseError as error:
        print(f"picture: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
