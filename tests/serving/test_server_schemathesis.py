"""Every request that the OpenAPI description allows, and many that it does not: no answer is a fault of ours."""

from __future__ import annotations

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings

schemathesis = pytest.importorskip("schemathesis")
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")


@pytest.fixture(scope="module")
def description(server):
    return requests.get(f"{server.rest}/openapi.json").json()


def test_the_description_is_kept(server, description):
    api = schemathesis.openapi.from_dict(description)
    checks = [schemathesis.checks.CHECKS.get_one(name) for name in CHECKS]
    asked = set()
    for operation in (found.ok() for found in api.get_all_operations()):
        modes = list(schemathesis.GenerationMode)
        for mode in modes if operation.method == "post" else modes[:1]:  # a GET has nothing in it to be wrong

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=15,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def ask(case):
                response = case.call(base_url=server.rest, timeout=20)
                case.validate_response(response, checks=checks)
                asked.add((case.path, response.status_code))

            ask()
    assert ("/v1/models/toy:predict", 200) in asked and ("/v1/models/toy:predict", 400) in asked
    assert max(status for _, status in asked) < 500


def test_the_description_names_every_model_and_its_inputs(description):
    paths = description["paths"]
    assert {"/v1/models/toy:predict", "/v1/models/toy/versions/1:predict", "/v1/models/toy", "/healthz"} <= set(paths)
    forms = paths["/v1/models/films:predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    by_row = forms[0]["oneOf"][0]["properties"]
    assert by_row["signature_name"] == {"const": "serving_default"}
    assert list(by_row["instances"]["items"]["properties"]) == ["user_id"]
