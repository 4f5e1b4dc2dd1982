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
# # 3 · Retrieval
#
# Two small networks learn, from nothing but who watched what, to pick a hundred films out of a whole catalogue that
# hold most of what a person will watch next. On the way you take the training loss apart, down to a matrix of nine
# numbers.
#
# **You will be able to**
#
# - say what implicit feedback is, and what a blank in it does and does not mean;
# - write matrix factorisation as a two-tower model, and give a tower more to read;
# - compute the in-batch softmax by hand, correct it for popularity and for accidental hits, and show that TensorFlow
#   Recommenders computes the same;
# - measure a retrieval model without being fooled by ties, by seen films or by its own loss;
# - see overfitting in a curve, stop in time, and mend it;
# - compare with strong baselines on one protocol, and read the result honestly.
#
# | | |
# |---|---|
# | time | 100 minutes to read and solve; about a minute to run |
# | data | MovieLens 100K, as in chapter 1 |
# | needs | chapters 1 and 2; matrix products; what a gradient step does |
# | sources | Yi et al. (2019) on logQ; Hu et al. (2008) on implicit feedback; the TensorFlow Recommenders library |

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
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recsys_course import baselines, data, diagrams, grading, metrics, models, plotting, preprocessing

tf.keras.utils.set_random_seed(42)
tf.config.experimental.enable_op_determinism()
DATASET = data.dataset_name()

# %% [markdown]
# ## 1 · What was watched, not how it was liked
#
# A star is **explicit feedback**: somebody took the trouble to tell. Most of what a service knows is **implicit
# feedback**: somebody watched, clicked, bought. Retrieval learns from the second kind, so we forget the stars and keep
# the fact that there is a rating at all.
#
# The split is the course's main one: random, 80 % train, 10 % validation, 10 % test, seed 42. We choose everything on
# validation and read the test part once, near the end.

# %% tags=["nbval-ignore-output"]
prepared = data.ensure_dataset()

# %%
ratings, movies = data.load_ratings(), data.load_movies()
split = data.random_split(ratings)
index = data.InteractionIndex.of(ratings, movies)  # which row is which user, which column which film
seen, validation = index.matrix(split.train), index.matrix(split.validation)
print(f"train: {seen.nnz:,} ones in a table of {seen.shape[0]:,} users and {seen.shape[1]:,} films")
print(
    f"filled: {seen.nnz / np.prod(seen.shape):.1%}; "
    f"of those, rated 2 stars or fewer: {(split.train.user_rating <= 2).mean():.1%}"
)

# %% [markdown]
# A one says "watched". What does a blank say? Not "disliked": nearly every blank is a film the user never came across.
# And a one is no praise either, as the last figure shows. So the model will not be asked *is this a yes or a no?* but
# something a table of ones can answer: *of these films, which one did this user choose?*
#
# ## 2 · Matrix factorisation: the simplest two towers
#
# Give every user a short vector and every film a short vector, and let their dot product, the **affinity**, say how
# well they fit. With two numbers each we can read the meaning off: say the first is taste for adventure, the second
# taste for romance.
#
# *Predict:* which film fits Cem best, who likes both?

# %%
users, films = ["Ana", "Ben", "Cem"], ["Star Wars", "Casablanca", "The Princess Bride"]
query_embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [0.7, 0.7]])
candidate_embeddings = np.array([[1.0, 0.1], [0.1, 1.0], [0.8, 0.8]])
affinities = query_embeddings @ candidate_embeddings.T  # [num_queries, num_candidates]
pd.DataFrame(affinities, index=users, columns=films).round(2)

# %% [markdown]
# That is all of **matrix factorisation**: a big, mostly empty table written as the product of two thin, full ones. In
# practice nobody chooses the meaning of the numbers; they are learned.
#
# It is also the smallest **two-tower model**. The **query tower** turns what is known of a user into a query embedding,
# the **candidate tower** what is known of a film into a candidate embedding. Here each tower is a table with a row for
# each id. Later a tower may read more, and nothing else has to change.

# %%
diagrams.show("two_towers")


# %% [markdown]
# In Keras a tower of ids is two layers of chapter 2. It takes a dictionary of features and picks what it needs, so one
# batch can feed both towers.


# %%
class IdTower(tf.keras.Model):
    """The simplest tower: one learned vector an id."""

    def __init__(self, feature, ids, embedding_dim):
        super().__init__()
        self.feature = feature
        self.lookup = preprocessing.id_lookup(ids)
        self.embedding = tf.keras.layers.Embedding(self.lookup.vocabulary_size(), embedding_dim)

    def call(self, features):
        return self.embedding(self.lookup(features[self.feature]))


query_tower = IdTower("user_id", split.train.user_id, embedding_dim=32)
query_tower({"user_id": tf.constant([index.user_ids[0], "a stranger"])}).shape

# %% [markdown]
# The ids are those of the training split: a vocabulary is learned, so it is fitted on train alone. The stranger gets
# the OOV vector.
#
# The two towers meet in one dot product at the very end and nowhere before. It looks like a weakness, and it is what
# makes retrieval fast: film embeddings can be computed once, and a query then costs one matrix product.
#
# ## 3 · The in-batch softmax
#
# How do the vectors get good? Take three training pairs: Ana watched film A, Ben film B, Cem film C. Put all three
# users against all three films. The films that were really chosen stand on the diagonal; the others in a row serve as
# **negatives**, for free, since their embeddings are computed anyway.

# %%
logits = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 1.0]])  # rows: Ana, Ben, Cem; columns: films A, B, C
exponentials = np.exp(logits)
probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
probabilities.round(3)

# %% [markdown]
# Each row is now a guess: *which of the three did this user choose?* The loss of a row is minus the logarithm of the
# probability on the diagonal:
#
# $$\mathrm{loss}_i = -\log \frac{\exp(s_{ii})}{\sum_j \exp(s_{ij})} = \log \sum_j \exp(s_{ij}) - s_{ii}$$
#
# Ben's model is sure and right, so his loss is small. Cem's gives his own film no more than film A, so he pays.
#
# *Predict:* what does a row cost, if all three affinities are equal?

# %%
print("losses by hand:", -np.log(np.diag(probabilities)).round(3))
print("all equal:     ", np.log(3).round(3))


# %% [markdown]
# ### Exercise 3.1 · In-batch softmax by hand
#
# *fill in · difficulty 2 of 5 · 15 minutes*
#
# Write the loss for any batch: `logits` is a square array, the positives stand on its diagonal, and the answer is one
# loss a row. It must also survive large numbers: `np.exp(1000)` is infinite.
#
# Example: for `[[0, 0], [0, 0]]` both rows cost $\log 2$, so the answer is `[0.693, 0.693]`. For `[[1000, 0], [0,
# 1000]]` it is `[0, 0]`.
#
# <details><summary>Hint 1</summary>
#
# Use the right-hand form of the formula: a logarithm of a sum, minus the diagonal.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Subtracting the same number from a whole row changes no softmax. Which number makes every exponent at most 0?
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# With `largest = logits.max(axis=1, keepdims=True)`, the logarithm of the sum is
# `np.log(np.exp(logits - largest).sum(axis=1)) + largest[:, 0]`.
#
# </details>


# %% tags=["exercise"]
def in_batch_softmax(logits):
    """Returns the [batch] losses of [batch, batch] logits, positives on the diagonal."""
    # BEGIN SOLUTION
    logits = np.asarray(logits, dtype=np.float64)
    largest = logits.max(axis=1, keepdims=True)
    log_of_sum = np.log(np.exp(logits - largest).sum(axis=1)) + largest[:, 0]
    return log_of_sum - np.diag(logits)
    # END SOLUTION


# %% tags=["check"]
grading.check("3.1", in_batch_softmax)

# %%
in_batch_softmax = models.losses.in_batch_softmax  # the course's own version: nothing below depends on your answer

# %% [markdown]
# TensorFlow Recommenders (TFRS) has this as `tfrs.tasks.Retrieval`: it takes the two towers' outputs and returns the
# loss. Is it the same number?

# %%
rng = np.random.default_rng(0)
queries, candidates = rng.normal(size=(2, 6, 4)).astype(np.float32)  # six pairs, four numbers each
by_hand = in_batch_softmax(queries @ candidates.T)
by_library = float(tfrs.tasks.Retrieval()(tf.constant(queries), tf.constant(candidates)))
np.testing.assert_allclose(by_hand.sum(), by_library, rtol=1e-5)
print(f"by hand: {by_hand.sum():.3f} in sum, {by_hand.mean():.3f} a row; the library: {by_library:.3f}")

# %% [markdown]
# The same, and note *which* of the two: **TFRS sums over the batch**. Double the batch and the loss more than doubles,
# while the model is no worse. We will divide by the batch size, so that losses can be compared and a penalty keeps its
# meaning.
#
# ## 4 · Two corrections
#
# Free negatives have a flaw: they are not drawn evenly. A film stands in a batch as often as it is watched, so a
# blockbuster serves as a negative hundreds of times where a rare film serves once. What does the model learn from being
# told, again and again, *not the blockbuster*?
#
# *Predict:* below, one film makes up 90 % of all training rows, another 10 %. A user likes both equally. What share of
# the softmax's denominator does each get in a batch of ten?

# %%
drawn = np.array([0.9, 0.1])
in_batch = 10 * drawn * np.exp(0.0)  # nine copies of one, one copy of the other; affinity 0 each
corrected = 10 * drawn * np.exp(0.0 - np.log(drawn))
print("as it comes:", (in_batch / in_batch.sum()).round(2), " corrected:", (corrected / corrected.sum()).round(2))


# %% [markdown]
# We wanted a sum over the catalogue, each film once, and got a sum over a sample in which film $j$ turns up with
# probability $q_j$. The cure is the usual one for an uneven sample, to weigh each draw by $1 / q_j$:
#
# $$\sum_{j \in \mathrm{batch}} \frac{\exp(s_{ij})}{q_j} = \sum_{j \in \mathrm{batch}} \exp(s_{ij} - \log q_j)$$
#
# which, up to a constant factor, has the catalogue's sum as its expectation. So the **logQ correction** subtracts
# $\log q_j$ from column $j$. It is used in training only; when we recommend, the affinity is used as it is.
#
# ### Exercise 3.2 · The correction that made it worse
#
# *find the bug · difficulty 2 of 5 · 10 minutes*
#
# A colleague added the correction, and the model became even shyer of popular films than before. The function below
# runs, and its shapes are right. Find what is wrong and mend it.
#
# Example: `correct_log_q([[1.0, 1.0], [1.0, 1.0]], [0.5, 0.1])` should give `[[1.693, 3.303], [1.693, 3.303]]`: the
# rare film, a negative seldom seen, is made to count for more.
#
# <details><summary>Hint 1</summary>
#
# What is the sign of the logarithm of a probability? So which way does each column move?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Compare the code with the last term of the formula above, sign by sign.
#
# </details>


# %% tags=["exercise"]
def correct_log_q(logits, sampling_probability):
    """Returns [batch, batch] logits, corrected for the [batch] probabilities of drawing each column's candidate."""
    # BEGIN SOLUTION
    return np.asarray(logits) - np.log(sampling_probability)
    # STUB
    # return np.asarray(logits) + np.log(sampling_probability)
    # END SOLUTION


# %% tags=["check"]
grading.check("3.2", correct_log_q)

# %%
correct_log_q = models.losses.correct_log_q  # the course's own version


# %% [markdown]
# The second flaw: a batch may hold the same film twice. Then Ana's own film stands in Ben's column as well, and her row
# is told that the film she chose is wrong. That is an **accidental hit**.
#
# ### Exercise 3.3 · Mask the accidental hits
#
# *fill in · difficulty 3 of 5 · 15 minutes*
#
# Given the logits and the id of each column's candidate, put minus infinity wherever a *negative* is the same film as
# the row's positive. A term of minus infinity adds $\exp(-\infty) = 0$ to the sum, so the column is out. Leave
# everything else as it is.
#
# Example: the films of the batch are `["A", "B", "A"]`. Rows 0 and 2 chose film A, so for row 0 column 2 goes, and for
# row 2 column 0:
#
# `[[1, 2, 3], [4, 5, 6], [7, 8, 9]]` becomes `[[1, 2, -inf], [4, 5, 6], [-inf, 8, 9]]`.
#
# <details><summary>Hint 1</summary>
#
# `ids[:, None] == ids[None, :]` is a square of booleans: True where row and column hold the same film.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# That square is True on the whole diagonal too, and the positives must stay. `np.eye(n, dtype=bool)` is the diagonal.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `np.where(condition, -np.inf, logits)` builds a new array, and leaves the given one alone.
#
# </details>


# %% tags=["exercise"]
def mask_accidental_hits(logits, candidate_ids):
    """Returns [batch, batch] logits with -inf where a negative is the row's own candidate again."""
    # BEGIN SOLUTION
    ids = np.asarray(candidate_ids)
    same_film = ids[:, np.newaxis] == ids[np.newaxis, :]
    return np.where(same_film & ~np.eye(len(ids), dtype=bool), -np.inf, logits)
    # END SOLUTION


# %% tags=["check"]
grading.check("3.3", mask_accidental_hits)

# %%
mask_accidental_hits = models.losses.mask_accidental_hits  # the course's own version

# %% [markdown]
# TFRS has both. Again the question is whether we have understood it well enough to get the same number.

# %%
ids = np.array([7, 3, 7, 5, 3, 7])  # film 7 three times
frequency = np.array([0.4, 0.2, 0.4, 0.05, 0.2, 0.4], np.float32)
by_hand = in_batch_softmax(mask_accidental_hits(correct_log_q(queries @ candidates.T, frequency), ids)).sum()
task = tfrs.tasks.Retrieval(remove_accidental_hits=True)
by_library = float(task(queries, candidates, candidate_ids=ids, candidate_sampling_probability=frequency))
np.testing.assert_allclose(by_hand, by_library, rtol=1e-5)
print(f"by hand: {by_hand:.3f}; the library: {by_library:.3f}")


# %% [markdown]
# ## 5 · The model
#
# A `tfrs.Model` asks for one method, `compute_loss`. Ours runs both towers, hands their outputs to the task and adds a
# penalty on long embeddings, of strength 0 for now. Three details:
#
# - films are told apart by `movie_position`, a number, since the mask compares all pairs of a batch and strings are
#   slow;
# - `compute_metrics=False`: ranking the catalogue inside every step would cost several times the training;
# - `tfrs.Model` reports as "loss" whatever its *last* batch gave, and the last batch is usually a small one. So we
#   keep a mean over the epoch ourselves.


# %%
class TwoTower(tfrs.Model):
    """Learns both towers by in-batch softmax."""

    def __init__(self, query_tower, candidate_tower, l2=0.0, remove_accidental_hits=True):
        super().__init__()
        self.query_tower = query_tower
        self.candidate_tower = candidate_tower
        self.l2 = l2
        self.task = tfrs.tasks.Retrieval(remove_accidental_hits=remove_accidental_hits)
        self.softmax_loss = tf.keras.metrics.Mean(name="softmax_loss")

    def compute_loss(self, features, training=False):
        queries = self.query_tower(features, training=training)  # [batch, embedding_dim]
        candidates = self.candidate_tower(features, training=training)  # [batch, embedding_dim]
        total = self.task(
            queries,
            candidates,
            candidate_ids=features["movie_position"],
            candidate_sampling_probability=features.get("sampling_probability"),
            compute_metrics=False,
        )
        batch_size = tf.cast(tf.shape(queries)[0], tf.float32)
        self.softmax_loss.update_state(total / batch_size, sample_weight=batch_size)
        squared_lengths = tf.reduce_sum(queries**2) + tf.reduce_sum(candidates**2)
        return (total + self.l2 * squared_lengths) / batch_size


# %% [markdown]
# How probable is it that a random training row holds a given film? Count. One is added to every count, because a
# validation batch may hold a film that train does not, and the logarithm of 0 is no correction.


# %%
def sampling_probability(train, movies):
    counts = train["movie_id"].value_counts().reindex(movies["movie_id"], fill_value=0) + 1
    return (counts / counts.sum()).astype(np.float32)


probability = sampling_probability(split.train, movies)
print(f"most frequent film: {probability.max():.2%} of the rows; the middle one: {probability.median():.3%}")

# %% [markdown]
# `models.training_columns` joins each rating with its film's features and this probability; `data.batches` makes the
# pipeline of chapter 1 out of them. Tables of ids need four of the columns.

# %%
BATCH_SIZE = 512
ID_COLUMNS = ["user_id", "movie_id", "movie_position", "sampling_probability"]
train_columns = models.training_columns(split.train, movies, probability)
validation_columns = models.training_columns(split.validation, movies, probability)


def batches_of(names):
    train = data.batches({name: train_columns[name] for name in names}, BATCH_SIZE, shuffle=True)
    return train, data.batches({name: validation_columns[name] for name in names}, BATCH_SIZE)


batches_of(ID_COLUMNS)[0].element_spec

# %% [markdown]
# ## 6 · What does "in the top 100" measure?
#
# The loss says how well the model tells a film from the other films of a batch. What we want to know is whether a
# held-out film makes it into the first hundred of the *whole* catalogue. TFRS has a metric for that, `FactorizedTopK`.
# Before trusting an instrument, point it at something whose value we know: a model that gives every film the same
# score.
#
# *Predict:* what share of its held-out films does a model find that has learned nothing whatsoever?

# %%
catalogue = tf.constant(index.movie_ids)
nothing = tf.zeros([index.num_movies, 8])  # every embedding is zero, so every affinity is
watched = tf.constant(np.random.default_rng(0).choice(index.movie_ids, 50))  # fifty films somebody watched

by_score = tfrs.metrics.FactorizedTopK(tf.data.Dataset.from_tensor_slices(nothing).batch(512), ks=(1, 100))
by_score.update_state(nothing[:50], nothing[:50])
by_id = tfrs.metrics.FactorizedTopK(tf.data.Dataset.from_tensor_slices((catalogue, nothing)).batch(512), ks=(1, 100))
by_id.update_state(nothing[:50], nothing[:50], true_candidate_ids=watched)

at_random = metrics.rank_held_out(lambda users: np.zeros((len(users), index.num_movies)), validation)
pd.DataFrame(
    {
        "FactorizedTopK": [float(value) for value in by_score.result()],
        "FactorizedTopK with ids": [float(value) for value in by_id.result()],
        "metrics.hit_rate_at_k": [metrics.hit_rate_at_k(at_random, k) for k in (1, 100)],
    },
    index=["k = 1", "k = 100"],
).round(2)

# %% [markdown]
# A perfect score for knowing nothing. Without ids, `FactorizedTopK` asks how many films score *strictly higher* than
# the true one; where all are equal, none does, and all of them are "first". With ids, it looks whether the film is in
# the list that came back, and among equals that depends on the order of the catalogue. The course's own metric puts a
# film **behind** everything it ties with, so here it finds nothing. Real models tie more often than one thinks: all
# films that share the OOV vector, all users without history.
#
# On a trained model, where ties are rare, they should agree; we will check. A second thing `FactorizedTopK` does is
# silent: films that the user has already seen in training stay in the list, and take up places. We will report that as
# **raw**, and **seen-out** where they have been removed.
#
# ## 7 · Training, and what each correction is worth
#
# Four short trainings, alike in everything but the corrections: same start, same batches, three epochs. After each
# epoch the callback `models.HitRate` ranks the catalogue for every user and notes the hit rate at 100 on validation.

# %%
LEARNING_RATE = 0.005
watch = models.HitRate(index, movies, validation, seen, k=100)


def compiled(model):
    # Many steps in one call: fewer trips between Python and TensorFlow, the same arithmetic.
    model.compile(optimizer=tf.keras.optimizers.Adam(LEARNING_RATE), steps_per_execution=32)
    return model


def id_model(**options):
    tf.keras.utils.set_random_seed(42)  # the same start for everyone
    towers = [IdTower(name, split.train[name], embedding_dim=32) for name in ("user_id", "movie_id")]
    return compiled(TwoTower(*towers, **options))


def fit(model, names, epochs, callbacks=()):
    train_batches, validation_batches = batches_of(names)
    callbacks = [watch, *callbacks]
    return model.fit(
        train_batches, validation_data=validation_batches, epochs=epochs, callbacks=callbacks, verbose=0
    ).history


# %% tags=["nbval-ignore-output"]
UNCORRECTED = ["user_id", "movie_id", "movie_position"]
variants = {
    "no correction": (UNCORRECTED, False),
    "accidental hits removed": (UNCORRECTED, True),
    "logQ": (ID_COLUMNS, False),
    "both": (ID_COLUMNS, True),
}
id_models, histories = {}, {}
for name, (columns, remove) in variants.items():
    id_models[name] = id_model(remove_accidental_hits=remove)
    histories[name] = fit(id_models[name], columns, epochs=3)

popular = metrics.rank_held_out(baselines.MostPopular().fit(seen).score, validation, seen)
print(f"most popular, validation, seen-out hit rate at 100: {metrics.hit_rate_at_k(popular, 100):.3f}")
figures = ["val_softmax_loss", "val_hit_rate", "val_hit_rate_raw"]
ablation = pd.DataFrame({name: [run[figure][-1] for figure in figures] for name, run in histories.items()}, figures).T
ablation.round(4)

# %% [markdown]
# Read it by rows. **Without the logQ correction** the model is worse than a plain list of popular films: it has
# learned too well that blockbusters are negatives. **The logQ correction** alone lifts it far above. **Removing
# accidental hits** hardly moves anything here, in either company, and the reason can be computed:

# %%
hits_a_row = (BATCH_SIZE - 1) * float((probability.astype(float) ** 2).sum())
print(f"accidental hits a row: {hits_a_row:.1f} of {BATCH_SIZE - 1} negatives")

if DATASET == "100k":
    effect = ablation.val_hit_rate - ablation.val_hit_rate["no correction"]
    assert ablation.val_hit_rate["no correction"] < metrics.hit_rate_at_k(popular, 100)
    assert effect["logQ"] > 0.15 and effect["both"] > 0.15
    assert abs(effect["accidental hits removed"]) < 0.01 and abs(effect["both"] - effect["logQ"]) < 0.01

# %% [markdown]
# A row full of negatives, and next to none of them mislabelled: that much noise a softmax shrugs off. The share grows
# with the share of the top films, so a shop with few products will feel it. We keep the mask on, since it costs little
# and is right; but we claim nothing for it.
#
# > **Misconception: a lower loss means better recommendations.**
#
# Look at the table again: the uncorrected models have the *lower* validation loss. Well, one may say, those are two
# different losses. So take one model alone, the uncorrected one, and follow it.
#
# *Predict:* its validation loss falls from epoch to epoch. Its hit rate therefore ...

# %% tags=["nbval-ignore-output"]
uncorrected = histories["no correction"]
_, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
plotting.training_curves({"validation": uncorrected["val_softmax_loss"]}, "softmax loss in nats", left)
plotting.training_curves({"validation, seen-out": uncorrected["val_hit_rate"]}, "hit rate at 100", right)
plt.show()

if DATASET == "100k":
    assert np.all(np.diff(uncorrected["val_softmax_loss"]) < 0), "the loss falls ..."
    assert np.all(np.diff(uncorrected["val_hit_rate"]) < 0), "... and so do the recommendations"

# %% [markdown]
# ... falls as well. The loss is honest about its own question: picking the right film out of *a batch*, where popular
# films are rivals in nearly every row. The recommender is asked another one: picking it out of *the catalogue*, where
# each film stands once. Judge a model by the question that it will be asked.
#
# ## 8 · Overfitting, seen
#
# Back to the corrected model. Three epochs were short. *Predict:* what happens to the three curves, if we go on?

# %% tags=["nbval-ignore-output"]
more = fit(id_models["both"], ID_COLUMNS, epochs=5)
longer = {name: histories["both"][name] + values for name, values in more.items()}

_, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
plotting.training_curves(
    {"train": longer["softmax_loss"], "validation": longer["val_softmax_loss"]}, "softmax loss in nats", left
)
plotting.training_curves(
    {"validation, seen-out": longer["val_hit_rate"], "validation, raw": longer["val_hit_rate_raw"]},
    "hit rate at 100",
    right,
)
plt.show()

if DATASET == "100k":
    loss, hit_rate, raw = (np.array(longer[name]) for name in ("val_softmax_loss", "val_hit_rate", "val_hit_rate_raw"))
    assert np.all(np.diff(longer["softmax_loss"]) < 0), "the training loss only ever falls"
    assert loss.argmin() < 6 and loss[-1] > loss.min() + 0.05, "the validation loss turns"
    assert hit_rate[-1] < hit_rate.max() - 0.005 and raw[-1] < raw.max() - 0.03, "and so do both hit rates"
    assert raw.argmax() < loss.argmin() <= hit_rate.argmax(), "raw first, seen-out last"


# %% [markdown]
# The training loss only ever falls; the three curves on validation turn, one after the other. From there on the model
# learns *these* ratings by heart instead of taste.
#
# The raw hit rate turns first and falls furthest. That is no other illness: a model that remembers what a user has
# seen puts exactly those films on top, where they crowd out the held-out ones. Raw punishes memory; seen-out only
# punishes what memory does to the rest. None of them need turn when the loss does: once more, steer by the
# figure that you want.
#
# The simplest cure is to stop in time. But when is that, if at each epoch you know only the epochs so far?
#
# ### Exercise 3.4 · When to stop
#
# *open design · difficulty 3 of 5 · 20 minutes*
#
# Write a rule. After every epoch, `should_stop` is called with the validation hit rates so far (higher is better, the
# latest last), and returns True to end the training. Afterwards the weights of the best epoch are restored, so
# stopping a little late costs time and nothing else; stopping early costs quality.
#
# There is more than one good rule. The check trains no model; it plays curves to yours, and wants that it
#
# - goes on while the curve rises, and never stops after the first epoch;
# - bears a dip of one epoch, as validation curves always have some noise;
# - has stopped within ten epochs of the peak, when the curve goes down for good, straight or in a zigzag;
# - does not go on forever on a plateau: it may wait ten epochs, not more.
#
# Example: after `[0.50, 0.58, 0.61]`, False. After `[0.50, 0.61, 0.60]`, False: a single dip. After
# `[0.61, 0.60, 0.59, 0.58, 0.57, 0.56, 0.55, 0.54, 0.53, 0.52, 0.51]`, True.
#
# <details><summary>Hint 1</summary>
#
# Do not compare with the epoch before: a zigzag that sinks rises every other epoch. Compare with the best so far.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# How many epochs ago was the best one? `int(np.argmax(history))` is where it stands (the first, if several are equal).
#
# </details>


# %% tags=["exercise"]
def should_stop(history):
    """Returns whether to end the training, given one validation hit rate an epoch."""
    # BEGIN SOLUTION
    epochs_since_best = len(history) - 1 - int(np.argmax(history))
    return epochs_since_best >= 3
    # END SOLUTION


# %% tags=["check"]
grading.check("3.4", should_stop)

# %%
should_stop = models.should_stop  # the course's own version

# %% tags=["nbval-ignore-output"]
curve = longer["val_hit_rate"]
ended = next((epoch for epoch in range(1, len(curve) + 1) if should_stop(curve[:epoch])), len(curve))
print(f"this run would have ended after epoch {ended}, with the weights of epoch {np.argmax(curve[:ended]) + 1}")


# %% [markdown]
# Keras has this rule as `EarlyStopping`, with `patience` for the number of epochs to wait.
#
# ### Mended: a penalty, and more to read
#
# Stopping leaves the model at the best point of a bad path. A better path needs a model that finds it harder to learn
# by heart. We make two changes, one after the other: first a penalty on long embeddings (`l2`), then a candidate tower
# that also reads titles and genres, so that rare films can borrow from films like them.


# %%
class MovieTower(tf.keras.Model):
    """A film as the sum of what its id, the words of its title and its genres say."""

    def __init__(self, movies, embedding_dim):
        super().__init__()
        self.id_tower = IdTower("movie_id", movies["movie_id"], embedding_dim)
        self.title = preprocessing.title_encoder(movies["movie_title"], embedding_dim)
        self.genres = preprocessing.genre_encoder(movies["movie_genres"])
        self.genre_embedding = tf.keras.layers.Dense(embedding_dim, use_bias=False)

    def call(self, features):
        genres = self.genre_embedding(self.genres(features["movie_genres"]))
        return self.id_tower(features) + self.title(features["movie_title"]) + genres


# %% tags=["nbval-ignore-output"]
def stop_in_time():
    return tf.keras.callbacks.EarlyStopping("val_hit_rate", mode="max", patience=3, restore_best_weights=True)


EPOCHS, L2 = 8, 0.04
penalised = id_model(l2=L2)
histories["penalty"] = fit(penalised, ID_COLUMNS, EPOCHS, [stop_in_time()])

tf.keras.utils.set_random_seed(42)
known_movies = movies[movies.movie_id.isin(split.train.movie_id.unique())]
query_tower = IdTower("user_id", split.train.user_id, embedding_dim=32)
model = compiled(TwoTower(query_tower, MovieTower(known_movies, embedding_dim=32), l2=L2))
started = time.process_time()
histories["penalty, title, genres"] = fit(model, list(train_columns), EPOCHS, [stop_in_time()])
print(f"trained in {time.process_time() - started:.1f} CPU seconds, validation after each epoch included")

# %% tags=["nbval-ignore-output"]
curves = {"ids": longer, "ids + penalty": histories["penalty"], "+ title, genres": histories["penalty, title, genres"]}
_, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
for ax, figure, what in ((left, "val_hit_rate", "seen-out"), (right, "val_hit_rate_raw", "raw")):
    plotting.training_curves(
        {name: run[figure] for name, run in curves.items()}, f"validation hit rate at 100, {what}", ax
    )
plt.show()

if DATASET == "100k":
    best = {name: max(run["val_hit_rate"]) for name, run in curves.items()}
    assert best["+ title, genres"] > best["ids"]
    assert curves["+ title, genres"]["val_hit_rate_raw"][-1] > longer["val_hit_rate_raw"][-1] + 0.03
    assert curves["+ title, genres"]["val_hit_rate"][1] > curves["ids + penalty"]["val_hit_rate"][1]

# %% [markdown]
# With the penalty the curves go on rising where the bare one has turned, and the raw hit rate no longer collapses.
# Titles and genres give a head start: what one comedy has taught holds for the next, before its own id has learned
# much. The strength of the penalty and the learning rate were chosen as everything is, on validation, in trial runs
# beforehand.
#
# Now the promised check: on this model, does `FactorizedTopK` agree with our raw hit rate?

# %% tags=["nbval-ignore-output"]
score = models.affinity_scorer(model, index, movies)
raw = metrics.rank_held_out(score, validation)

films = data.batches(models.movie_features(movies), 512)
embedded = films.map(lambda film: (film["movie_id"], model.candidate_tower(film)))
by_score = tfrs.metrics.FactorizedTopK(embedded.map(lambda movie_id, vector: vector), ks=(10, 100))
by_id = tfrs.metrics.FactorizedTopK(embedded, ks=(10, 100))
for batch in batches_of(list(train_columns))[1]:
    pair = model.query_tower(batch), model.candidate_tower(batch)
    by_score.update_state(*pair)
    by_id.update_state(*pair, true_candidate_ids=batch["movie_id"])

agreement = pd.DataFrame(
    {
        "FactorizedTopK": [float(value) for value in by_score.result()],
        "FactorizedTopK with ids": [float(value) for value in by_id.result()],
        "raw hit rate": [metrics.hit_rate_at_k(raw, k) for k in (10, 100)],
    },
    index=["k = 10", "k = 100"],
)
np.testing.assert_allclose(agreement["FactorizedTopK with ids"], agreement["raw hit rate"], atol=0.002)
agreement.round(4)

# %% [markdown]
# With ids, it does. Without, it may fall a trifle short: the true film's affinity is then computed a second time, in
# another order, and where rounding makes it a hair smaller than the first, the film stands behind itself.
#
# ## 9 · Take out what was seen
#
# Nobody wants a list of films they have already watched. Removing them looks trivial, and is a classic place for bugs.
#
# ### Exercise 3.5 · The best films not yet seen
#
# *fill in · difficulty 2 of 5 · 10 minutes*
#
# Return the positions of the `k` highest-scored items that are not in `seen`, best first. Scores can be negative. If
# fewer than `k` items are left, return those. Change none of the arguments.
#
# Example: `top_k_unseen(scores=[0.9, -0.2, 0.7, 0.8], seen=[0, 2], k=2)` is `[3, 1]`.
#
# <details><summary>Hint 1</summary>
#
# Take the seen ones out *before* you cut the list to `k`; otherwise it comes out short.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# A seen item's score must not win whatever the others are: minus infinity does that, 0 does not. Or keep the unseen
# positions in an array of their own, with `np.setdiff1d`, and sort that.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `np.argsort(-scores)` sorts from the highest down.
#
# </details>


# %% tags=["exercise"]
def top_k_unseen(scores, seen, k):
    """Returns the positions of the k best items of [num_items] scores that are not among the positions `seen`."""
    # BEGIN SOLUTION
    scores = np.asarray(scores, dtype=np.float64)
    unseen = np.setdiff1d(np.arange(len(scores)), seen)
    return unseen[np.argsort(-scores[unseen])][:k]
    # END SOLUTION


# %% tags=["check"]
grading.check("3.5", top_k_unseen)

# %%
top_k_unseen = models.top_k_unseen  # the course's own version

# %% [markdown]
# ## 10 · The ladder
#
# A hit rate means nothing by itself. So every model climbs the same ladder: the same split, the same test interactions,
# raw and seen-out. Beside our models stand four that need no deep learning:
#
# - **most popular**, from chapter 1;
# - **item-kNN**: films like those you watched, by cosine of their columns;
# - **EASE**: a linear model from your history to each film, solved in one matrix inversion;
# - **iALS**: matrix factorisation fitted by alternating least squares, with a small weight on every blank.
#
# Their settings were searched as carefully as ours: a baseline left untuned is no baseline.
#
# *Predict:* where do the two towers stand?

# %% tags=["nbval-ignore-output"]
scorers = {
    "most popular": baselines.MostPopular().fit(seen).score,
    "item-kNN": baselines.ItemKNN().fit(seen).score,
    "EASE": baselines.EASE().fit(seen).score,
    "iALS": baselines.ImplicitALS().fit(seen).score,
    "two towers, no correction": models.affinity_scorer(id_models["no correction"], index, movies),
    "two towers, ids + penalty": models.affinity_scorer(penalised, index, movies),
    "two towers, + title, genres": score,
}
ours = "two towers, + title, genres"

test = index.matrix(split.test)  # read here, once
rows = {}
for name, scorer in scorers.items():
    raw, seen_out = metrics.rank_held_out(scorer, test), metrics.rank_held_out(scorer, test, seen)
    rows[name] = [metrics.hit_rate_at_k(ranked, k) for ranked in (raw, seen_out) for k in (10, 100)]
ladder = pd.DataFrame(rows, index=["raw @10", "raw @100", "seen-out @10", "seen-out @100"]).T
ladder.round(3)

# %% tags=["nbval-ignore-output"]
plotting.ladder(ladder["seen-out @100"].to_dict(), "test hit rate at 100, seen-out", highlight=ours)
plt.show()

if DATASET == "100k":
    assert ladder["seen-out @100"][ours] >= 0.61 and ladder["raw @100"][ours] >= 0.39
    assert (ladder.loc[ours] > ladder.loc["two towers, no correction"]).all()
    assert ladder["seen-out @100"][ours] > ladder["seen-out @100"]["most popular"] + 0.15


# %% [markdown]
# Far above popularity, and next to EASE and iALS. Next to, or above? The test part is a sample too. Draw its users
# again, a thousand times, and see how the difference to iALS moves.


# %% tags=["nbval-ignore-output"]
def hits_by_user(scorer):
    ranked = metrics.rank_held_out(scorer, test, seen)
    return np.bincount(ranked.users, ranked.ranks <= 100, minlength=index.num_users)


gained = hits_by_user(scorers[ours]) - hits_by_user(scorers["iALS"])
held_out = np.bincount(test.nonzero()[0], minlength=index.num_users)
draws = np.random.default_rng(0).integers(index.num_users, size=(1000, index.num_users))
differences = gained[draws].sum(axis=1) / held_out[draws].sum(axis=1)
low, high = np.quantile(differences, [0.025, 0.975])
print(
    f"seen-out hit rate at 100, ours minus iALS: {gained.sum() / held_out.sum():+.3f}, "
    f"95 % interval {low:+.3f} to {high:+.3f}"
)
if DATASET == "100k":
    assert abs(gained.sum() / held_out.sum()) < 0.03

# %% [markdown]
# A few thousandths, one way or the other: on this protocol **two towers are about as good as a linear model or
# alternating least squares**. (Compare the columns at 10, too.) Remember that when somebody shows you a deep model
# beside popularity alone. What the two-tower form buys lies elsewhere:
#
# - **features**: a tower reads whatever you have; EASE and item-kNN see columns of ones;
# - **cold start**: a film without a single rating gets an embedding from its title and genres (we try that below);
# - **serving**: two embeddings and a dot product, so the catalogue can be indexed, and searched among millions
#   (chapters 4 and 5), where EASE needs a matrix of films by films.
#
# And one warning about all rows alike. A **random split flatters**: it lets a model learn from a user's Tuesday to
# guess their Monday. Chapter 1 has shown what a split by time does to such figures. They rank the models of this
# table; they promise nothing for next week.
#
# ## 11 · Recommendations, with names
#
# First what this user rated highest, then what the model would offer. *Predict* from the first table what the second
# will hold.

# %% tags=["nbval-ignore-output"]
user_id = split.train.user_id.value_counts().index[100]  # a busy user, whoever that is in this dataset
liked = split.train[split.train.user_id == user_id].merge(movies, on="movie_id").nlargest(8, "user_rating")
liked = liked.assign(genres=liked.movie_genres.map(", ".join))
print(f"user {user_id} rated highest:\n")
print(liked[["movie_title", "genres", "user_rating"]].to_string(index=False, header=["title", "genres", "stars"]))

# %% tags=["recommendations", "nbval-ignore-output"]
(row,) = index.user_positions([user_id])
scores = score(np.array([row]))[0]
best = top_k_unseen(scores, seen[row].indices, k=5)
table = movies.iloc[best].assign(genres=lambda films: films.movie_genres.map(", ".join), score=scores[best].round(2))
print(f"five films for user {user_id}:\n")
print(table[["movie_title", "genres", "score"]].to_string(index=False, header=["title", "genres", "score"]))
assert not set(table.movie_id) & set(split.train.movie_id[split.train.user_id == user_id])

# %% [markdown]
# ### Films like a film
#
# The candidate embeddings can be compared with each other, too. We use the cosine, the angle alone: a dot product would
# let the longest vectors, which are those of popular films, win every time.

# %% tags=["nbval-ignore-output"]
embeddings = np.concatenate([vectors for _, vectors in embedded.as_numpy_iterator()])  # [num_movies, embedding_dim]
unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def films_like(embedding, k=5):
    nearest = np.argsort(-(unit @ embedding / np.linalg.norm(embedding)))[:k]
    return movies.iloc[nearest][["movie_title", "movie_genres"]].set_index("movie_title")


most_rated = index.movie_positions([probability.idxmax()])[0]
films_like(embeddings[most_rated], k=7)

# %% [markdown]
# And a film that nobody has ever rated, because we have just made it up? Its id is OOV; its title and genres are not.

# %% tags=["nbval-ignore-output"]
invented = {
    "movie_id": tf.constant(["not in the catalogue"]),
    "movie_title": tf.constant(["The Haunted Nightmare (1998)"]),
    "movie_genres": tf.constant([["Horror", "Thriller"]]),
}
neighbours = films_like(model.candidate_tower(invented)[0].numpy(), k=7)
if DATASET == "100k":
    assert neighbours.movie_genres.map(lambda genres: "Horror" in genres).mean() > 0.5
neighbours

# %% [markdown]
# ### A map
#
# Thirty-two dimensions cannot be drawn. The two directions in which the embeddings vary most can: a singular value
# decomposition finds them. We take the model that knows nothing but ids, and draw the films that were rated most.
#
# *Predict:* this model was told no title, no genre and no year. Which of them will show in the map?

# %% tags=["nbval-ignore-output"]
id_embeddings = penalised.candidate_tower({"movie_id": catalogue}).numpy()
often = np.argsort(-probability.to_numpy(), kind="stable")[:200]
centred = id_embeddings[often] - id_embeddings[often].mean(axis=0)
directions = np.linalg.svd(centred, full_matrices=False)[2]  # rows, strongest first
points = centred @ directions[:2].T

year = movies.movie_title.str.extract(r"\((\d{4})\)\s*$")[0].astype(float).iloc[often]
eras = pd.cut(year, [0, 1979, 1989, 1995, np.inf], labels=["before 1980", "1980s", "1990 to 1995", "1996 and later"])
named = {place: movies.movie_title[often[place]] for place in range(0, len(often), 12)}
plotting.embedding_map(points, eras.cat.add_categories("no year").fillna("no year").tolist(), named)
plt.show()

if DATASET == "100k":
    assert abs(np.corrcoef(points[:, 0], year)[0, 1]) > 0.4

# %% [markdown]
# The year: along its strongest direction the map runs from old films to new ones. Nobody told the model when a film
# came out. It saw who watched what, and people who watch one classic watch others. What keeps company in people's
# histories comes to lie together; that is the whole of **collaborative filtering**. A caution: these are two
# directions of thirty-two, so near on paper need not be near.
#
# ## Summary
#
# - Retrieval learns from implicit feedback: a one is a choice, a blank is no dislike.
# - Matrix factorisation is a two-tower model whose towers are tables; towers may read more.
# - The in-batch softmax asks which film of the batch was chosen. TFRS sums it over the batch.
# - Popular films are negatives too often. The logQ correction mends that, and was worth more than everything else in
#   this chapter. Removing accidental hits is right, and changed next to nothing here.
# - A falling loss can go with falling hit rates. Ties can make nothing look perfect. Seen films can crowd out the rest.
# - Early stopping ends an overfitting run; a penalty and features give a better run.
# - On this protocol EASE and iALS do about as well. Two towers buy features, cold start and serving.
#
# ## Three questions
#
# <details><summary>You train with logQ correction. Do you subtract logQ when you recommend?</summary>
#
# No. It repairs the *sample* of negatives in training. The affinities that come out are the ones you want; subtracting
# again would favour rare films.
#
# </details>
#
# <details><summary>You double the batch size, and the loss of TFRS more than doubles. Is the model worse?</summary>
#
# One cannot tell. The loss is a sum over rows, and each row now has twice the negatives, so even a mean would grow, by
# up to log 2. Compare hit rates on validation.
#
# </details>
#
# <details><summary>A new model has a higher raw hit rate, and a lower seen-out hit rate. What happened?</summary>
#
# It remembers less: fewer seen films stand on top, so held-out ones move up in the raw list. It has not become better
# at finding new films. Since seen films are removed before anybody looks, seen-out decides.
#
# </details>
#
# ## What breaks in production
#
# - **Probabilities drift.** Here a film's frequency is counted once. In a stream it must be estimated as it goes (Yi
#   et al. give an algorithm), or new hits are over-corrected.
# - **Towers drift apart.** Film embeddings are computed in advance, query embeddings on request. Deploy a new query
#   tower with old film embeddings, and the dot products mean nothing.
# - **Feedback loops.** Tomorrow's training data are choices among what today's model showed.
# - **The seen filter is a query of its own**, against a history that grows while the user watches.
# - **A new user is one OOV vector**: everybody without history gets the same list. A tower that reads the history does
#   not have that problem.
#
# ## Further reading
#
# - Yi et al., *Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations*, RecSys 2019.
# - Hu, Koren and Volinsky, *Collaborative Filtering for Implicit Feedback Datasets*, ICDM 2008.
# - Rendle et al., *Neural Collaborative Filtering vs. Matrix Factorization Revisited*, RecSys 2020: why a dot product.
# - Steck, *Embarrassingly Shallow Autoencoders for Sparse Data*, WWW 2019.
# - Krichene and Rendle, *On Sampled Metrics for Item Recommendation*, KDD 2020: why we rank the whole catalogue.
