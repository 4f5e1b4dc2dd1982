"""Checks of chapter 1: batches for training, the last row of each user, a hit rate, a leak, and an exam by design."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsys_course.grading.core import Wrong, exercise, inputs

if TYPE_CHECKING:
    import tensorflow as tf

WEEK = 7 * 24 * 60 * 60  # seconds

# --- 1.1 Frozen batches -------------------------------------------------------------------------------------------


def _frozen_batches(rows, num_rows, batch_size):  # compared with the answer, never called
    return rows.shuffle(num_rows).batch(batch_size).cache().prefetch(tf.data.AUTOTUNE)


@exercise("1.1", answer="training_batches", planted_bug=_frozen_batches)
def _training_batches(answer: Any) -> None:
    import tensorflow as tf

    num_rows, batch_size = 204, 8
    rows, times_read = _counted_rows(num_rows)
    batches = answer(rows, num_rows, batch_size)
    if not isinstance(batches, tf.data.Dataset):
        raise Wrong("training_batches should return a tf.data.Dataset", got=batches)
    first, second = (_epoch(batches, num_rows) for _ in range(2))

    if first and not isinstance(first[0], list):
        raise Wrong("the elements are single rows: nothing stacks them into batches", got=first[:3])
    for epoch in (first, second):
        _check_each_row_once(epoch, num_rows)
    _check_mixing(first, second)
    for epoch in (first, second):
        _check_sizes([len(batch) for batch in epoch], num_rows, batch_size)
    _check_buffer(first, second, num_rows)
    if times_read() != 1:
        raise Wrong(
            "the source is read again in every epoch: keep the rows after they have been read once",
            expected="read once in two epochs",
            got=f"read {times_read()} times",
        )


def _counted_rows(num_rows: int):
    """Rows 0, 1, 2, ... and a function that tells how often they have been read from the start."""
    import tensorflow as tf

    starts = []

    def read():
        starts.append(1)
        yield from range(num_rows)

    return tf.data.Dataset.from_generator(read, output_signature=tf.TensorSpec((), tf.int64)), lambda: len(starts)


def _epoch(batches, num_rows: int) -> list[Any]:
    """One pass over the batches, as lists; cut short where there is no end to it."""
    return [element.tolist() for element in batches.take(num_rows + 1).as_numpy_iterator()]


def _check_each_row_once(epoch: list[list[int]], num_rows: int) -> None:
    met = sorted(row for batch in epoch for row in batch)
    if len(met) > len(set(met)):
        raise Wrong("some rows come more than once in an epoch: an epoch is one pass over the data")
    if missing := sorted(set(range(num_rows)) - set(met)):
        raise (
            Wrong("some rows are in no batch: does the last, smaller batch get lost?", expected=num_rows, got=len(met))
            if len(missing) < num_rows
            else Wrong("the epoch is empty: no row is in any batch")
        )


def _check_sizes(sizes: list[int], num_rows: int, batch_size: int) -> None:
    expected = [batch_size] * (num_rows // batch_size) + [num_rows % batch_size] * (num_rows % batch_size > 0)
    if sizes != expected:
        raise Wrong(f"batches should hold {batch_size} rows, the last one what is left", expected=expected, got=sizes)


def _check_mixing(first: list[list[int]], second: list[list[int]]) -> None:
    flat = [row for batch in first for row in batch]
    if flat == sorted(flat):
        raise Wrong("rows come in the order of the source: nothing shuffles them", got=first[:2])
    if first == second:
        raise Wrong(
            "frozen: both epochs have the same batches. What stands before cache happens once, and its result is kept",
            got=f"epoch 1 begins with {first[0]}, and so does epoch 2",
        )
    if {frozenset(batch) for batch in first} == {frozenset(batch) for batch in second}:
        raise Wrong(
            "whole batches change places, but the same rows always share one: shuffle rows, then batch them",
            got=f"{sorted(first[0])} is a batch in both epochs",
        )


def _check_buffer(first: list[list[int]], second: list[list[int]], num_rows: int) -> None:
    # Two batches an epoch are 32 rows. That a full shuffle draws all of them from one half has a chance of 2 in 2**32.
    beginning = [row for epoch in (first, second) for batch in epoch[:2] for row in batch]
    if max(beginning) < num_rows // 2:
        raise Wrong(
            "rows are mixed with their neighbours only: shuffle's buffer must be as large as the data to mix fully",
            expected=f"rows of 0 to {num_rows - 1} in the first two batches",
            got=sorted(beginning),
        )


# --- 1.2 The last row of each user --------------------------------------------------------------------------------


def _is_last(user_ids, timestamps, movie_ids):
    best: dict[int, tuple[float, float, int]] = {}
    for row, (user, moment, movie) in enumerate(zip(user_ids, timestamps, movie_ids, strict=True)):
        best[user] = max(best.get(user, (-np.inf, -np.inf, -1)), (moment, movie, row))
    rows = {row for _, _, row in best.values()}
    return np.array([row in rows for row in range(len(user_ids))], bool)


def _last_in_the_table(user_ids, timestamps, movie_ids):
    return ~pd.Series(user_ids).duplicated(keep="last").to_numpy()


def _all_of_the_latest_time(user_ids, timestamps, movie_ids):
    moments = pd.Series(timestamps)
    return (moments == moments.groupby(np.asarray(user_ids)).transform("max")).to_numpy()


def _latest_of_all(user_ids, timestamps, movie_ids):
    return np.asarray(timestamps) == np.max(timestamps, initial=0)


def _first_of_each(user_ids, timestamps, movie_ids):
    return _is_last(user_ids, -np.asarray(timestamps), -np.asarray(movie_ids))


def _smallest_movie_of_the_tied(user_ids, timestamps, movie_ids):
    return _is_last(user_ids, timestamps, -np.asarray(movie_ids))


def _later_in_the_table_of_the_tied(user_ids, timestamps, movie_ids):
    return _is_last(user_ids, timestamps, np.arange(len(np.asarray(user_ids))))


def _in_sorted_order(user_ids, timestamps, movie_ids):
    order = np.lexsort((movie_ids, timestamps, user_ids))
    return _is_last(user_ids, timestamps, movie_ids)[order]


def _array(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


exercise(
    "1.2",
    answer="is_last",
    reference=_is_last,
    cases=[
        inputs(_array(7, 9, 9, 7), _array(200, 150, 150, 100), _array(31, 12, 40, 99)),
        inputs(_array(1, 1, 1, 2, 2), _array(10, 20, 30, 5, 6), _array(4, 5, 6, 7, 8)),
        inputs(_array(3, 1, 3, 1, 3), _array(50, 70, 40, 60, 50), _array(9, 2, 8, 1, 5)),
        inputs(_array(5, 5, 5, 5), _array(8, 8, 8, 8), _array(20, 110, 90, 3)),
        inputs(_array(2, 8, 2, 8, 2), _array(900, 100, 800, 90, 900), _array(61, 5, 10, 70, 7)),
        inputs(_array(4), _array(1), _array(1)),
        inputs(_array(), _array(), _array()),
    ],
    misconceptions={
        "you took each user's last row of the table; rows come in any order, so sort by time": _last_in_the_table,
        "several rows of one user are True: of rows that share the latest time stamp, only the one with the greatest "
        "movie id is last": _all_of_the_latest_time,
        "you took the latest moment of the whole table; each user has a last row of their own": _latest_of_all,
        "you marked each user's first row": _first_of_each,
        "of rows that share the latest time stamp you took the smallest movie id; the greatest counts as last": (
            _smallest_movie_of_the_tied
        ),
        "of rows that share the latest time stamp you took the one that stands later in the table; the greatest movie "
        "id counts as last": _later_in_the_table_of_the_tied,
        "the result is in sorted order; put it back into the order of the input": _in_sorted_order,
    },
)

# --- 1.3 Hit rate by hand -----------------------------------------------------------------------------------------


def _top_lists(scores, seen, k):
    """For each user the first k films that are not seen, as a set."""
    for user in range(len(scores)):
        unseen = [film for film in range(len(scores[user])) if not seen[user][film]]
        yield set(sorted(unseen, key=lambda film: -scores[user][film])[:k])


def _seen_out_hit_rate(scores, held_out, seen, k):
    hits = total = 0
    for user, top in enumerate(_top_lists(scores, seen, k)):
        relevant = set(np.flatnonzero(held_out[user]))
        hits, total = hits + len(top & relevant), total + len(relevant)
    return hits / total


def _raw_hit_rate(scores, held_out, seen, k):
    return _seen_out_hit_rate(scores, held_out, np.zeros_like(seen), k)


def _seen_become_zero(scores, held_out, seen, k):
    return _raw_hit_rate(np.where(seen, 0.0, scores), held_out, seen, k)


def _per_user(scores, held_out, seen, k, average):
    values = []
    for user, top in enumerate(_top_lists(scores, seen, k)):
        relevant = set(np.flatnonzero(held_out[user]))
        if relevant:
            values.append(average(len(top & relevant), len(relevant)))
    return float(np.mean(values))


def _mean_of_users(scores, held_out, seen, k):
    return _per_user(scores, held_out, seen, k, lambda hits, relevant: hits / relevant)


def _share_of_users_hit(scores, held_out, seen, k):
    return _per_user(scores, held_out, seen, k, lambda hits, relevant: float(hits > 0))


def _divided_by_k(scores, held_out, seen, k):
    return _per_user(scores, held_out, seen, k, lambda hits, relevant: hits / k)


def _lowest_first(scores, held_out, seen, k):
    return _seen_out_hit_rate(-np.asarray(scores), held_out, seen, k)


def _rank_below_k(scores, held_out, seen, k):
    return _seen_out_hit_rate(scores, held_out, seen, k - 1)


def _case(scores, held_out, seen, k):
    return inputs(np.array(scores, float), np.array(held_out, bool), np.array(seen, bool), k)


_SCORES = [[9, 7, 5, 2, 1], [1, 2, 3, 4, 5], [5, -1, 4, -2, 3], [-9, -3, -4, -5, -1]]
_HELD = [[0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 1], [1, 1, 1, 0, 0]]
_SEEN = [[1, 0, 0, 0, 0], [0, 0, 0, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 1]]
exercise(
    "1.3",
    answer="seen_out_hit_rate",
    reference=_seen_out_hit_rate,
    cases=[
        _case([[9, 7, 5, 2]], [[0, 1, 0, 1]], [[1, 0, 0, 0]], 1),
        _case(_SCORES, _HELD, _SEEN, 1),
        _case(_SCORES, _HELD, _SEEN, 2),
        _case(_SCORES, _HELD, _SEEN, 3),
        _case(_SCORES, _HELD, np.zeros_like(_SEEN), 2),
        _case(_SCORES, _HELD, _SEEN, 10),
        _case([[-3, -2, -1]], [[1, 0, 0]], [[0, 0, 1]], 2),
    ],
    misconceptions={
        "seen films still compete; they are to be taken out first": _raw_hit_rate,
        "a seen film's score of 0 still beats negative scores; only minus infinity is last for certain": (
            _seen_become_zero
        ),
        "you averaged over users; here every held-out interaction counts once, so divide the sum of all hits by the "
        "number of all held-out interactions": _mean_of_users,
        "you counted the share of users with at least one hit; here every held-out interaction counts": (
            _share_of_users_hit
        ),
        "you divided by k; that is precision. A hit rate divides by the number of held-out interactions": _divided_by_k,
        "you put the lowest score first; higher is better": _lowest_first,
        "rank k itself is among the first k: ranks start at 1": _rank_below_k,
    },
)

# --- 1.4 Find the leak --------------------------------------------------------------------------------------------


def _closest_history(timestamps, movies, now, k):
    closest = abs(timestamps - now).argsort(kind="stable")
    return movies[closest[:k]]


def _recent_history(timestamps, movies, now, k):
    known = [movie for moment, movie in zip(timestamps, movies, strict=True) if moment < now]
    return np.array(list(reversed(known))[:k], np.int64)


def _with_the_present(timestamps, movies, now, k):
    return _recent_history(timestamps, movies, now + 1, k)


def _last_of_all(timestamps, movies, now, k):
    return _recent_history(timestamps, movies, np.inf, k)


def _oldest_first(timestamps, movies, now, k):
    return _recent_history(timestamps, movies, now, k)[::-1]


def _the_oldest(timestamps, movies, now, k):
    return movies[timestamps < now][:k]


def _all_of_the_past(timestamps, movies, now, k):
    return _recent_history(timestamps, movies, now, len(movies))


exercise(
    "1.4",
    answer="recent_history",
    reference=_recent_history,
    cases=[
        inputs(_array(1, 2, 3, 3), _array(10, 11, 12, 13), 3, 2),
        inputs(_array(1, 2, 3, 3), _array(10, 11, 12, 13), 9, 2),
        inputs(_array(1, 2, 3, 3), _array(10, 11, 12, 13), 1, 2),
        inputs(_array(100, 100, 140, 150, 160, 170), _array(7, 3, 9, 4, 8, 1), 155, 3),
        inputs(_array(100, 100, 140, 150, 160, 170), _array(7, 3, 9, 4, 8, 1), 160, 5),
        inputs(_array(5, 6), _array(2, 1), 100, 5),
        inputs(_array(), _array(), 5, 3),
    ],
    misconceptions={
        "the history still holds films rated after now: closest in time looks both ways": _closest_history,
        "the history holds films whose time stamp is now itself; among them may be the very click to be predicted, so "
        "only what is strictly earlier may count": _with_the_present,
        "now plays no part: you took the end of the whole log, future included": _last_of_all,
        "the films are the right ones, but the newest should come first": _oldest_first,
        "you took the k oldest films; the k most recent ones are wanted": _the_oldest,
        "you took the whole past; at most k films are wanted": _all_of_the_past,
    },
    planted_bug=_closest_history,
)

# --- 1.5 An exam for a real service -------------------------------------------------------------------------------


def _log(seed: int, start: int, days: int, num_users: int) -> pd.DataFrame:
    """A log of sessions: users who come once or return, clicks in pages that share a time stamp."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(num_users):
        first = random.uniform(0, days)
        visits = [first, *(first + random.exponential(6, random.integers(0, 6)).cumsum())]
        for visit in visits:
            if visit < days:
                moment = start + int(visit * 86_400)
                pages = np.repeat(np.arange(4), random.integers(1, 5, 4))
                rows += [(user, moment + 20 * int(page)) for page in pages]
    users, moments = map(np.array, zip(*rows, strict=True))
    log = pd.DataFrame({"user_id": users.astype(str), "timestamp": moments})
    log["movie_id"] = (np.arange(len(log)) % 50 + 1).astype(str)
    log["user_rating"] = np.float32(4)
    return log.drop_duplicates(["user_id", "movie_id"]).reset_index(drop=True)


@exercise("1.5", answer="my_split")
def _my_split(answer: Any) -> None:
    if not callable(answer):
        raise Wrong("my_split should be a function", got=answer)
    for log in (_log(0, 874_700_000, 60, 120), _log(1, 1_500_000_000, 40, 160)):
        train, test = _tables(answer(log.copy()), log)
        _check_rows(train, test, log)
        _check_time(train, test)
        _check_returning(train, test)
        _check_amounts(train, test, log)
        _check_order_does_not_matter(answer, train, test, log)


def _tables(result: Any, log: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    is_pair = isinstance(result, tuple | list) and len(result) == 2
    if not is_pair or not all(isinstance(table, pd.DataFrame) for table in result):
        raise Wrong("my_split should return two tables, (train, test)", got=type(result).__name__)
    for name, table in zip(("train", "test"), result, strict=True):
        if missing := [column for column in log.columns if column not in table.columns]:
            raise Wrong(f"{name} should keep the columns of ratings", expected=list(log.columns), got=f"no {missing}")
        if not len(table):
            raise Wrong(f"{name} is empty")
    return tuple(result)


def _pairs(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    return sorted(zip(table.user_id, table.movie_id, table.timestamp, strict=True))


def _check_rows(train: pd.DataFrame, test: pd.DataFrame, log: pd.DataFrame) -> None:
    in_train, in_test, known = set(_pairs(train)), set(_pairs(test)), set(_pairs(log))
    if both := sorted(in_train & in_test):
        raise Wrong(f"{len(both)} rows are in train and in test, so the exam's answers are known", got=both[0])
    if strange := sorted((in_train | in_test) - known):
        raise Wrong("some rows are not rows of ratings", got=strange[0])
    if len(in_train) + len(in_test) < len(train) + len(test):
        raise Wrong("some rows are there twice")


def _check_time(train: pd.DataFrame, test: pd.DataFrame) -> None:
    end, start, stop = train.timestamp.max(), test.timestamp.min(), test.timestamp.max()
    if start == end:
        raise Wrong(
            "train's last and test's first row share a time stamp: a page of clicks is cut in two. Rows of one time "
            "stamp belong on one side",
            got=f"both have {start}",
        )
    if start < end:
        late = np.mean(train.timestamp >= start)
        raise Wrong(
            f"{late:.0%} of train is as late as the first test row: the one model for everybody would know the future. "
            "One moment must separate train from test",
            expected=f"train ends before {start}, where test begins",
            got=f"train ends at {end}",
        )
    if stop - end > WEEK:
        raise Wrong(
            "test goes on for more than a week after train ends, but by then the model has been retrained",
            expected=f"at most {WEEK} seconds",
            got=f"{stop - end} seconds",
        )


def _check_returning(train: pd.DataFrame, test: pd.DataFrame) -> None:
    strangers = sorted(set(test.user_id) - set(train.user_id))
    if strangers:
        raise Wrong(
            f"{len(strangers)} of {test.user_id.nunique()} test users have no history in train: this service does not "
            "recommend to them",
            got=f"user {strangers[0]}, for one",
        )


def _check_amounts(train: pd.DataFrame, test: pd.DataFrame, log: pd.DataFrame) -> None:
    for name, table, least in (("train", train, len(log) / 2), ("test", test, len(log) / 50)):
        if len(table) < least:
            raise Wrong(
                f"{name} is too small to be of use; another moment for the cut leaves more",
                expected=f"at least {int(np.ceil(least))} of {len(log)} rows",
                got=len(table),
            )


def _check_order_does_not_matter(answer: Any, train: pd.DataFrame, test: pd.DataFrame, log: pd.DataFrame) -> None:
    mixed = log.sample(frac=1, random_state=3).set_axis(np.arange(len(log)) + 1000)
    again = _tables(answer(mixed), log)
    if [_pairs(table) for table in again] != [_pairs(train), _pairs(test)]:
        raise Wrong(
            "the same rows in another order, with another index, gave another split. Does something depend on the "
            "position, the index or an unseeded draw?"
        )
