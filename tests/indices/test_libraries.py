"""What is peculiar to one library: the facts that its adapter works around, or hands on."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from support.indices import careful

from recsys_course import data, indices
from recsys_course.metrics import neighbor_recall_at_k


@pytest.fixture(scope="module")
def catalogue():
    return data.synthetic_catalogue(4000, embedding_dim=32, num_queries=100)


@pytest.fixture(scope="module")
def right(catalogue):
    return indices.Exact().build(catalogue.embeddings).search(catalogue.queries, 10).ids


def recall(index, catalogue, right):
    return neighbor_recall_at_k(index.search(catalogue.queries, 10).ids, right)


def test_which_are_exact():
    exact = [name for name, adapter in indices.ADAPTERS.items() if adapter.is_available() and adapter().is_exact]
    assert exact == ["Exact", "TfrsBruteForce", "FaissFlat"]


def test_importing_the_package_imports_no_library():
    code = (
        "import sys; from recsys_course import indices;"
        "print([m for m in ('tensorflow', 'scann', 'faiss', 'usearch', 'hnswlib', 'annoy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_tfrs_layer_fills_up_with_item_0_and_the_adapter_does_not():
    import tensorflow as tf

    careful("TfrsScann")
    random = np.random.default_rng(0)
    embeddings = random.standard_normal((200, 8), dtype=np.float32)
    index = indices.TfrsScann(num_leaves=20, num_leaves_to_search=1).build(embeddings, np.arange(100, 300))
    scores, keys = index.layer(tf.constant(embeddings[:10]), k=150)
    filled = np.isnan(scores.numpy())
    assert filled.any() and (keys.numpy()[filled] == 0).all()
    assert keys.shape[1] < 150  # and its rows are as long as the longest answer, not as k
    found = index.search(embeddings[:10], 150)
    assert found.ids.shape == (10, 150) and (found.ids == indices.NO_ITEM).any()
    assert (np.isneginf(found.scores) == (found.ids == indices.NO_ITEM)).all()


def test_reordering_mends_what_quantised_scores_miss_where_more_leaves_do_not(catalogue, right):
    careful("Scann")
    index = indices.Scann(num_leaves=40, reorder=10, dimensions_per_block=4).build(catalogue.embeddings)
    few = recall(index.set_search(num_leaves_to_search=20, reorder=10), catalogue, right)
    all_leaves = recall(index.set_search(num_leaves_to_search=40, reorder=10), catalogue, right)
    reordered = recall(index.set_search(num_leaves_to_search=20, reorder=200), catalogue, right)
    assert all_leaves - few < 0.05 < reordered - few


def test_soar_is_built_with_and_refuses_removals(catalogue):
    careful("Scann")
    index = indices.Scann(num_leaves=40, num_leaves_to_search=40, reorder=500, soar_lambda=1.5)
    index.build(catalogue.embeddings[:3900]).add(catalogue.embeddings[3900:], np.arange(3900, 4000))
    with pytest.raises(indices.NotSupported, match="with SOAR"):
        index.remove([3])
    with_all = indices.Exact().build(catalogue.embeddings).search(catalogue.queries, 10).ids
    assert recall(index, catalogue, with_all) > 0.99


def test_faiss_codes_the_residual_and_its_blocks_divide_the_embedding(catalogue):
    import faiss

    index = indices.FaissIVFPQ(num_leaves=20).build(catalogue.embeddings)
    assert faiss.downcast_index(index._index.base_index).by_residual
    with pytest.raises(ValueError, match="must divide the 32 dimensions of the embeddings, got 5"):
        indices.FaissIVFPQ(dimensions_per_block=5).build(catalogue.embeddings)


def test_leaves_are_filed_by_distance_and_chosen_by_inner_product(catalogue, right):
    import faiss

    adapted = indices.FaissIVFFlat(num_leaves=120, num_leaves_to_search=10).build(catalogue.embeddings)
    one_measure = faiss.index_factory(32, "IVF120,Flat", faiss.METRIC_INNER_PRODUCT)
    one_measure.train(catalogue.embeddings)
    one_measure.add(catalogue.embeddings)
    ids = one_measure.search(catalogue.queries, 10, params=faiss.SearchParametersIVF(nprobe=10))[1]
    assert recall(adapted, catalogue, right) > neighbor_recall_at_k(ids, right) + 0.1


def test_single_queries_leave_faiss_its_threads(catalogue):
    import faiss

    index = indices.FaissFlat().build(catalogue.embeddings)
    before = faiss.omp_get_max_threads()
    index.search(catalogue.queries[:1], 10)
    assert faiss.omp_get_max_threads() == before


@pytest.mark.parametrize("name", ["Scann", "TfrsScann", "FaissIVFFlat", "FaissIVFPQ"])
def test_too_few_items_are_refused_with_what_to_use(name):
    careful(name)
    with pytest.raises(ValueError, match=r"fewer than 30 items, got 20.*indices\.Exact"):
        indices.ADAPTERS[name](num_leaves=30).build(np.eye(20, dtype=np.float32))


def test_graphs_promise_reproducible_builds_with_one_thread_only():
    assert indices.FaissHNSW().is_reproducible and not indices.FaissHNSW(build_threads=2).is_reproducible


def test_scann_builds_in_silence(capfd, catalogue):
    careful("Scann").build(catalogue.embeddings)
    assert capfd.readouterr().err == ""
