"""REST as TensorFlow Serving has it, asked by `requests` and by `curl`."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
import requests

from recsys_course.serving.client import Refused


def test_a_prediction_row_by_row_and_column_by_column(rest):
    assert rest.predict("toy", instances=[1, 2.5]) == [2, 5]
    assert rest.predict("toy", inputs=[1, 2.5]) == [2, 5]
    assert rest.predict("toy", inputs=3, signature="scalar") == 4
    rows = [{"text": "été", "pair": [1, -2]}, {"text": "", "pair": [3, 4]}]
    assert rest.predict("toy", instances=rows, signature="describe") == [
        {"upper": "ÉTÉ", "text_bytes": {"b64": "w6l0w6k="}, "sum": -1, "positive": [True, False]},
        {"upper": "", "text_bytes": {"b64": ""}, "sum": 7, "positive": [True, True]},
    ]


def test_rows_that_ask_for_different_lengths(rest):
    rows = [{"x": 5, "k": 1}, {"x": 6, "k": 3}]
    assert rest.predict("toy", instances=rows, signature="repeat") == [[5, -1, -1], [6, 6, 6]]
    assert rest.predict("toy", instances=rows[:1], signature="repeat") == [[5]]


def test_a_version_can_be_asked_for_by_number(rest):
    assert rest.predict("toy", version=1, instances=[1], signature="versioned") == [{"version": 1, "y": 2}]
    with pytest.raises(Refused, match=r"404: Servable not found for request: Specific\(toy, 7\)"):
        rest.predict("toy", version=7, instances=[1])


def test_status_and_metadata_have_tensorflow_servings_form(server, rest):
    status = requests.get(f"{server.rest}/v1/models/toy/versions/1").json()
    one = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert status == {"model_version_status": [one]} and rest.status("toy") == {1: "AVAILABLE"}
    metadata = requests.get(f"{server.rest}/v1/models/toy/metadata").json()
    assert metadata["model_spec"] == {"name": "toy", "version": "1", "signature_name": ""}
    described = rest.metadata("toy")["describe"]
    assert described["inputs"]["pair"]["dtype"] == "DT_INT64"
    assert [dim["size"] for dim in described["inputs"]["pair"]["tensor_shape"]["dim"]] == ["-1", "2"]
    assert described["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models/nope", 404),
        ("GET", "/v1/models/nope/metadata", 404),
        ("POST", "/v1/models/nope:predict", 404),
        ("GET", "/v1/models/toy/versions/9", 404),
        ("GET", "/v1/models/toy/versions/x", 404),
        ("GET", "/v1/models/toy/versions/" + "9" * 5000, 404),
        ("GET", "/v1/models/toy/labels/stable", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/page/%2e%2e/%2e%2e/run.py", 404),
        ("GET", "/page/models/nope/catalogue.json", 404),
        ("POST", "/v1/models/toy:classify", 404),
        ("GET", "/v1/models/toy:predict", 405),
        ("POST", "/v1/models/toy", 405),
        ("PUT", "/", 405),
    ],
)
def test_what_is_not_there_says_so(server, method, path, status):
    response = requests.request(method, server.rest + path, data="{}")
    assert response.status_code == status and set(response.json()) == {"error"}


def test_a_curl_command(server):
    if not (curl := shutil.which("curl")):
        pytest.skip("curl is not installed")
    command = [curl, "-s", "-d", '{"instances": [1.0, 2.0]}', f"{server.rest}/v1/models/toy:predict"]
    assert json.loads(subprocess.run(command, capture_output=True, check=True).stdout) == {"predictions": [2, 4]}


def test_health_readiness_and_metrics(server, rest):
    assert requests.get(f"{server.rest}/healthz").status_code == 200
    assert requests.get(f"{server.rest}/readyz").json() == {"ready": True}
    rest.predict("toy", instances=[1])
    with pytest.raises(Refused):
        rest.predict("made up", instances=[1])
    for path in ("/metrics", "/monitoring/prometheus/metrics"):
        text = requests.get(server.rest + path).text
        assert 'recsys_version_available{model="toy",version="1"} 1.0' in text
        assert 'recsys_requests_total{model="toy",outcome="OK",protocol="rest"}' in text
        assert 'recsys_requests_total{model="",outcome="NOT_FOUND",protocol="rest"}' in text
        assert "made up" not in text
        assert "recsys_in_flight 0.0" in text
