"""Made-up results of a benchmark, as far as they are the same whatever was measured."""

from __future__ import annotations

CIRCUMSTANCES = {
    "machine": {"processor": "P", "cores": 2, "memory_gb": 8, "system": "Linux", "python": "3.11"},
    "versions": {"numpy": "2.0"},
    "commit": "abc",
    "date": "2026-01-01",
}
