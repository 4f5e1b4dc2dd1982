"""The page of results says what the files say."""

from __future__ import annotations

import json

from benchmarks import overview


def test_the_page_is_made_from_the_committed_results():
    assert overview.PAGE.read_text(encoding="utf-8") == overview.render(), "run `python -m benchmarks.overview`"


def test_a_changed_figure_changes_the_page_and_a_missing_file_leaves_its_part_out(tmp_path):
    rows = [
        {"split": "random", "model": "biases", "seeds": [1], "test_rmse": [0.931], "cpu_seconds": [0.1]},
        {"split": "random", "model": "deep", "seeds": [1, 2], "test_rmse": [0.87, 0.89], "cpu_seconds": [10.0, 12.0]},
        {"split": "u1", "model": "deep", "seeds": [1, 2], "test_rmse": [0.9, 0.92], "cpu_seconds": [10.0, 12.0]},
    ]
    machine = {"cores": 2, "system": "Linux"}
    (tmp_path / "ranking.json").write_text(json.dumps({"machine": machine, "rows": rows}))
    page = overview.render(tmp_path)
    assert "| biases | 0.931 |  | 0.1 |" in page
    assert "| deep | 0.880 (0.870–0.890) | 0.910 (0.900–0.920) | 11.0 |" in page
    assert "2 cores, Linux, `make bench-ranking`" in page
    assert "## Nearest neighbours" not in page and "## The local server" not in page


def test_histories_show_their_ladder_and_the_paired_differences(tmp_path):
    ladder = [
        {"model": "EASE", "hit_rate_10": [0.15, 0.15], "hit_rate_100": [0.56, 0.56], "cpu_seconds": [0.4, 0.2]},
        {"model": "tower, less EASE", "difference_10": [0.047, 0.014], "difference_100": [-0.093, 0.0169]},
    ]
    (tmp_path / "history.json").write_text(json.dumps({"machine": {"cores": 2, "system": "Linux"}, "ladder": ladder}))
    page = overview.render(tmp_path)
    assert "| EASE | 0.150 (0.150–0.150) | 0.560 (0.560–0.560) | 0.3 |" in page
    assert "- tower, less EASE: +0.047 ± 0.014 at 10, -0.093 ± 0.017 at 100" in page
