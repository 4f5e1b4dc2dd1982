"""Ranking metrics: cases worked out by hand, the tie rule, bounded memory, bad input."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from recsys_course import metrics


def csr(rows):
    return sparse.csr_matrix(np.array(rows))


def from_table(table):
    """A scorer that reads its answers off a table of scores."""
    table = np.asarray(table)
    return lambda users: table[users]


# Two users, six items. Held out: user 0 items 1 and 4; user 1 item 2.
#   user 0's scores  .9 .8 .7 .6 .5 .4   -> item 1 ranks 2, item 4 ranks 5
#   user 1's scores  .1 .2 .3 .4 .5 .6   -> item 2 ranks 4 (items 5, 4, 3 are ahead)
SCORES = [[0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]
HELD_OUT = csr([[0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0]])


def test_ranks_by_hand():
    held = metrics.rank_held_out(from_table(SCORES), HELD_OUT)
    assert held.ranks.tolist() == [2, 5, 4]
    assert held.users.tolist() == [0, 0, 1]
    assert held.movies.tolist() == [1, 4, 2]
    assert {array.dtype for array in held} == {np.dtype(np.int64)}


def test_seen_items_leave_the_competition():
    # User 0 has seen items 0 and 2, so item 1 moves up one place (2 -> 1) and item 4 two (5 -> 3).
    # User 1 has seen item 0, which stood behind item 2: nothing changes.
    seen = csr([[1, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
    held = metrics.rank_held_out(from_table(SCORES), HELD_OUT, seen)
    assert held.ranks.tolist() == [1, 3, 4]


@pytest.mark.parametrize(
    ("metric", "at_3", "at_5"),
    [
        # One of three interactions ranks <= 3; all three rank <= 5.
        (metrics.hit_rate_at_k, 1 / 3, 1.0),
        # User 0 finds 1 of 2, user 1 finds 0 of 1: (1/2 + 0) / 2. At 5: (2/2 + 1/1) / 2.
        (metrics.recall_at_k, 0.25, 1.0),
        # (1/3 + 0/3) / 2. At 5: (2/5 + 1/5) / 2.
        (metrics.precision_at_k, 1 / 6, 0.3),
        # User 0's hit at rank 2 earns 1/log2(3); its ideal list has hits at ranks 1 and 2: 1 + 1/log2(3).
        # At 5, user 0 earns 1/log2(3) + 1/log2(6) of the same ideal; user 1 earns 1/log2(5) of an ideal 1.
        (
            metrics.ndcg_at_k,
            (1 / math.log2(3)) / (1 + 1 / math.log2(3)) / 2,
            ((1 / math.log2(3) + 1 / math.log2(6)) / (1 + 1 / math.log2(3)) + 1 / math.log2(5)) / 2,
        ),
        # User 0: precision at its first hit is 1/2, over 2 held-out items: 1/4; user 1 has none.
        # At 5, user 0 adds 2/5 for the hit at rank 5: (1/2 + 2/5) / 2; user 1 has 1/4.
        (metrics.map_at_k, 0.125, ((1 / 2 + 2 / 5) / 2 + 1 / 4) / 2),
        # First hits at ranks 2 and (beyond 3) none; at 5: 2 and 4.
        (metrics.mrr_at_k, 0.25, (1 / 2 + 1 / 4) / 2),
    ],
)
def test_metrics_by_hand(metric, at_3, at_5):
    held = metrics.rank_held_out(from_table(SCORES), HELD_OUT)
    assert metric(held, 3) == pytest.approx(at_3)
    assert metric(held, 5) == pytest.approx(at_5)


def test_ideal_list_is_cut_at_k():
    # Three held-out items, k = 2, ranks 1 and 2 hit: the best possible list of two. NDCG is 1, recall only 2/3.
    held = metrics.HeldOutRanks(np.array([1, 2, 9]), np.zeros(3, int), np.arange(3))
    assert metrics.ndcg_at_k(held, 2) == pytest.approx(1.0)
    assert metrics.recall_at_k(held, 2) == pytest.approx(2 / 3)
    assert metrics.map_at_k(held, 2) == pytest.approx(2 / 3)


def test_ranks_need_not_come_sorted_by_user():
    held = metrics.rank_held_out(from_table(SCORES), HELD_OUT)
    shuffled = metrics.HeldOutRanks(*(array[[2, 1, 0]] for array in held))
    for metric in (metrics.recall_at_k, metrics.ndcg_at_k, metrics.map_at_k, metrics.mrr_at_k):
        assert metric(shuffled, 5) == pytest.approx(metric(held, 5))


def test_ties_count_against_the_model():
    # Item 2 is held out and ties with items 1 and 3: it stands behind both, and behind item 0 which is better.
    held = metrics.rank_held_out(from_table([[2.0, 1.0, 1.0, 1.0, 0.0]]), csr([[0, 0, 1, 0, 0]]))
    assert held.ranks.tolist() == [4]


def test_tied_held_out_items_share_no_place():
    # Items 1 and 3 are held out and tie, with each other and with item 2: item 2 first, then they follow one another.
    held = metrics.rank_held_out(from_table([[2.0, 1.0, 1.0, 1.0, 0.0]]), csr([[0, 1, 0, 1, 0]]))
    assert held.ranks.tolist() == [3, 4]


def test_a_constant_model_gets_nothing():
    held_out = csr([[1, 0, 1, 0, 0, 0, 0, 0, 0, 0]])
    held = metrics.rank_held_out(from_table(np.zeros((1, 10))), held_out)
    assert held.ranks.tolist() == [9, 10]
    assert metrics.hit_rate_at_k(held, 8) == 0


def test_a_tied_seen_item_does_not_count():
    held = metrics.rank_held_out(from_table([[1.0, 1.0, 1.0]]), csr([[0, 0, 1]]), seen=csr([[1, 0, 0]]))
    assert held.ranks.tolist() == [2]


def test_infinite_scores_are_in_order():
    # -inf is how many models mask; a masked held-out item stands last, not first and not beside the seen item.
    scores = [[-np.inf, 1.0, np.inf, -np.inf]]
    held = metrics.rank_held_out(from_table(scores), csr([[1, 0, 1, 0]]), seen=csr([[0, 1, 0, 0]]))
    assert held.ranks.tolist() == [3, 1]


def _ranks_one_by_one(table, held_out, seen):
    """The definition, user by user and item by item."""
    ranks = []
    for user, row in enumerate(table):
        own = np.flatnonzero(held_out[user])
        for item in own:
            rivals = [j for j in range(len(row)) if not held_out[user, j] and not seen[user, j]]
            ahead = sum(row[j] >= row[item] for j in rivals)
            ahead += sum(row[j] > row[item] or (row[j] == row[item] and j < item) for j in own)
            ranks.append(1 + ahead)
    return ranks


@pytest.mark.parametrize("block_size", [1, 3, 1024])
@pytest.mark.parametrize("num_values", [1, 2, 5, 10_000])
def test_ranks_equal_the_definition(num_values, block_size):
    # Few distinct values make many ties; every block size gives the same answer.
    generator = np.random.default_rng(num_values)
    for _ in range(10):
        table = generator.integers(num_values, size=(7, 13)).astype(np.float32)
        kind = generator.choice(["held out", "seen", "rest"], p=[0.2, 0.3, 0.5], size=table.shape)
        held_out, seen = kind == "held out", kind == "seen"
        held_out[0, 0], seen[0, 0] = True, False
        held = metrics.rank_held_out(from_table(table), csr(held_out), csr(seen), block_size)
        assert held.ranks.tolist() == _ranks_one_by_one(table, held_out, seen)


def test_only_users_with_held_out_items_are_scored_once_in_blocks():
    asked = []

    def score(users):
        asked.append(users.tolist())
        return np.zeros((len(users), 3))

    metrics.rank_held_out(score, csr([[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]), block_size=2)
    assert asked == [[0, 2], [3]]


def test_the_scorers_array_is_left_alone():
    table = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    before = table.copy()
    metrics.rank_held_out(lambda users: table, HELD_OUT, seen=csr([[1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]]))
    np.testing.assert_array_equal(table, before)


def test_stored_zeros_and_duplicates_are_no_extra_interactions():
    # item 1 twice, item 4 stored as 0
    held_out = sparse.csr_matrix(([1.0, 1.0, 0.0], [1, 1, 4], [0, 3]), shape=(1, 6))
    assert held_out.nnz == 3
    held = metrics.rank_held_out(from_table(SCORES), held_out)
    assert held.movies.tolist() == [1]
    assert held_out.nnz == 3, "the caller's matrix is not touched"


def test_memory_stays_bounded():
    num_users, num_items, block_size = 20_000, 5_000, 128
    generator = np.random.default_rng(0)
    columns = generator.integers(num_items, size=num_users)
    held_out = sparse.csr_matrix((np.ones(num_users, bool), columns, np.arange(num_users + 1)), (num_users, num_items))
    item_scores = generator.normal(size=num_items).astype(np.float32)

    tracemalloc.start()
    try:
        held = metrics.rank_held_out(lambda users: np.tile(item_scores, (len(users), 1)), held_out, None, block_size)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    block_bytes, dense_bytes = block_size * num_items * 4, num_users * num_items * 4
    assert peak < 10 * block_bytes < dense_bytes / 10
    # Everyone has the same list, so an item's rank is its place in it.
    place = np.empty(num_items, int)
    place[np.argsort(-item_scores)] = np.arange(num_items)
    np.testing.assert_array_equal(held.ranks, 1 + place[columns])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(held_out=csr([[0, 0]])), "no interaction"),
        (dict(held_out=np.eye(2)), "scipy.sparse"),
        (dict(held_out=csr([[1, 0]]), seen=csr([[0, 1, 0]])), r"\(1, 2\).*\(1, 3\)"),
        (dict(held_out=csr([[1, 0]]), seen=csr([[1, 1]])), "1 held-out interactions are also seen.*user 0, movie 0"),
        (dict(held_out=csr([[1, 0, 0]])), r"shape \(1, 2\).*expected \(1, 3\)"),
        (dict(held_out=csr([[1, 0]]), score=from_table([[0.0, np.nan]])), "NaN.*user 0, movie 1"),
        (dict(held_out=csr([[1, 0]]), block_size=0), "block_size must be at least 1"),
        (dict(held_out=csr([[1, 0]]), block_size=2.5), "block_size must be a whole number"),
    ],
)
def test_bad_input_to_ranking(arguments, message):
    with pytest.raises(ValueError, match=message):
        metrics.rank_held_out(**{"score": from_table([[0.0, 1.0]]), **arguments})


ALL = [
    metrics.hit_rate_at_k,
    metrics.recall_at_k,
    metrics.precision_at_k,
    metrics.ndcg_at_k,
    metrics.map_at_k,
    metrics.mrr_at_k,
]


@pytest.mark.parametrize("metric", ALL)
def test_a_hit_at_rank_k_is_the_last_that_counts(metric):
    held = metrics.HeldOutRanks([4], [0], [0])
    assert metric(held, 3) == 0
    assert metric(held, 4) > 0


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("k", [0, -3, 1.5, "10"])
def test_bad_k(metric, k):
    held = metrics.rank_held_out(from_table(SCORES), HELD_OUT)
    with pytest.raises(ValueError, match="k must be"):
        metric(held, k)


@pytest.mark.parametrize("metric", ALL)
def test_bad_ranks(metric):
    with pytest.raises(ValueError, match="one length"):
        metric(metrics.HeldOutRanks([1, 2], [0], [3]), 5)
    with pytest.raises(ValueError, match="no held-out"):
        metric(metrics.HeldOutRanks([], [], []), 5)
    with pytest.raises(ValueError, match="start at 1"):
        metric(metrics.HeldOutRanks([0], [0], [0]), 5)


@pytest.mark.parametrize("metric", ALL)
def test_numpy_integers_and_large_k_are_fine(metric):
    held = metrics.rank_held_out(from_table(SCORES), HELD_OUT)
    assert metric(held, np.int64(3)) == metric(held, 3)
    assert 0 < metric(held, 1000) <= 1
