"""Ranking metrics against two independent implementations: trec_eval (by ir_measures) and TFRS."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs
from ir_measures import AP, RR, P, R, nDCG
from scipy import sparse

from recsys_course import metrics

NUM_USERS, NUM_ITEMS = 40, 60


def random_case(seed):
    """Scores without ties, held-out and seen items that do not overlap; some users have no held-out item."""
    generator = np.random.default_rng(seed)
    scores = generator.permuted(np.tile(np.arange(NUM_ITEMS), (NUM_USERS, 1)), axis=1).astype(np.float32)
    kind = generator.choice(3, p=[0.75, 0.1, 0.15], size=scores.shape)
    kind[:3][kind[:3] == 1] = 0
    return scores, kind == 1, kind == 2


@pytest.mark.parametrize("with_seen", [False, True])
@pytest.mark.parametrize("k", [1, 5, 20, 60])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equal_to_trec_eval(seed, k, with_seen):
    scores, held_out, seen = random_case(seed)
    candidates = ~seen if with_seen else np.ones_like(seen)
    judged = [ir_measures.Qrel(str(u), str(i), 1) for u, i in np.argwhere(held_out)]
    run = [ir_measures.ScoredDoc(str(u), str(i), float(scores[u, i])) for u, i in np.argwhere(candidates)]
    wanted = {
        R @ k: metrics.recall_at_k,
        P @ k: metrics.precision_at_k,
        nDCG @ k: metrics.ndcg_at_k,
        AP @ k: metrics.map_at_k,
        RR @ k: metrics.mrr_at_k,
    }
    # Only users with held-out items are in a mean, here as there.
    run = [entry for entry in run if held_out[int(entry.query_id)].any()]
    oracle = ir_measures.calc_aggregate(list(wanted), judged, run)

    held = metrics.rank_held_out(
        lambda users: scores[users], sparse.csr_matrix(held_out), sparse.csr_matrix(seen) if with_seen else None
    )
    assert len(np.unique(held.users)) < NUM_USERS
    for measure, metric in wanted.items():
        assert metric(held, k) == pytest.approx(oracle[measure], abs=1e-6), measure

    # Hit rate is recall weighted by how many items each user holds out.
    recall = {m.query_id: m.value for m in ir_measures.iter_calc([R @ k], judged, run)}
    hits = sum(recall[str(user)] * row.sum() for user, row in enumerate(held_out) if row.any())
    assert metrics.hit_rate_at_k(held, k) == pytest.approx(hits / held_out.sum(), abs=1e-6)


KS = (1, 5, 10, 30)


def top_k_categorical_accuracy(query_embeddings, candidate_embeddings, users, items, with_ids):
    """TFRS' own metric over one batch of held-out interactions."""
    ids = tf.constant([str(i) for i in range(len(candidate_embeddings))])
    if with_ids:
        candidates = tfrs.layers.factorized_top_k.BruteForce(k=max(KS)).index(candidate_embeddings, ids)
    else:
        candidates = tf.data.Dataset.from_tensor_slices(candidate_embeddings).batch(16)
    metric = tfrs.metrics.FactorizedTopK(candidates, ks=KS)
    metric.update_state(
        query_embeddings[users],
        candidate_embeddings[items],
        true_candidate_ids=tf.gather(ids, items) if with_ids else None,
    )
    return [float(value) for value in metric.result()]


@pytest.mark.parametrize("with_ids", [False, True])
def test_hit_rate_equals_factorized_top_k(with_ids):
    # Without ids TFRS compares the held-out item's affinity with the k best ones, the item's own among them, computed
    # another way: where the two round differently the item loses to itself. Multiples of 1/256 have exact products.
    generator = np.random.default_rng(3)
    queries = np.round(generator.normal(size=(NUM_USERS, 8)) * 256).astype(np.float32) / 256
    candidates = np.round(generator.normal(size=(NUM_ITEMS, 8)) * 256).astype(np.float32) / 256
    held_out = generator.random((NUM_USERS, NUM_ITEMS)) < 0.1
    users, items = np.nonzero(held_out)

    held = metrics.rank_held_out(lambda rows: queries[rows] @ candidates.T, sparse.csr_matrix(held_out))
    ours = [metrics.hit_rate_at_k(held, k) for k in KS]
    assert ours == pytest.approx(top_k_categorical_accuracy(queries, candidates, users, items, with_ids))
    assert 0 < ours[0] < ours[-1] < 1


def test_a_constant_model_is_perfect_there_and_worthless_here():
    # All embeddings alike: every score ties. Without ids TFRS asks if the held-out item's score is among the k best;
    # all scores are the same, so it is. Here the item stands behind all the others.
    queries, candidates = np.ones((NUM_USERS, 4), np.float32), np.ones((NUM_ITEMS, 4), np.float32)
    users = np.arange(NUM_USERS)
    items = (7 * users) % NUM_ITEMS
    held_out = sparse.csr_matrix((np.ones(NUM_USERS), (users, items)), (NUM_USERS, NUM_ITEMS))

    held = metrics.rank_held_out(lambda rows: queries[rows] @ candidates.T, held_out)
    assert top_k_categorical_accuracy(queries, candidates, users, items, with_ids=False) == [1.0] * len(KS)
    assert [metrics.hit_rate_at_k(held, k) for k in KS] == [0.0] * len(KS)
    # With ids TFRS asks whether the item is one of the k that top-k happened to return: k of the 60.
    with_ids = top_k_categorical_accuracy(queries, candidates, users, items, with_ids=True)
    assert with_ids == pytest.approx([np.isin(items, np.arange(k)).mean() for k in KS])
