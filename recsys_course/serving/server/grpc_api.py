"""gRPC: TensorFlow Serving's PredictionService and ModelService, with its own messages and gRPC's status codes."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from recsys_course.serving.server import protos
from recsys_course.serving.server.errors import Code, RequestError, invalid
from recsys_course.serving.server.servable import TensorSpec
from recsys_course.serving.server.service import Service


def server(service: Service) -> grpc.aio.Server:
    """A gRPC server that has no port yet. Messages are bounded by gRPC itself, with RESOURCE_EXHAUSTED."""
    options = [
        ("grpc.max_receive_message_length", service.settings.max_body_bytes),
        ("grpc.so_reuseport", 0),  # two servers on one port would share its requests without a word
    ]
    built = grpc.aio.server(options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Prediction(service), built)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(service), built)
    return built


Handler = Callable[..., Awaitable[Message]]


def _with_status(handler: Handler) -> Handler:
    """Turn a refused request into gRPC's status for it."""

    @functools.wraps(handler)
    async def answered(self: object, request: Message, context: grpc.aio.ServicerContext) -> Message:
        try:
            return await handler(self, request, context)
        except RequestError as error:
            await context.abort(grpc.StatusCode[error.code.name], error.message)

    return answered


@_with_status
async def _not_offered(self: object, request: Message, context: grpc.aio.ServicerContext) -> Message:
    raise RequestError(Code.UNIMPLEMENTED, "This server answers Predict, GetModelMetadata and GetModelStatus")


class _Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, service: Service) -> None:
        self._service = service

    @_with_status
    async def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.aio.ServicerContext
    ) -> predict_pb2.PredictResponse:
        service, spec = self._service, request.model_spec
        with service.request("grpc", spec.name):
            version = service.repository.find(spec.name, _number(spec))
            signature = version.servable.signature(spec.signature_name)
            most = service.settings.max_body_bytes
            inputs = {key: _array(key, proto, most) for key, proto in request.inputs.items()}
            seconds = context.time_remaining()
            limit = service.settings.deadline if seconds is None else seconds
            outputs = await service.predict(version, signature, inputs, limit)
            response = predict_pb2.PredictResponse(model_spec=protos.model_spec(spec.name, version, signature.name))
            for key in _wanted(request.output_filter, signature.outputs):
                response.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key]))
            return response

    @_with_status
    async def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.aio.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        if list(request.metadata_field) != ["signature_def"]:
            raise invalid(f"metadata_field must be ['signature_def'], but got {list(request.metadata_field)}")
        name = request.model_spec.name
        version = self._service.repository.find(name, _number(request.model_spec))
        response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=protos.model_spec(name, version))
        response.metadata["signature_def"].Pack(protos.signature_map(version))
        return response

    Classify = Regress = MultiInference = _not_offered


class _Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, service: Service) -> None:
        self._service = service

    @_with_status
    async def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.aio.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        spec = request.model_spec
        return protos.status(self._service.repository.versions(spec.name, _number(spec)))

    HandleReloadConfigRequest = _not_offered


def _number(spec: model_pb2.ModelSpec) -> int | None:
    if spec.version_label:
        raise RequestError(Code.NOT_FOUND, f"There are no version labels here, but got {spec.version_label!r}")
    return spec.version.value if spec.HasField("version") else None


def _wanted(filtered: Sequence[str], outputs: Mapping[str, TensorSpec]) -> list[str]:
    for key in filtered:
        if key not in outputs:
            raise invalid(f"output_filter names {key!r}; the outputs are {', '.join(outputs)}")
    return list(filtered) or list(outputs)


def _array(name: str, proto: tf.core.framework.tensor_pb2.TensorProto, most: int) -> np.ndarray:
    """The array of a message. A short message may stand for a huge array, so its size is looked at first."""
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in sizes) or np.prod(sizes, dtype=float) > most:
        raise invalid(f"Input {name!r} has no shape that can be served: {sizes}")
    try:
        return tf.make_ndarray(proto)
    except (ValueError, TypeError, KeyError) as error:
        raise invalid(f"Input {name!r} is no whole tensor: {error}") from error
