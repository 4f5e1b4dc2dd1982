"""What every index promises, asked of every adapter."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from support.indices import DIM, NUM_ITEMS, careful

from recsys_course import indices
from recsys_course.metrics import neighbor_recall_at_k

NONE = np.iinfo(np.int64).min  # no id of any corpus here


def refusal(action) -> str:
    with pytest.raises(ValueError) as error:
        action()
    return str(error.value)


# --- What is found ------------------------------------------------------------------------------------------------


def test_known_neighbours_best_first(built, corpus, right):
    found = built.search(corpus.queries, 5)
    np.testing.assert_array_equal(found.ids, right[:, :5])
    affinities = -np.sort(-(corpus.queries @ corpus.embeddings.T), axis=1)[:, :5]
    np.testing.assert_allclose(found.scores, affinities, rtol=1e-4)
    assert found.scores.dtype == np.float32 and found.ids.dtype == np.int64


def test_one_query_at_a_time_finds_the_same(built, corpus):
    together = built.search(corpus.queries, 5)
    for row in range(3):
        np.testing.assert_array_equal(built.search(corpus.queries[[row]], 5).ids, together.ids[[row]])


def test_no_query_is_an_empty_answer(built):
    found = built.search(np.empty((0, DIM), np.float32), 5)
    assert found.scores.shape == found.ids.shape == (0, 5)


def test_k_beyond_the_corpus_gives_every_item(built, corpus, right):
    found = built.search(corpus.queries, 10 * NUM_ITEMS)
    assert found.ids.shape == found.scores.shape == (len(corpus.queries), NUM_ITEMS)
    # A graph may hold items that no walk reaches; what it does find is no other item, and none twice.
    assert neighbor_recall_at_k(found.ids, right) > 0.98
    for ids, scores in zip(found.ids, found.scores, strict=True):
        real = ids != indices.NO_ITEM
        assert set(ids[real]) <= set(corpus.ids) and len(set(ids[real])) == real.sum()
        assert (scores[~real] == -np.inf).all() and np.isfinite(scores[real]).all()
    assert (found.scores[:, 1:] <= found.scores[:, :-1]).all()


def test_ids_may_be_strings(index, corpus, right):
    text = np.array([f"film {one}" for one in corpus.ids], dtype=object)  # as pandas has them
    found = index.build(corpus.embeddings, text).search(corpus.queries, 3, exclude=[["film 3"]] * len(corpus.queries))
    assert found.ids.dtype.kind == "U"
    for ids, best in zip(found.ids, right, strict=True):
        assert ids.tolist() == [f"film {one}" for one in best if one != 3][:3]


def test_without_ids_items_are_numbered(index, corpus):
    found = index.build(corpus.embeddings).search(corpus.queries, 1)
    np.testing.assert_array_equal(found.ids[:, 0], (corpus.queries @ corpus.embeddings.T).argmax(axis=1))


def test_other_floating_dtypes_and_strides_are_taken(index, corpus, right):
    wide = np.asfortranarray(corpus.embeddings.astype(np.float64))
    found = index.build(wide, corpus.ids.tolist()).search(corpus.queries[::-1], 3)
    np.testing.assert_array_equal(found.ids, right[::-1, :3])


def test_the_callers_array_stays_the_callers(index, corpus, right):
    mine = corpus.embeddings.copy()
    index.build(mine, corpus.ids)
    mine[:] = 0
    np.testing.assert_array_equal(index.search(corpus.queries, 3).ids, right[:, :3])


def test_building_again_forgets_what_was_there(index, corpus):
    index.build(corpus.embeddings, corpus.ids)
    index.build(corpus.embeddings[:100], corpus.ids[:100])
    assert index.num_items == 100
    assert set(index.search(corpus.queries, 5).ids.ravel()) <= set(corpus.ids[:100])


def test_two_builds_find_the_same_where_that_is_promised(name, corpus):
    """With rough settings, which show any difference between two builds."""
    adapter = indices.ADAPTERS[name]
    parameters = {field: 4 for field in ("num_leaves_to_search", "num_links", "ef_construction", "ef_search")}
    rough = {**careful(name).parameters, **parameters, "reorder": 20, "num_trees": 2, "num_nodes_to_search": 20}
    make = lambda: adapter(**{key: rough[key] for key in careful(name).parameters})  # noqa: E731
    if not make().is_reproducible:
        pytest.skip(f"{name} does not promise it")
    first, second = (make().build(corpus.embeddings, corpus.ids).search(corpus.queries, 20) for _ in range(2))
    np.testing.assert_array_equal(first.ids, second.ids)
    np.testing.assert_array_equal(first.scores, second.scores)


# --- Exclusions ---------------------------------------------------------------------------------------------------


def test_excluded_items_make_room_for_the_next(built, corpus, right):
    exclude = [right[row, : row % 4].tolist() for row in range(len(corpus.queries))]
    found = built.search(corpus.queries, 5, exclude)
    for row, ids in enumerate(found.ids):
        np.testing.assert_array_equal(ids, right[row, row % 4 :][:5])


def test_exclusions_that_leave_fewer_than_k_leave_empty_places(built, corpus, right):
    exclude = [[], right[1, 2:], right[2]]
    found = built.search(corpus.queries[:3], 5, exclude)
    assert found.ids.shape == (3, 5)
    np.testing.assert_array_equal(found.ids[0], right[0, :5])
    np.testing.assert_array_equal(found.ids[1], [*right[1, :2], -1, -1, -1])
    assert (found.ids[2] == indices.NO_ITEM).all() and (found.scores[2] == -np.inf).all()


def test_unknown_and_repeated_exclusions_change_nothing(built, corpus, right):
    best = right[0, 0]
    found = built.search(corpus.queries[:1], 3, exclude=[[NONE, best, 12345678, best]])
    np.testing.assert_array_equal(found.ids[0], right[0, 1:4])


# --- What is refused, in the same words by every adapter -----------------------------------------------------------


def test_bad_searches(built, corpus):
    one = corpus.queries[:1]
    broken = one.copy()
    broken[0, 3] = np.nan
    assert refusal(lambda: built.search(one, 0)) == "k must be at least 1, got 0."
    assert refusal(lambda: built.search(one, -5)) == "k must be at least 1, got -5."
    assert refusal(lambda: built.search(one, 2.5)) == "k must be a whole number of at least 1, got 2.5."
    assert refusal(lambda: built.search(one, None)) == "k must be a whole number of at least 1, got None."
    assert "queries must be finite, got nan in row 0, column 3" in refusal(lambda: built.search(broken, 3))
    assert "got inf in row 0, column 0" in refusal(lambda: built.search(np.float64([[1e300] * DIM]), 3))
    assert "[num_queries, 16] float32, got shape (1, 15)" in refusal(lambda: built.search(one[:, 1:], 3))
    assert "got shape (16,). For a single one write queries[None]" in refusal(lambda: built.search(one[0], 3))
    assert "got dtype int64" in refusal(lambda: built.search(np.ones((1, DIM), int), 3))
    assert "for each of the 1 queries" in refusal(lambda: built.search(one, 3, exclude=[]))
    assert "holds ids that are integers, got strings (such as 'a')" in refusal(lambda: built.search(one, 3, [["a"]]))
    assert "a bare string" in refusal(lambda: built.search(one, 3, exclude=["3"]))


def test_bad_items(index, corpus):
    embeddings, ids = corpus.embeddings, corpus.ids
    infinite = embeddings.copy()
    infinite[7, 2] = -np.inf
    assert "with at least one row and one column, got shape (0, 16)" in refusal(lambda: index.build(embeddings[:0], []))
    assert "got shape (400, 0)" in refusal(lambda: index.build(embeddings[:, :0], ids))
    assert "embeddings must be finite, got -inf in row 7, column 2" in refusal(lambda: index.build(infinite, ids))
    assert "got dtype <U" in refusal(lambda: index.build(embeddings.astype(str), ids))
    assert "got 400 embeddings and 399 ids" in refusal(lambda: index.build(embeddings, ids[1:]))
    assert "unique, got id 3 more than once" in refusal(lambda: index.build(embeddings, np.where(ids < 17, 3, ids)))
    assert "all of one kind" in refusal(lambda: index.build(embeddings, ids + 0.5))
    assert "got bytes" in refusal(lambda: index.build(embeddings, ids.astype("S")))
    assert "the id -1 is reserved" in refusal(lambda: index.build(embeddings, ids - 4))
    assert "the id '' is reserved" in refusal(lambda: index.build(embeddings, [""] + [str(one) for one in ids[1:]]))
    with pytest.raises(RuntimeError, match="is not built yet"):
        index.search(corpus.queries, 3)


def test_a_failed_build_leaves_the_index_as_it_was(index, corpus, right):
    index.build(corpus.embeddings, corpus.ids)
    refusal(lambda: index.build(corpus.embeddings, corpus.ids[1:]))
    np.testing.assert_array_equal(index.search(corpus.queries, 3).ids, right[:, :3])


def test_what_is_not_built_says_so(index, corpus, tmp_path):
    for action in (
        lambda: index.search(corpus.queries, 3),
        lambda: index.add(corpus.embeddings, corpus.ids),
        lambda: index.remove(corpus.ids),
        lambda: index.save(tmp_path / "index"),
    ):
        with pytest.raises(RuntimeError, match=r"is not built yet: call build\(embeddings, ids\) first"):
            action()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [0, -1, 2.5, "3", None])
def test_a_parameter_without_meaning_is_refused(name, value):
    index = careful(name)
    for parameter in index.at_least:
        if value is None and parameter in {"num_leaves", "build_threads", "num_reordering_candidates"}:
            continue
        message = refusal(lambda parameter=parameter: type(index)(**{parameter: value}))
        assert f"{name}: {parameter} must be a whole number of at least" in message and f"got {value!r}" in message


def test_every_library_was_asked():
    missing = [name for name, adapter in indices.ADAPTERS.items() if not adapter.is_available()]
    if missing:
        pytest.skip(f"the contract was not put to {', '.join(missing)}: their libraries are not installed")


@pytest.mark.parametrize("name", list(indices.ADAPTERS))
def test_a_missing_library_is_named_with_what_to_do(name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    adapter = indices.ADAPTERS[name]
    if not adapter.library:
        assert adapter.is_available()
        return
    assert not adapter.is_available()
    with pytest.raises(ImportError, match=rf"needs the library {adapter.library}.*`pip install .*use indices\.\w+\."):
        adapter()
    assert adapter.instead in indices.ADAPTERS


# --- Search-time parameters ---------------------------------------------------------------------------------------


def test_search_parameters_are_used_by_the_next_search(name, corpus, right):
    index = careful(name).build(corpus.embeddings, corpus.ids)
    grid = index.search_grid(5)
    assert all(set(setting) == set(index.search_parameters) for setting in grid)
    if not index.search_parameters:
        return
    recalls = []
    for setting in (dict.fromkeys(grid[0], 1), grid[-1]):
        assert index.set_search(**setting).search_parameters == setting
        recalls.append(neighbor_recall_at_k(index.search(corpus.queries, 1).ids, right[:, :1]))
    assert recalls[0] < recalls[1] == 1


def test_a_search_parameter_that_is_none_is_refused_and_changes_nothing(built):
    before = built.search_parameters
    assert f"{type(built).__name__} has no search-time parameter colour" in refusal(lambda: built.set_search(colour=3))
    for parameter in before:
        refusal(lambda parameter=parameter: built.set_search(**{parameter: 0}))
    assert built.search_parameters == before


# --- Items come and go --------------------------------------------------------------------------------------------


def test_added_items_are_found_or_the_refusal_says_what_to_do(index, corpus, right):
    index.build(corpus.embeddings[:300], corpus.ids[:300])
    try:
        index.add(corpus.embeddings[300:350], corpus.ids[300:350])
    except indices.NotSupported as error:
        assert "cannot add items once it is built. Build it again" in str(error)
        assert index.num_items == 300
        index.search(corpus.queries, 5)
        return
    index.add(corpus.embeddings[350:], corpus.ids[350:])
    assert index.num_items == NUM_ITEMS
    np.testing.assert_array_equal(index.search(corpus.queries, 5).ids, right[:, :5])


def test_removed_items_are_gone_or_the_refusal_says_what_to_do(index, corpus, right, tmp_path):
    index.build(corpus.embeddings, corpus.ids)
    gone = np.unique(right[:, 0])
    try:
        index.remove(gone)
    except indices.NotSupported as error:
        assert "cannot remove items once it is built" in str(error) and "name them in exclude" in str(error)
        np.testing.assert_array_equal(index.search(corpus.queries, 5).ids, right[:, :5])
        return
    assert index.num_items == NUM_ITEMS - len(gone)
    left = np.array([[one for one in row if one not in gone] for row in right])
    np.testing.assert_array_equal(index.search(corpus.queries, 5).ids, left[:, :5])
    assert not set(index.search(corpus.queries, NUM_ITEMS).ids.ravel()) & set(gone)
    # Saved and loaded, they stay away; and an id that is gone may come back, as another item.
    index.save(tmp_path / "index")
    loaded = indices.load(tmp_path / "index")
    np.testing.assert_array_equal(loaded.search(corpus.queries, 5).ids, left[:, :5])
    loaded.add(100 * corpus.queries[:1], gone[:1])
    assert loaded.search(corpus.queries[:1], 2).ids.tolist() == [[gone[0], left[0, 0]]]


def test_bad_changes_are_refused_and_change_nothing(index, corpus, right):
    index.build(corpus.embeddings, corpus.ids)
    new = corpus.embeddings[:2]
    try:
        assert "holds id 3 already" in refusal(lambda: index.add(new, [3, 5]))
        assert "more than once" in refusal(lambda: index.add(new, [5, 5]))
        assert "got 2 embeddings and 1 ids" in refusal(lambda: index.add(new, [5]))
        assert "got shape (2, 15)" in refusal(lambda: index.add(new[:, 1:], [5, 6]))
        assert "integers, got strings" in refusal(lambda: index.add(new, ["a", "b"]))
    except indices.NotSupported:
        pass
    try:
        assert "does not hold id 5" in refusal(lambda: index.remove([3, 5]))
        assert "more than once" in refusal(lambda: index.remove([3, 3]))
        assert "all 400 items would be removed" in refusal(lambda: index.remove(corpus.ids))
    except indices.NotSupported:
        pass
    assert index.num_items == NUM_ITEMS
    np.testing.assert_array_equal(index.search(corpus.queries, 5).ids, right[:, :5])


# --- Saved and loaded ---------------------------------------------------------------------------------------------


def test_a_loaded_index_is_the_same_index(built, corpus, tmp_path):
    built.save(tmp_path / "new" / "index")
    loaded = indices.load(tmp_path / "new" / "index")
    assert repr(loaded) == repr(built) and loaded.num_items == NUM_ITEMS and loaded.embedding_dim == DIM
    for k in (5, NUM_ITEMS):
        before, after = built.search(corpus.queries, k), loaded.search(corpus.queries, k)
        np.testing.assert_array_equal(after.ids, before.ids)
        np.testing.assert_array_equal(after.scores, before.scores)
    loaded.save(tmp_path / "again")
    np.testing.assert_array_equal(indices.load(tmp_path / "again").search(corpus.queries, 5).ids, before.ids[:, :5])


def test_another_process_loads_what_this_one_saved(corpus, right, tmp_path):
    np.save(tmp_path / "queries.npy", corpus.queries)
    names = [name for name, adapter in indices.ADAPTERS.items() if adapter.is_available()]
    for name in names:
        careful(name).build(corpus.embeddings, corpus.ids).save(tmp_path / name)
    script = (
        "import json, sys, numpy as np; from recsys_course import indices; queries = np.load('queries.npy');"
        "print(json.dumps({name: indices.load(name).search(queries, 5).ids.tolist() for name in sys.argv[1:]}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, *names], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = json.loads(run.stdout)
    assert list(found) == names
    for name in names:
        np.testing.assert_array_equal(found[name], right[:, :5], err_msg=name)


def test_a_save_that_breaks_off_leaves_nothing(built, tmp_path, monkeypatch):
    write = type(built)._write

    def breaks_off(self, folder):
        write(self, folder)
        raise OSError("no space left on device")

    monkeypatch.setattr(type(built), "_write", breaks_off)
    with pytest.raises(OSError, match="no space left"):
        built.save(tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_index_is_never_written_over(built, tmp_path):
    (tmp_path / "index").mkdir()
    with pytest.raises(FileExistsError, match="is saved to a new folder"):
        built.save(tmp_path / "index")
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_half_of_a_saved_index_is_refused(built, tmp_path):
    built.save(tmp_path / "index")
    files = [path for path in (tmp_path / "index").rglob("*") if path.is_file()]
    assert len(files) >= 3
    for path in files:
        whole = path.read_bytes()
        path.unlink()
        assert "half-written" in refusal(lambda: indices.load(tmp_path / "index"))
        if whole:
            path.write_bytes(whole[: len(whole) // 2])
            assert "half-written" in (said := refusal(lambda: indices.load(tmp_path / "index"))) or "damaged" in said
        path.write_bytes(whole)
    indices.load(tmp_path / "index")


def test_a_folder_that_is_no_index_is_refused(tmp_path):
    assert "is no saved index, or a half-written one: it does not exist" in refusal(
        lambda: indices.load(tmp_path / "nowhere")
    )
    assert "has no index.json" in refusal(lambda: indices.load(tmp_path))
    (tmp_path / "index.json").write_text('{"format": 99, "files": {}}')
    assert "has format 99, this version reads 1" in refusal(lambda: indices.load(tmp_path))
    (tmp_path / "index.json").write_text('{"format": 1, "files": {}, "adapter": "Oracle", "parameters": {}}')
    assert "Oracle" in refusal(lambda: indices.load(tmp_path))
