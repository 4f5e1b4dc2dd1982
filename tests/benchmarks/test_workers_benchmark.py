"""Two worker processes train the model of one, and a job that lost a worker ends with the same model."""

from __future__ import annotations

import math

import pytest

from benchmarks import running
from benchmarks.workers import __main__ as command
from benchmarks.workers import page


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Three jobs on a small world: one process, two, and two of which one is killed."""
    settings = command.QUICK
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "WORK", tmp_path_factory.mktemp("work"))
        records = running.Records("workers", settings, (), ())
        command.run(records, settings)
    return records.content


def test_two_workers_train_the_model_of_one(content):
    two = content["records"][page.TWO]
    assert two["difference"] < page.TOLERANCE * two["largest"] and two["restarts"] == 0


def test_a_job_that_lost_a_worker_ends_with_the_same_model(content):
    killed = content["records"][page.KILLED]
    assert killed["restarts"] == 1
    assert killed["difference"] < page.TOLERANCE * killed["largest"]


def test_without_the_gather_half_of_the_negatives_are_lost(content):
    one, two, batch = *(content["records"][name] for name in (page.ONE, page.TWO)), content["settings"]["batch_size"]
    assert one["alone"] == pytest.approx(one["gathered"])  # with one replica there is nothing to gather
    assert two["gathered"] == pytest.approx(one["gathered"], rel=1e-4)
    assert one["gathered"] == pytest.approx(batch * math.log(batch), rel=0.02)
    assert two["alone"] == pytest.approx(batch * math.log(batch / 2), rel=0.02)


def test_the_page_says_so(content, tmp_path):
    assert all(line.startswith("met") for line in page.verdicts(content))
    page.write(content | {"settings": content["settings"] | {"dataset": "small"}}, tmp_path)
    assert "| one process |" in (tmp_path / "workers.md").read_text(encoding="utf-8")
    without = {name: dict(found) for name, found in content["records"].items()}
    without[page.TWO] |= {"gathered": without[page.TWO]["alone"], "difference": 1.0}
    assert [line[:6] for line in page.verdicts(content | {"records": without})][:3] == ["MISSED", "met   ", "MISSED"]
