"""A reader's own ratings, from a CSV or Parquet file, as a dataset of the course."""

from __future__ import annotations

from recsys_course.data.importing.dataset import Columns, import_dataset

__all__ = ["Columns", "import_dataset"]
