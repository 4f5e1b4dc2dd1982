"""One version of a model in memory: loaded as TensorFlow Serving loads it, with its signatures ready to be called.

TensorFlow Serving knows nothing of Python objects. It reads the graph of a SavedModel and, for each signature, the
names of the tensors to feed and to fetch. We do the same, with a session: whatever runs here runs there, it loads
several times faster than `tf.saved_model.load`, and a call costs a fraction of a millisecond.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow_serving.apis import prediction_log_pb2

from recsys_course.serving.quiet import quiet_tensorflow
from recsys_course.serving.server.errors import Code, RequestError, invalid
from recsys_course.serving.versions import MANIFEST, Damaged, verify

DEFAULT_SIGNATURE = "serving_default"
WARM_UP = "assets.extra/tf_serving_warmup_requests"
CATALOGUE = "assets.extra/catalogue.json"
Tensors = dict[str, np.ndarray]
_TensorInfos = Mapping[str, meta_graph_pb2.TensorInfo]


class CannotLoad(Exception):
    """A version folder that cannot be served; the message says why, in one line."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
        name: its name in requests and answers.
        dtype: of its elements; strings are ``object`` arrays of bytes.
        shape: its dimensions, None where any size will do; None as a whole where the rank is open too.
    """

    name: str
    dtype: tf.DType
    shape: tuple[int | None, ...] | None

    @property
    def any_rows(self) -> bool:
        """Whether the first dimension is a batch of any size."""
        return self.shape is not None and self.shape[:1] == (None,)

    def check(self, array: np.ndarray) -> None:
        """Raise an invalid-argument error unless an array of the right type has a shape that fits."""
        if self.shape is None:
            return
        fits = len(self.shape) == array.ndim and all(
            size in (None, came) for size, came in zip(self.shape, array.shape, strict=True)
        )
        if not fits:
            sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
            raise invalid(f"Input {self.name!r} has shape [{sizes}], but got {list(array.shape)}.")


@dataclass(frozen=True)
class Signature:
    """A callable of a model, by the tensors that it takes and gives.

    Attributes:
        name: how requests ask for it.
        inputs: by name.
        outputs: by name.
    """

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    _call: Callable[..., list[Any]]

    @property
    def batchable(self) -> bool:
        """Whether rows of several requests may run together without any of them noticing.

        Every input must begin with an open batch dimension, and every output too. All other sizes of an output have
        to be fixed: one as long as the longest row asks for would differ with the company a request keeps.
        """
        return all(spec.any_rows for spec in self.inputs.values()) and all(
            spec.any_rows and None not in (spec.shape or ())[1:] for spec in self.outputs.values()
        )

    def run(self, inputs: Tensors) -> Tensors:
        """Compute the outputs.

        Args:
            inputs: every input of the signature, checked.

        Returns:
            Every output.

        Raises:
            RequestError: the graph refused the values (invalid argument), or failed on them (unavailable).
        """
        try:
            found = self._call(*(inputs[name] for name in self.inputs))
        except (
            tf.errors.InvalidArgumentError,
            tf.errors.FailedPreconditionError,
            tf.errors.OutOfRangeError,
            tf.errors.NotFoundError,
            ValueError,
            TypeError,
        ) as error:
            raise invalid(_first_line(error)) from error
        except Exception as error:  # a fault of the model's, whatever it is: the server goes on
            raise RequestError(Code.UNAVAILABLE, f"The model failed: {_first_line(error)}") from error
        return {
            name: np.asarray(value, object if spec.dtype == tf.string else None)
            for (name, spec), value in zip(self.outputs.items(), found, strict=True)
        }


class Servable:
    """A version of a model, loaded and warm.

    Attributes:
        signatures: by name.
        definitions: the same as TensorFlow describes them, for the metadata.
        catalogue: bytes of the films and users that the page shows, or None.
    """

    def __init__(self, folder: Path) -> None:
        """Load a version folder and answer its warm-up requests.

        Raises:
            CannotLoad: it is not a whole SavedModel of this TensorFlow, or a warm-up request fails.
        """
        if (folder / MANIFEST).exists():
            try:
                verify(folder)
            except Damaged as error:
                raise CannotLoad(str(error)) from error
        self._session, graph = _load(folder)
        self.definitions = {
            name: definition
            for name, definition in graph.signature_def.items()
            if definition.inputs and all(info.name for part in _parts(definition) for info in part.values())
        }
        self.signatures = {name: self._signature(name, it) for name, it in self.definitions.items()}
        if not self.signatures:
            raise CannotLoad("it has no signature with dense inputs and outputs: save it with `signatures=`")
        self.catalogue = _catalogue(folder / CATALOGUE)
        self._warm_up(folder / WARM_UP)

    def signature(self, name: str) -> Signature:
        """The signature of that name, the default one for an empty name. Raises an invalid-argument error."""
        try:
            return self.signatures[name or DEFAULT_SIGNATURE]
        except KeyError:
            have = ", ".join(sorted(self.signatures))
            raise invalid(
                f"Serving signature name: {name or DEFAULT_SIGNATURE!r} not found. There is: {have}"
            ) from None

    def _signature(self, name: str, definition: meta_graph_pb2.SignatureDef) -> Signature:
        inputs, outputs = ({key: _spec(key, part[key]) for key in sorted(part)} for part in _parts(definition))
        # What TensorFlow has beneath `Session.make_callable`, which goes through a dictionary in Python at each call:
        # this costs 0.04 ms instead of 0.2.
        options = config_pb2.CallableOptions(
            feed=[definition.inputs[key].name for key in inputs],
            fetch=[definition.outputs[key].name for key in outputs],
        )
        return Signature(name, inputs, outputs, self._session._make_callable_from_options(options))

    def _warm_up(self, path: Path) -> None:
        """Answer the requests that the artefact brings for this, so that nobody waits for a first call."""
        if not path.exists():
            return
        try:
            for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
                signature = self.signature(request.model_spec.signature_name)
                values = {key: tf.make_ndarray(proto) for key, proto in request.inputs.items()}
                signature.run({key: values[key] for key in signature.inputs})
        except (tf.errors.OpError, DecodeError, KeyError, ValueError, TypeError, RequestError) as error:
            raise CannotLoad(f"its warm-up requests fail: {_first_line(error)}") from error


def _load(folder: Path) -> tuple[tf.compat.v1.Session, tf.compat.v1.MetaGraphDef]:
    """A session with the graph of a SavedModel and its variables."""
    try:
        return _session(folder)
    except CannotLoad as error:
        if "Scann>" not in str(error):
            raise
    try:
        import scann  # noqa: F401  (importing it registers its ops)
    except ImportError as error:
        raise CannotLoad(
            "it needs ScaNN's ops, which are not here: `pip install scann` (Linux only), or serve the artefact with "
            "stock ops that is exported beside it"
        ) from error
    return _session(folder)


def _session(folder: Path) -> tuple[tf.compat.v1.Session, tf.compat.v1.MetaGraphDef]:
    session = tf.compat.v1.Session(graph=tf.Graph())
    try:
        # TensorFlow calls this loader deprecated in favour of the one for Python; we want what its server does.
        with session.graph.as_default(), quiet_tensorflow():
            return session, tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
    except Exception as error:  # whatever a damaged file makes TensorFlow raise: it must not end the server
        session.close()
        raise CannotLoad(_first_line(error)) from error


def _parts(definition: meta_graph_pb2.SignatureDef) -> tuple[_TensorInfos, _TensorInfos]:
    """Inputs and outputs."""
    return definition.inputs, definition.outputs


def _spec(name: str, info: meta_graph_pb2.TensorInfo) -> TensorSpec:
    shape = None if info.tensor_shape.unknown_rank else tf.TensorShape(info.tensor_shape).as_list()
    return TensorSpec(name, tf.dtypes.as_dtype(info.dtype), None if shape is None else tuple(shape))


def _catalogue(path: Path) -> bytes | None:
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        json.loads(content)
    except ValueError as error:
        raise CannotLoad(f"{CATALOGUE} is no JSON: {error}") from error
    return content


def _first_line(error: Exception) -> str:
    """What an error says, without TensorFlow's list of nodes."""
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    return text.strip().splitlines()[0].split(" [[{{node")[0].strip()[:500]
