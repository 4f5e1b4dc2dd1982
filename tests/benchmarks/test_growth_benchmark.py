"""How things grow: what one size is measured on, and what the page makes of all sizes."""

from __future__ import annotations

import numpy as np
import pytest
from support.results import CIRCUMSTANCES

from benchmarks.growth import __main__ as command
from benchmarks.growth import measure, page


def test_every_part_of_a_size_is_measured():
    found = measure.measure({"num_ratings": 2_000, "num_movies": 300, "steps": 2})
    for part in page.PARTS:
        assert found[part]["wall_seconds"] > 0 and found[part]["cpu_seconds"] > 0
    assert found["start"]["memory_mb"] <= found["pipeline"]["memory_mb"] <= found["evaluation"]["memory_mb"]


def test_synthetic_ratings_are_of_the_size_asked_for_and_few_films_are_popular():
    drawn = measure.synthetic_ratings(10_000, 500)
    assert len(drawn["user"]) == 10_000 and drawn["user"].max() < 100 and drawn["movie"].max() < 500
    counts = np.sort(np.bincount(drawn["movie"], minlength=500))[::-1]
    assert counts[:50].sum() > 0.4 * 10_000


def content() -> dict:
    def record(what, size):
        parts = {
            part: {"wall_seconds": size**power / 1e3, "cpu_seconds": 1, "memory_mb": 500}
            for part, power in zip(page.PARTS, (1.0, 0.0, 2.0), strict=True)
        }
        return {"grows": what, "size": size, "parts": parts}

    sizes = {"ratings": command.QUICK["ratings"], "movies": command.QUICK["movies"]}
    return CIRCUMSTANCES | {
        "settings": command.QUICK,
        "records": {f"{what} / {size}": record(what, size) for what in sizes for size in reversed(sizes[what])},
    }


def test_slopes_are_exponents():
    assert page.slope([10, 100, 1000], [3.0, 30.0, 300.0]) == pytest.approx(1)
    assert page.slope([10, 100, 1000], [7.0, 7.0, 7.0]) == pytest.approx(0)
    assert "| slope | 1.00 | 0.00 | 2.00 | 0.00 | 0.00 | 0.00 |" in page.grown(content(), "ratings")


def test_the_page_is_made_from_the_results_alone(tmp_path):
    page.write(content(), tmp_path)
    text = (tmp_path / "growth.md").read_text(encoding="utf-8")
    assert "The catalogue stays at 10,000 films" in text and "## More films" in text
    assert (tmp_path / "growth_movies.svg").is_file()


def test_the_smallest_are_measured_first():
    sizes = [size for what, size, _ in command.plan(command.SETTINGS) if what == "ratings"]
    assert sizes == sorted(sizes) and sizes[-1] == 10_000_000
