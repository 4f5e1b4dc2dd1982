"""The pictures of the running recommender, taken from the site's own page."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from recsys_course.authoring.picture import take_pictures
from recsys_course.authoring.project import CourseError

KEPT = Path(__file__).parents[2] / "docs" / "assets"


def test_light_and_dark_are_taken_like_those_on_the_home_page(browser, site: Path, tmp_path: Path) -> None:
    taken = take_pictures(browser, site, tmp_path)
    for path, corner in zip(taken, (255, 18), strict=True):  # red of the paper, by the scheme
        picture, kept = Image.open(path), Image.open(KEPT / path.name)
        assert picture.size[0] == kept.size[0] and abs(picture.size[1] - kept.size[1]) < 200
        assert abs(picture.convert("RGB").getpixel((30, 30))[0] - corner) < 12
        assert len(picture.getcolors()) > 30
        assert path.stat().st_size < 200_000


def test_without_a_site_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="build the site first, with `course site`"):
        take_pictures(None, tmp_path, tmp_path)
