"""Helpers shared by tests. ``tests`` is on the path, so: ``from support import solution_answer``."""

from __future__ import annotations

from support.answers import solution_answer, stub_answer

__all__ = ["solution_answer", "stub_answer"]
