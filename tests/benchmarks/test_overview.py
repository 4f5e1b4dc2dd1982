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
