"""Three ways to set ratings aside, and what each promises about time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from recsys_course.data.interactions import id_ranks


class Split(NamedTuple):
    """Ratings in three parts that share no row and leave none out; columns, dtypes and row order as given.

    Attributes:
      train: what a model may learn from.
      validation: what choices are made on.
      test: what is read once, at the end.
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame


def random_split(ratings: pd.DataFrame, validation: float = 0.1, test: float = 0.1, seed: int = 42) -> Split:
    """Sets rows aside at random, whoever rated and whenever. The course's main split: 80/10/10, seed 42.

    The same rows on every machine, given the same row order: rows are ranked by the raw 64-bit stream of numpy's PCG64,
    which numpy promises never to change. Time is ignored, so a user's later ratings may stand in train and earlier ones
    in test: the model sees the future (chapter 1 shows what that flatters).

    Args:
      ratings: any table; one row an interaction.
      validation, test: shares of the rows, each above 0, below 1 together. Counts are rounded half up.
      seed: another seed, another split.

    Raises:
      ValueError: for impossible shares, or so few rows that a part would be empty.
    """
    num_validation, num_test = _sizes(len(ratings), validation, test)
    shuffled = np.argsort(np.random.PCG64(seed).random_raw(len(ratings)), kind="stable")
    part = np.zeros(len(ratings), dtype=np.int8)
    part[shuffled[:num_test]] = 2
    part[shuffled[num_test : num_test + num_validation]] = 1
    return _split(ratings, part)


def temporal_split(ratings: pd.DataFrame, validation: float = 0.1, test: float = 0.1) -> Split:
    """Cuts the whole table at two moments: all of train is earlier than all of validation, and that than all of test.

    Ties: a nominal cut lies the share asked for before the end; every row that has the time stamp found there goes
    to the later part. So one time stamp never stands on both sides of a cut, and the later parts may be a little larger
    than asked.

    Args:
      ratings: needs ``timestamp``.
      validation, test: shares of the rows, each above 0, below 1 together.

    Raises:
      ValueError: for impossible shares, or so few distinct time stamps that a part would be empty.
    """
    num_validation, num_test = _sizes(len(ratings), validation, test)
    timestamps = ratings["timestamp"].to_numpy()
    in_time = np.sort(timestamps)
    test_starts = in_time[len(in_time) - num_test]
    validation_starts = in_time[len(in_time) - num_test - num_validation]
    part = (timestamps >= validation_starts).astype(np.int8) + (timestamps >= test_starts)
    if len(np.unique(part)) < 3:
        raise ValueError(
            f"{len(np.unique(timestamps)):,} distinct time stamps in {len(ratings):,} ratings are too few for three "
            "parts that share none: take larger shares, more data, or random_split."
        )
    return _split(ratings, part)


def leave_last_out(ratings: pd.DataFrame) -> Split:
    """For each user, the last rating is for test, the one before it for validation, all earlier ones for train.

    Within a user no train row is later than that user's validation row, nor that one later than the test row; across
    users time is not compared. Ties: among one user's ratings with the same time stamp the order is drawn by lot, the
    same lot on every machine and for every order of the rows. It happens often: on 100k, where people rated page by
    page, a held-out rating may share its time stamp with train rows. (An order by movie id would be no fair lot: the
    higher numbers are the lesser known films.) A model that reads recent history should then read only what is strictly
    earlier.

    Users with fewer than three ratings stay in train whole.

    Args:
      ratings: needs ``user_id``, ``movie_id``, ``timestamp``.

    Raises:
      ValueError: when no user has three ratings.
    """
    users = pd.factorize(ratings["user_id"])[0]
    order = np.lexsort((_lots(ratings), ratings["timestamp"].to_numpy(), users))
    per_user = np.bincount(users, minlength=1)
    # Position from the end of the user's own history: 0 for the last, 1 for the one before.
    ends = np.cumsum(per_user)
    from_end = ends[users[order]] - 1 - np.arange(len(ratings))
    part = np.zeros(len(ratings), dtype=np.int8)
    enough = per_user[users[order]] >= 3
    part[order[enough & (from_end == 0)]] = 2
    part[order[enough & (from_end == 1)]] = 1
    if not (part == 2).any():
        raise ValueError(f"No user among {len(ratings):,} ratings has three of them, so none can be set aside.")
    return _split(ratings, part)


def _lots(ratings: pd.DataFrame) -> np.ndarray:
    """A uint64 for each row, drawn for its user and movie, wherever the row stands.

    A user's draw exclusive-or a movie's, mixed so that every bit counts: for each user another fair order of movies.

    Source: the last step of SplitMix64, Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators.
    """
    users, movies = id_ranks(ratings["user_id"]), id_ranks(ratings["movie_id"])
    draws = np.random.PCG64(42).random_raw(int(users.max(initial=0)) + int(movies.max(initial=0)) + 2)
    mixed = draws[users] ^ draws[len(draws) - 1 - movies]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _sizes(num_rows: int, validation: float, test: float) -> tuple[int, int]:
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise ValueError(f"validation={validation} and test={test} must each be above 0 and together below 1.")
    num_validation, num_test = int(num_rows * validation + 0.5), int(num_rows * test + 0.5)
    if min(num_validation, num_test, num_rows - num_validation - num_test) < 1:
        raise ValueError(f"{num_rows} ratings are too few for three parts with validation={validation}, test={test}.")
    return num_validation, num_test


def _split(ratings: pd.DataFrame, part: np.ndarray) -> Split:
    return Split(*(ratings[part == number].reset_index(drop=True) for number in range(3)))
