"""From a trained model to artefacts: two SavedModels with what a server and a reader want to find beside them."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from recsys_course import metrics
from recsys_course.data.titles import split_title
from recsys_course.serving import versions
from recsys_course.serving.quiet import quiet_tensorflow
from recsys_course.serving.retrieval_module import ExactSearch, RetrievalModule
from recsys_course.serving.scann_search import ScannSearch
from recsys_course.serving.trained import SPLIT, Trained

EXTRA = "assets.extra"  # TensorFlow Serving's name for files that lie beside a model and are not part of it
LIBRARIES = ("tensorflow", "tf-keras", "tensorflow-recommenders", "scann", "numpy", "protobuf")
LIKED = 0.75  # of the way from the lowest rating to the highest: 4 of 5 stars

Request = tuple[str, dict[str, list[Any]]]  # a signature, and its inputs


class HasLearnt(Protocol):
    """A trained model, as far as an artefact says what it has learnt from; see `Trained` for what each part is."""

    @property
    def dataset(self) -> str: ...

    @property
    def train(self) -> pd.DataFrame: ...

    @property
    def movies(self) -> pd.DataFrame: ...

    @property
    def user_ids(self) -> list[str]: ...


class Exported(NamedTuple):
    """Where the artefacts lie.

    Attributes:
        exact: version folder of the artefact with stock ops alone.
        scann: version folder of the one with ScaNN's ops; None where ScaNN is not installed.
    """

    exact: Path
    scann: Path | None


def export_retrieval(
    trained: Trained, models_dir: Path | str = "models", say: Callable[[str], None] = print
) -> Exported:
    """Publishes the next version of `retrieval` and, where ScaNN is installed, of `retrieval_scann`.

    Args:
        trained: from `trained_retrieval`.
        models_dir: the folder of all models.
        say: told what happens, a line at a time.
    """
    embeddings = trained.candidate_embeddings()
    module = retrieval_module(trained, ExactSearch(embeddings))
    exact = _publish(Path(models_dir) / "retrieval", trained, module, {})
    say(f"wrote {exact}")
    if not ScannSearch.is_available():
        say("retrieval_scann is left out: ScaNN is not installed here, and has wheels for Linux only")
        return Exported(exact, None)
    approximate = retrieval_module(trained, ScannSearch(embeddings))
    recall = metrics.neighbor_recall_at_k(_lists(approximate, trained), _lists(module, trained))
    facts = {"recall of exact search's films @10": round(recall, 4)}
    scann = _publish(Path(models_dir) / "retrieval_scann", trained, approximate, facts)
    say(f"wrote {scann}; it finds {recall:.1%} of the films that exact search finds")
    return Exported(exact, scann)


def retrieval_module(trained: Trained, search: ExactSearch | ScannSearch) -> RetrievalModule:
    """The live module of a trained model. Users without a training row are strangers to it."""
    index = trained.index
    return RetrievalModule(trained.model.query_tower, search, trained.user_ids, index.movie_ids, trained.seen())


def is_liked(train: pd.DataFrame) -> pd.Series:
    """Which ratings say that a film was liked: those at least `LIKED` of the way up the scale. `[num_ratings] bool`."""
    lowest, highest = train["user_rating"].min(), train["user_rating"].max()
    return train["user_rating"] >= lowest + LIKED * (highest - lowest)


def catalogue(trained: HasLearnt) -> dict[str, dict[str, Any]]:
    """What a page needs to show lists to people: films by id, and what each user liked best.

    Returns:
        `{"movies": {movie_id: {"title", "year" (int or None), "genres"}}, "users": {user_id: [movie_id, ...]}}`; at
        most twenty films a user, the highest and then the latest rated first.
    """
    films = {}
    columns = (trained.movies[name] for name in ("movie_id", "movie_title", "movie_genres"))
    for movie_id, title, genres in zip(*columns, strict=True):
        name, year = split_title(title)
        films[movie_id] = {"title": name, "year": year, "genres": list(genres)}
    best_first = trained.train.sort_values(["user_rating", "timestamp"], ascending=False, kind="stable")
    liked = best_first[is_liked(best_first)].astype({"user_id": str, "movie_id": str})
    by_user = liked.groupby("user_id")["movie_id"].apply(lambda ids: ids.head(20).tolist())
    return {"movies": films, "users": {user: by_user.get(user, []) for user in trained.user_ids}}


def _lists(module: RetrievalModule, trained: Trained) -> np.ndarray:
    """`[num_users, 10]` ids for every user, a thousand at a time."""
    users = trained.user_ids
    parts = [module.serving_default(tf.constant(users[at : at + 1_000])) for at in range(0, len(users), 1_000)]
    return np.concatenate([part["movie_ids"].numpy().astype(str) for part in parts])


def _publish(base: Path, trained: Trained, module: RetrievalModule, measured: dict[str, float]) -> Path:
    facts = {
        "search": type(module.search).__name__,
        "dataset": about_dataset(trained),
        "split": SPLIT,
        "recipe": trained.recipe,
        "hit rates": trained.metrics,
        **measured,
    }
    users = trained.user_ids
    warm_up: list[Request] = [("serving_default", {"user_id": ids}) for ids in (users[:1], users[:32], ["a stranger"])]
    warm_up.append(("top_k", {"user_id": users[:1], "k": [100]}))
    return publish_module(base, module, facts, warm_up, catalogue(trained))


def about_dataset(trained: HasLearnt) -> dict[str, Any]:
    """What a manifest says of the data."""
    return {
        "name": trained.dataset,
        "users": len(trained.user_ids),
        "movies": len(trained.movies),
        "training interactions": len(trained.train),
    }


def publish_module(
    base: Path, module: tf.Module, facts: Mapping[str, Any], warm_up: Iterable[Request], films: Mapping[str, Any]
) -> Path:
    """Publishes the next version of a module, with what a server and a reader want to find beside it.

    Args:
        base: the model's folder.
        module: its `signatures` are saved.
        facts: for the manifest, beside the model's name and the libraries.
        warm_up: requests for `write_warm_up`.
        films: for the server's page, from `catalogue`.

    Returns:
        The version's folder.

    Raises:
        OSError: it cannot be written; nothing is left then.
    """

    def write(folder: Path) -> None:
        try:
            with quiet_tensorflow():  # Keras warns that a tower cannot be rebuilt; its graph is what is saved
                tf.saved_model.save(module, str(folder), signatures=module.signatures)
        except tf.errors.OpError as error:  # a full disk, say, in TensorFlow's words
            raise OSError(error.message) from error
        extra = folder / EXTRA
        extra.mkdir(exist_ok=True)
        write_warm_up(extra / "tf_serving_warmup_requests", base.name, warm_up)
        (extra / "catalogue.json").write_text(json.dumps(films, ensure_ascii=False), encoding="utf-8")

    return versions.publish(base, write, {"model": base.name, **facts, "libraries": _libraries()})


def write_warm_up(path: Path, model_name: str, requests: Iterable[Request]) -> None:
    """Requests that a server answers to itself before it calls a version ready, as TensorFlow Serving expects them.

    The first call of each signature and each path through the graph is slow; better that nobody waits for it.

    Args:
        path: the file.
        model_name: whom the requests ask.
        requests: signatures with their inputs: `k` as integers, anything else as text.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, values in requests:
            inputs = {
                name: tf.make_tensor_proto(value, tf.int32 if name == "k" else tf.string)
                for name, value in values.items()
            }
            spec = model_pb2.ModelSpec(name=model_name, signature_name=signature)
            request = predict_pb2.PredictRequest(model_spec=spec, inputs=inputs)
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def _libraries() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
