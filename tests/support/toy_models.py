"""Tiny models for the server: stock ops, saved and loaded in a moment, each with one trait that a test needs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

FLOATS, INTEGERS, STRINGS = (tf.TensorSpec([None], dtype) for dtype in (tf.float32, tf.int32, tf.string))


class Doubling(tf.Module):
    """Twice the input, and which version says so."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = tf.Variable(number, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def double(self, x):
        return {"y": 2 * x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def versioned(self, x):
        return {"y": 2 * x, "version": tf.fill(tf.shape(x), self.number)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def not_negative(self, x):
        with tf.control_dependencies([tf.debugging.assert_greater_equal(x, 0.0, "x must not be negative")]):
            return {"y": tf.sqrt(x)}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.float32, name="x"), tf.TensorSpec([None], tf.int32, name="k")]
    )
    def repeat(self, x, k):
        """Row i repeats x[i] k[i] times, and the rest of the longest row of the batch is -1."""
        wide = tf.range(tf.reduce_max(k)) < k[:, tf.newaxis]
        return {"y": tf.where(wide, x[:, tf.newaxis], -1.0)}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="text"), tf.TensorSpec([None, 2], tf.int64, name="pair")]
    )
    def describe(self, text, pair):
        return {
            "upper": tf.strings.upper(text, encoding="utf-8"),
            "text_bytes": text,
            "sum": tf.reduce_sum(pair, axis=1),
            "positive": pair > 0,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def cut(self, text):
        """The first byte of each text, which may be no text any more."""
        return {"first": tf.strings.substr(text, 0, 1)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, name="x")])
    def scalar(self, x):
        return {"y": x + 1.0}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="seconds")])
    def sleep(self, seconds):
        """Takes as long as the longest row says, and no processor time."""
        microseconds = tf.cast(1e6 * tf.reduce_max(seconds) / 2, tf.int64)  # it looks twice, for one and for the end
        one = tf.data.Dataset.range(1)
        slow = tf.raw_ops.SleepDataset(
            input_dataset=one._variant_tensor,
            sleep_microseconds=microseconds,
            output_types=[tf.int64],
            output_shapes=[tf.TensorShape([])],
        )
        woken = tf.raw_ops.DatasetToSingleElement(
            dataset=slow, output_types=[tf.int64], output_shapes=[tf.TensorShape([])]
        )
        with tf.control_dependencies(woken):
            return {"slept": tf.identity(seconds)}

    @property
    def signatures(self):
        names = ("versioned", "not_negative", "repeat", "describe", "cut", "scalar", "sleep")
        return {"serving_default": self.double} | {name: getattr(self, name) for name in names}


class Films(tf.Module):
    """Answers as the course's retrieval models do."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="user_id")])
    def recommend(self, user_id):
        rows = tf.shape(user_id)[0]
        return {
            "movie_ids": tf.ensure_shape(tf.tile([["1", "2"]], [rows, 1]), [None, 2]),
            "scores": tf.ensure_shape(tf.tile([[0.5, 0.25]], [rows, 1]), [None, 2]),
            "answered_by": tf.where(user_id == "7", "two-tower", "popularity"),
        }


def films(folder: Path) -> Path:
    """Save the films as one version folder."""
    module = Films()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.recommend})
    return folder


def save(folder: Path, number: int = 1) -> Path:
    """Save the toy as one version folder."""
    module = Doubling(number)
    tf.saved_model.save(module, str(folder), signatures=module.signatures)
    return folder


def small(folder: Path, number: int) -> Path:
    """The same with one signature alone: saved and loaded several times faster."""
    module = Doubling(number)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.versioned})
    return folder


def publish(saved: Path, folder: Path) -> Path:
    """Copy a saved version to its place, appearing whole."""
    unfinished = folder.parent / f".tmp-{folder.name}"
    shutil.copytree(saved, unfinished)
    return unfinished.rename(folder)


def with_catalogue(folder: Path, catalogue: dict) -> None:
    """Put what the page shows beside a model."""
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / "assets.extra" / "catalogue.json").write_text(json.dumps(catalogue), encoding="utf-8")


def with_warm_up(folder: Path, warm_up: list[float]) -> None:
    """Put a warm-up request beside the toy."""
    extra = folder / "assets.extra"
    extra.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name="toy", signature_name="not_negative"))
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(warm_up))
        log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
        writer.write(log.SerializeToString())
