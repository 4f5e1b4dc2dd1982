"""The benchmark of indices: it measures, goes on where it was stopped, and says of each target what is so."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.ann import __main__ as command  # noqa: E402
from benchmarks.ann import corpora, measure, plan, report, results  # noqa: E402
from recsys_course import indices  # noqa: E402


def point(recall, microseconds, recall_choosing=None):
    return {
        "parameters": {},
        "recall": recall,
        "recall_choosing": recall if recall_choosing is None else recall_choosing,
        "p50_seconds": microseconds / 1e6,
        "p99_seconds": 2 * microseconds / 1e6,
        "queries_per_second": 1e6 / microseconds,
    }


def record(corpus, name, points, **more):
    return {
        "corpus": corpus,
        "commit": "abc",
        "date": "2026-01-31",
        "variant": {"name": name, "adapter": "", "parameters": {}},
        "points": {"10": points, "100": points},
        "build_cpu_seconds": 1.0,
        "memory_bytes": 2e6,
        "disk_bytes": 3e6,
        **more,
    }


def content(*records):
    return {
        "records": {str(at): one for at, one in enumerate(records)},
        "circumstances": results.circumstances(),
        "size": "full",
    }


# Reading 256 MB at 25.6 GB/s takes 10 ms.
BANDWIDTH = {"bytes": 256e6, "bytes_per_second": 25.6e9, "search_seconds": 0.012}
EXACT = record("1M", "exact", [point(1.0, 12_000)], bandwidth=BANDWIDTH)


def test_the_fastest_setting_that_holds_on_both_halves_is_reported():
    points = [point(0.96, 10, recall_choosing=0.94), point(0.951, 30), point(0.99, 20), point(0.9, 5)]
    assert report.best(points, 0.95) is points[2]
    assert report.best(points[3:], 0.95) is points[3]
    assert not report.holds(points[0], 0.95)


@pytest.mark.parametrize(
    ("microseconds", "verdicts"), [(200, ["met", "met"]), (300, ["MISSED", "met"]), (700, ["MISSED", "MISSED"])]
)
def test_targets_compare_with_exact_search_of_the_same_run(microseconds, verdicts):
    lines = report.targets_met(content(EXACT, record("1M", "ScaNN", [point(0.96, microseconds)]))).splitlines()
    assert [line.split()[0] for line in lines] == [*verdicts, "met"]
    assert f"{12_000 / microseconds:.0f} × (ScaNN, recall 0.960)" in lines[0]
    assert "1.20 × (the memory delivers 25.6 GB/s)" in lines[2]


def test_fast_but_wrong_misses_the_target_and_what_is_absent_is_not_measured():
    lines = report.targets_met(content(EXACT, record("1M", "ScaNN", [point(0.9, 1)]))).splitlines()
    assert "no index reaches that recall" in lines[0] and lines[0].startswith("MISSED")
    slow = EXACT | {"bandwidth": BANDWIDTH | {"search_seconds": 0.014}}
    assert report.targets_met(content(slow)).splitlines()[2].startswith("MISSED")
    nothing = report.targets_met(content(record("10k", "exact", [point(1.0, 80)]))).splitlines()
    assert all(line.startswith("not measured") for line in nothing)


def test_a_miss_is_shown_as_such_in_table_and_page():
    found = content(EXACT, record("1M", "ScaNN", [point(0.9, 50)]))
    assert "*0.900*" in report.text_table(found)
    page = report.page(found)
    assert "| ScaNN | 1.0 | 2.0 | 3.0 | *0.900* | 50 | 100 | 20,000 |" in page
    assert "Reading the 256 MB of embeddings takes 10 ms, at 25.6 GB/s; exact search for one query takes 1.20 ×" in page


def test_the_page_names_every_commit_that_its_figures_are_from():
    page = report.page(content(EXACT, record("1M", "ScaNN", [point(0.96, 50)], commit="def")))
    assert "Measured on 2026-01-31: " in page and "commit abc, def, seed 0" in page


def test_a_record_is_of_one_machine_and_one_set_of_versions():
    here = results.circumstances()
    variant = plan.variants("10k")[0]
    same = results.key("10k", variant, here | {"date": "another", "commit": "another"})
    assert same == results.key("10k", variant, here)
    others = [
        results.key("100k", variant, here),
        results.key("10k", variant._replace(parameters={"x": 1}), here),
        results.key("10k", variant, here | {"versions": {}}),
        results.key("10k", variant, here | {"machine": {}}),
    ]
    assert len({same, *others}) == 5


def test_every_variant_can_be_built_and_is_named_once():
    for corpus in plan.CORPORA:
        chosen = plan.variants(corpus)
        assert len({one.name for one in chosen}) == len(chosen)
        for one in chosen:
            if indices.ADAPTERS[one.adapter].is_available():
                indices.ADAPTERS[one.adapter](**one.parameters)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A plan of one small catalogue and two indices, measured in this process."""
    monkeypatch.setattr(corpora, "NUM_QUERIES", 40)
    for module in (plan, corpora, report, command):
        monkeypatch.setattr(module, "CORPORA", {"10k": 600})
    two = [plan.Variant("exact", "Exact", {}), plan.Variant("Faiss IVF", "FaissIVFFlat", {"num_leaves": 20})]
    for module in (report, command):
        monkeypatch.setattr(module, "variants", lambda corpus: two)
    monkeypatch.setattr(command, "WORK", tmp_path / "work")
    monkeypatch.setattr(command, "SECONDS_A_POINT", {"small": 0.0})
    monkeypatch.setattr(measure, "FEWEST", 5)

    def here(order):
        monkeypatch.setattr(sys, "argv", ["measure", json.dumps(order), str(tmp_path / "answer")])
        measure.main()
        return json.loads((tmp_path / "answer").read_text(encoding="utf-8"))

    monkeypatch.setattr(command, "child", here)
    return tmp_path / "work"


def test_it_measures_and_reports(here, monkeypatch, capsys):
    monkeypatch.setattr(command, "too_slow", lambda corpus, content: 60.0)  # whatever else the machine has to do
    assert command.run("small", minutes=1, only="") == 0
    out = capsys.readouterr().out
    assert "[1/2]       10k · exact: built in" in out and "recall@10 1.000" in out
    found = results.read(here / "small" / "ann.json")
    exact, ivf = (dict(report.measured_on(found, "10k"))[name] for name in ("exact", "Faiss IVF"))
    assert exact["is_exact"] and exact["bandwidth"]["bytes"] == 600 * 64 * 4
    for k in ("10", "100"):
        recalls = [one["recall_choosing"] for one in ivf["points"][k]]
        assert max(recalls) == 1.0
    assert ivf["disk_bytes"] > 600 * 64 * 4 and ivf["build_cpu_seconds"] >= 0
    assert {path.name for path in (here / "small").iterdir()} == {
        "ann.json",
        "ann.md",
        "ann_recall_10.svg",
        "ann_recall_100.svg",
    }
    assert not list((here / "indices").iterdir()), "what was built is not left behind"


def test_it_goes_on_where_it_was_stopped(here, monkeypatch, capsys):
    child = command.child

    def stopped(order):
        if order["adapter"] == "FaissIVFFlat":
            raise KeyboardInterrupt
        return child(order)

    monkeypatch.setattr(command, "child", stopped)
    with pytest.raises(KeyboardInterrupt):
        command.run("small", minutes=1, only="")
    monkeypatch.setattr(command, "child", child)
    assert command.run("small", minutes=1, only="") == 0
    assert "exact: measured before" in capsys.readouterr().out
    assert command.run("small", minutes=1, only="") == 0, "a whole run is followed by a new one"
    assert "measured before" not in capsys.readouterr().out


def test_out_of_time_or_failed_it_says_so_and_publishes_nothing(here, monkeypatch, capsys):
    assert command.run("small", minutes=-1, only="") == 1
    assert "2 not measured within -1 minutes, 0 failed" in capsys.readouterr().out

    def fails(order):
        raise command.Failed("to build: no such thing")

    monkeypatch.setattr(command, "child", fails)
    assert command.run("small", minutes=1, only="") == 1
    assert "failed: to build: no such thing" in (out := capsys.readouterr().out) and "2 failed" in out
    assert not (here / "small").exists()


def test_a_process_that_fails_is_told_by_its_last_line(tmp_path):
    order = {"what": "build", "corpus": str(tmp_path), "folder": str(tmp_path), "adapter": "Exact", "parameters": {}}
    with pytest.raises(command.Failed, match=r"to build: FileNotFoundError: .*embeddings\.npy"):
        command.child(order)


def test_slow_settings_are_not_looked_at_and_levels_take_the_fastest():
    class Steps:
        """Recall and time of each setting are what it is named for."""

        tried: list[int] = []

        def search_grid(self, k):
            return [{"effort": effort} for effort in (1, 2, 3, 4)]

        def set_search(self, effort):
            self.effort = effort
            return self

        def search(self, queries, k):
            self.tried.append(self.effort)
            self.seconds = 10 if self.effort >= 3 else 1
            return indices.TopK(None, np.where(np.arange(k) < 2 * self.effort, np.arange(k), 1000 + np.arange(k))[None])

    asked = corpora.Questions(np.zeros((1, 2)), np.arange(6)[None])
    with pytest.MonkeyPatch.context() as patch:
        steps = Steps()
        patch.setattr(measure, "_seconds", lambda action: (action(), steps.seconds)[1])
        chosen = measure.worth_timing(steps, asked, 6, slow=5)
    assert sorted(set(steps.tried)) == [1, 2, 3], "4 asks for more than 3, which was too slow"
    assert chosen == [{"effort": 2}, {"effort": 3}], "below the lowest level none is timed"


def test_the_pages_are_what_the_kept_results_say(tmp_path):
    shown = ROOT / "docs" / "results"
    for kept in (ROOT / "benchmarks" / "results").glob("ann*.json"):
        found = results.read(kept)
        page = (shown / f"{kept.stem}.md").read_text(encoding="utf-8")
        assert page == report.page(found), "python -m benchmarks.ann --report"
        report.figures(found, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in shown.glob("ann*.svg")}


def test_ten_million_items_have_a_page_of_their_own(tmp_path):
    found = content(record("10M", "exact", [point(1.0, 60_000)]) | {"bandwidth": BANDWIDTH}) | {"size": "huge"}
    page = report.page(found)
    assert page.startswith("# Ten million items, measured") and "ann_huge_recall_10.svg" in page
    assert "## Targets" not in page and "ann_sizes.svg" not in page
    report.figures(found, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"ann_huge_recall_10.svg", "ann_huge_recall_100.svg"}
