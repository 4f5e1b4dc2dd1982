"""The page of results says what the files say."""

from __future__ import annotations

import json

from benchmarks import overview
from benchmarks.ranking import page as ranking


def test_the_page_is_made_from_the_committed_results():
    assert overview.PAGE.read_text(encoding="utf-8") == overview.render(), "run `python -m benchmarks.overview`"


def test_a_changed_figure_changes_the_page_and_a_missing_file_leaves_its_part_out(tmp_path):
    deep = {"model": "DCN-v2, all features", "seeds": [1, 2], "cpu_seconds": [10.0, 12.0]}
    rows = [
        {"model": "user and film biases", "split": "random", "test_rmse": [0.931], "cpu_seconds": [0.1]},
        deep | {"split": "random", "test_rmse": [0.87, 0.89]},
        deep | {"split": "u1", "test_rmse": [0.9, 0.92]},
        {"model": ranking.PEER, "split": "u1", "error": "cannot be had here"},
    ]
    machine = {"cores": 2, "system": "Linux"}
    content = {"machine": machine, "records": dict(enumerate(rows))}
    (tmp_path / "ranking.json").write_text(json.dumps(content))
    page = overview.render(tmp_path)
    assert "| user and film biases | 0.931 |  | 0.1 |" in page
    assert "| DCN-v2, all features | 0.880 (0.870–0.890) | 0.910 (0.900–0.920) | 11.0 |" in page
    assert "by 0.0100" in page and ranking.PEER not in page
    assert "2 cores, Linux, `make bench-ranking`" in page
    assert "## Nearest neighbours" not in page and "## The local server" not in page


def test_histories_show_their_ladder_and_the_paired_differences(tmp_path):
    ladder = [
        {"model": "EASE", "hit_rate_10": [0.15, 0.15], "hit_rate_100": [0.56, 0.56], "cpu_seconds": [0.4, 0.2]},
        {"model": "tower, less EASE", "difference_10": [0.047, 0.014], "difference_100": [-0.093, 0.0169]},
    ]
    (tmp_path / "history.json").write_text(json.dumps({"machine": {"cores": 2, "system": "Linux"}, "ladder": ladder}))
    page = overview.render(tmp_path)
    assert "| EASE | 0.150 | 0.560 | 0.3 |" in page
    assert "- tower, less EASE: +0.047 ± 0.014 at 10, -0.093 ± 0.017 at 100" in page
