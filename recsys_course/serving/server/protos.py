"""Answers about a model in TensorFlow Serving's own messages; REST writes the same as JSON."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from recsys_course.serving.server.repository import State, Version

_UNKNOWN = 2  # TensorFlow's error code for a failure that has no code of its own


def status(versions: list[Version]) -> get_model_status_pb2.GetModelStatusResponse:
    """State of each version; a broken one has the state END and says why."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for version in versions:
        entry = response.model_version_status.add(version=version.number, state=int(version.state))
        broken = version.state == State.END
        entry.status.error_code, entry.status.error_message = (_UNKNOWN, version.error) if broken else (0, "")
    return response


def model_spec(name: str, version: Version, signature: str = "") -> model_pb2.ModelSpec:
    """Who answered."""
    spec = model_pb2.ModelSpec(name=name, signature_name=signature)
    spec.version.value = version.number
    return spec


def signature_map(version: Version) -> get_model_metadata_pb2.SignatureDefMap:
    """The signatures with the types and shapes of their inputs and outputs."""
    return get_model_metadata_pb2.SignatureDefMap(signature_def=version.servable.definitions)


def as_json(message: Message) -> dict[str, Any]:
    """A message as TensorFlow Serving's REST API shows it: with its own field names, and every field."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
