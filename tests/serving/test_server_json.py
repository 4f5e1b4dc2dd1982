"""Tensors in JSON: what TensorFlow Serving reads and writes, and an error that names the fault for everything else."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from recsys_course.serving.server.errors import Code, RequestError
from recsys_course.serving.server.json_tensors import decode, encode
from recsys_course.serving.server.servable import Servable


@pytest.fixture(scope="module")
def signature(toy):
    return Servable(toy).signature


def read(signature, request):
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return decode(body, signature)


def test_a_single_input_needs_no_name(signature):
    for request in ({"instances": [1, 2.5]}, {"instances": [{"x": 1}, {"x": 2.5}]}):
        found, inputs, by_row = read(signature, request)
        assert found.name == "serving_default" and by_row
        np.testing.assert_array_equal(inputs["x"], np.array([1, 2.5], np.float32), strict=True)
    for request in ({"inputs": [1, 2.5]}, {"inputs": {"x": [1, 2.5]}}):
        _, inputs, by_row = read(signature, request)
        assert not by_row
        np.testing.assert_array_equal(inputs["x"], np.array([1, 2.5], np.float32), strict=True)


def test_several_inputs_are_put_together_from_rows_or_columns(signature):
    rows = [{"text": "a", "pair": [1, 2]}, {"text": {"b64": base64.b64encode(b"\xff").decode()}, "pair": [3, 4]}]
    columns = {"text": [row["text"] for row in rows], "pair": [row["pair"] for row in rows]}
    for request in ({"instances": rows}, {"inputs": columns}):
        _, inputs, _ = read(signature, request | {"signature_name": "describe"})
        assert inputs["text"].tolist() == [b"a", b"\xff"]
        np.testing.assert_array_equal(inputs["pair"], np.array([[1, 2], [3, 4]], np.int64), strict=True)


def test_a_scalar_is_a_column_of_its_own(signature):
    _, inputs, _ = read(signature, {"inputs": 3, "signature_name": "scalar"})
    assert inputs["x"].shape == () and inputs["x"] == 3


def test_not_a_number_is_read_as_tensorflow_serving_reads_it(signature):
    _, inputs, _ = read(signature, b'{"instances": [NaN, -Infinity, 1e400]}')
    assert np.isnan(inputs["x"][0]) and np.isneginf(inputs["x"][1]) and np.isposinf(inputs["x"][2])


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (b"", "JSON Parse error"),
        (b"{", "JSON Parse error"),
        (b"[1]", "must be a JSON object, but got a list"),
        (b'{"instances": ["\xff"]}', "not UTF-8: byte 16 is 0xff"),
        (b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"instances": [' + b"9" * 5_000 + b"]}", "JSON Parse error"),
        ({}, "'instances' (row by row) or 'inputs'"),
        ({"instances": [1], "inputs": [1]}, "one of the two"),
        ({"instances": []}, "at least one row"),
        ({"instances": 1}, "must be a list"),
        ({"instances": [1], "signature_name": 7}, "'signature_name' must be a string"),
        ({"instances": [1], "signature_name": "nope"}, "not found. There is: cut, describe"),
        ({"instances": ["1"]}, "type float32, but got a string"),
        ({"instances": [None]}, "type float32, but got null"),
        ({"instances": [True]}, "type float32, but got a boolean"),
        ({"instances": [1e39]}, "too large for float32"),
        ({"instances": [10**400]}, "float32"),
        ({"instances": [[1], [1, 2]]}, "equally long"),
        ({"instances": [1, [2]]}, "float32, but got a list"),
        ({"instances": [1, {"x": 2}]}, "all objects or all plain values"),
        ({"instances": [{"x": 1}, {"z": 2}]}, "Row 1 of 'instances' must have the keys x, but got z"),
        ({"instances": [{"x": 1}, 3]}, "Row 1"),
        ({"instances": ["a"], "signature_name": "describe"}, "there are several inputs: pair, text"),
        ({"inputs": {"text": ["a"]}, "signature_name": "describe"}, "must have the keys pair, text, but got text"),
        ({"inputs": {"text": ["a"], "pair": [[1.0, 2]]}, "signature_name": "describe"}, "int64, but got a number"),
        ({"inputs": {"text": ["a"], "pair": [[2**63, 2]]}, "signature_name": "describe"}, "int64"),
        ({"instances": ["\ud800"], "signature_name": "cut"}, "surrogates"),
        ({"instances": [{"b64": "%"}], "signature_name": "cut"}, "base64"),
        ({"instances": [{"b64": 3}], "signature_name": "cut"}, "type string, but got an object"),
    ],
)
def test_what_cannot_be_read_is_named(signature, request_, says):
    with pytest.raises(RequestError) as caught:
        read(signature, request_)
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert says in caught.value.message


def test_a_single_output_is_written_without_its_name():
    outputs = {"y": np.array([0.1, 2, np.nan], np.float32)}
    assert encode(outputs, by_row=True) == b'{"predictions":[0.1,2.0,NaN]}'
    assert encode(outputs, by_row=False) == b'{"outputs":[0.1,2.0,NaN]}'


def test_several_outputs_are_written_by_row_or_by_column():
    outputs = {"id": np.array([["a", "b"], ["é", "d"]], object), "n": np.array([1, 2])}
    outputs["id"] = np.array([[b"a", b"b"], ["é".encode(), b"d"]], object)
    rows = [{"id": ["a", "b"], "n": 1}, {"id": ["é", "d"], "n": 2}]
    assert json.loads(encode(outputs, by_row=True)) == {"predictions": rows}
    assert json.loads(encode(outputs, by_row=False)) == {"outputs": {"id": [["a", "b"], ["é", "d"]], "n": [1, 2]}}


def test_bytes_are_base64_where_they_are_no_text_or_the_name_says_so():
    outputs = {"a": np.array([b"\xff"], object), "a_bytes": np.array([b"x"], object)}
    assert json.loads(encode(outputs, by_row=False))["outputs"] == {
        "a": [{"b64": "/w=="}],
        "a_bytes": [{"b64": "eA=="}],
    }


@pytest.mark.parametrize(
    "outputs", [{"y": np.float32(1)}, {"y": np.zeros(2), "z": np.zeros(3)}, {"y": np.zeros(2), "z": np.array(1)}]
)
def test_outputs_without_a_row_for_each_instance_are_refused_by_row(outputs):
    outputs = {name: np.asarray(value) for name, value in outputs.items()}
    with pytest.raises(RequestError, match="ask with 'inputs' instead"):
        encode(outputs, by_row=True)
    encode(outputs, by_row=False)


@pytest.mark.parametrize("number", np.random.default_rng(0).normal(size=20).astype(np.float32))
def test_float32_keeps_its_value_in_the_fewest_digits(number):
    text = encode({"y": np.array([number])}, by_row=True).decode()
    digits = text.removeprefix('{"predictions":[').removesuffix("]}")
    assert np.float32(digits) == number and len(digits) <= 13
