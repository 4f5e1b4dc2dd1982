"""`course serve` as a process: how it starts, what it says, how it stops."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest
from typer.testing import CliRunner

from recsys_course.authoring import cli
from recsys_course.serving.client import GrpcClient, RestClient
from recsys_course.serving.server import run
from recsys_course.serving.server.errors import CannotStart


def serve(*arguments: object):
    return CliRunner().invoke(cli.app, ["serve", *map(str, arguments)])


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM")
def test_sigterm_finishes_what_is_in_flight_and_ends_with_success(models, until):
    command = [sys.executable, "-m", "recsys_course.authoring.cli", "serve", "--models", str(models)]
    command += ["--rest-port", "0", "--grpc-port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    ) as process:
        try:
            said = ""
            while "Ctrl-C stops it." not in said:
                said += process.stdout.readline() or pytest.fail(said)
            rest = re.search(r"page +(http://127\.0\.0\.1:\d+)/", said)[1]
            rpc = GrpcClient(re.search(r"gRPC +(127\.0\.0\.1:\d+)", said)[1])
            until(lambda: _status(f"{rest}/readyz") == 200, 60)
            assert "no authentication" not in said
            answers = []
            asking = [threading.Thread(target=lambda: answers.append(_over_rest(rest))) for _ in range(4)]
            asking += [threading.Thread(target=lambda: answers.append(_over_grpc(rpc))) for _ in range(2)]
            for thread in asking:
                thread.start()
            until(lambda: b"recsys_in_flight 6.0" in _get(f"{rest}/metrics"))
            process.send_signal(signal.SIGTERM)
            for thread in asking:
                thread.join()
            said += process.stdout.read()
            assert process.wait(20) == 0, said
        finally:
            process.kill()
    assert answers == [[1.0]] * 6
    assert "stopping: 6 requests in flight" in said and "requests given up: 0" in said
    assert "Traceback" not in said, said


def _over_rest(address):
    return RestClient(address).predict("toy", instances=[1.0], signature="sleep")


def _over_grpc(client):
    return client.predict("toy", {"seconds": [1.0]}, signature="sleep")["slept"].tolist()


def _get(address):
    with urllib.request.urlopen(address, timeout=5) as response:
        return response.read()


def _status(address):
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return response.status
    except OSError:
        return 0


@pytest.mark.parametrize("option", ["--rest-port", "--grpc-port"])
def test_a_port_in_use_is_one_clear_line(models, option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = serve("--models", models, "--rest-port", 0, "--grpc-port", 0, option, port)
    assert done.exit_code == cli.NOT_OK
    (line,) = done.output.strip().splitlines()
    assert line.startswith(f"course: port {port} (") and "in use" in line and f"{option} {port + 10}" in line


def test_a_second_server_does_not_share_the_ports_of_the_first(server):
    for address, protocol in ((server.rest.removeprefix("http://"), "REST"), (server.grpc, "gRPC")):
        host, port = address.split(":")
        with pytest.raises(CannotStart, match=f"port {port} .{protocol}. is in use"):
            run.listen(host, int(port), protocol)


def test_an_address_of_another_machine_is_one_clear_line(models):
    done = serve("--models", models, "--host", "192.0.2.1", "--rest-port", 0, "--grpc-port", 0)
    assert done.exit_code == cli.NOT_OK and "cannot listen on 192.0.2.1:0 (REST)" in done.output


def test_where_there_is_no_model_one_is_exported_first(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(cli, "export", lambda to: order.append(("export", to)))
    monkeypatch.setattr(run, "run", lambda settings: order.append(("run", settings.models)))
    assert serve("--models", tmp_path, "--rest-port", 0).exit_code == 0
    assert order == [("export", tmp_path), ("run", tmp_path)]
    order.clear()
    (tmp_path / "m" / "1").mkdir(parents=True)
    serve("--models", tmp_path)
    assert order == [("run", tmp_path)]


def test_whoever_cannot_be_heard_does_not_train(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "export", lambda to: pytest.fail("it trained"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert serve("--models", tmp_path, "--rest-port", taken.getsockname()[1]).exit_code == cli.NOT_OK


def test_who_listens_to_everybody_is_told_what_that_means(capsys, tmp_path):
    run._greet(run.Settings(tmp_path, host="0.0.0.0"), "0.0.0.0", 1, 2)
    assert "there is no authentication" in capsys.readouterr().out
