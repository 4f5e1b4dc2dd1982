"""The page that recommends: in a browser, end to end, and with the same numbers as the Python model."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recsys_course import models
from recsys_course.serving.browser import BrowserFilms, browser_films
from recsys_course.serving.trained import trained_retrieval


@pytest.fixture(scope="module")
def trained():
    return trained_retrieval(say=lambda line: None)


@pytest.fixture(scope="module")
def films(trained) -> BrowserFilms:
    return browser_films(trained)


@pytest.fixture(params=["desktop", "phone", "from disk"])
def page(request, opened):
    return opened("try.html", phone=request.param == "phone", from_disk=request.param == "from disk")


def listed(page) -> list[tuple[str, float]]:
    cards = page.locator("#try-list > li")
    return [(card.get_attribute("data-film"), float(card.get_attribute("data-score"))) for card in cards.all()]


def test_the_page_computes_what_the_python_model_computes(opened, trained, films) -> None:
    page = opened("try.html")
    embeddings = trained.candidate_embeddings()
    rng = np.random.default_rng(0)
    positions = trained.index.movie_positions(films.ids)
    to_page = np.argsort(positions)  # from the catalogue's order to the page's
    for size in (1, 2, 3, 5, 5, 5):
        liked = rng.choice(len(films.ids), size, replace=False)
        script = "([liked, k]) => recommendFromLiked(tasteDirections(courseFilms), courseFilms.dim, liked, k)"
        shown = page.evaluate(script, [liked.tolist(), 100])

        rounded = models.recommend_from_liked(films.embeddings, liked, 100)
        assert [one["film"] for one in shown] == rounded.positions.tolist()
        assert [one["nearest"] for one in shown] == rounded.nearest.tolist()
        np.testing.assert_allclose([one["score"] for one in shown], rounded.scores, atol=1e-12)

        exact = models.recommend_from_liked(embeddings, positions[liked], 100)
        np.testing.assert_allclose(rounded.scores, exact.scores, atol=1e-3)
        assert len(set(rounded.positions[:10]) & set(to_page[exact.positions[:10]])) >= 9


def test_from_a_search_to_explained_recommendations(page, films) -> None:
    first, second = 0, 7
    box = page.get_by_role("combobox")
    box.fill(films.titles[first][:12].upper())
    options = page.get_by_role("option")
    options.filter(has_text=films.titles[first]).first.click()
    assert page.locator("#try-state").inner_text() == "1 of 5 films chosen."
    box.fill(films.titles[second])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expected = models.recommend_from_liked(films.embeddings, [first, second], 10)
    assert listed(page) == [
        (films.ids[film], pytest.approx(score)) for film, score in zip(expected.positions, expected.scores, strict=True)
    ]
    best = page.locator("#try-list > li").first.inner_text()
    assert films.titles[expected.positions[0]] in best
    assert f"{expected.scores[0]:.2f}" in best
    assert f"nearest to {films.titles[expected.nearest[0]]}" in best
    for genre in films.genres[expected.positions[0]]:
        assert films.genre_names[genre] in best


def test_it_works_by_keyboard_alone(opened, films) -> None:
    page = opened("try.html")
    page.locator("#try-film").focus()
    page.keyboard.type("star")
    assert page.locator("#try-film").get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    active = page.locator("#try-film").get_attribute("aria-activedescendant")
    title = page.locator(f"#{active} .try-title").inner_text()
    assert page.locator("[role=option][aria-selected=true]").count() == 1
    page.keyboard.press("Enter")
    assert page.locator("#try-film").get_attribute("aria-expanded") == "false"
    page.keyboard.type("alien")
    page.keyboard.press("Escape")
    assert page.get_by_role("option").count() == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == f"Remove {title}"
    page.keyboard.press("Enter")
    assert page.locator("#try-state").inner_text() == "No film chosen yet."
    assert listed(page) == []
    assert page.evaluate("document.activeElement.id") == "try-film"


def test_no_more_than_five_and_none_twice(opened, films) -> None:
    page = opened("try.html")
    page.get_by_role("button", name="Choose five for me").click()
    chosen = page.locator("#try-liked button")
    assert chosen.count() == 5 and len(listed(page)) == 10
    assert not {films.titles[films.ids.index(id)] for id, _ in listed(page)} & set(chosen.all_inner_texts())
    page.get_by_role("combobox").fill("the")
    page.keyboard.press("Enter")
    assert chosen.count() == 5
    assert "remove one" in page.locator("#try-state").inner_text()
    page.get_by_role("button", name="Start again").click()
    assert chosen.count() == 0 and listed(page) == []


def test_the_search_takes_words_in_any_order_and_without_accents(opened) -> None:
    page = opened("try.html")
    titles = json.dumps(["Godfather, The (1972)", "Misérables, Les (1995)", "The Net (1995)", "100% Wolf (1990)"])

    def search(typed: str) -> list[int]:
        return page.evaluate(f"(typed) => searchFilms({titles}.map(plain), typed, 8)", typed)

    assert search("the godfather") == [0]
    assert search("les miserables") == [1]
    assert search("THE") == [0, 2]
    assert search("e") == [0, 1, 2]
    assert search("n") == [2]
    assert search("(1995)") == [1, 2]
    assert search("100%") == [3]
    assert search("  ") == search("nothing like it") == []


def test_the_data_is_small_and_holds_every_film(site, trained, films) -> None:
    script = site / "chapters" / "films.js"
    assert script.stat().st_size < 1_000_000
    content = json.loads(script.read_text(encoding="utf-8").removeprefix("window.courseFilms = ").removesuffix(";\n"))
    assert sorted(content["ids"]) == sorted(trained.movies["movie_id"])
    assert dict(zip(content["ids"], content["titles"], strict=True)) == dict(
        trained.movies[["movie_id", "movie_title"]].itertuples(index=False)
    )


def test_a_page_without_its_data_says_so(browser, site) -> None:
    page = browser.new_page()
    page.route("**/films.js", lambda route: route.abort())
    page.goto((site / "try.html").as_uri())
    assert page.locator("#try-fault").is_visible() and not page.locator("#try").is_visible()
    page.close()
