"""Artefacts: what a fresh process reads from disk answers as the live model does, and nothing but what it promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from recsys_course import baselines, metrics, serving
from recsys_course.serving.export import EXTRA, retrieval_module
from recsys_course.serving.retrieval_module import ExactSearch, RetrievalModule
from recsys_course.serving.user_lists import FILLED

needs_scann = pytest.mark.skipif(not serving.ScannSearch.is_available(), reason="ScaNN has wheels for Linux only")


@pytest.fixture(scope="module")
def exported(world, tmp_path_factory):
    return serving.export_retrieval(world.trained, tmp_path_factory.mktemp("models"), say=lambda line: None)


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported.exact))


def live_lists(world, k):
    """What the live towers recommend, in NumPy: float64 affinities, seen films out, equal ones by position."""
    trained = world.trained
    index = trained.index
    queries = trained.model.query_tower({"user_id": tf.constant(index.user_ids)}).numpy()
    scores = queries.astype(np.float64) @ trained.candidate_embeddings().astype(np.float64).T
    scores = np.where(index.matrix(trained.train).toarray() > 0, -np.inf, scores.astype(np.float32))
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return index.movie_ids[best], np.take_along_axis(scores, best, axis=1)


FRESH = """
import json, sys
import tensorflow as tf

exact, approximate, users = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
answers = {}


def ask(folder):
    answer = tf.saved_model.load(folder).signatures["serving_default"](user_id=tf.constant(users))
    return [[movie.decode() for movie in row] for row in answer["movie_ids"].numpy()]


answers["exact"] = ask(exact)
answers["modules"] = [name for name in ("scann", "tensorflow_recommenders", "recsys_course") if name in sys.modules]
if approximate:
    try:
        ask(approximate)
    except Exception as error:
        answers["refused"] = str(error)
    import scann.scann_ops.py.scann_ops

    answers["scann"] = ask(approximate)
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def fresh(world, exported):
    """The answers of a process that knows nothing but the folders."""
    users = world.trained.index.user_ids.tolist()
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(exported.exact), str(exported.scann or ""), json.dumps(users)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_fresh_process_gives_every_user_the_live_model_s_list(world, fresh):
    expected, _ = live_lists(world, 10)
    assert len(expected) == 120
    assert fresh["exact"] == expected.tolist()
    assert fresh["modules"] == [], "TensorFlow alone has to be enough"


@needs_scann
def test_scann_s_artefact_needs_its_ops_and_then_agrees(world, fresh):
    assert "Scann>TensorsToScann" in fresh["refused"]
    expected, _ = live_lists(world, 10)
    shared = [len(set(found) & set(exact)) / 10 for found, exact in zip(fresh["scann"], expected, strict=True)]
    assert np.mean(shared) > 0.97
    seen = {user: set(rows) for user, rows in world.trained.train.groupby("user_id", observed=True).movie_id}
    for user, found in zip(world.trained.index.user_ids, fresh["scann"], strict=True):
        assert len(set(found)) == 10 and not set(found) & seen[user]


def ops_of(folder: Path) -> set[str]:
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    (graph,) = (meta.graph_def for meta in model.meta_graphs)
    return {node.op for node in graph.node} | {
        node.op for function in graph.library.function for node in function.node_def
    }


def test_the_exact_artefact_has_stock_ops_alone(exported):
    ops = ops_of(exported.exact)
    assert {"MatMul", "TopKV2", "LookupTableFindV2"} <= ops
    assert {op for op in ops if not hasattr(tf.raw_ops, op)} == set()


@needs_scann
def test_scann_s_artefact_has_two_ops_of_its_own(exported):
    ops = ops_of(exported.scann)
    assert {op for op in ops if not hasattr(tf.raw_ops, op)} == {"Scann>ScannSearchBatched", "Scann>TensorsToScann"}


def test_signatures_are_what_the_contract_says(loaded):
    default, top_k = loaded.signatures["serving_default"], loaded.signatures["top_k"]
    assert set(loaded.signatures) == {"serving_default", "top_k"}
    assert default.structured_input_signature[1] == {"user_id": tf.TensorSpec([None], tf.string, "user_id")}
    assert top_k.structured_input_signature[1]["k"] == tf.TensorSpec([None], tf.int32, "k")
    for signature in (default, top_k):
        types = {name: spec.dtype for name, spec in signature.structured_outputs.items()}
        assert types == {"movie_ids": tf.string, "scores": tf.float32, "answered_by": tf.string}
    shapes = {name: spec.shape.as_list() for name, spec in default.structured_outputs.items()}
    assert shapes == {"movie_ids": [None, 10], "scores": [None, 10], "answered_by": [None]}


def test_scores_are_affinities_best_first_and_seen_films_are_out(world, loaded):
    trained = world.trained
    answer = loaded.signatures["serving_default"](user_id=tf.constant(trained.index.user_ids))
    _, affinities = live_lists(world, 10)
    np.testing.assert_allclose(answer["scores"], affinities, rtol=1e-5)
    assert (np.diff(answer["scores"]) <= 0).all()
    assert set(answer["answered_by"].numpy()) == {b"two-tower"}
    seen = {user: set(rows) for user, rows in trained.train.groupby("user_id", observed=True).movie_id}
    for user, row in zip(trained.index.user_ids, answer["movie_ids"].numpy().astype(str), strict=True):
        assert not set(row) & seen[user]


def test_an_answer_does_not_depend_on_its_batch(world, loaded):
    users = tf.constant(world.trained.index.user_ids)
    together = loaded.signatures["serving_default"](user_id=users)
    alone = [loaded.signatures["serving_default"](user_id=users[at : at + 1]) for at in range(len(users))]
    for name in ("movie_ids", "scores"):
        np.testing.assert_array_equal(np.concatenate([one[name] for one in alone]), together[name])
    mixed = loaded.signatures["top_k"](user_id=users[:2], k=tf.constant([10, 25]))
    np.testing.assert_array_equal(mixed["movie_ids"][0, :10], together["movie_ids"][0])
    assert set(mixed["movie_ids"][0, 10:].numpy()) == {b""} and (mixed["scores"][0, 10:].numpy() == FILLED).all()


def test_a_stranger_gets_what_is_popular_and_is_told(world, loaded):
    trained = world.trained
    popular = baselines.MostPopular().fit(trained.index.matrix(trained.train)).popularity
    best = np.argsort(-popular, kind="stable")[:10]
    answer = loaded.signatures["serving_default"](user_id=tf.constant(["stranger", "1", ""]))
    assert answer["answered_by"].numpy().tolist() == [b"popularity", b"two-tower", b"popularity"]
    for row in (0, 2):
        assert answer["movie_ids"].numpy()[row].astype(str).tolist() == trained.index.movie_ids[best].tolist()
        np.testing.assert_array_equal(answer["scores"][row], popular[best])


@pytest.mark.parametrize("which", ["exact", pytest.param("scann", marks=needs_scann)])
def test_k_is_checked_and_clamped_in_the_graph(world, exported, which):
    top_k = tf.saved_model.load(str(getattr(exported, which))).signatures["top_k"]
    num_movies, num_seen = world.trained.index.num_movies, int((world.trained.train.user_id == "1").sum())
    users = tf.constant(["1", "stranger"])
    answer = top_k(user_id=users, k=tf.constant([1_000_000, 2]))
    assert answer["movie_ids"].shape == (2, num_movies)
    given = (answer["movie_ids"].numpy() != b"").sum(axis=1)
    assert given.tolist() == [num_movies - num_seen, 2]
    for k in ([0, 3], [3, -1], [np.iinfo(np.int32).min, 1]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="k must be at least 1"):
            top_k(user_id=users, k=tf.constant(k, tf.int32))
    with pytest.raises(tf.errors.InvalidArgumentError, match="equally long"):
        top_k(user_id=users, k=tf.constant([3]))
    assert top_k(user_id=tf.constant([], tf.string), k=tf.constant([], tf.int32))["answered_by"].shape == (0,)


def small_module(embeddings, seen, queries=None):
    """A module whose users are "0", "1", ... and whose films are "a", "b", ..."""
    num_users, num_movies = np.shape(seen)
    queries = tf.constant(np.ones((num_users, 1)) if queries is None else queries, tf.float32)
    tower = lambda features: tf.gather(queries, tf.strings.to_number(features["user_id"], tf.int32))  # noqa: E731
    users, movies = [str(user) for user in range(num_users)], list("abcdefghijklmnop"[:num_movies])
    search = ExactSearch(np.array(embeddings, np.float32))
    return RetrievalModule(tower, search, users, movies, sparse.csr_matrix(np.array(seen, np.float32)))


def test_equal_scores_come_in_the_catalogue_s_order():
    module = small_module(np.zeros((12, 1)), np.zeros((2, 12)))
    answer = module.serving_default(tf.constant(["1"]))
    assert b"".join(answer["movie_ids"][0].numpy()) == b"abcdefghij"


def test_who_has_seen_nearly_everything_gets_a_short_list_and_empty_places():
    seen = np.ones((3, 12))
    seen[0, [3, 7]] = 0  # two films left
    seen[2] = 0
    module = small_module(np.arange(12)[:, None] - 6.0, seen)
    answer = module.serving_default(tf.constant(["0", "1", "2"]))
    movies, scores = answer["movie_ids"].numpy(), answer["scores"].numpy()
    assert movies[0].tolist() == [b"h", b"d"] + [b""] * 8 and scores[0, :2].tolist() == [1.0, -3.0]
    assert (scores[0, 2:] == FILLED).all() and np.isfinite(scores).all()
    assert set(movies[1]) == {b""}
    assert b"".join(movies[2]) == b"lkjihgfedc"


def test_a_catalogue_of_fewer_than_ten_films_still_gives_ten_places():
    module = small_module([[1.0], [2.0], [3.0]], np.zeros((1, 3)))
    assert module.serving_default(tf.constant(["0"]))["movie_ids"][0].numpy().tolist() == [b"c", b"b", b"a"] + [b""] * 7


def test_a_history_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected \(2, 3\), got \(2, 4\)"):
        RetrievalModule(lambda x: x, ExactSearch(np.zeros((3, 1))), ["1", "2"], ["a", "b", "c"], sparse.eye(2, 4))


@pytest.mark.parametrize("search", [ExactSearch, pytest.param(serving.ScannSearch, marks=needs_scann)])
def test_embeddings_of_a_training_that_diverged_are_refused(search):
    with pytest.raises(ValueError, match="the training has diverged"):
        search(np.full((40, 4), np.nan, np.float32))


@needs_scann
def test_scann_builds_the_same_index_each_time_and_says_when_it_cannot(world):
    embeddings = world.trained.candidate_embeddings()
    one, other = (serving.ScannSearch(embeddings).state for _ in range(2))
    for name in ("datapoint_to_token", "hashed_dataset", "dataset"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    with pytest.raises(ValueError, match="16 films or more, got 15"):
        serving.ScannSearch(embeddings[:15])
    serving.ScannSearch(embeddings[:16])


@needs_scann
def test_scann_s_manifest_says_how_much_of_exact_search_it_finds(world, exported, fresh):
    expected, _ = live_lists(world, 10)
    recall = metrics.neighbor_recall_at_k(np.array(fresh["scann"]), expected.astype(str))
    assert serving.verify(exported.scann)["recall of exact search's films @10"] == pytest.approx(recall, abs=1e-4)


@needs_scann
def test_two_versions_in_one_process_do_not_share_an_index(world, exported, tmp_path):
    """TensorFlow looks handles up by name; if two indices had one, the older version would answer for both."""
    trained = world.trained
    first = tf.saved_model.load(str(exported.scann))
    turned = retrieval_module(trained, serving.ScannSearch(-trained.candidate_embeddings()))
    tf.saved_model.save(turned, str(tmp_path / "2"), signatures=turned.signatures)
    second = tf.saved_model.load(str(tmp_path / "2"))
    user = tf.constant(trained.index.user_ids[:20])
    ask = [model.signatures["serving_default"](user_id=user)["movie_ids"].numpy() for model in (first, second, first)]
    assert not (ask[0] == ask[1]).any() and (ask[0] == ask[2]).all()


def test_scann_missing_is_said_and_the_exact_artefact_written(world, tmp_path, monkeypatch):
    monkeypatch.setattr("recsys_course.serving.scann_search.scann_ops", None)
    said = []
    done = serving.export_retrieval(world.trained, tmp_path, say=said.append)
    assert done.scann is None and done.exact == tmp_path / "retrieval" / "1"
    assert "ScaNN is not installed" in said[-1] and not (tmp_path / "retrieval_scann").exists()
    with pytest.raises(ImportError, match="use ExactSearch"):
        serving.ScannSearch(np.zeros((3, 1)))


def test_the_manifest_says_how_it_was_made_and_how_good_it_is(world, exported, loaded):
    trained, split = world.trained, world.split
    manifest = serving.verify(exported.exact)
    assert manifest["libraries"]["tensorflow"] == tf.__version__
    assert manifest["created"].endswith("+00:00")
    assert manifest["dataset"]["users"] == 120 and manifest["dataset"]["training interactions"] == len(split.train)
    assert {"saved_model.pb", f"{EXTRA}/catalogue.json"} <= set(manifest["files"])
    # The figures of the live model hold for what is served: count the hits in the artefact's own lists.
    for part in ("validation", "test"):
        held_out = getattr(split, part)
        answer = loaded.signatures["serving_default"](user_id=tf.constant(held_out.user_id.astype(str)))
        hits = (answer["movie_ids"].numpy().astype(str) == held_out.movie_id.astype(str).to_numpy()[:, None]).any(
            axis=1
        )
        assert hits.mean() == pytest.approx(manifest["hit rates"][part]["two-tower, seen-out @10"], abs=1e-4)
    popular = baselines.MostPopular().fit(trained.index.matrix(split.train))
    ranked = metrics.rank_held_out(popular.score, trained.index.matrix(split.test))
    stored = manifest["hit rates"]["test"]
    assert stored["most popular, raw @10"] == pytest.approx(metrics.hit_rate_at_k(ranked, 10), abs=1e-4)
    assert stored["two-tower, seen-out @10"] > stored["most popular, seen-out @10"]


@pytest.mark.parametrize("which", ["exact", pytest.param("scann", marks=needs_scann)])
def test_warm_up_requests_are_answered(exported, which):
    folder = getattr(exported, which)
    model = tf.saved_model.load(str(folder))
    asked = []
    for record in tf.data.TFRecordDataset(str(folder / EXTRA / "tf_serving_warmup_requests")):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == folder.parent.name
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        answer = model.signatures[request.model_spec.signature_name](**inputs)
        asked.append((request.model_spec.signature_name, set(answer["answered_by"].numpy())))
    assert {signature for signature, _ in asked} == {"serving_default", "top_k"}
    assert set.union(*(by for _, by in asked)) == {b"two-tower", b"popularity"}


def test_the_catalogue_beside_it_names_films_and_what_users_liked(world, exported):
    trained = world.trained
    catalogue = json.loads((exported.exact / EXTRA / "catalogue.json").read_text(encoding="utf-8"))
    assert list(catalogue["movies"]) == trained.movies.movie_id.tolist()
    assert catalogue["movies"]["1"] == {"title": "Film 0 of group 0", "year": 1950, "genres": ["Western"]}
    rated = trained.train[trained.train.user_id == "7"].astype({"movie_id": str}).set_index("movie_id").user_rating
    liked = catalogue["users"]["7"]
    assert 0 < len(liked) <= 20 and rated[liked].min() >= 4
    assert (np.diff(rated[liked]) <= 0).all() and len(liked) == min(20, (rated >= 4).sum())


def test_titles_without_a_year_and_users_without_a_favourite(world):
    trained = world.trained
    movies = trained.movies.copy()
    movies.loc[0, "movie_title"], movies.loc[1, "movie_title"] = "No year", "Amélie (Le fabuleux destin) (2001) "
    train = trained.train.assign(user_rating=trained.train.user_rating.where(trained.train.user_id != "7", 3.0))
    catalogue = serving.export.catalogue(replace(trained, movies=movies, train=train))
    first, second = list(catalogue["movies"].values())[:2]
    assert (first["title"], first["year"]) == ("No year", None)
    assert (second["title"], second["year"]) == ("Amélie (Le fabuleux destin)", 2001)
    assert catalogue["users"]["7"] == [] and catalogue["users"]["8"] != []
