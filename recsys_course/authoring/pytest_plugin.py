"""Pytest plugin: grades the exercises of a chapter notebook, and compares a solution notebook strictly."""

from __future__ import annotations
