"""Shared by all tests: the environment TensorFlow must find, and nothing else."""

from __future__ import annotations

import os

# Before TensorFlow is imported by any test module: Keras 2 for TensorFlow Recommenders, a quiet log, no accelerator.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("MPLBACKEND", "agg")
