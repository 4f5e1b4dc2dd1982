"""Export and serving: artefacts with signatures, published by version, and a local server for them. Chapter 5."""

from __future__ import annotations

from recsys_course.serving.export import Exported, export_retrieval, retrieval_module
from recsys_course.serving.load import Load, latency_percentile
from recsys_course.serving.parity import differing_users
from recsys_course.serving.retrieval_module import ExactSearch, RetrievalModule, checked_k
from recsys_course.serving.scann_search import ScannSearch
from recsys_course.serving.server.process import LocalServer
from recsys_course.serving.trained import Trained, trained_retrieval
from recsys_course.serving.versions import Damaged, latest, publish, published, verify

__all__ = [
    "Damaged",
    "ExactSearch",
    "Exported",
    "Load",
    "LocalServer",
    "RetrievalModule",
    "ScannSearch",
    "Trained",
    "checked_k",
    "differing_users",
    "export_retrieval",
    "latency_percentile",
    "latest",
    "publish",
    "published",
    "retrieval_module",
    "trained_retrieval",
    "verify",
]
