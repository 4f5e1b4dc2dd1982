"""The benchmark of the two stages: what it measures and compares; and the committed page says what was measured."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import recommender as benchmark
from recsys_course import data, models


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run on a small world, of one seed."""
    world = data.synthetic.taste_groups(num_users=60, num_movies=60, num_groups=3)
    path = tmp_path_factory.mktemp("results") / "deep" / "recommender.json"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"epochs": 1, "embedding_dim": 8, "length": 10}.items():
            patch.setitem(models.HISTORY_RECIPE, name, value)
        found = benchmark.run(data.leave_last_out(world.ratings), world.movies, (1,), path)
    return found, path


def test_every_page_is_measured_on_both_parts_and_written(measured):
    found, path = measured
    assert json.loads(path.read_text(encoding="utf-8"))["rows"] == found["rows"]
    assert [file.name for file in path.parent.iterdir()] == ["recommender.json"]
    names = {part: [row["page"] for row in found["rows"] if row["part"] == part] for part in ("validation", "test")}
    assert names["validation"] == names["test"]
    wanted = {"most popular", "EASE", benchmark.RETRIEVAL, benchmark.RANKING, *benchmark.rules_to_try()}
    assert wanted <= set(names["test"])


def test_differences_are_between_the_rows_and_vary_round_them(measured):
    rows = {(row["part"], row["page"]): row for row in measured[0]["rows"]}
    for (part, _), row in rows.items():
        for name, other in (("retrieval", benchmark.RETRIEVAL), ("ranking", benchmark.RANKING)):
            mean, low, high = row[f"against_{name}"]
            assert mean == pytest.approx(row["ndcg_10"] - rows[part, other]["ndcg_10"], abs=2e-4)
            assert low <= mean <= high
    assert rows["test", benchmark.RETRIEVAL]["against_retrieval"] == [0, 0, 0]
    strongest = f"+ variety {benchmark.DIVERSITIES[-1]:g}"
    for part in ("validation", "test"):
        likeness = [rows[part, name]["similarity_of_embeddings"] for name in (benchmark.RANKING, strongest)]
        assert likeness[0] > likeness[1]


def test_the_committed_page_is_made_of_the_committed_results():
    found = json.loads(benchmark.RESULTS.read_text(encoding="utf-8"))
    assert len(found["seeds"]) >= 3 and found["rules"] == benchmark.RULES._asdict()
    assert benchmark.PAGE.read_text(encoding="utf-8") == benchmark.render(found)


def test_what_the_course_says_of_the_two_stages_holds_in_the_committed_results():
    rows = {row["page"]: row for row in json.loads(benchmark.RESULTS.read_text(encoding="utf-8"))["rows"]}  # test's
    retrieval, ranking, served = (rows[name] for name in (benchmark.RETRIEVAL, benchmark.RANKING, benchmark.SERVED))
    assert ranking["against_retrieval"][0] > 0, "ranking adds something"
    assert served["against_ranking"][2] > -0.02 * ranking["ndcg_10"], "variety need not cost much"
    assert served["similarity_of_embeddings"] < ranking["similarity_of_embeddings"]
    assert retrieval["ndcg_10"] > max(rows[name]["ndcg_10"] for name in ("most popular", "item-kNN", "EASE"))
    alike = [rows[f"+ variety {value:g}"]["similarity_of_embeddings"] for value in benchmark.DIVERSITIES[1:]]
    assert (np.diff(alike) < 0).all(), "more variety, less alike"
