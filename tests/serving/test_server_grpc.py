"""gRPC with TensorFlow Serving's own stubs and messages."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc) as opened:
        yield opened


@pytest.fixture(scope="module")
def predictions(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def request(model="toy", signature="", version=None, **inputs):
    built = predict_pb2.PredictRequest()
    built.model_spec.name, built.model_spec.signature_name = model, signature
    if version is not None:
        built.model_spec.version.value = version
    for name, value in inputs.items():
        built.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return built


def test_a_prediction(rpc):
    np.testing.assert_array_equal(rpc.predict("toy", {"x": [1.0, 2.5]})["y"], np.array([2, 5], np.float32), strict=True)
    assert rpc.status("toy") == {1: "AVAILABLE"}


def test_strings_integers_booleans_and_scalars(rpc):
    pair = np.array([[1, -2]], np.int64)
    answer = rpc.predict("toy", {"text": ["été"], "pair": pair}, signature="describe", version=1)
    assert answer["upper"].tolist() == ["ÉTÉ".encode()] and answer["text_bytes"].tolist() == ["été".encode()]
    assert answer["sum"].tolist() == [-1] and answer["positive"].tolist() == [[True, False]]
    assert rpc.predict("toy", {"x": 3.0}, signature="scalar")["y"] == 4


def test_who_answered_and_only_what_was_wanted(predictions):
    asked = request(signature="versioned", x=[1.0])
    asked.output_filter.append("version")
    response = predictions.Predict(asked, timeout=20)
    assert list(response.outputs) == ["version"]
    assert (response.model_spec.name, response.model_spec.version.value) == ("toy", 1)
    assert response.model_spec.signature_name == "versioned"


def test_metadata(predictions):
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "toy"
    response = predictions.GetModelMetadata(asked, timeout=20)
    found = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(found)
    assert found.signature_def["serving_default"].inputs["x"].dtype == tf.float32.as_datatype_enum
    assert response.model_spec.version.value == 1


def labelled():
    built = request(x=[1.0])
    built.model_spec.version_label = "stable"
    return built


def filtered():
    built = request(x=[1.0])
    built.output_filter.append("z")
    return built


def huge():
    """A message of a few bytes that stands for eight terabytes."""
    built = request(x=[1.0])
    built.inputs["x"].tensor_shape.dim[0].size = 2**41
    return built


def torn():
    built = request(x=[1.0, 2.0])
    built.inputs["x"].tensor_content = b"abc"
    return built


def untyped():
    built = request(x=[1.0])
    built.inputs["x"].dtype = 77
    return built


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        (request("nope", x=[1.0]), "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        (request(version=7, x=[1.0]), "NOT_FOUND", "Specific(toy, 7)"),
        (labelled(), "NOT_FOUND", "no version labels"),
        (request(signature="nope", x=[1.0]), "INVALID_ARGUMENT", "not found. There is"),
        (request(x=[1]), "INVALID_ARGUMENT", "type float32, but got int32"),
        (request(x=["a"]), "INVALID_ARGUMENT", "type float32, but got object"),
        (request(x=[[1.0]]), "INVALID_ARGUMENT", "shape [any], but got [1, 1]"),
        (request(z=[1.0]), "INVALID_ARGUMENT", "has the inputs ['x'], but got ['z']"),
        (request(signature="not_negative", x=[-1.0]), "INVALID_ARGUMENT", "x must not be negative"),
        (request(x=np.zeros(1025, np.float32)), "INVALID_ARGUMENT", "may have 1024 rows"),
        (request(x=np.zeros(2**19, np.float32)), "RESOURCE_EXHAUSTED", "larger than max"),
        (filtered(), "INVALID_ARGUMENT", "output_filter names 'z'"),
        (huge(), "INVALID_ARGUMENT", "no shape that can be served"),
        (torn(), "INVALID_ARGUMENT", "no whole tensor"),
        (untyped(), "INVALID_ARGUMENT", "no whole tensor"),
    ],
)
def test_a_refusal_has_a_code_and_a_reason(predictions, asked, code, says):
    with pytest.raises(grpc.RpcError) as caught:
        predictions.Predict(asked, timeout=20)
    assert caught.value.code().name == code, caught.value.details()
    assert says in caught.value.details()


def test_the_callers_deadline_counts(predictions):
    with pytest.raises(grpc.RpcError) as caught:
        predictions.Predict(request(signature="sleep", seconds=[5.0]), timeout=0.3)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert predictions.Predict(request(x=[1.0]), timeout=20).outputs["y"].float_val == [2.0]


def test_what_is_not_offered_says_so(channel, predictions):
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    for method, message in (
        (predictions.Classify, classification_pb2.ClassificationRequest()),
        (models.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest()),
        (predictions.GetModelMetadata, get_model_metadata_pb2.GetModelMetadataRequest()),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            method(message, timeout=20)
        assert caught.value.code().name in ("UNIMPLEMENTED", "INVALID_ARGUMENT")
