"""`course recommend`, for real, on a small dataset: trained once, then from the cache; every way to ask."""

from __future__ import annotations

import re

import pytest
from support import latest_small
from typer.testing import CliRunner

from recsys_course import models
from recsys_course.authoring import cli
from recsys_course.recommender import ranker as ranking


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Runs `course recommend` on latest-small in miniature; returns (exit status, output)."""
    folder = tmp_path_factory.mktemp("data")
    latest_small.prepare(folder, num_users=60, num_movies=110)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(folder))
        patch.setenv("COURSE_DATASET", "latest-small")
        patch.setitem(models.HISTORY_RECIPE, "epochs", 1)
        patch.setattr(ranking, "MOST_EPOCHS", 2)
        patch.setattr(cli.out, "_width", 160)

        def run(*arguments: str) -> tuple[int, str]:
            result = CliRunner().invoke(cli.app, ["recommend", *arguments])
            return result.exit_code, result.output

        yield run


def ranks(output: str) -> list[int]:
    """The first numbers of the table's rows."""
    return [int(number) for number in re.findall(r"(?m)^ *(\d+)  ", output.partition("because of")[2])]


def test_a_user_gets_a_table_and_the_second_time_the_cache(course):
    status, output = course("--user", "7")
    assert status == 0, output
    assert "For user 7, from the last of 23 films rated:" in output and "because of" in output
    assert ranks(output) == list(range(1, 11)) and "epoch 1 of 1" in output
    status, again = course("--user", "7")
    assert status == 0 and "taken from the cache" in again and "epoch" not in again
    assert again.partition("For user")[2] == output.partition("For user")[2]


def test_somebody_new_names_films_as_people_do(course):
    status, output = course("--liked", "the film", "--liked", "FILM WITHOUT A YEAR", "-k", "3")
    assert status == 0, output
    assert "For somebody who likes Film, The (1950); Film without a year:" in output
    assert ranks(output) == [1, 2, 3]


def test_a_stranger_is_told_that_it_is_what_is_popular(course):
    status, output = course("--user", "nobody")
    assert status == 0 and "Nothing is known of a user nobody, so this is what is popular:" in output


def test_a_film_that_nobody_rated_is_told_too(course):
    status, output = course("--liked", "Film nobody rated 1")
    assert status == 0 and "has rated Film nobody rated 1 (2011), so this is what is popular:" in output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "say either --user or --liked"),
        (("--user", "7", "--liked", "Film"), "say either --user or --liked"),
        (("--user", "7", "-k", "0"), "greater than or equal to 1"),
        (("--liked", "Film withot a year"), "did you mean: Film without a year"),
        (("--liked", "qqqq"), "nothing is spelt like it"),
    ],
)
def test_what_cannot_be_answered_is_status_2_and_says_why(course, arguments, complaint):
    status, output = course(*arguments)
    assert status == 2 and complaint in output


def test_an_unknown_dataset_is_named(course, monkeypatch):
    monkeypatch.setenv("COURSE_DATASET", "200k")
    status, output = course("--user", "7")
    assert status == 2 and "Choose one of: 100k" in output


def test_help_teaches_how_to_ask(course):
    status, output = course("--help")
    assert status == 0 and 'course recommend --liked "Toy Story (1995)"' in output
