"""The comparison of retrieval models: what is learned and asked, how sure a figure is, what the page says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import running
from benchmarks.retrieval import __main__ as command
from benchmarks.retrieval import contenders, exams, intervals, measure, page
from recsys_course import data, metrics


@pytest.fixture
def world(monkeypatch):
    drawn = data.synthetic.taste_groups(num_users=60, num_movies=60, num_groups=2, ratings_per_user=20)
    monkeypatch.setattr(data, "load_ratings", lambda name: drawn.ratings)
    monkeypatch.setattr(data, "load_movies", lambda name: drawn.movies)
    return drawn


def pairs(ratings):
    return set(zip(ratings["user_id"].astype(str), ratings["movie_id"].astype(str), strict=True))


@pytest.mark.parametrize("split", ["random", "leave-last-out", "temporal"])
def test_nothing_of_the_test_is_learned_or_seen_in_validation(world, split):
    validation, test = exams.exams(split, "small")
    assert not pairs(test.asked) & (pairs(test.learned) | pairs(validation.learned) | pairs(validation.asked))
    assert not pairs(validation.asked) & pairs(validation.learned)
    assert pairs(validation.asked) <= pairs(test.learned) or split == "random"
    assert set(test.asked["user_id"]) <= set(test.learned["user_id"])


def test_a_history_stops_before_the_moment_that_is_asked_for(world):
    _, test = exams.exams("leave-last-out", "small")
    first = test.asked.iloc[0]
    assert test.moments[test.index.user_positions([first.user_id])[0]] == first.timestamp
    assert exams.exams("random", "small")[1].moments is None


def test_three_quarters_of_every_film_are_learned_in_the_published_protocol(world):
    train, test = exams.by_item(world.ratings)
    counts = world.ratings["movie_id"].astype(str).value_counts()
    learned = train["movie_id"].astype(str).value_counts()
    assert (learned == np.round(0.75 * counts.reindex(learned.index))).all()
    assert len(train) + len(test) == len(world.ratings) and not pairs(train) & pairs(test)


def test_intervals_hold_the_rate_and_a_difference_with_itself_is_nothing():
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(200), 5)
    ranks = random.integers(1, 101, size=(3, 1000))
    hits, counts = intervals.by_user(ranks, users, 30)
    low, high = intervals.interval(hits, counts)
    assert hits.sum() / counts.sum() == pytest.approx(np.mean(ranks <= 30))
    assert low < hits.sum() / counts.sum() < high
    # Independent draws: a normal approximation is near. Three seeds averaged have a third of the variance.
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 3000), rel=0.25)
    assert intervals.interval(hits - hits, counts) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("model", "seeds", "trials"),
    [
        ("recently popular", [1, 2], 2),
        ("EASE", [1, 2], 2),
        ("iALS", [1, 2], 2),
        ("the TFRS tutorial, as published", [1], 1),
        (page.BASE, [1], 1),
        (page.HISTORY, [1], 1),
    ],
)
def test_a_model_is_chosen_on_validation_and_read_on_the_test(world, tmp_path, monkeypatch, model, seeds, trials):
    for recipe in (contenders.RECIPE, contenders.models.HISTORY_RECIPE):
        monkeypatch.setitem(recipe, "epochs", 1)
    order = {"split": "leave-last-out", "model": model, "dataset": "small", "quick": False, "seeds": seeds}
    found = measure.measure(order | {"budget": trials, "keep": str(tmp_path / "ranks.npz")})
    contender = contenders.CONTENDERS[model]
    assert found["settings"] in contender.trials and len(found["trials"]) == (trials if trials > 1 else 0)
    assert found["seeds"] == (seeds if contender.random else [1])
    with np.load(tmp_path / "ranks.npz") as kept:
        assert kept["raw"].shape == (len(found["seeds"]), 60)
        rates = np.mean(kept["seen-out"] <= 10, axis=1)
    assert np.allclose(rates, found["hit_rates"]["seen-out @10"], atol=1e-4)
    json.dumps(found)


@pytest.mark.parametrize("reads_id", [True, False])
def test_the_history_tower_reads_the_id_unless_its_settings_say_no(world, monkeypatch, reads_id):
    validation, _ = exams.exams("leave-last-out", "small")
    same = lambda ratings, user_ids, length, before: np.full((len(user_ids), length), "", object)  # noqa: E731
    monkeypatch.setattr("recsys_course.models.history.histories", same)
    score = contenders.CONTENDERS[page.HISTORY].fit(validation, {"user_id": reads_id, "epochs": 1}, 1)
    first, second = score(np.array([0, 1]))
    assert np.allclose(first, second) != reads_id


def test_the_better_settings_win(world):
    validation, _ = exams.exams("random", "small")
    knows = validation.held_out.toarray()
    contender = contenders.Contender(lambda exam, settings, seed: lambda rows: settings["sign"] * knows[rows], [])
    chosen = measure.choose(contender, validation, [{"sign": -1.0}, {"sign": 1.0}], seed=1)
    assert chosen["settings"] == {"sign": 1.0} and chosen["trials"][1]["worth"] == 1.0


def test_every_contender_may_try_the_same_number_of_settings():
    assert list(contenders.CONTENDERS) == list(page.MODELS)
    assert {len(one.trials) for one in contenders.CONTENDERS.values()} == {1, command.SETTINGS["budget"]}


def test_the_published_figures_are_those_of_the_course_s_metrics(world):
    _, exam = exams.exams(exams.PUBLISHED, "small")
    found = measure.published(contenders.CONTENDERS["EASE"], exam, {"l2": 100.0}, [1])
    score = contenders.CONTENDERS["EASE"].fit(exam, {"l2": 100.0}, 1)
    held = metrics.rank_held_out(score, exam.held_out, exam.seen)
    assert found["recall"] == [round(metrics.recall_at_k(held, 10), 6)]


def test_a_peer_that_cannot_be_had_says_why(world, monkeypatch, tmp_path):
    def missing(environment):
        raise measure.NotHere("no matching distribution")

    monkeypatch.setattr(type(measure.LIGHTFM), "python", missing)
    order = {"split": "random", "model": measure.PEER, "dataset": "small", "quick": False, "seeds": [1], "budget": 1}
    assert measure.measure(order | {"keep": str(tmp_path / "ranks.npz")}) == {"error": "no matching distribution"}


# --- The run and its page -----------------------------------------------------------------------------------------


def run(tmp_path, monkeypatch, rates):
    """A whole run in which a model's ranks are made up: `rates` of them are hits."""
    monkeypatch.setattr(running, "WORK", tmp_path)

    def child(module, order, seconds):
        if order["model"] == "LightFM (WARP)":
            return {"error": "no wheel"}
        if order["split"] == "recommenders":
            return {"seeds": [1], **{name: [0.25] for name in page.PUBLISHED_METRICS}}
        ranks = np.where(np.arange(200) < 200 * rates.get(order["model"], 0.5), 1, 1000)[np.newaxis]
        arrays = {"raw": ranks, "seen-out": ranks, "users": np.arange(200)}
        keep = command.kept(records, order["split"], order["model"])
        keep.parent.mkdir(parents=True, exist_ok=True)
        np.savez(keep, **arrays)
        found = {"hit_rates": {name: [float(np.mean(ranks == 1))] for name in page.COLUMNS}, "fit_cpu_seconds": [9.0]}
        told = {"users": 200, "ratings": 200, "share_known": 0.5, "settings": {}, "trials": [1], "seeds": [1]}
        return found | told | {"peak_memory_mb": 1}

    monkeypatch.setattr(command, "child", child)
    settings = {"dataset": "100k"} | command.SETTINGS
    records = running.Records("retrieval", settings, (), ())
    assert command.run(records, settings, list(page.MODELS), quick=False) == 0
    return records


def test_a_run_measures_all_and_the_page_tells_it(tmp_path, monkeypatch):
    records = run(tmp_path / "work", monkeypatch, {page.HISTORY: 0.7, page.BASE: 0.605})
    content = records.finish(tmp_path / "results")
    page.write(content, tmp_path)
    text = (tmp_path / "retrieval.md").read_text(encoding="utf-8")
    assert "MISSED  chapter 3's towers, random split, seen-out @100 ≥ 0.61: 0.605, by 0.005" in text
    assert "met     history tower above EASE and iALS, leave last out, seen-out @10: 0.700 against 0.500" in text
    assert "| LightFM (WARP): not here, `no wheel` |" in text
    assert "| *LightGCN (cited)* | *0.0885* | *0.4198* | *0.3796* | *0.1443* |" in text
    assert "**+0.095 (" in text and page.SOURCE in text
    assert (tmp_path / "retrieval_leave-last-out.svg").is_file()


def test_a_stopped_run_does_not_measure_twice(tmp_path, monkeypatch):
    records = run(tmp_path, monkeypatch, {})
    monkeypatch.setattr(command, "child", lambda *_: pytest.fail("measured before"))
    assert command.run(records, records.content["settings"], list(page.MODELS), quick=False) == 0
