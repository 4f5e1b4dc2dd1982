"""What people type, and which film they mean."""

from __future__ import annotations

import pytest

from recsys_course.recommender import Titles, UnknownTitle

CATALOGUE = [
    "Toy Story (1995)",
    "Matrix, The (1999)",
    "Seven (Se7en) (1995)",
    "Sabrina (1954)",
    "Sabrina (1995)",
    "Hugo Pool (1997)",
    "Hugo Pool (1997)",
    "Walnut cake with mint",
    "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    "Batman (1989)",
    "Batman Returns (1992)",
    "187 (1997)",
    "1984",
]


@pytest.fixture(scope="module")
def titles() -> Titles:
    return Titles(CATALOGUE, [9, 8, 7, 6, 5, 1, 4, 3, 2, 2, 2, 2, 1])


@pytest.mark.parametrize(
    ("typed", "film"),
    [
        ("Toy Story (1995)", 0),
        ("toy  STORY ", 0),
        ("Matrix, The (1999)", 1),
        ("the matrix", 1),
        ("The Matrix (1999)", 1),
        ("Seven (Se7en)", 2),
        ("seven", 2),
        ("Sabrina (1954)", 3),
        ("sabrina (1995)", 4),
        ("walnut cake with mint", 7),
        ("amelie", 8),
        ("Batman", 9),
        ("187", 11),
        ("1984", 12),
    ],
)
def test_a_title_is_found_as_people_type_it(titles, typed, film):
    assert titles.find(typed) == film


def test_of_films_with_one_title_the_more_popular_is_meant(titles):
    assert titles.find("hugo pool") == titles.find("Hugo Pool (1997)") == 6


def test_an_ambiguous_title_is_answered_with_the_films_that_it_may_be(titles):
    with pytest.raises(UnknownTitle, match=r"^'Sabrina' may be any of these, .*: Sabrina \(1954\); Sabrina \(1995\)$"):
        titles.find("Sabrina")


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("Toy Strory", "Toy Story (1995)"),
        ("Toy Story (1996)", "Toy Story (1995)"),
        ("Returns", "Batman Returns (1992)"),
        ("the matrx", "Matrix, The (1999)"),
        ("Sabrinna", "Sabrina (1954); Sabrina (1995)"),
    ],
)
def test_a_misspelt_title_suggests_the_nearest(titles, typed, nearest):
    with pytest.raises(UnknownTitle) as told:
        titles.find(typed)
    assert str(told.value).startswith(f"no film of the catalogue is called {typed!r}; did you mean: {nearest}")


@pytest.mark.parametrize("typed", ["", "  ", "xyzzy", "(1995)"])
def test_what_resembles_nothing_says_so(titles, typed):
    with pytest.raises(UnknownTitle, match="nothing is spelt like it"):
        titles.find(typed)
