"""The notation page computes what it says."""

from __future__ import annotations

import doctest
from pathlib import Path

NOTATION = Path(__file__).parents[2] / "docs" / "notation.md"


def test_worked_examples():
    # Fences are Markdown's, not Python's.
    text = NOTATION.read_text(encoding="utf-8").replace("```", "")
    example = doctest.DocTestParser().get_doctest(text, {}, NOTATION.name, str(NOTATION), 0)
    assert len(example.examples) >= 8
    results = doctest.DocTestRunner().run(example)
    assert results.failed == 0


def test_every_public_metric_and_baseline_has_its_formula():
    from recsys_course import baselines, metrics

    text = NOTATION.read_text(encoding="utf-8")
    functions = {name for name in metrics.__all__ if name.endswith("_at_k")}
    for name in functions | set(baselines.__all__) - {"Recommender"}:
        assert f"| `{name}` |" in text, name
