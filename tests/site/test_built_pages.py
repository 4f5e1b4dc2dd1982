"""The site as readers get it: whole, working from disk, and asking no other host for anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup, Tag

from recsys_course.authoring.exercises import read_exercises
from recsys_course.authoring.links import dead_links
from recsys_course.authoring.notebooks import EXERCISE_HEADING, read_script, strip_solution
from recsys_course.authoring.project import Chapter, Project, find_project
from recsys_course.authoring.rendering import solution_code

CHAPTERS = find_project(Path(__file__).parent).chapters

# What makes a browser fetch something. A plain link does not: it waits for a click.
FETCHING = [
    ("link", "href"),
    ("script", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("source", "src"),
    ("source", "srcset"),
    ("iframe", "src"),
    ("video", "src"),
    ("audio", "src"),
    ("embed", "src"),
    ("object", "data"),
    ("use", "href"),
    ("image", "href"),
    ("form", "action"),
]
# Addresses inside Material's script that stay asleep, because no page holds what would wake them.
ASLEEP = {
    "https://api.github.com": "[data-md-component=source]",
    "https://unpkg.com/mermaid": ".mermaid",
    "https://unpkg.com/resize-observer-polyfill": "html:not(*)",  # only for browsers older than 2020
}
IN_CSS = re.compile(r"url\(\s*['\"]?(?!data:)([^'\")]+)|@import\s+['\"]([^'\"]+)")


def chapter_page(pages: dict[Path, BeautifulSoup], site: Path, chapter: Chapter) -> Tag:
    return pages[site / "chapters" / f"{chapter.stem}.html"].article


def is_foreign(address: str) -> bool:
    return bool(urlsplit(address).netloc)


def fetched(page: BeautifulSoup) -> Iterator[str]:
    for name, attribute in FETCHING:
        yield from (tag[attribute] for tag in page.find_all(name) if tag.get(attribute))
    styles = [tag.get_text() for tag in page("style")] + [tag["style"] for tag in page.select("[style]")]
    for found in IN_CSS.finditer("\n".join(styles)):
        yield found[1] or found[2]


def test_no_page_asks_another_host(pages: dict[Path, BeautifulSoup]) -> None:
    foreign = {(path.name, address) for path, page in pages.items() for address in fetched(page) if is_foreign(address)}
    assert foreign == set()


def test_no_script_in_a_page_names_another_host(pages: dict[Path, BeautifulSoup]) -> None:
    for path, page in pages.items():
        for script in page.find_all("script", src=False):
            assert not re.search(r"https?:|['\"]//", script.get_text()), path


def test_no_style_sheet_asks_another_host(site: Path) -> None:
    sheets = list(site.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        for found in IN_CSS.finditer(sheet.read_text(encoding="utf-8")):
            assert not is_foreign(found[1] or found[2]), sheet


def test_addresses_in_scripts_stay_asleep(site: Path, pages: dict[Path, BeautifulSoup]) -> None:
    addresses = {
        address
        for script in site.rglob("*.js")
        if script.name != "search_index.js"  # text of the pages
        for address in re.findall(r"['\"`](https?://\w[^\s'\"`]*)", script.read_text(encoding="utf-8"))
        if not address.startswith("http://www.w3.org/")  # names of XML vocabularies
    }
    unknown = {address for address in addresses if not address.startswith(tuple(ASLEEP))}
    assert unknown == set()
    for selector in ASLEEP.values():
        assert not any(page.select(selector) for page in pages.values()), selector


def test_links_pictures_and_anchors_resolve(site: Path) -> None:
    assert dead_links(site) == []


def test_every_picture_says_what_it_shows(pages: dict[Path, BeautifulSoup]) -> None:
    for path, page in pages.items():
        for image in page.select("article img"):
            assert image.get("alt", "").strip(), (path, image)
        for drawing in page.select("figure.drawing > svg"):
            assert drawing.find("title").get_text().strip(), path


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_formulas_are_drawn(chapter: Chapter, site: Path, pages: dict[Path, BeautifulSoup]) -> None:
    article = BeautifulSoup(str(chapter_page(pages, site, chapter)), "html.parser")
    for tag in article(["code", "pre", "math"]):
        tag.decompose()
    assert not re.findall(r"\$\S[^$\n]*\S\$|\$\$|\\(?:frac|sum|mathbf|hat|log)\b", article.get_text())


def test_some_formulas_are_drawn(site: Path, pages: dict[Path, BeautifulSoup]) -> None:
    for page in ("chapters/03_retrieval.html", "notation.html"):
        assert pages[site / page].select('math[display="block"]')


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_exercises_show_the_stub_and_fold_the_solution(
    chapter: Chapter, site: Path, pages: dict[Path, BeautifulSoup]
) -> None:
    article = chapter_page(pages, site, chapter)
    folds = article.select("details.success")
    notebook = nbformat.read(chapter.solution, as_version=4)
    number, exercises = "", []
    for cell in notebook.cells:
        if heading := EXERCISE_HEADING.search(cell.source):
            number = heading[1]
        if "exercise" in cell.metadata.get("tags", []):
            exercises.append((strip_solution(cell.source, number), solution_code(cell.source)))
    assert [fold.code.get_text().strip() for fold in folds] == [solution.strip() for _, solution in exercises]
    assert not any(fold.has_attr("open") for fold in article("details"))
    assert [block.get_text().strip() for block in article.select(".exercise code")] == [s.strip() for s, _ in exercises]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_every_picture_of_the_run_is_on_the_page(
    chapter: Chapter, site: Path, pages: dict[Path, BeautifulSoup]
) -> None:
    notebook = nbformat.read(chapter.solution, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(chapter_page(pages, site, chapter).select(".output img")) == len(pictures)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_chapter_opens_in_colab_and_downloads_from_the_site_itself(
    chapter: Chapter, project: Project, site: Path, pages: dict[Path, BeautifulSoup]
) -> None:
    colab, download = chapter_page(pages, site, chapter).select("a.md-button")
    assert colab["href"] == project.colab_url(project.chapter(chapter.stem))
    assert (site / "chapters" / download["href"]).read_bytes() == chapter.notebook.read_bytes()


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_chapter_says_what_it_takes_and_what_comes_before_and_after(
    chapter: Chapter, site: Path, pages: dict[Path, BeautifulSoup]
) -> None:
    article = chapter_page(pages, site, chapter)
    exercises = read_exercises(read_script(chapter.source.read_text(encoding="utf-8")))
    minutes = sum(exercise.minutes for exercise in exercises)
    effort = article.select_one(".effort").get_text()
    assert re.match(rf"\d+ minutes to read · {len(exercises)} exercises, {minutes} minutes", effort)
    assert re.search(r"minutes? to run|minute to run|runs in", article.find("table").get_text())
    cards = [card.get_text() for card in article.select(".card")]
    assert cards == [f"{one.kind} · difficulty {one.difficulty} of 5 · {one.minutes} minutes" for one in exercises]
    page = pages[site / "chapters" / f"{chapter.stem}.html"]
    assert page.select_one(".md-footer__link--prev[href]") and page.select_one(".md-footer__link--next[href]")
    assert "content.code.copy" in json.loads(page.find(id="__config").get_text())["features"]


def test_home_leads_to_every_chapter_and_shows_what_was_recommended(
    site: Path, pages: dict[Path, BeautifulSoup]
) -> None:
    home = pages[site / "index.html"].article
    cards = {link["href"] for link in home.select(".cards a")}
    assert cards == {f"chapters/{chapter.stem}.html" for chapter in CHAPTERS}
    shown = home.select_one(".output").get_text().split()
    retrieval = pages[site / "chapters" / "03_retrieval.html"].article
    assert shown and shown in [output.get_text().split() for output in retrieval.select(".output")]


def test_navigation_leads_to_every_page(site: Path, pages: dict[Path, BeautifulSoup]) -> None:
    home = pages[site / "index.html"]
    linked = {(site / link["href"]).resolve() for link in home.select("nav.md-nav a[href]")}
    assert {path.resolve() for path in pages if path.name != "404.html"} <= linked


def test_search_works_from_disk(site: Path, pages: dict[Path, BeautifulSoup]) -> None:
    assert (site / "search" / "search_index.js").read_text(encoding="utf-8").startswith("var __index = {")
    assert pages[site / "index.html"].find("script", src="assets/iframe-worker.js")
