"""The benchmark of the two stages: what it measures and compares; and the committed page says what was measured."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import recommender as benchmark
from benchmarks import running
from recsys_course import data, models
from recsys_course.recommender import training

COMMITTED = running.RESULTS / "recommender.json"


@pytest.fixture(scope="module")
def world():
    return data.synthetic.taste_groups(num_users=60, num_movies=60, num_groups=3)


@pytest.fixture(scope="module")
def ratings(world):
    """Of a small world, in which every second user rates over a whole year, and the others in one sitting."""
    ratings = world.ratings
    place = ratings.groupby("user_id", observed=True)["timestamp"].rank(method="first")
    slowly = ratings["user_id"].astype(int) % 2 == 0
    return ratings.assign(timestamp=ratings["timestamp"].mask(slowly, 900_000_000 + 1_500_000 * place).astype("int64"))


@pytest.fixture(scope="module")
def measured(world, ratings, tmp_path_factory):
    """A run of one seed, which was stopped after the first split."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"epochs": 1, "embedding_dim": 8, "length": 10}.items():
            patch.setitem(models.HISTORY_RECIPE, name, value)
        patch.setitem(benchmark.SETTINGS, "seeds", [1])
        patch.setattr(running, "WORK", folder / "work")
        records = running.Records("recommender", benchmark.SETTINGS, benchmark.CODE, benchmark.PACKAGES)
        splits = {name: cut(ratings) for name, cut in benchmark.SPLITS.items()}
        first = dict(list(splits.items())[:1])
        benchmark.run(first, world.movies, records)
        with pytest.MonkeyPatch.context() as again:
            trained, one_seed = [], benchmark.one_seed
            again.setattr(benchmark, "one_seed", lambda name, *rest: trained.append(name) or one_seed(name, *rest))
            rows = benchmark.run(splits, world.movies, records)
        assert trained == [name for name in splits if name not in first]
    return records.finish(folder / "results", {"rules": benchmark.RULES._asdict(), "rows": rows}), folder


def test_every_page_is_measured_on_both_parts_of_both_splits_and_written(measured):
    found, folder = measured
    written = json.loads((folder / "results" / "recommender.json").read_text(encoding="utf-8"))
    assert written == found and "records" not in written
    wanted = ["most popular", "item-kNN", "EASE", benchmark.RETRIEVAL, benchmark.RANKING, *benchmark.rules_to_try()]
    for split in benchmark.SPLITS:
        for part in ("validation", "test"):
            assert list(benchmark.rows_of(found, split, part)) == wanted


def test_differences_are_between_the_rows_and_vary_round_them(measured):
    rows = {tuple(row[key] for key in benchmark.KEYS): row for row in measured[0]["rows"]}
    for key, row in rows.items():
        for name, other in (("retrieval", benchmark.RETRIEVAL), ("ranking", benchmark.RANKING)):
            mean, low, high = row[f"against_{name}"]
            assert mean == pytest.approx(row["ndcg_10"] - rows[*key[:3], other]["ndcg_10"], abs=2e-4)
            assert low <= mean <= high
    strongest = f"+ variety {benchmark.DIVERSITIES[-1]:g}"
    for part in ("validation", "test"):
        of_part = benchmark.rows_of(measured[0], benchmark.LEAVE_LAST_OUT, part)
        assert of_part[benchmark.RETRIEVAL]["against_retrieval"] == [0, 0, 0]
        likeness = [of_part[name]["similarity_of_embeddings"] for name in (benchmark.RANKING, strongest)]
        assert likeness[0] > likeness[1]


def test_strangers_after_the_cut_are_counted_and_gain_nothing_from_ranking(measured, ratings):
    found, split = measured[0], data.temporal_split(ratings)
    before = pd.concat([split.train, split.validation])["user_id"]
    late = split.test["user_id"].drop_duplicates()
    strangers = int((~late.isin(before)).sum())
    assert 0 < strangers < len(late)
    everybody, known = (
        benchmark.rows_of(found, benchmark.TEMPORAL, "test", who) for who in (benchmark.EVERYBODY, benchmark.KNOWN)
    )
    for page, row in everybody.items():
        assert (row["users"], known[page]["users"]) == (len(late), len(late) - strangers)
    gain = everybody[benchmark.RANKING]["against_retrieval"][0] * len(late)
    assert gain == pytest.approx(known[benchmark.RANKING]["against_retrieval"][0] * (len(late) - strangers), abs=0.01)
    said = benchmark.outcome(found, benchmark.TEMPORAL)
    assert f"**{strangers} of the {len(late)} had rated nothing before**" in said and said in benchmark.render(found)


def test_a_stranger_gets_the_page_of_the_recommender_itself(world, ratings, monkeypatch):
    monkeypatch.setitem(models.HISTORY_RECIPE, "epochs", 1)
    split = data.temporal_split(ratings)
    found, ranker = training.fit(split, world.movies, say=lambda line: None)
    known = pd.concat([split.train, split.validation])
    users, num_known, shown = benchmark.pages(found, ranker, split.test, known)
    popular = found.index.movie_positions(split.train["movie_id"].value_counts().index[:1].astype(str))
    for name, page in shown.items():
        assert (page[num_known:] == page[num_known]).all(), name
        assert page[num_known, 0] == popular
    seen = found.index.matrix(known)[users]
    assert (seen[:num_known].getnnz(axis=1) > 0).all() and seen[num_known:].nnz == 0
    baselines = benchmark.baseline_pages(users, found.index.matrix(split.train), found.index.matrix(known))
    for name, page in baselines.items():
        assert (page[num_known:] == baselines["most popular"][num_known]).all(), name
    assert (baselines["EASE"][:num_known] != baselines["most popular"][:num_known]).any()
    assert (shown[benchmark.SERVED][num_known] != shown[benchmark.RETRIEVAL][num_known]).any(), "rules hold for all"


def test_the_committed_page_is_made_of_the_committed_results():
    found = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert len(found["settings"]["seeds"]) >= 3 and found["rules"] == benchmark.RULES._asdict()
    assert benchmark.PAGE.read_text(encoding="utf-8") == benchmark.render(found)


def test_what_the_course_says_of_the_two_stages_holds_in_the_committed_results():
    found = json.loads(COMMITTED.read_text(encoding="utf-8"))
    rows = benchmark.rows_of(found, benchmark.LEAVE_LAST_OUT, "test")
    retrieval, ranking, served = (rows[name] for name in (benchmark.RETRIEVAL, benchmark.RANKING, benchmark.SERVED))
    assert ranking["against_retrieval"][0] > 0, "ranking adds something"
    assert served["against_ranking"][2] > -0.02 * ranking["ndcg_10"], "variety need not cost much"
    assert served["similarity_of_embeddings"] < ranking["similarity_of_embeddings"]
    before = max(rows[name]["ndcg_10"] for name in ("most popular", "item-kNN", "EASE"))
    assert retrieval["ndcg_10"] - before > ranking["ndcg_10"] - retrieval["ndcg_10"], "the tower adds more than ranking"
    alike = [rows[f"+ variety {value:g}"]["similarity_of_embeddings"] for value in benchmark.DIVERSITIES[1:]]
    assert (np.diff(alike) < 0).all(), "more variety, less alike"


def test_after_a_cut_in_time_ranking_adds_more_as_the_course_says():
    found = json.loads(COMMITTED.read_text(encoding="utf-8"))
    known = benchmark.rows_of(found, benchmark.TEMPORAL, "test", benchmark.KNOWN)

    def gain(rows):
        return rows[benchmark.RANKING]["against_retrieval"][0] / rows[benchmark.RETRIEVAL]["ndcg_10"]

    assert known[benchmark.RANKING]["against_retrieval"][1] > 0
    assert known["EASE"]["against_retrieval"][2] > 0, "the tower has no lead over EASE there"
    assert gain(known) > gain(benchmark.rows_of(found, benchmark.LEAVE_LAST_OUT, "test"))
