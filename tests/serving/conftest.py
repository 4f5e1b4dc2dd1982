"""One server process for all tests that only ask, with toys for models; and one model that has been trained."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
from support import toy_models

from recsys_course import data
from recsys_course.serving import trained as training
from recsys_course.serving.client import GrpcClient, RestClient
from recsys_course.serving.server.process import LocalServer

RECIPE = training.RECIPE | {"embedding_dim": 8, "learning_rate": 0.02, "l2": 0.001, "epochs": 6, "batch_size": 256}
CATALOGUE = {
    "movies": {"1": {"title": "<b>Heat & 'Dust'</b>", "year": 1995, "genres": ["Drama"]}},
    "users": {"7": ["1"], "8": []},
}


class World(NamedTuple):
    trained: training.Trained
    split: data.Split
    synthetic: data.synthetic.SyntheticData


@pytest.fixture(scope="session")
def world() -> World:
    """A trained model of a world of three taste groups."""
    synthetic = data.synthetic.taste_groups(num_users=120, num_movies=90, num_groups=3)
    split = data.random_split(synthetic.ratings)
    model = training.fit(split, synthetic.movies, RECIPE, say=lambda line: None)
    index = data.InteractionIndex.of(synthetic.ratings, synthetic.movies)
    measured = training.hit_rates(model, split, synthetic.movies)
    trained = training.Trained(model, "synthetic", split.train, synthetic.movies, index, RECIPE, measured)
    return World(trained, split, synthetic)


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    """A saved toy, to be copied wherever a test needs a version."""
    folder = toy_models.save(tmp_path_factory.mktemp("toy") / "1")
    toy_models.with_warm_up(folder, [4.0])
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Callable[[int], Path]:
    """Saved versions of a model with one signature, by number."""
    made, base = {}, tmp_path_factory.mktemp("small")

    def version(number: int) -> Path:
        if number not in made:
            made[number] = toy_models.small(base / str(number), number)
        return made[number]

    return version


@pytest.fixture(scope="session")
def models(tmp_path_factory, toy) -> Path:
    """The models folder of the shared server. A test that changes a model brings one of its own."""
    folder = tmp_path_factory.mktemp("models")
    toy_models.with_catalogue(toy_models.films(folder / "films" / "1"), CATALOGUE)
    (folder / "toy").mkdir()
    toy_models.publish(toy, folder / "toy" / "1")
    return folder


@pytest.fixture(scope="session")
def server(models):
    with LocalServer(models, poll=0.1) as running:
        yield running


@pytest.fixture(scope="session")
def rest(server) -> RestClient:
    return RestClient(server.rest)


@pytest.fixture(scope="session")
def rpc(server):
    client = GrpcClient(server.grpc)
    yield client
    client.close()


@pytest.fixture
def post(server) -> Callable[..., requests.Response]:
    """Send raw bytes to a signature of the toy."""

    def send(body: bytes, path: str = "/v1/models/toy:predict", **more) -> requests.Response:
        return requests.post(server.rest + path, data=body, timeout=20, **more)

    return send


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until a condition holds; fail when it does not within some seconds."""
    latest = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < latest, "it did not come about in time"
        time.sleep(0.02)


@pytest.fixture(name="until", scope="session")
def until_fixture() -> Callable[..., None]:
    return until
