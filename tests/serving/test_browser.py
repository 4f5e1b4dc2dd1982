"""Films for a page: what is rounded, what is kept, and that a few liked films are worth more than popularity."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from recsys_course import models
from recsys_course.serving import browser


def test_rounded_embeddings_are_the_models_own(world):
    trained = world.trained
    films = browser.browser_films(trained)
    exact = trained.candidate_embeddings()[trained.index.movie_positions(films.ids)]
    assert np.abs(films.embeddings - exact).max() <= films.step / 2 * 1.001
    assert films.step == pytest.approx(np.abs(exact).max() / 32767)


def test_films_stand_by_how_often_they_are_rated_and_carry_what_is_known_of_them(world):
    trained = world.trained
    films = browser.browser_films(trained)
    counts = trained.train["movie_id"].astype(str).value_counts()
    ratings = [counts.get(id, 0) for id in films.ids]
    assert ratings == sorted(ratings, reverse=True)
    known = trained.movies.set_index("movie_id")
    for id, title, genres in zip(films.ids, films.titles, films.genres, strict=True):
        assert title == known["movie_title"][id]
        assert tuple(films.genre_names[genre] for genre in genres) == known["movie_genres"][id]


def test_of_a_larger_catalogue_the_best_known_are_kept(world, monkeypatch):
    whole = browser.browser_films(world.trained)
    monkeypatch.setattr(browser, "MOST_FILMS", 10)
    assert browser.browser_films(world.trained).ids == whole.ids[:10]


def test_the_script_holds_what_was_rounded(world, tmp_path):
    films = browser.browser_films(world.trained)
    browser.write_browser_films(films, tmp_path / "films.js")
    text = (tmp_path / "films.js").read_text(encoding="utf-8")
    content = json.loads(text.removeprefix("window.courseFilms = ").removesuffix(";\n"))
    steps = np.frombuffer(base64.b64decode(content["embeddings"]), "<i2").reshape(-1, content["dim"])
    np.testing.assert_array_equal(steps, films.steps)
    assert [path.name for path in tmp_path.iterdir()] == ["films.js"]


def test_liked_films_bring_films_of_the_same_taste(world):
    trained, synthetic = world.trained, world.synthetic
    groups = dict(zip(synthetic.movies["movie_id"], synthetic.movie_group, strict=True))
    embeddings = trained.candidate_embeddings()
    of_catalogue = np.array([groups[id] for id in trained.index.movie_ids])
    for group in set(of_catalogue):
        liked = np.flatnonzero(of_catalogue == group)[:5]
        found = models.recommend_from_liked(embeddings, liked, 10)
        assert np.mean(of_catalogue[found.positions] == group) >= 0.8


def test_five_liked_films_beat_popularity(world):
    trained, split = world.trained, world.split
    measured = browser.hit_rates_from_liked(trained, split.test, k=10)
    assert measured["five liked films"] > 1.2 * measured["most popular"] > 0


def test_where_nobody_has_five_liked_films_nothing_is_claimed(world):
    trained, split = world.trained, world.split
    few = replace(trained, train=trained.train.groupby("user_id", observed=True).head(3))
    assert browser.hit_rates_from_liked(few, split.test) == {}
