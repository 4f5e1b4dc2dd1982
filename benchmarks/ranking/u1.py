"""GroupLens' split u1, from the file that names its test ratings."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def split_u1(ratings: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """GroupLens' split u1: the ratings that the file names are the test, all others train.

    Raises:
        ValueError: the file is not there, or is not u1.test.
    """
    if not path.is_file():
        raise ValueError(f"{path} is not there: expected u1.test, from GroupLens' archive ml-100k.zip.")
    named = pd.read_csv(path, sep="\t", header=None, names=["user", "movie", "rating", "time"], dtype=str)
    pairs = pd.MultiIndex.from_frame(ratings[["user_id", "movie_id"]].astype(str))
    is_test = pairs.isin(pd.MultiIndex.from_frame(named[["user", "movie"]]))
    if len(named) != 20_000 or is_test.sum() != 20_000:
        raise ValueError(
            f"{path} names {len(named):,} ratings, {is_test.sum():,} of them in MovieLens 100K; u1.test names 20,000."
        )
    return ratings[~is_test].reset_index(drop=True), ratings[is_test].reset_index(drop=True)
