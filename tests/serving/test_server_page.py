"""The page: it asks nobody but its own server, and shows what a catalogue says as text, whatever that is."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import requests


@pytest.mark.parametrize("path", ["/", "/page/page.js", "/page/page.css"])
def test_it_asks_nobody_else(server, path):
    response = requests.get(server.rest + path)
    assert response.status_code == 200
    assert "http://" not in response.text and "https://" not in response.text
    if path == "/":
        assert "default-src 'self'" in response.headers["content-security-policy"]


def test_nothing_is_put_into_it_as_html(server):
    script = requests.get(f"{server.rest}/page/page.js").text
    assert not re.search(r"(inner|outer|insertAdjacent)HTML|document\.write|eval\(", script)


def test_what_it_is_told(server):
    shown = {model["name"]: model for model in requests.get(f"{server.rest}/page/models.json").json()}
    assert shown["films"] == {"name": "films", "versions": [1], "catalogue": True, "signatures": ["serving_default"]}
    assert not shown["toy"]["catalogue"]
    assert requests.get(f"{server.rest}/page/models/films/catalogue.json").json()["users"] == {"7": ["1"], "8": []}
    assert requests.get(f"{server.rest}/page/models/toy/catalogue.json").status_code == 404


@pytest.fixture(scope="module")
def drawn(server, tmp_path_factory):
    """The page as a browser has drawn it for a user."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")

    def draw(user):
        profile = tmp_path_factory.mktemp("profile")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom"]
        command += ["--virtual-time-budget=5000", f"{server.rest}/?user={user}"]
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60).stdout

    return draw


def test_a_browser_draws_the_films_of_a_known_user(drawn):
    page = drawn("7")
    assert "For user 7" in page and '<span class="badge">two-tower</span>' in page
    assert page.count("&lt;b&gt;Heat &amp; 'Dust'&lt;/b&gt;") == 2, "among the recommended, and among the liked"
    assert "<b>Heat" not in page
    assert '<span class="year">1995</span>' in page and "0.50" in page and "Film 2" in page
    assert re.search(r'id="fault"[^>]*hidden', page)


def test_a_browser_says_when_popularity_answered(drawn):
    page = drawn("nobody")
    assert "For user nobody" in page and '<span class="badge popularity">popularity</span>' in page
