"""Checks of chapter 5: bounds in the graph, a lost feature, publishing in one step, parity, percentiles of latency."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys_course.grading.core import Wrong, exercise, inputs

if TYPE_CHECKING:
    import tensorflow as tf

# --- 5.1 Bounds in the graph --------------------------------------------------------------------------------------


@exercise("5.1", answer="checked_k")
def _checked_k(answer: Any) -> None:
    import tensorflow as tf

    if not callable(answer):
        raise Wrong("checked_k should be a function of k and num_movies", got=answer)

    def traced(num_movies: int) -> Any:
        returned = []

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "k")])
        def serve(k: tf.Tensor) -> tf.Tensor:
            returned.append(answer(k, num_movies))
            return k if returned[-1] is None else tf.convert_to_tensor(returned[-1])

        try:
            serve.get_concrete_function()
        except NotImplementedError:
            raise
        except Exception as error:
            said = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise Wrong(
                "the graph cannot be built. While it is, k has no value yet, so Python's own `if`, `max` or `int` "
                "cannot look at it, and a `raise` would happen once and for all: let TensorFlow compare and assert",
                given="k, any [batch] int32 tensor",
                got=said[-1][:200],
            ) from error
        if returned[-1] is None:
            raise Wrong("checked_k returned None: is there a return?")
        return serve

    for num_movies, k, expected in (
        (5, [3, 1], [3, 1]),
        (5, [5], [5]),
        (5, [6, 2, 1_000_000], [5, 2, 5]),
        (1682, [np.iinfo(np.int32).max, 1682, 1681], [1682, 1682, 1681]),
        (7, [], []),
    ):
        serve = traced(num_movies)
        try:
            got = serve(tf.constant(k, tf.int32))
        except tf.errors.InvalidArgumentError as error:
            told = (
                "a k beyond the catalogue should be cut to its size, not refused"
                if max(k, default=0) > num_movies
                else "you refuse a k that is in order"
            )
            raise Wrong(told, given=f"k={k}, num_movies={num_movies}", expected=expected) from error
        given = f"k={k}, num_movies={num_movies}"
        if got.dtype != tf.int32 or got.shape.as_list() != [len(k)]:
            told = "return one int32 for each k, as they came"
            raise Wrong(told, given=given, expected=f"[{len(k)}] int32", got=f"{got.shape} {got.dtype.name}")
        got = got.numpy().tolist()
        if got != expected:
            told = "k is not cut to the size of the catalogue: top_k would fail, or ScaNN return rows that do not exist"
            if all(value < top for value, top in zip(got, expected, strict=True)):
                told = "a list of all films is allowed: cut to num_movies itself"
            elif len(set(got)) < len(set(expected)):
                told = "each k belongs to its own user: compare element by element, and do not reduce them to one"
            raise Wrong(told, given=given, expected=expected, got=got)
    serve = traced(5)
    for k in ([0], [-1], [3, 0, 4], [2, np.iinfo(np.int32).min], [-3, 9]):
        try:
            got = serve(tf.constant(k, tf.int32)).numpy().tolist()
        except tf.errors.InvalidArgumentError:
            continue
        told = "a k below 1 must be refused with an InvalidArgumentError, for whichever user of the batch it is"
        if all(1 <= value <= 5 for value in got):
            told = "you turn a k below 1 into a valid one. Nobody meant that; a caller's mistake should be told to them"
        raise Wrong(told, given=f"k={k}, num_movies=5", expected="InvalidArgumentError, when the graph runs", got=got)


# --- 5.2 The feature that got lost --------------------------------------------------------------------------------


def _loses_the_hour(query_tower):
    # Held against the answer's source and never called, so it does without an import of TensorFlow.
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="user_id")])
    def serve(user_id):
        return {"embedding": query_tower({"user_id": user_id})}

    return serve


@exercise("5.2", answer="query_signature", planted_bug=_loses_the_hour)
def _query_signature(answer: Any) -> None:
    import tensorflow as tf

    if not callable(answer):
        raise Wrong("query_signature should be a function that takes the tower", got=answer)
    table = tf.constant(np.random.default_rng(5).normal(size=(24, 3)), tf.float32)

    def tower(features: Mapping[str, Any]) -> Any:
        # As tolerant as the chapter's: an hour that does not come counts as midnight.
        hour = features.get("hour", tf.zeros(tf.shape(features["user_id"]), tf.int64))
        return tf.gather(table, hour) + tf.cast(tf.strings.length(features["user_id"]), tf.float32)[:, tf.newaxis]

    serve = answer(tower)
    if not hasattr(serve, "get_concrete_function"):
        raise Wrong("return the tf.function itself, which is what tf.saved_model.save takes as a signature", got=serve)
    module = tf.Module()
    module.serve = serve
    with tempfile.TemporaryDirectory() as folder:
        try:
            tf.saved_model.save(module, folder, signatures=serve)
        except ValueError as error:
            raise Wrong("this cannot be saved as a signature", got=str(error).splitlines()[0][:200]) from error
        loaded = tf.saved_model.load(folder)
    signature = loaded.signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    if set(specs) != {"user_id", "hour"}:
        told = "an argument of the signature is what a client may send: it needs user_id and hour, under these names"
        if "hour" not in specs:
            told = "the signature has no hour, so no client can send one, and the tower falls back on its default"
        raise Wrong(told, expected=["hour", "user_id"], got=sorted(specs))
    for name, dtype in (("user_id", tf.string), ("hour", tf.int64)):
        if specs[name].dtype != dtype or specs[name].shape.as_list() != [None]:
            told = f"{name} should be a batch of any size, so of shape [None], and of type {dtype.name}"
            raise Wrong(told, got=f"shape {specs[name].shape}, {specs[name].dtype.name}")
    for users, hours in ((["ada", "bo"], [9, 21]), (["bo"], [3]), (["x", "yy", "zzz"], [23, 0, 12])):
        sent = {"user_id": tf.constant(users), "hour": tf.constant(hours, tf.int64)}
        (got,) = signature(**sent).values()
        expected = tower(sent)
        if not np.allclose(got, expected, atol=1e-5):
            told = "the embedding is not the one that the tower gives for these features"
            if np.allclose(got, tower({"user_id": sent["user_id"]}), atol=1e-5):
                told = "the signature takes an hour, but it never reaches the tower: look at the keys that you pass on"
            given = f"user_id={users}, hour={hours}"
            raise Wrong(told, given=given, expected=expected.numpy().round(3), got=got.numpy().round(3))


# --- 5.3 Half a version -------------------------------------------------------------------------------------------


def _writes_in_place(base, write):
    numbers = [int(path.name) for path in base.iterdir() if path.name.isdecimal()]
    folder = base / str(max(numbers, default=0) + 1)
    folder.mkdir()
    write(folder)
    return folder


def _numbered(base: Path) -> list[str]:
    return sorted(path.name for path in base.iterdir() if path.name.isdecimal())


@exercise("5.3", answer="publish", planted_bug=_writes_in_place)
def _publish(answer: Any) -> None:
    if not callable(answer):
        raise Wrong("publish should be a function of base and write", got=answer)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "model"
        base.mkdir()
        _check_publish(answer, base)


def _check_publish(answer: Any, base: Path) -> None:
    seen: list[str] = []
    written_to: list[tuple[Path, int]] = []

    def write(folder: Path) -> None:
        folder = Path(folder)
        if not folder.is_dir() or any(folder.iterdir()):
            raise Wrong("write should be given a folder that exists and is empty", got=str(folder.name))
        (folder / "saved_model.pb").write_text("graph")
        seen.extend(_numbered(base))  # a server looks just now, with half of the files there
        (folder / "weights").write_text("weights")
        written_to.append((folder, folder.stat().st_ino))

    for have, expected in (([], "1"), ([], "2"), (["9", "10", "notes", "11 copy"], "11")):
        for name in have:
            (base / name).mkdir()
        before = _numbered(base)
        seen.clear()
        got = answer(base, write)
        if half := sorted(set(seen) - set(before)):
            raise Wrong(
                "while the files were being written, the version could be seen: a server that looks at that moment "
                "loads half of it",
                given=f"versions before: {', '.join(before) or 'none'}",
                got=f"visible with half of its files: {', '.join(half)}",
            )
        now = _numbered(base)
        if [name for name in now if name not in before] != [expected]:
            told = "the new version should have the next number"
            if "10" in before:
                told = "the next number follows from the largest *number*; as text, 9 comes after 10"
            came = ", ".join(sorted(set(now) - set(before))) or "none"
            raise Wrong(told, given=f"versions before: {', '.join(before)}", expected=expected, got=came)
        files = sorted(path.name for path in (base / expected).iterdir())
        if files != ["saved_model.pb", "weights"]:
            raise Wrong("the version should hold exactly what write has written", got=", ".join(files) or "nothing")
        if (base / expected).stat().st_ino != written_to[-1][1]:
            raise Wrong(
                "you copy the finished files, and while a copy is on its way it is as half-done as the original was. "
                "A rename is one step, within one disk",
            )
        if not isinstance(got, str | Path) or Path(got) != base / expected:
            raise Wrong("publish should return the folder of the new version", expected=f"base / {expected!r}", got=got)

    def crashes(folder: Path) -> None:
        (Path(folder) / "half").write_text("half")
        raise RuntimeError("disk full")

    before = _numbered(base)
    try:
        answer(base, crashes)
    except RuntimeError:
        pass
    else:
        raise Wrong("write failed, and publish said nothing: let the error through")
    if _numbered(base) != before:
        raise Wrong(
            "write failed half-way, and yet there is a new version", got=sorted(set(_numbered(base)) - {*before})
        )
    try:
        answer(base, write)
    except FileExistsError as error:
        told = "after a publish that failed no other one succeeds, since its folder is still there: take a new name"
        raise Wrong(told, got=f"FileExistsError: {Path(error.filename or '').name}") from error
    files = sorted(path.name for path in (base / "12").iterdir()) if (base / "12").is_dir() else ["nothing"]
    if files != ["saved_model.pb", "weights"]:
        told = "after a publish that failed, the next one should be a version like any other"
        raise Wrong(told, expected="saved_model.pb, weights", got=", ".join(files))


# --- 5.4 A parity check that cannot fail --------------------------------------------------------------------------


def _differing_users(live, served):
    nothing = object()
    return sorted(
        user
        for user in set(live) | set(served)
        if not (user in live and user in served)
        or len(live[user]) != len(served[user])
        or any(a != b for a, b in zip(live.get(user, nothing), served.get(user, nothing), strict=True))
    )


def _forgives_everything(live, served):
    users = live.keys() & served.keys()
    return sorted(user for user in users if not set(served[user]) <= set(live[user]))


def _of(users, differs):
    return sorted(user for user in users if differs(user))


exercise(
    "5.4",
    answer="differing_users",
    reference=_differing_users,
    cases=[
        inputs({"1": ["a", "b"], "2": ["c", "d"]}, {"1": ["a", "b"], "2": ["d", "c"]}),  # another order
        inputs({"1": ["a", "b"], "2": ["c", "d"]}, {"1": ["a", "b"], "2": ["c", "d"]}),
        inputs({"1": ["a", "b"], "2": ["c", "d"], "3": ["e", "f"]}, {"3": ["e", "x"], "1": ["a", "b"]}),  # 2 is missing
        inputs({"1": ["a", "b"], "2": ["c", "d"]}, {}),  # the artefact knows nobody
        inputs({"1": ["a", "b"], "2": ["c", "d"]}, {"1": [], "2": []}),  # it answers everybody with nothing
        inputs({"10": ["a"], "9": ["b"]}, {"10": ["a", "b"], "9": ["b", "b"]}),  # too long
        inputs({"1": ["a"]}, {"1": ["a"], "2": ["a"]}),  # a user whom the live model has never met
        inputs({"1": ["a"], "2": []}, {"1": ["a"]}),  # an empty list is not the same as none
        inputs({}, {}),
    ],
    misconceptions={
        "you compare which films, but not their order, and the order is the recommendation": (
            lambda live, served: _of(
                live.keys() | served.keys(),
                lambda user: user not in live or user not in served or sorted(live[user]) != sorted(served[user]),
            )
        ),
        "only users of whom both know are compared; an artefact that has lost everybody would pass": (
            lambda live, served: _of(live.keys() & served.keys(), lambda user: live[user] != served[user])
        ),
        "you go through the artefact's users alone: one that answers nobody would pass": (
            lambda live, served: _of(served, lambda user: live.get(user) != served[user])
        ),
        "you go through the live model's users alone: one whom only the artefact knows goes unnoticed": (
            lambda live, served: _of(live, lambda user: live[user] != served.get(user))
        ),
        "zip stops at the shorter list: an artefact that answers with empty lists would pass": (
            lambda live, served: _of(
                live.keys() | served.keys(),
                lambda user: (
                    user not in live
                    or user not in served
                    or any(a != b for a, b in zip(live[user], served[user], strict=False))
                ),
            )
        ),
        "an empty list is an answer, and a missing user is none: do not let one stand for the other": (
            lambda live, served: _of(
                live.keys() | served.keys(), lambda user: live.get(user, []) != served.get(user, [])
            )
        ),
        "these are the users who agree; return those who do not": (
            lambda live, served: _of(live.keys() & served.keys(), lambda user: live[user] == served[user])
        ),
    },
    planted_bug=_forgives_everything,
)

# --- 5.5 The slowest of a hundred ---------------------------------------------------------------------------------


def _latency_percentile(latencies, percent):
    # By the definition, not by a rank: try every latency, the smallest first.
    return min(
        one for one in latencies if 100 * sum(other <= one for other in latencies) >= percent * len(list(latencies))
    )


def _ranked(latencies, rank):
    return sorted(latencies)[min(max(rank, 1), len(latencies)) - 1]


exercise(
    "5.5",
    answer="latency_percentile",
    reference=_latency_percentile,
    cases=[
        inputs([20, 10, 40, 30], 50),
        inputs([20, 10, 40, 30], 51),
        inputs([20, 10, 40, 30], 70),
        inputs([7.0, 3.0, 900.0, 5.0, 4.0, 6.0, 3.5, 4.5, 5.5, 6.5], 90),
        inputs(np.concatenate([np.arange(197.0, 0, -1), [5000.0, 4000.0, 3000.0]]), 99),
        inputs([12.0], 99),
        inputs([5.0, 1.0, 3.0], 100),
        inputs([5.0, 1.0, 3.0], 0.5),
        inputs([2.0, 2.0, 2.0, 9.0], 75),
    ],
    misconceptions={
        "you interpolate between two latencies and give one that no request had; take the one that was measured": (
            lambda latencies, percent: np.percentile(latencies, percent)
        ),
        "one rank too far: the place int(percent * n / 100), counted from 0, leaves more below than was asked for": (
            lambda latencies, percent: _ranked(latencies, int(percent * len(latencies) / 100) + 1)
        ),
        "you round the rank down, so fewer than the wanted share are that fast: round up": (
            lambda latencies, percent: _ranked(latencies, int(percent * len(latencies) / 100))
        ),
        "you round the rank to the nearest, and so sometimes down: round up": (
            lambda latencies, percent: _ranked(latencies, round(percent * len(latencies) / 100))
        ),
        "latencies come in the order of the requests: sort them first": (
            lambda latencies, percent: list(latencies)[max(1, math.ceil(percent * len(latencies) / 100)) - 1]
        ),
        "this is the mean, in which a hundred quick answers hide a slow one": (
            lambda latencies, percent: np.mean(latencies)
        ),
        "you count from the slowest: p99 is the latency that 99 % did not exceed, not 1 %": (
            lambda latencies, percent: _ranked(latencies, math.ceil((100 - percent) * len(latencies) / 100))
        ),
        "percent runs to 100, not to 1: 99 stands for p99": (
            lambda latencies, percent: _ranked(latencies, math.ceil(percent * len(latencies)))
        ),
    },
)
