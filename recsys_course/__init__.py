"""Helpers of the course: what a chapter needs but does not teach, and what an earlier chapter has taught.

Importing the package settles one thing: TensorFlow Recommenders speaks Keras 2, and TensorFlow decides which Keras it
offers when it is first imported. So ``TF_USE_LEGACY_KERAS=1`` must stand in the environment before that.
"""

from __future__ import annotations

import os
import sys

__version__ = "0.1.0"

if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() not in {"1", "true"}:
    if "tensorflow" in sys.modules:
        raise ImportError(
            "TensorFlow was imported before TF_USE_LEGACY_KERAS was set, so it offers Keras 3; TensorFlow Recommenders "
            "needs Keras 2. Restart the kernel and run the set-up cell first, or put "
            'os.environ["TF_USE_LEGACY_KERAS"] = "1" above the first import of tensorflow.'
        )
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
