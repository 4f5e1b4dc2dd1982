"""The artefact: a fresh process and the course's server answer as the live object does, by user and by liked films."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from recsys_course import recommender, serving
from recsys_course.serving.client import Refused, RestClient
from recsys_course.serving.user_lists import FILLED

RULES = {"diversity": 0.5, "genre_share": 0.5}
FRESH = """
import json, sys
import tensorflow as tf

folder, users, liked = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
model = tf.saved_model.load(folder)
answers = [
    model.signatures["serving_default"](user_id=tf.constant(users)),
    model.signatures["liked"](liked=tf.constant(liked), k=tf.fill([len(liked)], 7)),
]
names = ("movie_ids", "because", "answered_by")
print(json.dumps([{name: answer[name].numpy().astype(str).tolist() for name in names} for answer in answers]))
print(json.dumps([name for name in ("tensorflow_recommenders", "recsys_course") if name in sys.modules]))
"""


@pytest.fixture(scope="module")
def live(world):
    return world.module(**RULES)


@pytest.fixture(scope="module")
def models(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    recommender.export_recommender(world.trained(**RULES), folder, say=lambda line: None)
    return folder


@pytest.fixture(scope="module")
def questions(world):
    """Users, a stranger among them; and lists of liked films, with gaps, repetitions and unknown ones."""
    users = [*world.found.index.user_ids.tolist(), "a stranger"]
    films = world.found.index.movie_ids
    return users, [
        [films[0], films[3], ""],
        [films[9], films[9], films[30]],
        ["", "no such film", ""],
        [films[5], "", ""],
    ]


@pytest.fixture(scope="module")
def answers(live, questions):
    users, liked = questions
    return live.serving_default(tf.constant(users)), live.liked(tf.constant(liked), tf.fill([len(liked)], 7))


def test_a_fresh_process_gives_the_live_object_s_films_and_reasons(models, questions, answers):
    folder = serving.latest(models / "recommender")
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    asked = [json.dumps(part) for part in questions]
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(folder), *asked], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    found, modules = map(json.loads, done.stdout.splitlines()[-2:])
    for fresh, expected in zip(found, answers, strict=True):
        for name, values in fresh.items():
            assert values == expected[name].numpy().astype(str).tolist(), name
    assert modules == [], "TensorFlow alone has to be enough"
    assert found[0]["answered_by"] == ["two stages"] * 90 + ["popularity"]
    assert found[1]["answered_by"] == ["two stages", "two stages", "popularity", "two stages"]


def test_it_is_made_of_stock_operations(models):
    path = serving.latest(models / "recommender") / "saved_model.pb"
    (graph,) = (meta.graph_def for meta in saved_model_pb2.SavedModel.FromString(path.read_bytes()).meta_graphs)
    ops = {node.op for node in graph.node} | {node.op for part in graph.library.function for node in part.node_def}
    assert {op for op in ops if not hasattr(tf.raw_ops, op)} == set()


def test_signatures_are_what_the_contract_says(models):
    signatures = tf.saved_model.load(str(serving.latest(models / "recommender"))).signatures
    shapes = {name: spec.shape.as_list() for name, spec in signatures["serving_default"].structured_outputs.items()}
    page, reasons = [None, 10], [None, 10, 2]
    assert shapes == {
        "movie_ids": page, "titles": page, "scores": page, "because": reasons, "because_titles": reasons,
        "answered_by": [None],
    }  # fmt: skip
    assert {name: set(it.structured_input_signature[1]) for name, it in signatures.items()} == {
        "serving_default": {"user_id"},
        "top_k": {"user_id", "k"},
        "liked": {"liked", "k"},
    }


def test_the_server_answers_both_questions_over_rest(models, questions, answers):
    users, liked = questions
    with serving.LocalServer(models) as server:
        client = RestClient(server.rest)
        by_user = client.predict("recommender", instances=users)
        by_films = client.predict("recommender", inputs={"liked": liked, "k": [7] * len(liked)}, signature="liked")
        one = client.predict("recommender", instances=[{"liked": liked[0], "k": 7}], signature="liked")
        with pytest.raises(Refused, match="k must be at least 1") as refused:
            client.predict("recommender", inputs={"liked": liked, "k": [0] * len(liked)}, signature="liked")
    assert refused.value.status == 400
    for row, user in enumerate(by_user):
        assert user["movie_ids"] == answers[0]["movie_ids"][row].numpy().astype(str).tolist()
    for name in ("movie_ids", "because_titles", "answered_by"):
        assert by_films[name] == answers[1][name].numpy().astype(str).tolist()
    assert one[0]["movie_ids"] == by_films["movie_ids"][0]
    scores = answers[1]["scores"].numpy()
    np.testing.assert_allclose(by_films["scores"], scores, rtol=1e-3)
    assert (scores[scores > FILLED] >= 0).all()


def test_the_manifest_says_what_it_is(models):
    manifest = serving.verify(serving.latest(models / "recommender"))
    assert manifest["model"] == "recommender" and manifest["dataset"]["users"] == 90
    assert manifest["recipe"]["rules"]["diversity"] == 0.5
    assert "assets.extra/catalogue.json" in manifest["files"]
