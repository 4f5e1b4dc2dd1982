"""The benchmark of histories: what it measures, what it leaves behind, and that chapter 7 says what it says."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from benchmarks import history, running
from recsys_course import data, models
from recsys_course.authoring.project import find_project


@pytest.fixture
def world(monkeypatch):
    """A small world with people of whom something is known, and a short training."""
    monkeypatch.setattr(
        models, "HISTORY_RECIPE", models.HISTORY_RECIPE | {"epochs": 1, "length": 4, "embedding_dim": 8}
    )
    world = data.synthetic.taste_groups(num_users=60, num_movies=40, num_groups=2)
    known = {"bucketized_user_age": 25.0, "user_gender": True, "user_occupation_text": "writer"}
    return data.leave_last_out(world.ratings.assign(**known)), world.movies


@pytest.fixture
def records(monkeypatch, tmp_path):
    """Records of one seed."""
    monkeypatch.setitem(history.SETTINGS, "seeds", [1])
    monkeypatch.setattr(running, "WORK", tmp_path)
    return running.Records("history", history.SETTINGS, history.CODE, history.PACKAGES)


def test_a_ladder_has_its_models_and_the_paired_differences(world, records, monkeypatch):
    few = ("EASE", history.HISTORY, history.CHOSEN)
    monkeypatch.setattr(history, "LADDER", {name: history.LADDER[name] for name in few})
    monkeypatch.setattr(history, "COMPARED", ("EASE",))
    rows = {row["model"]: row for row in history.ladder(*world, records)}
    for ours, theirs in ((history.CHOSEN, history.HISTORY), (history.CHOSEN, "EASE"), (history.HISTORY, "EASE")):
        gain = rows[ours]["hit_rate_10"][0] - rows[theirs]["hit_rate_10"][0]
        assert rows.pop(f"{ours}, less {theirs}")["difference_10"][0] == pytest.approx(gain, abs=2e-4)
    assert list(rows) == list(few)
    monkeypatch.setattr(history, "VARIANTS", {"+ all of these": history.VARIANTS["+ all of these"]})
    (base,) = history.ablation(*world, records)
    assert base["difference_10"] == [0, 0]  # the first row is the base


def test_a_stopped_run_goes_on_where_it_stood(world, records, monkeypatch, tmp_path):
    models_asked = []

    def popular_or_stop(exam, seed):
        models_asked.append(len(models_asked))
        if len(models_asked) == 2:
            raise KeyboardInterrupt
        return _zeros(exam)

    monkeypatch.setattr(history, "LADDER", dict.fromkeys((history.CHOSEN, history.HISTORY), popular_or_stop))
    monkeypatch.setattr(history, "COMPARED", ())
    monkeypatch.setattr(history, "TABLES", {"ladder": history.ladder})
    with pytest.raises(KeyboardInterrupt):
        history.run(*world, records)
    again = running.Records("history", history.SETTINGS, history.CODE, history.PACKAGES)
    results = history.run(*world, again)
    assert len(models_asked) == 3, "the first is not measured again"
    again.finish(tmp_path / "results", results)
    written = json.loads((tmp_path / "results" / "history.json").read_text(encoding="utf-8"))
    assert written["ladder"] == results["ladder"] and written["versions"]["numpy"] == np.__version__
    assert "records" not in written


def test_a_deep_variant_can_be_trained(world):
    split, movies = world
    exam = history.Exam(split.train, split.validation, movies)
    changed = history.VARIANTS["a hidden layer above both towers"]
    ranks = exam.ranks(history.towers_scorer(exam, 1, **changed))
    assert ranks.shape == (60,) and ranks.max() <= 40


def test_the_paired_difference_by_hand():
    ours, theirs = [np.array([1, 50, 5]), np.array([1, 50, 50])], [np.array([50, 50, 5]), np.array([50, 50, 50])]
    found = history.paired(ours, theirs)
    # at 10: by user 1, 0, 0; standard deviation 0.577, over the root of 3
    assert found["difference_10"] == [0.3333, 0.3333] and found["difference_100"] == [0, 0]


def test_a_new_film_is_known_by_as_many_ratings_as_said(world, records, monkeypatch):
    split, movies = world
    monkeypatch.setattr(history, "WELL_KNOWN", 15)
    monkeypatch.setattr(history, "NEW_FILMS", 5)
    monkeypatch.setattr(history, "CUT_DOWN", ((0, 0.3), (2, 0.3)))
    seen = []
    monkeypatch.setattr(history, "towers_scorer", lambda exam, seed, **options: seen.append(exam) or _zeros(exam))
    rows = list(history.new_films(split, movies, records))
    assert [row["known_by"] for row in rows] == [0, 2]
    films = seen[0].asked["movie_id"].astype(str).unique()
    for exam, known_by in zip(seen, (0, 2), strict=True):
        assert (exam.learned["movie_id"].astype(str).isin(films).sum()) == known_by * 5
        assert len(pd.concat([exam.learned, exam.asked])[["user_id", "movie_id"]].drop_duplicates()) == len(
            exam.learned
        ) + len(exam.asked)


def _zeros(exam):
    return lambda rows: np.zeros((len(rows), len(exam.movies)))


# --- what is committed --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def committed():
    return json.loads((running.RESULTS / "history.json").read_text(encoding="utf-8"))


def test_committed_results_meet_the_course_s_word(committed):
    rows = {row["model"]: row for row in committed["ladder"]}
    for ours in (history.HISTORY, history.CHOSEN):
        tower = rows[ours]
        assert len(tower["seeds"]) == 3
        for name in ("EASE", "iALS", "two towers, user id", "most popular"):
            for k in history.KS:
                assert np.mean(tower[f"hit_rate_{k}"]) > np.mean(rows[name][f"hit_rate_{k}"])
        for name in history.COMPARED:
            difference, error = rows[f"{ours}, less {name}"]["difference_100"]
            assert difference > 3 * error
        assert np.mean(tower["hit_rate_100"]) >= 0.64


def test_validation_chose_the_user_s_id_and_nothing_else(committed):
    added = {row["variant"]: row for row in committed["ablation"] if row["variant"].startswith("+ ")}
    added.pop("+ all of these")
    sure = [
        name
        for name, row in added.items()
        if all(row[f"difference_{k}"][0] > 2 * row[f"difference_{k}"][1] for k in history.KS)
    ]
    assert sure == [history.ADDED]


def chapter_table(first: str) -> list[list[str]]:
    """The rows of a table in chapter 7's prose, cell by cell."""
    source = find_project(running.ROOT).chapter(7).source.read_text(encoding="utf-8")
    (table,) = re.findall(rf"^# \| {first} \|.*\n# \|[-|: ]+\n((?:# \|.*\n)+)", source, re.MULTILINE)
    lines = (line.removeprefix("# |").removesuffix("|") for line in table.splitlines())
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def test_the_chapter_s_ablation_is_the_benchmark_s(committed):
    told = chapter_table("variant")
    assert told == [
        [
            row["variant"],
            *(f"{np.mean(row[f'hit_rate_{k}']):.3f}" for k in history.KS),
            *("" if row["variant"] == history.BASE else _signed(row[f"difference_{k}"]) for k in history.KS),
        ]
        for row in committed["ablation"]
    ]


def _signed(difference: list[float]) -> str:
    value, error = difference
    text = f"{value:+.3f} ± {error:.3f}".replace("-0.000", "0.000")
    return f"**{text}**" if abs(value) > 2 * error else text


def test_the_chapter_s_new_films_are_the_benchmark_s(committed):
    told = chapter_table("ratings of the film in train")
    assert told == [
        [
            str(row["known_by"]),
            f"{row['hidden_ids']:.0%}",
            *(f"{np.mean(row[f'hit_rate_{k}']):.3f}" for k in history.KS),
        ]
        for row in committed["new_films"]
    ]
