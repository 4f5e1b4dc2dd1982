"""The server's description in OpenAPI's terms, made from the models that answer right now."""

from __future__ import annotations

from typing import Any

from recsys_course.serving.server.repository import Repository, State
from recsys_course.serving.server.servable import DEFAULT_SIGNATURE, Signature, TensorSpec

ERRORS = {
    400: "The request is wrong; the message says how",
    404: "No such model or version",
    408: "The body did not come in time",
    413: "The body is too long",
    429: "Too many requests are in flight",
    503: "The model is still being loaded, or it failed",
    504: "The answer was not ready in time",
}
PREDICT_ERRORS, LOOK_UP_ERRORS = tuple(ERRORS), (404, 503)


def describe(repository: Repository) -> dict[str, Any]:
    """An OpenAPI 3.1 document: the paths of every model that answers, with the schemas of its own signatures."""
    paths: dict[str, Any] = {
        "/healthz": _get("Whether the process lives"),
        "/readyz": _get("Whether a model answers", (503,)),
        "/metrics": _get("Counters for Prometheus", media="text/plain"),
    }
    for name in sorted(repository.models):
        versions = [it for it in repository.versions(name) if it.state == State.AVAILABLE]
        for prefix, version in [("", it) for it in versions[:1]] + [(f"/versions/{it.number}", it) for it in versions]:
            path, signatures = f"/v1/models/{name}{prefix}", version.servable.signatures
            paths[f"{path}:predict"] = _predict(name, signatures)
            paths[path] = _get("State of the versions", LOOK_UP_ERRORS)
            paths[f"{path}/metadata"] = _get("Signatures: names, types and shapes", LOOK_UP_ERRORS)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Local model server",
            "version": "1",
            "description": "Answers as TensorFlow Serving's REST API does. There is no authentication.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
                "Base64": {
                    "type": "object",
                    "required": ["b64"],
                    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
                    "additionalProperties": False,
                },
            }
        },
    }


def _get(summary: str, errors: tuple[int, ...] = (), media: str = "application/json") -> dict[str, Any]:
    schema = {"type": "object"} if media == "application/json" else {"type": "string"}
    return {"get": {"summary": summary, "responses": {"200": _body(summary, media, schema)} | _errors(errors)}}


def _predict(name: str, signatures: dict[str, Signature]) -> dict[str, Any]:
    answer = {"type": "object", "oneOf": [{"required": ["predictions"]}, {"required": ["outputs"]}]}
    return {
        "post": {
            "summary": f"Ask {name}",
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"anyOf": [_request(it) for it in signatures.values()]}}},
            },
            "responses": {"200": _body("Predictions", "application/json", answer)} | _errors(PREDICT_ERRORS),
        }
    }


def _request(signature: Signature) -> dict[str, Any]:
    """Row by row or column by column; the signature's name may be left out for the default one."""
    rows = {name: _values(spec, (spec.shape or ())[1:]) for name, spec in signature.inputs.items()}
    columns = {name: _values(spec, spec.shape or ()) for name, spec in signature.inputs.items()}
    forms = {"instances": {"type": "array", "minItems": 1, "items": _object(rows)}, "inputs": _object(columns)}
    named = [] if signature.name == DEFAULT_SIGNATURE else ["signature_name"]
    name = {"signature_name": {"const": signature.name}}
    return {"oneOf": [_object(name | {form: schema}, [form, *named]) for form, schema in forms.items()]}


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    required = list(properties) if required is None else required
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def _values(spec: TensorSpec, shape: tuple[int | None, ...]) -> dict[str, Any]:
    """Lists nested as deep as the shape says, of values of the type."""
    dtype = spec.dtype
    if dtype.name == "string":
        schema: dict[str, Any] = {"anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/Base64"}]}
    elif dtype.is_integer:
        schema = {"type": "integer", "minimum": int(dtype.min), "maximum": int(dtype.max)}
    else:
        schema = {"type": "boolean" if dtype.is_bool else "number"}
    for size in reversed(shape):
        schema = {"type": "array", "items": schema}
        if size is not None:
            schema |= {"minItems": size, "maxItems": size}
    return schema


def _errors(statuses: tuple[int, ...]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {str(status): _body(ERRORS[status], "application/json", schema) for status in statuses}


def _body(description: str, media: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {media: {"schema": schema}}}
