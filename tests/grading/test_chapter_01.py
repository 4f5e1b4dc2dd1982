"""Chapter 1's checks, proven: other right answers pass, typical mistakes are told by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from support.answers import solution_answer

from recsys_course import data
from recsys_course.grading import grade

IDS = ["1.1", "1.2", "1.3", "1.4", "1.5"]
WEEK = 7 * 24 * 60 * 60


def assert_wrong(id, answer, told):
    verdict = grade(id, answer)
    assert verdict.outcome == "wrong", verdict.message
    assert told in verdict.message


# --- 1.1 ----------------------------------------------------------------------------------------------------------


def other_training_batches(rows, num_rows, batch_size):
    """Cached before it is stacked; the buffer larger than need be; ragged last batch made by a window."""
    kept = rows.map(lambda row: row).cache()
    windows = kept.shuffle(10 * num_rows, seed=3, reshuffle_each_iteration=True).window(batch_size)
    return windows.flat_map(lambda window: window.batch(batch_size))


def test_other_training_batches_pass():
    assert grade("1.1", other_training_batches).outcome == "solved"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda rows, n, b: rows.batch(b).cache().shuffle(n), "whole batches change places"),
        (lambda rows, n, b: rows.shuffle(n, seed=1).cache().batch(b), "frozen: both epochs have the same batches"),
        (lambda rows, n, b: rows.shuffle(n, reshuffle_each_iteration=False).batch(b), "frozen"),
        (lambda rows, n, b: rows.shuffle(n).batch(b), "the source is read again in every epoch"),
        (lambda rows, n, b: rows.cache().batch(b), "nothing shuffles them"),
        (lambda rows, n, b: rows.cache().shuffle(n), "nothing stacks them into batches"),
        (lambda rows, n, b: rows.cache().shuffle(b).batch(b), "buffer must be as large as the data"),
        (lambda rows, n, b: rows.cache().shuffle(n).batch(b, drop_remainder=True), "last, smaller batch get lost"),
        (lambda rows, n, b: rows.cache().shuffle(n).repeat().batch(b), "more than once in an epoch"),
        (lambda rows, n, b: rows.cache().shuffle(n).batch(2 * b), "batches should hold 8 rows"),
        (lambda rows, n, b: rows.take(0).batch(b), "the epoch is empty"),
        (lambda rows, n, b: list(rows), "should return a tf.data.Dataset"),
    ],
)
def test_wrong_training_batches_are_told_why(answer, told):
    assert_wrong("1.1", answer, told)


def test_a_small_buffer_is_found_whatever_the_seed():
    for seed in range(5):
        assert_wrong("1.1", lambda rows, n, b, s=seed: rows.cache().shuffle(2 * b, seed=s).batch(b), "buffer")
        right = grade("1.1", lambda rows, n, b, s=seed: rows.cache().shuffle(n, seed=s).batch(b))
        assert right.outcome == "solved", right.message


# --- 1.2 ----------------------------------------------------------------------------------------------------------


def other_is_last(user_ids, timestamps, movie_ids):
    table = pd.DataFrame({"user": user_ids, "time": timestamps, "movie": movie_ids})
    ordered = table.sort_values(["time", "movie"])
    return (~ordered.duplicated("user", keep="last")).sort_index().to_numpy()


def test_other_is_last_passes():
    assert grade("1.2", other_is_last).outcome == "solved"


def test_the_answer_is_the_test_part_of_leave_last_out_where_no_times_are_equal():
    ratings = data.synthetic.taste_groups(num_users=30, num_movies=80, num_groups=4).ratings
    ratings = ratings.assign(timestamp=np.random.default_rng(0).permutation(len(ratings)))
    columns = [ratings[name].astype(np.int64).to_numpy() for name in ("user_id", "timestamp", "movie_id")]
    last = ratings[solution_answer("1.2")(*columns)].reset_index(drop=True)
    pd.testing.assert_frame_equal(last, data.leave_last_out(ratings).test)


def last_in_the_table(users, times, movies):
    return ~pd.Series(users).duplicated(keep="last").to_numpy()


def every_row_of_the_latest_time(users, times, movies):
    latest = pd.Series(times).groupby(users).transform("max")
    return np.asarray(times == latest)


def latest_of_the_whole_table(users, times, movies):
    return times == max(times, default=0)


def first_of_each_user(users, times, movies):
    return other_is_last(users, -times, -movies)


def smallest_movie_wins_a_tie(users, times, movies):
    return other_is_last(users, times, -movies)


def ties_by_place_in_the_table(users, times, movies):
    order = np.lexsort((times, users))
    last = np.zeros(len(users), bool)
    last[order] = np.append(np.diff(users[order]) != 0, True)[: len(users)]
    return last


def left_in_sorted_order(users, times, movies):
    order = np.lexsort((movies, times, users))
    return np.append(np.diff(users[order]) != 0, True)[: len(users)]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (last_in_the_table, "each user's last row of the table"),
        (every_row_of_the_latest_time, "several rows of one user are True"),
        (latest_of_the_whole_table, "the latest moment of the whole table"),
        (first_of_each_user, "you marked each user's first row"),
        (smallest_movie_wins_a_tie, "you took the smallest movie id"),
        (ties_by_place_in_the_table, "the one that stands later in the table"),
        (left_in_sorted_order, "the result is in sorted order"),
    ],
)
def test_wrong_is_last_is_told_why(answer, told):
    assert_wrong("1.2", answer, told)


# --- 1.3 ----------------------------------------------------------------------------------------------------------


def other_hit_rate(scores, held_out, seen, k):
    hits = 0
    for user in range(len(scores)):
        order = sorted(range(len(scores[user])), key=lambda film: (seen[user, film], -scores[user, film]))
        hits += sum(held_out[user, film] for film in order[:k])
    return hits / held_out.sum()


def test_other_hit_rate_passes():
    assert grade("1.3", other_hit_rate).outcome == "solved"


def ranks_of(scores):
    return (-scores).argsort(axis=1).argsort(axis=1) + 1


def seen_films_compete(scores, held_out, seen, k):
    return np.mean(ranks_of(scores)[held_out] <= k)


def seen_films_score_zero(scores, held_out, seen, k):
    return np.mean(ranks_of(scores * ~seen)[held_out] <= k)


def hits_of_users(scores, held_out, seen, k):
    hits = ((ranks_of(np.where(seen, -np.inf, scores)) <= k) & held_out).sum(axis=1)
    relevant = held_out.sum(axis=1)
    return hits[relevant > 0], relevant[relevant > 0]


def averaged_over_users(*arguments):
    hits, relevant = hits_of_users(*arguments)
    return np.mean(hits / relevant)


def users_with_a_hit(*arguments):
    return np.mean(hits_of_users(*arguments)[0] > 0)


def divided_by_k(scores, held_out, seen, k):
    return np.mean(hits_of_users(scores, held_out, seen, k)[0] / k)


def lowest_score_first(scores, held_out, seen, k):
    return other_hit_rate(-scores, held_out, seen, k)


def ranks_from_zero(scores, held_out, seen, k):
    ranks = ranks_of(np.where(seen, -np.inf, scores))
    return np.mean(ranks[held_out] < k)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (seen_films_compete, "seen films still compete"),
        (seen_films_score_zero, "a seen film's score of 0 still beats negative scores"),
        (averaged_over_users, "you averaged over users"),
        (users_with_a_hit, "the share of users with at least one hit"),
        (divided_by_k, "you divided by k; that is precision"),
        (lowest_score_first, "you put the lowest score first"),
        (ranks_from_zero, "rank k itself is among the first k"),
    ],
)
def test_wrong_hit_rate_is_told_why(answer, told):
    assert_wrong("1.3", answer, told)


# --- 1.4 ----------------------------------------------------------------------------------------------------------


def other_recent_history(timestamps, movies, now, k):
    end = np.searchsorted(timestamps, now, side="left")
    return [movies[row] for row in range(end - 1, max(end - k, 0) - 1, -1)]


def test_other_recent_history_passes():
    assert grade("1.4", other_recent_history).outcome == "solved"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda t, m, now, k: m[np.argsort(np.abs(t - now), kind="stable")][:k], "still holds films rated after now"),
        (lambda t, m, now, k: m[t <= now][-k:][::-1], "whose time stamp is now itself"),
        (lambda t, m, now, k: m[::-1][:k], "now plays no part"),
        (lambda t, m, now, k: m[t < now][-k:], "the newest should come first"),
        (lambda t, m, now, k: m[t < now][:k], "you took the k oldest films"),
        (lambda t, m, now, k: m[t < now][::-1], "at most k films are wanted"),
    ],
)
def test_wrong_recent_history_is_told_why(answer, told):
    assert_wrong("1.4", answer, told)


# --- 1.5 ----------------------------------------------------------------------------------------------------------


def cut_at(ratings, share=0.7, days=7):
    cut = ratings.timestamp.quantile(share)
    train = ratings[ratings.timestamp < cut]
    later = ratings[(ratings.timestamp >= cut) & (ratings.timestamp <= train.timestamp.max() + days * WEEK / 7)]
    return train, later


def other_split(ratings):
    """Forgets the oldest rows, drops repeated visitors' first day, and sorts by time: a matter of taste."""
    train, week = cut_at(ratings, share=0.75)
    train = train[train.timestamp >= ratings.timestamp.quantile(0.1)].sort_values("timestamp")
    return train, week[week.user_id.isin(set(train.user_id))]


def test_another_design_passes():
    verdict = grade("1.5", other_split)
    assert verdict.outcome == "solved", verdict.message


def returning(train, week):
    return train, week[week.user_id.isin(set(train.user_id))]


def random_rows(ratings):
    test = ratings.sample(frac=0.2, random_state=0)
    return ratings.drop(test.index), test


def last_of_each_user(ratings):
    order = ratings.sort_values(["timestamp", "movie_id"])
    test = order[~order.duplicated("user_id", keep="last") & order.duplicated("user_id", keep="first")]
    return order.drop(test.index), test


def newcomers_too(ratings):
    return cut_at(ratings)


def more_than_a_week(ratings):
    return returning(*cut_at(ratings, days=14))


def page_cut_in_two(ratings):
    in_time = ratings.sort_values(["timestamp", "movie_id"]).reset_index(drop=True)
    shared = in_time.timestamp.duplicated()
    at = shared.index[shared & (shared.index > 0.7 * len(shared))][0]
    train, rest = in_time[:at], in_time[at:]
    return returning(train, rest[rest.timestamp < train.timestamp.max() + WEEK])


def answers_in_train(ratings):
    train, test = returning(*cut_at(ratings))
    return pd.concat([train, test]), test


def by_position(ratings):
    train, test = returning(*cut_at(ratings))
    return train.iloc[len(train) // 50 :], test


def moments_of_one_log(ratings):
    cut = 874_700_000 + 45 * 86_400
    week = ratings[(ratings.timestamp >= cut) & (ratings.timestamp < cut + WEEK / 2)]
    return returning(ratings[ratings.timestamp < cut], week)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (random_rows, "the one model for everybody would know the future"),
        (last_of_each_user, "the one model for everybody would know the future"),
        (newcomers_too, "test users have no history in train"),
        (more_than_a_week, "test goes on for more than a week"),
        (page_cut_in_two, "a page of clicks is cut in two"),
        (answers_in_train, "rows are in train and in test"),
        (by_position, "the same rows in another order, with another index, gave another split"),
        (moments_of_one_log, "train is empty"),
        (lambda ratings: returning(*cut_at(ratings, share=0.3)), "train is too small"),
        (lambda ratings: [table.head(1) for table in returning(*cut_at(ratings))][::-1], "would know the future"),
        (lambda ratings: (cut_at(ratings)[0], returning(*cut_at(ratings))[1].head(2)), "test is too small"),
        (lambda ratings: (ratings, ratings.head(0)), "test is empty"),
        (lambda ratings: ratings, "should return two tables"),
        (lambda ratings: [table[["user_id"]] for table in cut_at(ratings)], "should keep the columns"),
        (lambda ratings: (ratings.assign(timestamp=0), ratings.tail(9)), "are not rows of ratings"),
        (lambda ratings: tuple(pd.concat([table, table]) for table in other_split(ratings)), "are there twice"),
    ],
)
def test_wrong_splits_are_told_why(answer, told):
    assert_wrong("1.5", answer, told)


def test_a_check_takes_less_than_two_seconds():
    import time

    tf.data.Dataset.range(1)  # importing TensorFlow is not the check's doing
    for id in IDS:
        answer = solution_answer(id)
        start = time.process_time()
        grade(id, answer)
        assert time.process_time() - start < 2
