"""The site as a browser shows it: on a desk and on a phone, in the dark, from disk, on paper, by keyboard."""

from __future__ import annotations

import io
import re
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from support.site_requests import foreign

from recsys_course.authoring.project import find_project

CHAPTERS = find_project(Path(__file__).parent).chapters
RETRIEVAL = "chapters/03_retrieval.html"
PHRASE = "honest about its own question"

on_both = pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
either_way = pytest.mark.parametrize("from_disk", [False, True], ids=["served", "from disk"])


def scheme(page) -> str:
    return page.evaluate("document.body.getAttribute('data-md-color-scheme')")


def luminance(page, selector: str, what: str) -> float:
    """Of a computed colour, from 0 for black to 1 for white."""
    colour = page.locator(selector).first.evaluate(f"element => getComputedStyle(element).{what}")
    red, green, blue = (int(value) / 255 for value in re.findall(r"\d+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# --- finding one's way


@either_way
def test_tabs_and_arrows_lead_through_the_chapters(opened, from_disk: bool) -> None:
    page = opened("index.html", from_disk=from_disk)
    page.locator(".md-tabs").get_by_role("link", name="Chapters").click()
    for at, chapter in enumerate(CHAPTERS):
        assert page.url.endswith(f"chapters/{chapter.stem}.html")
        assert page.locator("h1").inner_text().startswith(f"{chapter.number} ·")
        if at:
            assert CHAPTERS[at - 1].stem in page.locator(".md-footer__link--prev").get_attribute("href")
        page.locator(".md-footer__link--next").click()


def test_on_a_phone_the_drawer_leads_to_a_chapter(opened) -> None:
    page = opened("index.html", phone=True)
    assert not page.locator(".md-tabs").is_visible()
    page.locator(".md-header label[for=__drawer]").click()
    page.locator(".md-nav--primary label.md-nav__link", has_text="Chapters").click()
    page.locator(".md-nav--primary").get_by_role("link", name="3 ·").click()
    page.wait_for_url(f"**/{RETRIEVAL}")


@either_way
@on_both
def test_search_finds_a_phrase_inside_a_notebook(opened, phone: bool, from_disk: bool) -> None:
    page = opened("index.html", phone=phone, from_disk=from_disk)
    if phone:
        page.locator(".md-header__button[for=__search]").click()
    box = page.locator(".md-search__input")
    box.click()
    assert PHRASE in CHAPTERS[2].source.read_text(encoding="utf-8")
    box.press_sequentially(PHRASE)
    found = page.locator(".md-search-result__link", has_text=PHRASE).first
    found.wait_for(state="attached")
    if not found.is_visible():  # below "2 more on this page"
        page.locator(".md-search-result__more", has=found).locator("summary").click()
    found.click()
    page.wait_for_url("**/03_retrieval.html**")
    page.locator("article mark").first.wait_for()


@on_both
def test_messages_wrap_where_the_page_ends(opened, phone: bool) -> None:
    page = opened("faq.html", phone=phone)
    messages = page.locator(".language-text code")
    assert messages.count() > 10
    assert messages.evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length") == 0


def test_no_page_is_wider_than_a_phone_and_none_asks_elsewhere(opened, site: Path) -> None:
    page = opened("index.html", phone=True)
    base = page.url.removesuffix("index.html")
    wide = []
    for path in sorted(site.rglob("*.html")):
        if path.name == "404.html":
            continue
        page.goto(base + path.relative_to(site).as_posix(), wait_until="domcontentloaded")
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if width > 0:
            wide.append((path.name, width))
    assert wide == []


def test_home_says_on_one_screen_what_how_long_and_where_to_begin(opened) -> None:
    page = opened("index.html")
    hero = page.locator(".hero")
    assert hero.bounding_box()["y"] + hero.bounding_box()["height"] < page.viewport_size["height"]
    text = hero.inner_text()
    assert "make course" in text and re.search(r"\d+ chapters · .* to read · \d+ exercises", text)
    assert "To know:" in text and "To have:" in text
    shown = [image for image in hero.locator("img").all() if image.is_visible()]
    assert len(shown) == 1 and shown[0].evaluate("image => image.naturalWidth") > 800
    shown[0].click()
    page.wait_for_url("**/try.html")


def test_a_request_to_another_host_would_be_noticed(browser, address: str, site: Path) -> None:
    page, asked = browser.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address + "try.html")
    page.evaluate("fetch('http://127.0.0.2:9/x').catch(() => 0)")
    page.evaluate("fetch(new URL('/elsewhere', location)).catch(() => 0)")
    page.close()
    assert foreign(asked, address, site) == ["http://127.0.0.2:9/x", address.replace("/some/where/", "/elsewhere")]


# --- what is on a page


def test_dark_mode_is_chosen_kept_and_readable(opened) -> None:
    page = opened(RETRIEVAL, color_scheme="light")
    assert scheme(page) == "default" and luminance(page, "body", "backgroundColor") > 0.9
    page.get_by_title("Switch to the dark page").click()
    page.wait_for_function("document.body.getAttribute('data-md-color-scheme') === 'slate'")
    assert luminance(page, "body", "backgroundColor") < 0.12 and luminance(page, "article p", "color") > 0.6
    assert luminance(page, ".output img", "backgroundColor") > 0.9, "figures are drawn on white"
    page.locator(".md-footer__link--next").click()
    page.wait_for_url("**/chapters/04*")
    assert scheme(page) == "slate"


def test_the_dark_page_comes_by_itself_where_the_system_is_dark(opened) -> None:
    assert scheme(opened("index.html", color_scheme="dark")) == "slate"


@on_both
def test_solutions_are_folded_until_asked_for(opened, phone: bool) -> None:
    page = opened(RETRIEVAL, phone=phone)
    fold = page.locator("details.success").first
    assert fold.locator("summary").inner_text() == "Solution"
    assert not fold.locator("code").first.is_visible()
    if phone:
        fold.locator("summary").tap()
    else:
        fold.locator("summary").focus()
        page.keyboard.press("Enter")
    assert fold.locator("code").first.is_visible()


@on_both
def test_formulas_have_a_size(opened, phone: bool) -> None:
    page = opened(RETRIEVAL, phone=phone)
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    sizes = page.locator("article math").evaluate_all(
        "all => all.map(one => [one.getBoundingClientRect().width, one.getBoundingClientRect().height])"
    )
    assert len(sizes) > 5
    assert min(width for width, _ in sizes) > 3 and min(height for _, height in sizes) > 5


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_drawings_and_figures_are_really_drawn(opened, chapter) -> None:
    page = opened(f"chapters/{chapter.stem}.html")
    page.evaluate("document.querySelectorAll('article img').forEach(image => image.loading = 'eager')")
    page.wait_for_function("[...document.querySelectorAll('article img')].every(image => image.complete)")
    pictures = page.locator("article img").evaluate_all("all => all.map(one => [one.naturalWidth, one.width])")
    assert all(natural > 100 and shown > 100 for natural, shown in pictures)
    drawings = page.locator("figure.drawing svg").evaluate_all(
        "all => all.map(one => [one.getBoundingClientRect().width, one.viewBox.baseVal.width, one.getBBox().width])"
    )
    assert all(0 < shown <= 1.5 * natural and inked > 50 for shown, natural, inked in drawings)


def test_code_is_copied_without_its_output(opened) -> None:
    page = opened(RETRIEVAL, permissions=["clipboard-read", "clipboard-write"])
    block = page.locator("article .highlight").filter(has_text="set_random_seed").first
    block.hover()
    block.locator(".md-clipboard, .md-code__button").first.click()
    page.wait_for_function("navigator.clipboard.readText().then(text => text.includes('set_random_seed'))")
    assert page.evaluate("navigator.clipboard.readText()").strip() == block.locator("code").inner_text().strip()


def test_a_term_says_what_it_means_and_leads_to_the_glossary(opened) -> None:
    page = opened(RETRIEVAL)
    term = page.locator("article a.term").filter(has_text=re.compile("^overfitting$", re.IGNORECASE))
    meaning = term.get_attribute("title")
    assert len(meaning) > 20
    term.click()
    page.wait_for_url("**/glossary.html#overfitting")
    assert page.locator("dt#overfitting + dd").inner_text().replace("\n", " ").startswith(meaning)
    name = opened("chapters/01_data_pipeline.html").locator("article code > a.term").first
    assert name.get_attribute("title") and "notation.html#" in name.get_attribute("href")


# --- on paper


def letters(text: str) -> str:
    """What is left of a text where spaces, line ends and joined letters (as in "film") do not count."""
    return re.sub(r"[\s\u200b\0]+", "", unicodedata.normalize("NFKC", text))


def is_printed(line: str, pages: list[str]) -> bool:
    """Whether a page holds the line, or one holds its beginning and the next the rest, in whatever order they draw."""
    cuts = range(len(line))
    return any(line in page for page in pages) or any(
        line[:cut] in before and line[cut:] in after for before, after in pairwise(pages) for cut in cuts
    )


def test_printing_a_chapter_loses_nothing(opened, pages: dict[Path, BeautifulSoup], site: Path) -> None:
    pypdf = pytest.importorskip("pypdf", reason="the printed text is read with pypdf")
    page = opened(RETRIEVAL, color_scheme="dark")
    printed = pypdf.PdfReader(io.BytesIO(page.pdf(format="A4")))
    sheets = [letters(one.extract_text()) for one in printed.pages]
    article = BeautifulSoup(str(pages[site / RETRIEVAL].article), "html.parser")
    for unwanted in article.select(".headerlink, .md-button, script"):
        unwanted.decompose()
    blocks = article.select("p, li, summary, h2, h3, td, .output pre, .highlight code")
    lines = [line for block in blocks if not block.find("math") for line in block.get_text().splitlines()]
    assert len(lines) > 300 and article.select("details.success code")
    assert [line for line in lines if not is_printed(letters(line), sheets)] == []
    assert not is_printed(letters("a line that no page holds"), sheets)
    page.emulate_media(media="print", color_scheme="dark")
    assert luminance(page, "body", "backgroundColor") > 0.9 and luminance(page, "article p", "color") < 0.3
    assert luminance(page, ".highlight .nf", "color") < 0.5
