"""Two small clients, REST and gRPC, for this server and for TensorFlow Serving alike. Chapter 5 writes them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
import requests
import tensorflow as tf
from numpy.typing import ArrayLike
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


class Refused(Exception):
    """An answer that is no prediction.

    Attributes:
        status: of HTTP: 400 for a wrong request, 404 for no such model, 413, 429, 503, 504.
        message: what the server says about it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class RestClient:
    """Asks over REST, with JSON.

    Args:
        address: scheme, host and port.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, address: str = "http://127.0.0.1:8501", timeout: float = 15.0) -> None:
        self._address, self._timeout, self._session = address, timeout, requests.Session()

    def predict(
        self,
        model: str,
        *,
        instances: list[Any] | None = None,
        inputs: Any = None,
        version: int | None = None,
        signature: str | None = None,
    ) -> Any:
        """Predictions for `instances` (row by row) or outputs for `inputs` (column by column), whichever is given.

        Raises:
            Refused: the server says no, and why.
        """
        body: dict[str, Any] = {"instances": instances} if inputs is None else {"inputs": inputs}
        if signature is not None:
            body["signature_name"] = signature
        answer = self._ask("POST", f"{_path(model, version)}:predict", body)
        return answer["predictions" if inputs is None else "outputs"]

    def status(self, model: str) -> dict[int, str]:
        """State of each version, by number."""
        found = self._ask("GET", _path(model))["model_version_status"]
        return {int(entry["version"]): entry["state"] for entry in found}

    def metadata(self, model: str, version: int | None = None) -> dict[str, Any]:
        """The signatures by name: types and shapes of their inputs and outputs."""
        answer = self._ask("GET", f"{_path(model, version)}/metadata")
        return answer["metadata"]["signature_def"]["signature_def"]

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        response = self._session.request(method, self._address + path, json=body, timeout=self._timeout)
        if not response.ok:
            raise Refused(response.status_code, response.json()["error"])
        return response.json()


class GrpcClient:
    """Asks over gRPC, with TensorFlow Serving's own messages. Errors are `grpc.RpcError` with a status code.

    Args:
        address: host and port.
        timeout: seconds to wait for an answer; the server learns of it too, and gives up then.
    """

    def __init__(self, address: str = "127.0.0.1:8500", timeout: float = 15.0) -> None:
        self._channel, self._timeout = grpc.insecure_channel(address), timeout
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(
        self, model: str, inputs: Mapping[str, ArrayLike], *, version: int | None = None, signature: str = ""
    ) -> dict[str, np.ndarray]:
        """The outputs of a signature by name. A list of Python's numbers goes as int32 or float32."""
        request = predict_pb2.PredictRequest(model_spec=_spec(model, version, signature))
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        response = self._predictions.Predict(request, timeout=self._timeout)
        return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}

    def status(self, model: str) -> dict[int, str]:
        """State of each version, by number."""
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=_spec(model))
        found = self._models.GetModelStatus(request, timeout=self._timeout).model_version_status
        names = get_model_status_pb2.ModelVersionStatus.State
        return {entry.version: names.Name(entry.state) for entry in found}

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


def _path(model: str, version: int | None = None) -> str:
    return f"/v1/models/{model}" + ("" if version is None else f"/versions/{version}")


def _spec(model: str, version: int | None = None, signature: str = "") -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=model, signature_name=signature)
    if version is not None:
        spec.version.value = version
    return spec
