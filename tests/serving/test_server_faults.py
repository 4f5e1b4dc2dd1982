"""What clients and operators do wrong, and what others must not notice of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import threading
import time

import numpy as np
import pytest
import requests
from support import toy_models

from recsys_course.serving.client import GrpcClient, Refused, RestClient
from recsys_course.serving.server.process import LocalServer


@pytest.fixture(scope="module")
def strict(tmp_path_factory, toy):
    """A server with little patience and little room."""
    models = tmp_path_factory.mktemp("strict")
    shutil.copytree(toy, models / "toy" / "1")
    with LocalServer(models, idle=1.0, deadline=1.5, max_in_flight=8) as running:
        yield running


def test_a_body_of_a_megabyte(post):
    body = json.dumps({"signature_name": "cut", "instances": ["x" * 1_000_000]}).encode()
    assert post(body).json() == {"predictions": ["x"]}
    for path in ("/v1/models/toy:predict", "/v1/models/nope:predict"):
        response = post(b" " * 2_000_000, path)
        assert response.status_code == 413 and "1048576 bytes" in response.json()["error"]


def test_a_body_without_a_stated_length(server):
    for size, status in ((10, 400), (2_000_000, 413)):
        parts = (b" " * 10_000 for _ in range(max(1, size // 10_000)))
        assert requests.post(f"{server.rest}/v1/models/toy:predict", data=parts).status_code == status


def test_a_hundred_and_twenty_thousand_ids(post):
    started = time.monotonic()
    response = post(json.dumps({"signature_name": "cut", "instances": ["123"] * 120_000}).encode())
    assert response.status_code == 400 and "may have 1024 rows" in response.json()["error"]
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"instances": ["\xff\xfe"]}', "not UTF-8"),
        (b"\x1f\x8b\x08\x00", "not UTF-8"),
        (b'{"instances": [NaN], "signature_name": "cut"}', "type string, but got a number (NaN)"),
        (b'{"instances": ["1"]}', "type float32, but got a string"),
        (b'{"instances": [[1.0, 2.0]]}', "shape [any], but got [1, 2]"),
        (b'{"inputs": [1.0], "signature_name": "scalar"}', "shape [], but got [1]"),
        (b'{"instances": [-1], "signature_name": "not_negative"}', "x must not be negative"),
        (b"[" * 500_000, "nested too deeply"),
    ],
)
def test_wrong_values(post, body, says):
    response = post(body)
    assert response.status_code == 400, response.text
    assert says in response.json()["error"] and "Traceback" not in response.text


def test_not_a_number_goes_through_where_numbers_go(post):
    assert post(b'{"instances": [NaN, Infinity]}').text == '{"predictions":[NaN,Infinity]}'


def test_no_version_is_lost_under_a_hundred_clients(server, rest, models, small, until):
    """Ten versions, each published while all ask, and taken away again: every request is answered."""
    for number in range(1, 11):
        small(number)
    toy_models.publish(small(1), _folder(models, "changing") / "1")
    until(lambda: _available(rest, "changing") == {1})
    stop, seen, failures = threading.Event(), set(), []

    def ask(client: RestClient):
        while not stop.is_set():
            try:
                (row,) = client.predict("changing", instances=[1.5])
                assert row["y"] == 3
                seen.add(row["version"])
            except Exception as error:
                failures.append(error)
            time.sleep(0.05)

    threads = [threading.Thread(target=ask, args=(RestClient(server.rest),)) for _ in range(100)]
    for thread in threads:
        thread.start()
    try:
        for number in range(2, 11):
            toy_models.publish(small(number), models / "changing" / str(number))
            until(lambda: number in _available(rest, "changing"))  # noqa: B023
            if number > 2:
                shutil.rmtree(models / "changing" / str(number - 2))
        shutil.rmtree(models / "changing" / "10")
        until(lambda: _available(rest, "changing") == {9})
        until(lambda: rest.predict("changing", instances=[1])[0]["version"] == 9)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[:3]
    assert len(seen) >= 9, seen


def test_a_version_removed_while_it_computes_answers_all_the_same(rest, models, toy, until):
    toy_models.publish(toy, _folder(models, "removed") / "1")
    until(lambda: _available(rest, "removed") == {1})
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(rest.predict("removed", instances=[1.5], signature="sleep"))
    )
    waiting.start()
    time.sleep(0.2)
    shutil.rmtree(models / "removed")
    until(lambda: _gone(rest, "removed"))
    assert waiting.is_alive(), "the version went while its request was running"
    waiting.join()
    assert answers == [[1.5]]


def test_corrupt_and_half_copied_versions_are_reported_and_never_served(server, rest, models, small, until):
    folder = _folder(models, "broken")
    toy_models.publish(small(1), folder / "1")
    shutil.copytree(small(2), folder / "2", ignore=shutil.ignore_patterns("variables.data*"))
    shutil.copytree(small(3), folder / "3")
    (folder / "3" / "saved_model.pb").write_bytes(b"\xff" * 1000)
    until(lambda: rest.status("broken") == {1: "AVAILABLE", 2: "END", 3: "END"} if not _gone(rest, "broken") else False)
    assert rest.predict("broken", instances=[1]) == [{"y": 2, "version": 1}]
    found = requests.get(f"{server.rest}/v1/models/broken").json()["model_version_status"]
    assert all(entry["status"]["error_message"] for entry in found if entry["state"] == "END")
    for number in (2, 3):
        with pytest.raises(Refused, match="404"):
            rest.predict("broken", version=number, instances=[1])
    shutil.copytree(small(2), folder / "2", dirs_exist_ok=True)  # the copy goes on
    until(lambda: rest.predict("broken", instances=[1]) == [{"y": 2, "version": 2}])


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /v1/models/toy:predict HT",
        b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: x\r\nX: ",
        b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ],
)
def test_a_slow_client_is_cut_off_and_holds_nobody_up(strict, sent):
    host, port = strict.rest.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=15) as slow:
        slow.sendall(sent)
        started = time.monotonic()
        assert RestClient(strict.rest).predict("toy", instances=[1]) == [2]
        with contextlib.suppress(ConnectionError):
            slow.settimeout(0.3)
            while time.monotonic() - started < 12:
                with contextlib.suppress(TimeoutError):
                    if not slow.recv(1000):
                        break
                    continue
                slow.sendall(b"x" * bool(sent))  # a byte now and then does not buy more time
        assert time.monotonic() - started < 10, "it was never cut off"


def test_a_body_that_does_not_come_in_time(strict):
    host, port = strict.rest.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=15) as slow:
        slow.sendall(b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")


def test_an_answer_that_takes_too_long_is_given_up_and_others_are_not_held_up(strict):
    client = RestClient(strict.rest)
    started = time.monotonic()
    slow = threading.Thread(target=lambda: _outcome(client, [6.0]))
    slow.start()
    time.sleep(0.1)
    assert RestClient(strict.rest).predict("toy", instances=[1]) == [2]
    slow.join()
    assert 1 < time.monotonic() - started < 3.5
    assert _outcome(client, [0.0]) == 504, "the model still computes for the one before"
    with pytest.raises(Exception, match="DEADLINE_EXCEEDED"):
        GrpcClient(strict.grpc).predict("toy", {"seconds": np.array([0.0], np.float32)}, signature="sleep")


def test_too_many_at_once_are_told_to_come_again(strict, until):
    until(lambda: _outcome(RestClient(strict.rest), [0.0]) == 200)  # what was given up above has ended
    outcomes = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(_outcome(RestClient(strict.rest), [1.0]))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(429) == 12 and set(outcomes) <= {200, 429, 504}, outcomes
    assert RestClient(strict.rest).predict("toy", instances=[1]) == [2]


def _outcome(client: RestClient, seconds: list[float]) -> int:
    try:
        client.predict("toy", instances=seconds, signature="sleep")
        return 200
    except Refused as error:
        return error.status


def _folder(models, name):
    folder = models / name
    folder.mkdir()
    return folder


def _available(rest: RestClient, model: str) -> set[int]:
    try:
        return {number for number, state in rest.status(model).items() if state == "AVAILABLE"}
    except Refused:
        return set()


def _gone(rest: RestClient, model: str) -> bool:
    try:
        rest.status(model)
        return False
    except Refused as error:
        return error.status == 404


@pytest.mark.skipif(os.name != "posix", reason="Windows has no signal that a parent can send to one child alone")
def test_ctrl_c_finishes_what_is_in_flight(strict, until):
    """The last test of this server."""
    until(lambda: _outcome(RestClient(strict.rest), [0.0]) == 200)
    outcomes = []
    asking = threading.Thread(target=lambda: outcomes.append(_outcome(RestClient(strict.rest), [0.7])))
    asking.start()
    time.sleep(0.2)
    strict.process.send_signal(signal.SIGINT)
    asking.join()
    assert outcomes == [200] and strict.process.wait(20) == 0
    assert "Traceback" not in strict.log(), strict.log()
