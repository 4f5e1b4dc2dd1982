"""Tensors in JSON, by the rules of TensorFlow Serving's REST API.

Row by row, `{"instances": [...]}` gives `{"predictions": [...]}`. Column by column, `{"inputs": ...}` gives
`{"outputs": ...}`. The name of a single input may be left out, and that of a single output is. Bytes that are no text
are `{"b64": "..."}`. As there, NaN and Infinity may stand for numbers, though JSON proper has no words for them.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from recsys_course.serving.server.errors import RequestError, invalid
from recsys_course.serving.server.servable import Signature, Tensors, TensorSpec

_BYTES = "_bytes"  # an output whose name ends like this is always written in base64


def decode(body: bytes, signature: Callable[[str], Signature]) -> tuple[Signature, Tensors, bool]:
    """Read a request.

    Args:
        body: JSON in UTF-8.
        signature: finds a signature by its name.

    Returns:
        The signature asked for, its inputs, and whether they came row by row.

    Raises:
        RequestError: invalid argument; says what was expected and what came.
    """
    request = _parse(body)
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("'signature_name' must be a string")
    found = signature(name)
    if ("instances" in request) == ("inputs" in request):
        raise invalid("The request needs 'instances' (row by row) or 'inputs' (column by column), one of the two")
    by_row = "instances" in request
    columns = _of_rows(request["instances"], found) if by_row else _of_columns(request["inputs"], found)
    return found, {key: _tensor(columns[key], spec) for key, spec in found.inputs.items()}, by_row


def encode(outputs: Tensors, by_row: bool) -> bytes:
    """Write an answer.

    Args:
        outputs: arrays by name.
        by_row: whether the request came row by row.

    Raises:
        RequestError: the outputs have no rows, or not equally many, and cannot be told apart by row.
    """
    heads = {array.shape[:1] for array in outputs.values()}
    if by_row and (len(heads) > 1 or () in heads):
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
        raise invalid(f"The outputs do not have one row for each instance ({shapes}): ask with 'inputs' instead")
    values = {name: _plain(name, array) for name, array in outputs.items()}
    answer: Any = values
    if len(values) == 1:
        answer = next(iter(values.values()))
    elif by_row:
        answer = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    text = json.dumps({"predictions" if by_row else "outputs": answer}, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def _parse(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise invalid(f"The body is not UTF-8: byte {error.start} is {body[error.start]:#04x}") from error
    except RecursionError as error:
        raise invalid("JSON Parse error: the lists are nested too deeply") from error
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(request, dict):
        raise invalid(f"The request must be a JSON object, but got {_kind(request)}")
    return request


def _of_rows(instances: Any, signature: Signature) -> dict[str, list[Any]]:
    """Columns from a list of rows: of objects with a key for each input, or of plain values of a single input."""
    if not isinstance(instances, list) or not instances:
        raise invalid(f"'instances' must be a list of at least one row, but got {_kind(instances)}")
    names = signature.inputs.keys()
    if not _is_object(instances[0]):
        if len(names) > 1:
            raise invalid(f"'instances' must be objects, since there are several inputs: {', '.join(names)}")
        if any(_is_object(row) for row in instances):
            raise invalid("'instances' must be all objects or all plain values, but got both")
        return {next(iter(names)): instances}
    for at, row in enumerate(instances):
        if not _is_object(row) or row.keys() != names:
            given = ", ".join(map(str, row)) if _is_object(row) else _kind(row)
            raise invalid(f"Row {at} of 'instances' must have the keys {', '.join(names)}, but got {given}")
    return {name: [row[name] for row in instances] for name in names}


def _of_columns(inputs: Any, signature: Signature) -> dict[str, Any]:
    """Columns as they are: an object with a key for each input, or the value of a single input."""
    names = signature.inputs.keys()
    if not _is_object(inputs):
        if len(names) > 1:
            raise invalid(f"'inputs' must be an object, since there are several inputs: {', '.join(names)}")
        return {next(iter(names)): inputs}
    if inputs.keys() != names:
        raise invalid(f"'inputs' must have the keys {', '.join(names)}, but got {', '.join(inputs) or 'none'}")
    return inputs


def _tensor(value: Any, spec: TensorSpec) -> np.ndarray:
    """An array from nested lists. Its shape is that of the first element of each list; all others must agree."""
    shape, level = [], [value]
    while level and isinstance(level[0], list):
        width = len(level[0])
        if not all(isinstance(part, list) and len(part) == width for part in level):
            raise invalid(f"Input {spec.name!r}: lists that stand beside each other must be equally long")
        shape.append(width)
        level = list(chain.from_iterable(level))
    try:
        return _leaves(level, spec).reshape(shape)
    except RequestError:
        raise
    except (OverflowError, ValueError) as error:
        raise invalid(f"Input {spec.name!r} is of type {spec.dtype.name}: {error}") from error


def _leaves(values: list[Any], spec: TensorSpec) -> np.ndarray:
    """A flat array from values of one type; nothing is converted that would lose something."""
    dtype = spec.dtype
    if dtype.name == "string":
        array = np.empty(len(values), object)
        array[:] = [value.encode() if type(value) is str else _from_base64(value, spec) for value in values]
        return array
    allowed = {int, float} if dtype.is_floating else {int} if dtype.is_integer else {bool} if dtype.is_bool else set()
    for value in values:
        if type(value) not in allowed:
            raise invalid(f"Input {spec.name!r} is of type {dtype.name}, but got {_kind(value)}")
    if not dtype.is_floating:
        return np.array(values, dtype.as_numpy_dtype)
    exact = np.array(values, np.float64)
    with np.errstate(over="ignore"):
        array = exact.astype(dtype.as_numpy_dtype)
    if (np.isfinite(exact) & ~np.isfinite(array.astype(np.float64))).any():
        raise invalid(f"Input {spec.name!r} has numbers that are too large for {dtype.name}")
    return array


def _from_base64(value: Any, spec: TensorSpec) -> bytes:
    if not (isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)):
        raise invalid(f"Input {spec.name!r} is of type string, but got {_kind(value)}")
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"Input {spec.name!r}: unable to base64 decode: {error}") from error


def _plain(name: str, array: np.ndarray) -> Any:
    """What JSON can write: nested lists of strings, numbers and booleans."""
    if array.dtype == object:
        flat = [_text(value, name.endswith(_BYTES)) for value in array.ravel().tolist()]
        texts = np.empty(len(flat), object)
        texts[:] = flat
        return texts.reshape(array.shape).tolist()
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        # The shortest digits that mean this number: 0.3, not 0.30000001192092896.
        return array.astype("U").astype(np.float64).tolist()
    return (array if array.dtype.kind in "fiub" else array.astype(np.float64)).tolist()


def _text(value: bytes, always_base64: bool) -> str | dict[str, str]:
    try:
        if not always_base64:
            return value.decode()
    except UnicodeDecodeError:
        pass
    return {"b64": base64.b64encode(value).decode()}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() != {"b64"}


def _kind(value: Any) -> str:
    """A JSON value for an error message: what it is, and its beginning."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    text = "" if isinstance(value, dict | list) else f" ({json.dumps(value)[:40]})"
    return kinds.get(type(value), "null") + (text if value is not None else "")
