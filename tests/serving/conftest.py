"""One server process for all tests that only ask; the models are toys."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from support import toy_models

from recsys_course.serving.client import GrpcClient, RestClient
from recsys_course.serving.server.process import LocalServer

CATALOGUE = {
    "movies": {"1": {"title": "<b>Heat & 'Dust'</b>", "year": 1995, "genres": ["Drama"]}},
    "users": {"7": ["1"], "8": []},
}


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
