# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: -jupytext.text_representation
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5 · Export and serving
#
# A model that lives in a notebook recommends nothing to anybody. Here it becomes a folder that any machine can load,
# then a service that answers while its versions change, and every request in this chapter is really sent and really
# answered.
#
# **You will be able to**
#
# - say what belongs to a model besides its weights, and put all of it into one artefact with named signatures;
# - publish versions that appear whole or not at all, and know an artefact by its manifest;
# - prove, in a process that knows nothing of your code, that what is served is what was trained;
# - query a server by curl, from Python and over gRPC, and read its errors;
# - measure latency under load, change versions without losing a request, compare two of them, and go back;
# - say what TensorFlow Serving, Docker and Kubernetes add to that.
#
# | | |
# |---|---|
# | time | 110 minutes to read and solve; about a minute to run |
# | data | MovieLens 100K, as in chapter 1 |
# | needs | chapter 3; what a process and an HTTP request are |
# | sources | the TensorFlow guide to SavedModel; TensorFlow Serving; Dean and Barroso (2013) on tail latency |

# %% tags=["setup"] cellView="form"
# @title Set-up
# In Colab this installs what is missing; anywhere else it only sets three switches. The same cell opens every chapter.
import importlib
import importlib.util
import os
import subprocess
import sys
import warnings

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # TensorFlow Recommenders speaks Keras 2; TensorFlow reads this once
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # warnings of TensorFlow's C++ side stay quiet
warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm asks for ipywidgets, which no chapter needs

package_address = "https://github.com/recsys-course/recsys-course/archive/refs/heads/main.zip"
package = os.environ.get("COURSE_PACKAGE", package_address)
missing = importlib.util.find_spec("recsys_course") is None
if os.environ.get("COURSE_FORCE_SETUP") == "1" or (missing and "google.colab" in sys.modules):
    print("Installing the course's package and what it needs: a minute or two ...", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
    installed = subprocess.run(pip, capture_output=True, text=True)
    if installed.returncode:
        raise RuntimeError("Installing the course failed. pip says:\n" + installed.stderr[-1000:])
    importlib.invalidate_caches()
elif missing:
    raise ModuleNotFoundError(
        "This kernel lacks the course's package. In a clone of the course choose the kernel of its .venv, which "
        f"`make course` makes; elsewhere run once: {sys.executable} -m pip install {package}"
    )

# %%
import inspect
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import grpc
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import requests
import tensorflow as tf
import tensorflow_recommenders as tfrs
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from recsys_course import baselines, data, diagrams, grading, models, serving

tf.keras.utils.set_random_seed(42)
tf.config.experimental.enable_op_determinism()
tf.get_logger().setLevel("ERROR")  # Keras has something to say at every save
DATASET = data.dataset_name()

# %% [markdown]
# ## 1 · What is the model?
#
# We take the model of chapter 3. `serving.trained_retrieval` trains it once on this machine, the same way, and keeps
# the weights.

# %% tags=["nbval-ignore-output"]
prepared = data.ensure_dataset()
trained = serving.trained_retrieval()
users, movie_ids = trained.user_ids, trained.index.movie_ids
seen = trained.seen()  # [num_users, num_movies]: what each of them watched in training
embeddings = trained.candidate_embeddings()  # [num_movies, embedding_dim]
figures = trained.metrics["validation"]
for name in ("two-tower, seen-out @100", "most popular, seen-out @100"):
    print(f"{name}: {figures[name]:.3f}")
if DATASET == "100k":
    assert figures["two-tower, seen-out @100"] > figures["most popular, seen-out @100"] + 0.15

# %% [markdown]
# *Predict:* you send a colleague the weights of both towers, nothing else. What is missing before she can recommend
# five films to user 42?
#
# Everything that turned ids into numbers, and numbers back into films: the vocabularies, the order of the catalogue,
# the histories. And the code of the towers, in the right version, with Python around it. What we want to hand over
# instead is an **artefact**: one folder that holds the computation *and* its data, from a user's id to a list of film
# ids.
#
# TensorFlow's form for that is the **SavedModel**: the graph of operations, the variables, the lookup tables. Whoever
# can run TensorFlow's operations can run it, in C++, Java or Go. A first attempt takes a dozen lines:


# %%
class TopTen(tf.Module):
    """User ids in, ten films out: a first attempt."""

    def __init__(self, query_tower, embeddings, movie_ids):
        super().__init__()
        self.query_tower = query_tower
        self.embeddings, self.movie_ids = tf.Variable(embeddings), tf.Variable(movie_ids)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="user_id")])
    def recommend(self, user_id):
        affinities = tf.matmul(self.query_tower({"user_id": user_id}), self.embeddings, transpose_b=True)
        scores, places = tf.math.top_k(affinities, 10)
        return {"movie_ids": tf.gather(self.movie_ids, places), "scores": scores}


# %% [markdown]
# `tf.function` with an `input_signature` runs the Python once, with symbols in place of values, and keeps the graph
# that comes out. `[None]` says: a batch of any size. Saving it takes one line, and gives the function the name under
# which everybody will find it.


# %%
def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


workspace = tempfile.TemporaryDirectory()  # goes when the notebook's kernel does
work = Path(workspace.name)
first_attempt = TopTen(trained.model.query_tower, embeddings, movie_ids)
signatures = {"serving_default": first_attempt.recommend}
tf.saved_model.save(first_attempt, str(work / "first"), signatures=signatures)
files_of(work / "first")

# %% [markdown]
# A named function with named and typed inputs and outputs is a **signature**. It is the contract with all clients: they
# may send what stands in it, and nothing else.

# %%
first = tf.saved_model.load(str(work / "first"))
signature = first.signatures["serving_default"]
_, takes = signature.structured_input_signature
for what, specs in {"takes": takes, "gives": signature.structured_outputs}.items():
    print(what, {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in specs.items()})

# %% [markdown]
# ### Why not `.keras`?
#
# Keras has a format of its own, a single file. TensorFlow Recommenders has a layer that does what our class does,
# `BruteForce`. Put the two together. *Predict:* where will it fail, at saving, at loading, or at the first answer?

# %% tags=["nbval-ignore-output"]
layer = tfrs.layers.factorized_top_k.BruteForce(trained.model.query_tower, k=10)
layer.index(embeddings, movie_ids.astype(str))
layer({"user_id": tf.constant(users[:1])})
layer.save(work / "layer.keras")
print("saved without a word of complaint")
try:
    tf.keras.models.load_model(work / "layer.keras")
except Exception as error:
    print(f"loading: {type(error).__name__}: {str(error).splitlines()[0]}")
else:
    raise AssertionError("this Keras can do it")

# %% [markdown]
# At loading, which is the worst place of the three: the file has been written, and whoever wrote it has gone home. A
# `.keras` file holds a *recipe*: which classes to build, from which arguments, with which weights to fill in. The index
# was neither argument nor weight, so it is not in the file. A SavedModel keeps what was computed, not how it was
# written, and it does not need our classes. For research, to go on training, `.keras` is fine; for serving use a
# SavedModel.
#
# ## 2 · What the first attempt gets wrong
#
# It answers. Are the answers any good? *Predict:* how many of the ten films does a user know already? And what does
# somebody get whom the model has never met?


# %% tags=["nbval-ignore-output"]
def columns_of(lists):
    """Positions in the catalogue of [num_users, k] movie ids."""
    lists = np.asarray(lists).astype(str)
    return trained.index.movie_positions(lists.ravel()).reshape(lists.shape)


history = seen.toarray() > 0  # [num_users, num_movies]
found = columns_of(signature(user_id=tf.constant(users))["movie_ids"].numpy())
known = np.take_along_axis(history, found, axis=1)
print(f"already watched: {known.mean():.0%} of the films recommended")

popular = movie_ids[np.argsort(-baselines.MostPopular().fit(seen).popularity, kind="stable")]
stranger = signature(user_id=tf.constant(["a stranger"]))["movie_ids"].numpy()[0].astype(str)
print(f"for a stranger: {len(set(stranger) & set(popular[:10]))} of the ten most popular films")
if DATASET == "100k":
    assert known.mean() > 0.4 and len(set(stranger) & set(popular[:10])) <= 5

# %% [markdown]
# The towers have learned what people watched, so they recommend it again. And the stranger's query embedding is the OOV
# vector, which no training row has ever touched: it is still the random start, and points anywhere. It yields a list
# and a score like any other, and nothing shows that the list means nothing. Nor can anybody ask for more than ten
# films: the number is frozen into the graph.
#
# So a serving module needs rules besides the search: **take out what is seen**; **say who has answered**, and let
# popularity answer strangers; and let clients choose the length `k`, within bounds. All of it belongs *into the graph*.
# What is done in Python around the model has to be done again in each client, and one of them will forget.
#
# ### Exercise 5.1 · Bounds in the graph
#
# *fill in · difficulty 2 of 5 · 15 minutes*
#
# `k` is a `[batch] int32` tensor, one length a user. Return it with everything above `num_movies` cut to `num_movies`.
# A `k` below 1 is a caller's mistake: it must raise `tf.errors.InvalidArgumentError` when the graph runs, which a
# server hands back as "400 Bad Request".
#
# Example: `checked_k(tf.constant([3, 9]), num_movies=5)` is `[3, 5]`; `checked_k(tf.constant([3, 0]), num_movies=5)`
# raises.
#
# <details><summary>Hint 1</summary>
#
# While the graph is being built, `k` has no value. Python's `if` and `raise` run then, and never again. Look for the
# TensorFlow functions that do the same later.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# `tf.debugging` holds assertions that become part of the graph, such as `assert_positive` and `assert_greater_equal`.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `tf.minimum` works element by element. The assertion needs no result: in a `tf.function` it runs in the order in which
# it was written.
#
# </details>


# %% tags=["exercise"]
def checked_k(k, num_movies):
    """Returns [batch] int32 lengths in 1..num_movies; the graph refuses a k below 1."""
    # BEGIN SOLUTION
    tf.debugging.assert_greater_equal(k, 1, "k must be at least 1")
    return tf.minimum(k, num_movies)
    # END SOLUTION


# %% tags=["check"]
grading.check("5.1", checked_k)

# %%
checked_k = serving.checked_k  # the course's own version: nothing below depends on your answer

# %% [markdown]
# The course's module has these rules. Its heart fits on half a page: look up the row (0 for strangers), gather the
# history, search, put popularity in where nobody is known, and fill the places that are left over.

# %% tags=["nbval-ignore-output"]
print(inspect.getsource(serving.RetrievalModule.recommend))

# %% [markdown]
# `search` does the rest: `serving.ExactSearch` multiplies with the whole catalogue, puts the seen films at the very
# end, and takes the top. Equal scores come in the catalogue's order, so that two machines give the same list.

# %% tags=["nbval-ignore-output"]
module = serving.retrieval_module(trained, serving.ExactSearch(embeddings))
answer = module.top_k(tf.constant([users[0], "a stranger"]), k=tf.constant([3, 5]))
for name, values in answer.items():
    print(f"{name:12}", values.numpy().tolist())

assert answer["answered_by"].numpy().tolist() == [b"two-tower", b"popularity"]
assert answer["movie_ids"][1].numpy().astype(str).tolist() == popular[:5].tolist()
found = columns_of(module.serving_default(tf.constant(users))["movie_ids"].numpy())
assert not np.take_along_axis(history, found, axis=1).any()

# %% [markdown]
# The user who wanted three films gets three and two empty places, since a tensor has to be a rectangle. The empty score
# is the most negative float rather than minus infinity: JSON knows no infinity, and the request will come back as JSON.
#
# The scores of the two rows are different things, affinities and numbers of ratings. That is why `answered_by` is part
# of the contract: a client that compares scores across users has been warned.
#
# ### A feature on its way
#
# A colleague's query tower also reads the hour of the day, and in her notebook morning and evening lists differ. In
# service they are the same, day and night. Nothing fails, nothing is logged. Here is her tower.


# %%
class HourTower(tf.keras.Model):
    """Who asks, and at what hour. Where no hour comes, it is taken for midnight."""

    def __init__(self, user_ids, embedding_dim):
        super().__init__()
        self.user = models.IdTower("user_id", user_ids, embedding_dim)
        self.hour = tf.keras.layers.Embedding(24, embedding_dim)

    def call(self, features):
        midnight = tf.zeros(tf.shape(features["user_id"]), tf.int64)
        return self.user(features) + self.hour(features.get("hour", midnight))


hour_tower = HourTower(users, embedding_dim=4)
one = tf.constant(users[:1])
morning, evening = ({"user_id": one, "hour": tf.constant([hour], tf.int64)} for hour in (8, 20))
differ = not np.allclose(hour_tower(morning), hour_tower(evening))
print("in the notebook, morning and evening differ:", differ)


# %% [markdown]
# ### Exercise 5.2 · The feature that got lost
#
# *find the bug · difficulty 3 of 5 · 15 minutes*
#
# Below is the colleague's export. Mend it. The signature should take `user_id` (`[batch]` string) and `hour` (`[batch]`
# int64), and give `{"embedding": ...}`: what the tower makes of both.
#
# Example: with the mended one, `query_signature(hour_tower)(**morning)` and `query_signature(hour_tower)(**evening)`
# are not the same.
#
# <details><summary>Hint 1</summary>
#
# What does a client have to do, to send an hour? Look at the contract.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Every argument of the function is an input of the signature, and each needs its `tf.TensorSpec`. Then follow the
# value: under which key does the tower look for it?
#
# </details>


# %% tags=["exercise"]
def query_signature(query_tower):
    """Returns the function to save: users and hours in, {"embedding": [batch, embedding_dim]} out."""
    # BEGIN SOLUTION
    user_spec = tf.TensorSpec([None], tf.string, name="user_id")
    hour_spec = tf.TensorSpec([None], tf.int64, name="hour")

    @tf.function(input_signature=[user_spec, hour_spec])
    def serve(user_id, hour):
        return {"embedding": query_tower({"user_id": user_id, "hour": hour})}

    return serve
    # STUB
    # @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="user_id")])
    # def serve(user_id):
    #     return {"embedding": query_tower({"user_id": user_id})}
    #
    # return serve
    # END SOLUTION


# %% tags=["check"]
grading.check("5.2", query_signature)

# %% [markdown]
# Two kindnesses met here: a tower that forgives a missing feature, and a test that called the tower and not the
# artefact. The rule that follows: **test through the signature**, and let a feature that is needed be missing *loudly*.
#
# ## 3 · Versions
#
# Tomorrow there will be a better model. A server should notice it by itself, load it, and go over to it without missing
# a request. The agreement between trainer and server is as plain as can be: a folder a model, in it a folder a version,
# with a number for a name; the highest is served.
#
# ### Exercise 5.3 · Half a version
#
# *find the bug · difficulty 3 of 5 · 15 minutes*
#
# The function below has published hundreds of versions. Now and then, perhaps once a month, the server reports that it
# cannot read a version, and a minute later it can. Once a disk was full, and the server tried to load a version without
# weights for a whole night. Find out what is wrong, and mend it.
#
# `write(folder)` writes the files into an empty folder that exists. `publish` returns the folder of the new version,
# whose number is one more than the highest so far. If `write` raises, so does `publish`, and no version may appear.
#
# Example: with versions 9 and 10 in `base`, `publish(base, write)` returns `base / "11"`; a server that looks into
# `base` at any moment sees either 9 and 10, or 9, 10 and a whole 11.
#
# <details><summary>Hint 1</summary>
#
# Think of a server that looks into `base` between two lines of this function. When does it see the number 11, and what
# is in that folder then?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Renaming a folder within one disk is a single step: before it nobody sees the new name, after it everybody sees all of
# it. A server passes by whatever is not a number. Copying is no single step.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `f".tmp-{uuid.uuid4().hex}"` is a name that nobody has yet; a fixed one would be in the way after a crash. (A folder
# made by `tempfile.mkdtemp` can be read by its owner alone, and a server often runs as somebody else.)
# `os.rename(old, new)` renames.
#
# </details>


# %% tags=["exercise"]
def publish(base, write):
    """Publishes what `write(folder)` writes as the next version under `base`; returns its folder."""
    numbers = [int(path.name) for path in base.iterdir() if path.name.isdecimal()]
    folder = base / str(max(numbers, default=0) + 1)
    # BEGIN SOLUTION
    unfinished = base / f".tmp-{uuid.uuid4().hex}"
    unfinished.mkdir()
    write(unfinished)
    unfinished.rename(folder)
    return folder
    # STUB
    # folder.mkdir()
    # write(folder)
    # return folder
    # END SOLUTION


# %% tags=["check"]
grading.check("5.3", publish)

# %%
publish = serving.publish  # the course's own version

# %% [markdown]
# The course's own `publish` does three things more: if another process was quicker and has taken the number, it takes
# the next one; it sweeps away what a crashed run has left; and it writes a **manifest**. `serving.export_retrieval`
# publishes twice, once with exact search and once with ScaNN inside:

# %% tags=["nbval-ignore-output"]
models_dir = work / "models"
exported = serving.export_retrieval(trained, models_dir, say=lambda line: None)
for path in files_of(models_dir):
    print(path)

# %% [markdown]
# Under `assets.extra` lie files that are no part of the model: requests that a server answers to itself before it calls
# a version ready (the first call is always the slowest), and titles for the page that you will see in a moment.
#
# A year from now somebody will ask: *which data was this trained on, with what, and was it any good?* The manifest
# knows, and has a hash of every file.

# %% tags=["nbval-ignore-output"]
manifest = serving.verify(exported.exact)  # reads every file, compares every hash
for name in ("created", "dataset", "split", "libraries"):
    print(f"{name}: {json.dumps(manifest[name], indent=1)}")
print("test, seen-out @10:", manifest["hit rates"]["test"]["two-tower, seen-out @10"])

damaged = shutil.copytree(exported.exact, work / "damaged")
with open(damaged / "variables" / "variables.data-00000-of-00001", "r+b") as file:
    file.seek(1000)
    file.write(b"?")
try:
    serving.verify(damaged)
except serving.Damaged as damage:
    print("one byte changed:", str(damage).partition(": ")[2])
else:
    raise AssertionError("a damaged file went unnoticed")

# %% [markdown]
# ## 4 · Is it the same model?
#
# The only honest test of an artefact is a process that has nothing else: none of our code, none of our variables. It
# loads the folder, answers for every user, and we compare. With ScaNN there is a catch, so it also tries the second
# artefact, first as it is, then after importing `scann`. *Predict:* what will the first try say?

# %% tags=["nbval-ignore-output"]
READER = """
import json, sys
import tensorflow as tf

users, folders = json.load(sys.stdin)


def lists(folder):
    answer = tf.saved_model.load(folder).signatures["serving_default"](user_id=tf.constant(users))
    return dict(zip(users, [[movie.decode() for movie in row] for row in answer["movie_ids"].numpy()]))


found = {"exact": lists(folders[0])}
found["ours"] = [name for name in sys.modules if name.startswith("recsys_course")]
for folder in folders[1:]:
    try:
        lists(folder)
    except Exception as error:
        found["without"] = str(error).splitlines()[0]
    import scann
    found["scann"] = lists(folder)
print(json.dumps(found))
"""
folders = [str(folder) for folder in exported if folder]
question = json.dumps([users, folders])
reader = subprocess.run([sys.executable, "-c", READER], input=question, capture_output=True, text=True)
assert reader.returncode == 0, reader.stderr
served = json.loads(reader.stdout.splitlines()[-1])
assert served["ours"] == []
print("without ScaNN's ops:", served.get("without", "ScaNN is not on this machine")[:60])

# %% [markdown]
# An artefact holds *names* of operations; their code is in the program that loads it. Stock TensorFlow has never heard
# of ScaNN's. Importing `scann` registers them in Python; TensorFlow Serving, a C++ program, would have to be built with
# them. That is why there are two artefacts: the first, with stock operations alone, runs everywhere.
#
# ### Exercise 5.4 · A parity check that cannot fail
#
# *find the bug · difficulty 3 of 5 · 15 minutes*
#
# This check has been green since the day it was written. It was green on the day that an artefact answered everybody
# with an empty list, too. `live` and `served` give for each user id the list of movie ids, best first; the answer
# should be the sorted ids of all users for whom the two are not the same. Mend it.
#
# Example: `differing_users({"1": ["a", "b"], "2": ["c"]}, {"1": ["b", "a"]})` is `["1", "2"]`: another order, and a
# user who is missing.
#
# <details><summary>Hint 1</summary>
#
# Before you trust a check, make it fail: give it an artefact without users, one with empty lists, one with reversed
# lists.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# `&` keeps the users whom both know, `<=` between sets asks for a subset, and a set has no order. Which operators ask
# for more?
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `live.keys() | served.keys()` are all users, and `dict.get(user)` is None for one who is missing.
#
# </details>


# %% tags=["exercise"]
def differing_users(live, served):
    """Returns, sorted, the ids of the users whose list is not the same in both dictionaries."""
    # BEGIN SOLUTION
    return sorted(user for user in live.keys() | served.keys() if live.get(user) != served.get(user))
    # STUB
    # users = live.keys() & served.keys()
    # return sorted(user for user in users if not set(served[user]) <= set(live[user]))
    # END SOLUTION


# %% tags=["check"]
grading.check("5.4", differing_users)

# %%
differing_users = serving.differing_users  # the course's own version

# %% [markdown]
# Now for all users. The live lists come straight from the towers, in NumPy, without a line of the serving module.

# %% tags=["nbval-ignore-output"]
queries = trained.model.query_tower({"user_id": tf.constant(users)}).numpy()
affinities = queries.astype(np.float64) @ embeddings.T.astype(np.float64)
affinities = np.where(history, -np.inf, affinities.astype(np.float32))
best = np.argsort(-affinities, axis=1, kind="stable")[:, :10]
live = dict(zip(users, movie_ids[best].tolist(), strict=True))

print(f"exact: {len(differing_users(live, served['exact']))} of {len(users)} users differ")
assert differing_users(live, served["exact"]) == []
if "scann" in served:
    shared = [len(set(live[user]) & set(served["scann"][user])) for user in users]
    overlap = np.mean(shared) / 10
    print(f"ScaNN: {len(differing_users(live, served['scann']))} users differ; {overlap:.2%} of the films are shared")
    assert overlap > 0.97

# %% [markdown]
# Two details make "the same" possible. The module adds up in float64 and rounds once: in float32 the last digits depend
# on how many users share a batch, and two films that nearly tie could change places. And ScaNN, with quantised vectors,
# is held to a share rather than to equality; with every leaf searched and many candidates scored again, it lacks nearly
# nothing.
#
# > **Misconception: it loads and it answers, so it is the model that we trained.**
#
# Here is an artefact with one mistake, of the quietest kind. Somebody remembered that row 0 of every lookup belongs to
# the OOV id, and moved the film ids down by one. In this table there is no such row. *Predict:* what will TensorFlow
# say to it? What will the answers look like?

# %% tags=["nbval-ignore-output"]
moved = np.roll(movie_ids, 1)  # each embedding now carries the id of the film before it
search = serving.ExactSearch(embeddings)
off_by_one = serving.RetrievalModule(trained.model.query_tower, search, users, moved, seen)
tf.saved_model.save(off_by_one, str(work / "off_by_one"), signatures=off_by_one.signatures)
loaded = tf.saved_model.load(str(work / "off_by_one"))
wrong = loaded.signatures["serving_default"](user_id=tf.constant(users))
wrong_lists = dict(zip(users, wrong["movie_ids"].numpy().astype(str).tolist(), strict=True))

best_affinities = np.take_along_axis(affinities, best, axis=1)
print("the scores are those of the live model:", np.allclose(wrong["scores"], best_affinities, atol=1e-4))


# %% tags=["nbval-ignore-output"]
def hit_rate(lists):
    """The share of held-out films that stand in their user's list."""
    return np.mean([movie in lists.get(user, ()) for user, movie in held_out])


validation = data.random_split(data.load_ratings()).validation.astype({"user_id": str, "movie_id": str})
held_out = list(zip(validation.user_id, validation.movie_id, strict=True))
print(f"hit rate at 10, validation: {hit_rate(live):.3f} trained, {hit_rate(wrong_lists):.3f} served")
differing = differing_users(live, wrong_lists)
print(f"parity: {len(differing)} of {len(users)} users differ")
assert hit_rate(wrong_lists) < hit_rate(live) / 2 and len(differing) > 0.9 * len(users)
if DATASET == "100k":
    assert hit_rate(wrong_lists) < figures["most popular, seen-out @10"]

# %% [markdown]
# It loads, the shapes are right, the scores are perfect, latency is excellent, and a plain list of popular films would
# do better. No monitor of the *service* would ever notice. Parity notices at once.
#
# ## 5 · A server
#
# Loading a folder in Python is no service yet. A **model server** keeps versions in memory, answers over the network,
# runs requests together when many come at once, and follows the folder.

# %%
diagrams.show("serving")

# %% [markdown]
# The best known is TensorFlow Serving, a C++ program that comes as a Docker image. The course brings a small one in
# Python that answers *the same requests at the same addresses*, so all that follows works with either. In a shell you
# would type `course export` and then `course serve`; from a notebook the server runs in a process of its own:

# %% tags=["nbval-ignore-output"]
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"  # no proxy between here and here
server = serving.LocalServer(models_dir)  # free ports; ends with this notebook at the latest
url = f"{server.rest}/v1/models/retrieval"
print("REST:", url, "\ngRPC:", server.grpc, "\npage:", server.rest + "/")
status = requests.get(url, timeout=30).json()
print(json.dumps(status, indent=1))
assert status["model_version_status"][0]["state"] == "AVAILABLE"

# %% [markdown]
# (Open the page while the server runs, on your own machine: it shows each list with titles.)
#
# First by **curl**, as from any shell:

# %% tags=["nbval-ignore-output"]
body = json.dumps({"instances": [{"user_id": users[0]}, {"user_id": "a stranger"}]})
command = ["curl", "-s", "-d", body, f"{url}:predict"]
if shutil.which("curl"):
    print("$", shlex.join(command), "\n")
    reply = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for row in json.loads(reply)["predictions"]:
        print(json.dumps(row), "\n")
    assert [row["answered_by"] for row in json.loads(reply)["predictions"]] == ["two-tower", "popularity"]
else:
    print("this machine has no curl; the next cell asks the same from Python")

# %% [markdown]
# Now from Python. `instances` is a list of rows; `inputs` would be a dictionary of columns, smaller on the wire. A
# signature other than `serving_default` is asked for by name.

# %% tags=["nbval-ignore-output"]
request = {"signature_name": "top_k", "instances": [{"user_id": users[0], "k": 3}]}
(row,) = requests.post(f"{url}:predict", json=request, timeout=30).json()["predictions"]
titles = trained.movies.set_index("movie_id").movie_title
for movie_id, score in zip(row["movie_ids"], row["scores"], strict=True):
    print(f"{score:.3f}  {titles[movie_id]}")
assert row["movie_ids"] == live[users[0]][:3]

# %% [markdown]
# And over **gRPC**, which sends typed tensors instead of text. The classes come from TensorFlow Serving's own package.

# %% tags=["nbval-ignore-output"]
channel = grpc.insecure_channel(server.grpc)
stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
request = predict_pb2.PredictRequest(inputs={"user_id": tf.make_tensor_proto(users[:1])})
request.model_spec.name = "retrieval"
reply = stub.Predict(request, timeout=30)
by_grpc = tf.make_ndarray(reply.outputs["movie_ids"])[0].astype(str).tolist()
print(f"version {reply.model_spec.version.value}:", by_grpc)
assert by_grpc == live[users[0]]


# %% [markdown]
# The parity check can now go all the way: from the towers through artefact, server and network.


# %% tags=["nbval-ignore-output"]
def lists_from(address, asked):
    """The lists that a server gives to users, a few hundred a request."""
    lists = {}
    for start in range(0, len(asked), 300):
        part = asked[start : start + 300]
        reply = requests.post(f"{address}:predict", json={"inputs": {"user_id": part}}, timeout=30)
        lists |= dict(zip(part, reply.json()["outputs"]["movie_ids"], strict=True))
    return lists


over_the_wire = lists_from(url, users)
assert differing_users(live, over_the_wire) == []
print(f"{len(over_the_wire)} users, the same lists")

# %% [markdown]
# ### Bad requests
#
# The outside world does not read documentation. *Predict* the status of each: whose mistake is it, and does the server
# survive?

# %% tags=["nbval-ignore-output"]
bad = {
    "no such model": (f"{server.rest}/v1/models/ranking:predict", '{"instances": []}'),
    "no such version": (f"{url}/versions/77:predict", '{"instances": []}'),
    "k of 0": (f"{url}:predict", '{"signature_name": "top_k", "inputs": {"user_id": ["1"], "k": [0]}}'),
    "a number for an id": (f"{url}:predict", '{"instances": [{"user_id": 1}]}'),
    "another feature": (f"{url}:predict", '{"instances": [{"user": "1"}]}'),
    "no JSON": (f"{url}:predict", "user_id=1"),
    "far too much": (f"{url}:predict", json.dumps({"inputs": {"user_id": ["1"] * 500_000}})),
}
for what, (address, body) in bad.items():
    reply = requests.post(address, data=body, timeout=30)
    print(f"{reply.status_code}  {what:19} {reply.json()['error'][:64]}")
    assert 400 <= reply.status_code < 500
assert requests.get(url, timeout=30).ok

# %% [markdown]
# Every one is the caller's mistake, so every status begins with 4, and the body says what to change. The k of 0 was
# refused by *your* kind of assertion in the graph. A 5xx would say that the server is at fault, wake somebody at night,
# and be wrong.
#
# ## 6 · Under load
#
# One request at a time says little. `serving.Load` starts clients that ask, wait for the answer and ask again. From
# each we have a list of latencies. What single number describes it?
#
# ### Exercise 5.5 · The slowest of a hundred
#
# *fill in · difficulty 2 of 5 · 10 minutes*
#
# Write the **percentile** by nearest rank: the smallest of the latencies that at least `percent` of all requests did
# not exceed. Sorted, it stands at rank $\lceil \mathrm{percent} \cdot n / 100 \rceil$, counted from 1. It is always a
# latency that somebody really had.
#
# Example: of `[20, 10, 40, 30]` p50 is 20 (two of four took 20 or less), p51 is 30, p99 is 40.
#
# <details><summary>Hint 1</summary>
#
# The latencies come in the order of the requests.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# `-(-a // b)` is a division that rounds up, and so is `math.ceil(a / b)`; but divide by 100 last, since `0.07 * 100` is
# a hair more than 7.
#
# </details>


# %% tags=["exercise"]
def latency_percentile(latencies, percent):
    """Returns the smallest of the latencies that at least `percent` (of 100) of them do not exceed."""
    # BEGIN SOLUTION
    rank = int(np.ceil(percent * len(latencies) / 100))
    return sorted(latencies)[rank - 1]
    # END SOLUTION


# %% tags=["check"]
grading.check("5.5", latency_percentile)

# %%
latency_percentile = serving.latency_percentile  # the course's own version

# %% [markdown]
# *Predict:* from 1 client to 8 to 64, what happens to the answers a second, and what to the latency?

# %% tags=["nbval-ignore-output"]
sessions = [requests.Session() for _ in range(64)]  # a connection for each client, kept open


def ask(client):
    question = {"inputs": {"user_id": [users[client]]}}
    reply = sessions[client].post(f"{url}:predict", json=question, timeout=30)
    reply.raise_for_status()
    assert len(reply.json()["outputs"]["movie_ids"][0]) == 10


measured = {}
for num_clients in (1, 2, 4, 8, 16, 32, 64):
    with serving.Load(ask, num_clients) as load:
        time.sleep(0.8)
    assert load.failures == []
    p50, p99 = (1000 * latency_percentile(load.latencies, percent) for percent in (50, 99))
    measured[num_clients] = [load.per_second, p50, p99]
latency = pd.DataFrame(measured, index=["requests a second", "p50, ms", "p99, ms"]).T
latency.rename_axis("clients").round(1)

# %% tags=["nbval-ignore-output"]
_, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for name, marker in (("p50, ms", "o"), ("p99, ms", "s")):
    left.plot(latency[name], marker=marker, label=name)
left.set(ylabel="latency in ms", yscale="log")
left.legend()
right.plot(latency["requests a second"], marker="o", color="tab:green")
right.set(ylabel="answers a second", ylim=0)
for ax in (left, right):
    ax.set_xscale("log", base=2)
    ax.set(xlabel="clients", xticks=latency.index, xticklabels=latency.index)
plt.show()
assert latency["p99, ms"][64] > latency["p50, ms"][1]  # in a crowd somebody waits longer

# %% [markdown]
# At first more clients get more answers: the server was waiting for work, and it runs what arrives together as one
# batch. As soon as the machine is busy, the right-hand curve rises no more, and every further client only makes the
# others wait: the left-hand one goes on rising. (Clients and server share this machine's cores, with whatever else runs
# there; in earnest they would not.)
#
# Watch p99, not the mean. A page that asks ten services waits for the slowest of ten, so a delay that one request in a
# hundred has hits one page in ten.
#
# ## 7 · A new version, under load
#
# Version 2 is another model. iALS of chapter 3 gives each user and each film a vector: that is matrix factorisation,
# and so a two-tower model. It goes into the same module, with the same signatures, and no client will have to change.

# %% tags=["nbval-ignore-output"]
als = baselines.ImplicitALS().fit(seen)
als_tower = models.IdTower("user_id", users, als.factors)
als_tower({"user_id": tf.constant(users)})
table = np.zeros((len(users) + 1, als.factors), np.float32)
table[als_tower.lookup(users).numpy()] = als.user_factors
als_tower.embedding.set_weights([table])
search = serving.ExactSearch(als.item_factors)
version_2 = serving.RetrievalModule(als_tower, search, users, movie_ids, seen)

# %% [markdown]
# Eight clients are asking while we publish. *Predict:* how many requests will fail or wait, while 1 is replaced by 2?


# %% tags=["nbval-ignore-output"]
def version_served():
    reply = requests.get(f"{url}/metadata", timeout=30)
    return int(reply.json()["model_spec"]["version"])


def wait_for(version, seconds=30):
    until = time.monotonic() + seconds
    while version_served() != version:
        assert time.monotonic() < until, f"version {version} is not served after {seconds} s"
        time.sleep(0.05)


with serving.Load(ask, num_clients=8) as load:
    time.sleep(0.5)
    folder = publish(
        models_dir / "retrieval",
        lambda folder: tf.saved_model.save(version_2, str(folder), signatures=version_2.signatures),
        {"model": "retrieval", "made from": "iALS"},
    )
    wait_for(2)
    time.sleep(0.5)
print(f"version {folder.name} is served; {len(load.latencies):,} requests, {len(load.failures)} failed")
slowest, p50 = 1000 * max(load.latencies), 1000 * latency_percentile(load.latencies, 50)
print(f"slowest: {slowest:.0f} ms, p50: {p50:.0f} ms")
assert load.failures == [] and len(load.latencies) > 50

# %% [markdown]
# None. The server loads and warms the new version *beside* the old one; then new requests go to the new one, and the
# old one ends its last. The slowest request has felt that a processor was busy loading. And it never saw half a
# version, because `publish` does not make any.
#
# ### A canary
#
# Is 2 better? Before everybody gets a new version, one lets it answer a few, and compares: a **canary**, after the
# birds that miners took along. Both versions can be asked by number, so we can compare all their answers.

# %% tags=["nbval-ignore-output"]
both = {version: lists_from(f"{url}/versions/{version}", users) for version in (1, 2)}
shared = np.mean([len(set(both[1][user]) & set(both[2][user])) for user in users])
print(f"of ten films, {shared:.1f} are the same in both versions, on average")
for version, lists in both.items():
    shown = set().union(*lists.values())
    print(f"version {version}: hit rate at 10 {hit_rate(lists):.3f}, {len(shown)} films in all lists")
most_popular = figures["most popular, seen-out @10"]
print(f"most popular: hit rate at 10 {most_popular:.3f}")
assert differing_users(live, both[1]) == [] and len(differing_users(both[1], both[2])) > len(users) / 2
if DATASET == "100k":
    assert all(hit_rate(lists) > most_popular + 0.03 for lists in both.values())

# %% [markdown]
# About as many hits, with rather different lists: the case that a hit rate alone cannot decide. A good part of what
# every user sees would change overnight. Here an experiment with real users has to speak, and until it has, we go back.
# Rolling back is publishing in reverse: take the version away. A rename again, to a name that is no number.

# %% tags=["nbval-ignore-output"]
with serving.Load(ask, num_clients=8) as load:
    folder.rename(folder.with_name("withdrawn-2"))
    wait_for(1)
    time.sleep(0.3)
print(f"version {version_served()} is back; {len(load.latencies):,} requests, {len(load.failures)} failed")
assert load.failures == [] and differing_users(live, lists_from(url, users)) == []

# %% tags=["nbval-ignore-output"]
channel.close()
stopped = server.stop()  # lets requests in flight finish
print("the server has stopped, exit status", stopped)
assert stopped == 0

# %% [markdown]
# ## 8 · Beyond this machine
#
# What follows is text: this notebook does not run it. The commands and files are in the folder `deploy/`; the page
# *Deploy* of the site says for each of them whether it was run or only validated.
#
# **TensorFlow Serving in Docker.** The same folder, the same addresses, the same requests:
#
# ```bash
# course export
# docker run --rm -p 8500:8500 -p 8501:8501 -e MODEL_NAME=retrieval \
#   -v "$PWD/models/retrieval:/models/retrieval:ro" tensorflow/serving:2.20.0
# ```
#
# `deploy/compose.yaml` says it in a file, with batching configured. Only the artefact with stock operations loads
# there. For ScaNN's there is an image with its operations built in, `google/tf-serving-scann`, of 2022, which may be
# too old for an artefact of today.
#
# **Kubernetes** runs copies of the server on many machines, restarts those that fail, and adds some when the processors
# are busy. `deploy/kubernetes.yaml` holds a Deployment with probes (is it alive? is it ready?), a Service in front, and
# an autoscaler. **KServe** wraps all of that into one object: `deploy/kserve.yaml`.
#
# None of them, our server included, asks who you are. Put a gateway in front that does, with encryption and a limit on
# the number of requests.
#
# ## Summary
#
# - The model is more than its weights. An artefact holds everything from an id to a list, and needs none of our code.
# - A signature is the contract: what is not in it cannot be sent, and gets lost without an error.
# - `.keras` keeps a recipe; the index was not part of it. For serving, use a SavedModel.
# - Rules belong into the graph: seen films out, strangers answered by popularity and told so, `k` checked and cut.
# - A version appears by one rename, whole or not at all; a manifest says where it comes from and whether it is intact.
# - Loading proves nothing. Parity, in a fresh process, through the signature, does.
# - Operations of other libraries have to be present where an artefact is loaded.
# - Under load look at p99. Versions came and went under eight clients, and no request failed.
#
# ## Three questions
#
# <details><summary>The tower gets a new feature. Old clients do not send it. What do you do?</summary>
#
# Publish it under a new signature name (or a new model name) and leave the old one in place until nobody asks for it. A
# default inside the tower would keep the old clients running, too, but then nobody notices whose feature is missing.
#
# </details>
#
# <details><summary>Copying a version to the server's disk takes a minute. Where should the copy go?</summary>
#
# Onto the same disk, under a name that is no number; then rename it. A copy straight to `12/` is half a version for a
# minute, and a rename from another disk is a copy in disguise.
#
# </details>
#
# <details><summary>The mean latency is 5 ms and p99 is 400 ms. What may be going on?</summary>
#
# One request in a hundred waits for something rare: a version being loaded, a garbage collection, a cold cache, a user
# with a huge history, a full queue. The mean cannot show it, and a page that sends many requests meets it all the time.
#
# </details>
#
# ## What breaks in production
#
# - **Histories grow.** The seen films of this artefact are those of its training. A service asks a store for today's.
# - **Two features, two codes.** A feature computed in SQL for training and in Java for serving is two features.
# - **Versions drift apart.** Query tower and film embeddings travel in one artefact here. Apart, they will meet in the
#   wrong combination one day.
# - **Clients that wait their turn flatter.** Ours ask again only after an answer, so a slow server is asked less. Real
#   users do not hold back; test with requests at a fixed rate, too.
# - **No way back.** A version that changes the contract cannot be rolled back once clients rely on it.
#
# ## Further reading
#
# - The TensorFlow guide *Using the SavedModel format*, and TensorFlow Serving's pages on architecture and on batching.
# - Dean and Barroso, *The Tail at Scale*, Communications of the ACM 2013.
# - Baylor et al., *TFX: A TensorFlow-Based Production-Scale Machine Learning Platform*, KDD 2017.
# - Breck et al., *The ML Test Score: A Rubric for ML Production Readiness*, IEEE Big Data 2017.
