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
# # 6 · Ranking
#
# Retrieval has brought a few hundred films. Which ten come first? You build a model that predicts the stars a person
# will give, watch a deep network lose to three lines of arithmetic, and then do better than both, one idea at a time.
#
# **You will be able to**
#
# - predict ratings from explicit feedback, with biases as the baseline that everything has to beat;
# - see why dense layers over two embeddings find so little, and what a product finds;
# - keep a model from learning by heart: a penalty, dropout, stopping in time;
# - feed it with features, crosses (DCN-v2) and a user's history, and measure what each is worth;
# - average models that share one body, and say exactly why it helps;
# - tell RMSE, NDCG and a good list apart, and check whether a prediction means what it says.
#
# | | |
# |---|---|
# | time | 110 minutes to read and solve; about a minute to run |
# | data | MovieLens 100K, as in chapter 1 |
# | needs | chapters 2 and 3; least squares; what a gradient step does |
# | sources | Koren (2008) on histories; Rendle (2010) on factorisation machines; Wang et al. (2021) on DCN-v2 |

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
# ## 1 · Now the stars count
#
# Retrieval asked *what will they watch?* and threw the stars away. Ranking works with the few films that are left, has
# time for each of them, and may ask *how will they like it?* For that we have **explicit feedback**: the stars.

# %%
diagrams.show("funnel")

# %% [markdown]
# The split is the course's main one. We choose on validation, and read test once, in section 9.

# %% tags=["nbval-ignore-output"]
prepared = data.ensure_dataset()

# %%
ratings, movies = data.load_ratings(), data.load_movies()
if ratings.user_rating.nunique() == 1:
    print("These data hold no ratings to predict, so this chapter goes on with ratings that the course has invented.")
    ratings, movies = data.synthetic.taste_groups()[:2]
split = data.random_split(ratings)
index = data.InteractionIndex.of(ratings, movies)
train_stars, validation_stars = (part.user_rating.to_numpy(float) for part in (split.train, split.validation))
shares = split.train.user_rating.value_counts(normalize=True).sort_index()
print("stars:  ", "".join(f"{stars:6.1f}" for stars in shares.index))
print("share:  ", "".join(f"{share:6.0%}" for share in shares))
print(f"mean {train_stars.mean():.2f}, standard deviation {train_stars.std():.2f}")

# %% [markdown]
# Few people rate what they hate. They choose films that they expect to like, so the ratings we have are no random
# sample of the ratings that could be given. Keep that in mind; it comes back at the end.
#
# ## 2 · Before any model: a baseline
#
# How wrong is a prediction? The usual measure squares every error, takes the mean, and then the root, so that the
# result is in stars again:
#
# $$\mathrm{MSE} = \frac{1}{N} \sum (\hat{r}_{ui} - r_{ui})^2 \qquad \mathrm{RMSE} = (\mathrm{MSE})^{1/2}$$
#
# Whoever predicts the mean for everything has the standard deviation as their RMSE. That is the number to start from.
#
# Now, some people are generous and some films are good. So: mean, plus a **bias** of the user, plus a bias of the film.
# A bias is a mean of what is left over, pulled towards 0 where there is little to go by:
#
# $$b_i = \frac{\sum_u (r_{ui} - \mu - b_u)}{n_i + \lambda}$$
#
# *Predict:* a film's ratings are one star above expectation, every one of them. What is its bias after one rating,
# after five, after a hundred, with $\lambda = 5$?

# %%
for count in (1, 5, 100):
    print(f"{count:3d} ratings: bias {count * 1.0 / (count + 5):.2f}")

# %%
def positions(part):
    return index.user_positions(part.user_id), index.movie_positions(part.movie_id)


biases = baselines.UserItemBiases().fit(*positions(split.train), train_stars)
bias_rmse = metrics.rmse(biases.predict(*positions(split.validation)), validation_stars)
print(f"the mean for everything: {metrics.rmse(np.full_like(validation_stars, biases.mean), validation_stars):.3f}")
print(f"user and film biases:    {bias_rmse:.3f}")

# %% [markdown]
# Two numbers added to a mean, no taste whatsoever, and a good part of the error is gone. Every model below is compared
# with that.
#
# ### Exercise 6.1 · The perfect model with a large error
#
# *find the bug · difficulty 2 of 5 · 10 minutes*
#
# A colleague's model predicts every rating exactly, and the function below gives it an RMSE of 1.41. It gives about
# the same to any other model too. The formula is right. What is wrong?
#
# A Keras model with one output returns the shape `[n, 1]`; ratings have the shape `[n]`. Make the function right for
# both shapes, in either argument.
#
# Example: `root_mean_squared_error([[4.0], [2.0]], [4.0, 2.0])` should be 0.
#
# <details><summary>Hint 1</summary>
#
# Print the shape of `errors` for the example. How many errors should two ratings have?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# NumPy lines up `[n, 1]` and `[n]` as a column and a row, and gives every difference of the one with the other.
# `.reshape(-1)` makes anything flat.
#
# </details>


# %% tags=["exercise"]
def root_mean_squared_error(predicted, actual):
    """Returns the RMSE of [n] or [n, 1] predictions against [n] or [n, 1] ratings, in stars."""
    # BEGIN SOLUTION
    errors = np.asarray(predicted).reshape(-1) - np.asarray(actual).reshape(-1)
    return np.sqrt(np.mean(errors**2))
    # STUB
    # errors = np.asarray(predicted) - np.asarray(actual)
    # return np.sqrt(np.mean(errors**2))
    # END SOLUTION


# %% tags=["check"]
grading.check("6.1", root_mean_squared_error)

# %%
rmse = metrics.rmse  # the course's own version: it refuses shapes that differ

# %% [markdown]
# ## 3 · Let a deep network find out
#
# The best-known tutorials put the user's embedding and the film's beside each other, and leave the rest to dense
# layers of 256, 64 and 1: a network can approximate any function, so it will find the right one. Will it?


# %%
class DenseRating(tf.keras.Model):
    """Two embeddings beside each other, then dense layers of 256, 64 and 1."""

    def __init__(self, user_ids, movie_ids, embedding_dim=32):
        super().__init__()
        self.users, self.movies = preprocessing.id_lookup(user_ids), preprocessing.id_lookup(movie_ids)
        self.user_embedding = tf.keras.layers.Embedding(self.users.vocabulary_size(), embedding_dim)
        self.movie_embedding = tf.keras.layers.Embedding(self.movies.vocabulary_size(), embedding_dim)
        self.layers_above = tf.keras.Sequential(
            [
                tf.keras.layers.Dense(256, activation="relu"),
                tf.keras.layers.Dense(64, activation="relu"),
                tf.keras.layers.Dense(1),
            ]
        )

    def call(self, features):
        user = self.user_embedding(self.users(features["user_id"]))
        movie = self.movie_embedding(self.movies(features["movie_id"]))
        return self.layers_above(tf.concat([user, movie], axis=-1))


# %% [markdown]
# Whatever the network, it is trained in the same way. TensorFlow Recommenders has a task for it, `tfrs.tasks.Ranking`:
# a loss, and metrics if you like. With `MeanSquaredError` it is the formula above, and unlike the retrieval task it
# gives a *mean*:

# %%
task = tfrs.tasks.Ranking(loss=tf.keras.losses.MeanSquaredError())
stars, guesses = tf.constant([[4.0], [2.0], [5.0]]), tf.constant([[3.0], [2.5], [4.0]])
print(f"by hand: {np.mean([1.0, 0.25, 1.0]):.3f}; the library: {float(task(labels=stars, predictions=guesses)):.3f}")


# %% [markdown]
# Our model around it takes a network with *one or several* answers a row, its **members**, trains each of them, and
# predicts their mean. Until section 8 there is one.


# %%
class RatingModel(tfrs.Model):
    """Trains a network on the squared error of its ratings."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.task = tfrs.tasks.Ranking(loss=tf.keras.losses.MeanSquaredError())
        self.rmse = tf.keras.metrics.RootMeanSquaredError(name="rmse")

    def call(self, features, training=False):
        return tf.reduce_mean(self.network(features, training=training), axis=-1)  # [batch]

    def compute_loss(self, features, training=False):
        ratings = self.network(features, training=training)  # [batch, members]
        given = features["user_rating"]
        self.rmse.update_state(given, tf.reduce_mean(ratings, axis=-1))
        return self.task(labels=tf.repeat(given[:, tf.newaxis], tf.shape(ratings)[1], axis=1), predictions=ratings)


# %%
train, validation = models.rating_columns(split.train), models.rating_columns(split.validation)


def fit(build, optimizer, epochs, batch_size, callbacks=()):
    """Builds a network and trains it; returns the model, and RMSE on train and validation after each epoch."""
    tf.keras.utils.set_random_seed(42)
    model = RatingModel(build())
    model.compile(optimizer=optimizer, steps_per_execution=16)
    batches, held_out = data.batches(train, batch_size, shuffle=True), data.batches(validation, batch_size)
    history = model.fit(batches, validation_data=held_out, epochs=epochs, callbacks=callbacks, verbose=0).history
    return model, {"train": history["rmse"], "validation": history["val_rmse"]}


# %% [markdown]
# First the tutorial's own recipe: Adagrad with a learning rate of 0.1, batches of 8,192, three epochs. Then a fair
# chance: Adam, small batches, twice as many epochs as it needs, and **early stopping** on validation, which restores
# the best epoch.
#
# *Predict:* which of the two beats the biases?

# %% tags=["nbval-ignore-output"]
def dense():
    return DenseRating(split.train.user_id, split.train.movie_id)


def stop_in_time():
    return tf.keras.callbacks.EarlyStopping("val_rmse", mode="min", patience=3, restore_best_weights=True)


fitted, curves = {}, {}
fitted["dense, as published"], curves["dense, as published"] = fit(dense, tf.keras.optimizers.Adagrad(0.1), 3, 8192)
fitted["dense, tuned"], curves["dense, tuned"] = fit(dense, tf.keras.optimizers.Adam(0.002), 15, 1024, [stop_in_time()])
print(f"biases {bias_rmse:.3f}; " + "; ".join(f"{name} {min(run['validation']):.3f}" for name, run in curves.items()))

# %% tags=["nbval-ignore-output"]
ax = plotting.training_curves(curves["dense, tuned"], "RMSE in stars")
ax.axhline(bias_rmse, color="#64748b", linestyle="--")
ax.text(1, bias_rmse, " biases", va="bottom", color="#64748b")
ax.set_ylim(0.8, 1.2)
plt.show()

if DATASET == "100k":
    tuned = curves["dense, tuned"]
    assert min(curves["dense, as published"]["validation"]) > bias_rmse + 0.05
    assert bias_rmse - 0.03 < min(tuned["validation"]) < bias_rmse + 0.01
    assert tuned["train"][-1] < tuned["train"][0] and tuned["validation"][-1] > min(tuned["validation"])

# %% [markdown]
# As published, the network is hardly better than predicting the mean. Tuned, it comes out about where the biases are,
# after thousands of steps, and from then on it only learns the training ratings by heart: **overfitting**, as in
# chapter 3.
#
# Why so little? Look at what it has to find. Taste is a matter of *this* user with *this* film: a product of something
# about the one and something about the other. A dense layer adds its inputs up, bends the sum, and adds again. It can
# imitate a product, but has to learn the imitation, for every pair of numbers, from the same few ratings. Biases are
# sums, and sums it finds.
#
# ## 4 · Multiply
#
# So we write the product down: mean, plus both biases, plus the dot product of chapter 3.
#
# $$\hat{r}_{ui} = \mu + b_u + b_i + \mathbf{p}_u^\top \mathbf{q}_i$$
#
# Now to where the vectors come from. In chapter 3 a tower added up what the id says, the title and the genres. We do
# the same, in a form that takes any features: each user is a **row of features**, each feature has a learned vector,
# and the user's vector is the sum over the row, plus one vector of their own. With a bias as one number more in each
# vector, this is a **factorisation machine** (Rendle 2010), with features in two groups.

# %%
diagrams.show("factorisation_machine")


# %% [markdown]
# `models.feature_rows` makes the rows; for now with nothing in them but ids. An id that is not among them gets a row of
# zeros, so a stranger is predicted the mean plus the film's bias.


# %%
class FeatureVectors(tf.keras.layers.Layer):
    """A vector for each id: one of its own, plus those of its features, each times its value."""

    def __init__(self, rows, embedding_dim, l2=0.0):
        super().__init__()
        self.lookup = tf.keras.layers.StringLookup(vocabulary=rows.ids.tolist(), num_oov_indices=1)
        self.matrix = tf.constant(rows.matrix.toarray())  # [num_rows, num_features]
        self.own, self.shared = (
            self.add_weight(
                name,
                (count, embedding_dim),
                initializer=tf.keras.initializers.RandomNormal(stddev=0.1),  # one each: an instance repeats its numbers
                regularizer=tf.keras.regularizers.L2(l2),
            )
            for name, count in (("own", len(rows.ids)), ("shared", rows.matrix.shape[1]))
        )

    def table(self):
        return tf.pad(self.own + self.matrix @ self.shared, [[1, 0], [0, 0]])  # zeros first, for an unknown id

    def call(self, ids):
        return tf.gather(self.table(), self.lookup(ids))


# %% [markdown]
# All vectors are computed in every step, even if a batch holds ten users. It sounds wasteful, and is the cheap way: a
# batch of thousands holds nearly everyone, most of them many times.


# %%
class FactorisationMachine(tf.keras.Model):
    """Mean + bias of the user + bias of the film + dot product of their vectors, by several members."""

    def __init__(self, users, movies, mean, embedding_dim=10, members=1, l2=0.0002):
        super().__init__()
        self.members, self.embedding_dim = members, embedding_dim
        width = members * (embedding_dim + 1)  # of each member's numbers the last is the bias
        self.users = FeatureVectors(users, width, l2 / members)
        self.movies = FeatureVectors(movies, width, l2 / members)
        self.mean = self.add_weight("mean", (), initializer=tf.keras.initializers.Constant(mean))

    def call(self, features):
        user, movie = (
            tf.reshape(vectors, tf.concat([tf.shape(vectors)[:-1], [self.members, self.embedding_dim + 1]], axis=0))
            for vectors in (self.users(features["user_id"]), self.movies(features["movie_id"]))
        )
        affinity = tf.reduce_sum(user[..., :-1] * movie[..., :-1], axis=-1)
        return self.mean + user[..., -1] + movie[..., -1] + affinity  # [..., members]


# %% [markdown]
# The penalty `l2` stands on every vector. It is the same pull towards 0 as the $\lambda$ of the biases: whoever has
# few ratings stays near the mean. Every machine from here on gets the same twelve epochs, with a learning rate that
# sinks to 0 along a cosine: large steps to get there, small ones to settle.
#
# *Predict:* how does the machine do without the penalty?

# %%
MEAN = train_stars.mean()


def sinking(learning_rate, epochs, batch_size):
    steps = epochs * -(-len(split.train) // batch_size)
    return tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(learning_rate, steps))


def machine(name, users, movies, **options):
    fitted[name], curves[name] = fit(
        lambda: FactorisationMachine(users, movies, MEAN, **options), sinking(0.015, 12, 4096), 12, 4096
    )
    print(f"{name:20s} {curves[name]['validation'][-1]:.3f}")


# %% tags=["nbval-ignore-output"]
user_ids, movie_ids = models.feature_rows(split.train.user_id), models.feature_rows(movies.movie_id)
machine("ids, no penalty", user_ids, movie_ids, l2=0.0)
machine("ids", user_ids, movie_ids)

_, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, name in zip(axes, ("ids, no penalty", "ids"), strict=True):
    plotting.training_curves(curves[name], "RMSE in stars", ax).set_title(name)
    ax.axhline(bias_rmse, color="#64748b", linestyle="--")
plt.show()

if DATASET == "100k":
    bare, penalised = curves["ids, no penalty"]["validation"], curves["ids"]["validation"]
    assert min(bare) > bias_rmse and bare[-1] > min(bare) + 0.01, "without a penalty it never beats the biases"
    assert penalised[-1] < bias_rmse - 0.01 and penalised[-1] < min(tuned["validation"]), "with it, it beats them all"

# %% [markdown]
# Without a penalty the machine never gets below the dashed line: it has more free numbers than it knows what to do
# with. Stopping in time would not save it. With the penalty, validation still falls at the end, and the
# model is the best so far. **Regularisation is no refinement here; it is the model.**
#
# ## 5 · More to read
#
# A row can hold more than an id. `models.user_labels` and `models.movie_labels` turn what the dataset says about people
# and films into labels; each becomes a column of zeros and ones, chapter 2's multi-hot. (Time belongs to neither, and
# comes in chapter 7.)

# %%
people, films = models.user_labels(split.train), models.movie_labels(movies)
some_user, some_film = index.user_ids[0], index.movie_ids[0]
print(f"user {some_user}: {', '.join(people[some_user]) or 'nothing known'}")
print(f"film {some_film}: {', '.join(films[some_film])}")

# %% [markdown]
# *Predict:* which labels help most, those of people or those of films?

# %% tags=["nbval-ignore-output"]
people_rows = models.feature_rows(split.train.user_id, people)
film_rows = models.feature_rows(movies.movie_id, films)
word_rows = models.feature_rows(movies.movie_id, models.movie_labels(movies, words=5))
machine("+ people", people_rows, movie_ids)
machine("+ genres, decade", people_rows, film_rows)
machine("+ words of titles", people_rows, word_rows)

if DATASET == "100k":
    assert curves["+ people"]["validation"][-1] > curves["ids"]["validation"][-1] - 0.003, "no help, if no harm"
    assert curves["+ genres, decade"]["validation"][-1] < curves["ids"]["validation"][-1] - 0.01
    assert abs(curves["+ words of titles"]["validation"][-1] - curves["+ genres, decade"]["validation"][-1]) < 0.006

# %% [markdown]
# Genres and decade help: what one western has taught holds for the next. Age, gender and occupation do not: a handful
# of ratings tells more about a taste than a census does. Nor do words of titles, on top of genres. So we leave the
# words out, to keep the films' rows short; the people's labels stay, for someone without a rating has nothing else.
#
# ## 6 · Crosses
#
# The machine multiplies a user's number only with the *same* number of the film. What about all other pairs, and
# products of three? A **cross layer** makes them. With $\mathbf{x}_0$ for what goes in, and $\mathbf{x}$ for what the
# layer before has given:
#
# $$\mathbf{x}_{\mathrm{next}} = \mathbf{x}_0 \odot (\mathbf{x} \mathbf{W} + \mathbf{b}) + \mathbf{x}$$
#
# where $\odot$ multiplies place by place. Take two numbers, $\mathbf{x}_0 = [1, 2]$, and a $\mathbf{W}$ that swaps
# them. *Predict* the result, before you run it.

# %%
x0, kernel, bias = np.array([[1.0, 2.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0.0, 0.0])
print("x W + b:            ", x0 @ kernel + bias)
print("times x0:           ", x0 * (x0 @ kernel + bias))
print("plus x:             ", x0 * (x0 @ kernel + bias) + x0)


# %% [markdown]
# The product of the first number and the second has turned up, exactly, after *one* layer. The dense stack would have
# needed many units to imitate it. Each further layer multiplies by $\mathbf{x}_0$ once more: two layers make products
# of three.
#
# ### Exercise 6.2 · A cross layer by hand
#
# *fill in · difficulty 2 of 5 · 10 minutes*
#
# Write the layer for a batch. `first` is $\mathbf{x}_0$, both it and `x` are `[batch, d]`; `kernel` is `[d, d]`, `bias`
# is `[d]`.
#
# Example: with `first = [[1, 2]]`, `x = [[3, 4]]`, the swapping kernel and no bias: `x @ kernel` is `[[4, 3]]`, times
# `first` `[[4, 6]]`, plus `x` `[[7, 10]]`.
#
# <details><summary>Hint 1</summary>
#
# Two different inputs: which of them goes through the kernel, and which one multiplies the result?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# What is added at the end is what the layer before has given, so that a layer that has nothing to say can pass it on.
#
# </details>


# %% tags=["exercise"]
def cross_layer(first, x, kernel, bias):
    """Returns the [batch, d] output of one cross layer of DCN-v2."""
    # BEGIN SOLUTION
    first, x = np.asarray(first), np.asarray(x)
    return first * (x @ np.asarray(kernel) + np.asarray(bias)) + x
    # END SOLUTION


# %% tags=["check"]
grading.check("6.2", cross_layer)

# %%
cross_layer = models.cross_layer  # the course's own version

# %% [markdown]
# TFRS has it as `tfrs.layers.dcn.Cross`. Two of them in a row, on five random rows of four numbers: is it the same?

# %%
rng = np.random.default_rng(0)
x0 = rng.normal(size=(5, 4)).astype(np.float32)
layers = [tfrs.layers.dcn.Cross(bias_initializer="random_normal") for _ in range(2)]
by_library = layers[1](x0, layers[0](x0, x0))
by_hand = cross_layer(x0, cross_layer(x0, x0, *layers[0].get_weights()), *layers[1].get_weights())
np.testing.assert_allclose(by_hand, by_library, rtol=1e-4, atol=1e-5)
print("two cross layers: by hand and by the library the same", by_hand.shape)


# %% [markdown]
# DCN-v2 puts cross layers and dense layers to work together. Ours keeps the machine's answer and lets them add to it,
# which spares them finding again what a dot product knows. **Dropout** silences a random share of the numbers in
# training, so that no product can be relied on alone.


# %%
class CrossRating(tf.keras.Model):
    """A factorisation machine's answer, plus what cross layers and dense layers add to it (DCN-v2)."""

    def __init__(
        self, users, movies, mean, embedding_dim=16, cross_layers=2, dense_units=(128, 64), dropout=0.3, l2=0.0002
    ):
        super().__init__()
        self.users = FeatureVectors(users, embedding_dim + 1, l2)
        self.movies = FeatureVectors(movies, embedding_dim + 1, l2)
        self.mean = self.add_weight("mean", (), initializer=tf.keras.initializers.Constant(mean))
        self.dropout = tf.keras.layers.Dropout(dropout)
        self.cross = [tfrs.layers.dcn.Cross() for _ in range(cross_layers)]
        self.dense = tf.keras.Sequential()
        for units in dense_units:
            self.dense.add(tf.keras.layers.Dense(units, activation="relu"))
            self.dense.add(tf.keras.layers.Dropout(dropout))
        self.dense.add(tf.keras.layers.Dense(1))

    def call(self, features, training=False):
        user, movie = self.users(features["user_id"]), self.movies(features["movie_id"])
        machine = self.mean + user[:, -1:] + movie[:, -1:]
        machine += tf.reduce_sum(user[:, :-1] * movie[:, :-1], axis=-1, keepdims=True)
        first = crossed = self.dropout(tf.concat([user[:, :-1], movie[:, :-1]], axis=-1), training=training)
        for cross in self.cross:
            crossed = cross(first, crossed)
        return machine + self.dense(crossed, training=training)


# %% [markdown]
# On these features two cross layers and a plain sum at the end did better, in trial runs on validation, than with dense
# layers in between. So we leave those out.

# %% tags=["nbval-ignore-output"]
fitted["+ crosses"], curves["+ crosses"] = fit(
    lambda: CrossRating(people_rows, film_rows, MEAN, dense_units=(), dropout=0.2), sinking(0.01, 12, 2048), 12, 2048
)
without, crossed = (curves[name]["validation"][-1] for name in ("+ genres, decade", "+ crosses"))
print(f"without crosses {without:.3f}, with {crossed:.3f}")
if DATASET == "100k":
    assert crossed < without - 0.002

# %% [markdown]
# Crosses help, on these features. Remember by how much; we come back to it.
#
# ## 7 · What one has watched
#
# The strongest feature is one that we have had all along. *Which* films somebody has rated says a lot about their
# taste, whatever the stars. And *who* has rated a film says a lot about the film. This is the idea of SVD++ (Koren
# 2008): explicit feedback to learn from, and implicit feedback to read.
#
# $$\mathbf{p}_u = \mathbf{v}_u + \frac{1}{(n_u)^{1/2}} \sum_{j \in S_u} \mathbf{y}_j + \mathrm{labels}$$
#
# Each film $j$ has a second vector $\mathbf{y}_j$: what *having watched it* says about a person. $S_u$ are the $n_u$
# films that the user has rated in train. Why divide by the root of $n_u$?
#
# *Predict:* add up 10 random vectors, and 1,000. How do the lengths of the sums compare? And of the means?

# %%
rng = np.random.default_rng(0)
for count in (10, 1000):
    added = rng.normal(size=(count, 16)).sum(axis=0)
    sizes = [np.linalg.norm(added / divisor) for divisor in (1, count, count**0.5)]
    print(f"{count:5d} vectors: sum {sizes[0]:6.1f}   mean {sizes[1]:5.2f}   over the root {sizes[2]:5.2f}")


# %% [markdown]
# A sum explodes, a mean dies away, and the root keeps its size. A long history may still say more, where its films pull
# the same way.
#
# ### Exercise 6.3 · A history as a vector
#
# *fill in · difficulty 3 of 5 · 15 minutes*
#
# `met` is a table of zeros and ones, `[num_users, num_films]`: who has met what. `vectors` is `[num_films, d]`.
# Return each user's sum of the vectors of the films they have met, over the root of their number: `[num_users, d]`.
# Someone who has met nothing gets zeros.
#
# Example: the films' vectors are `[[1, 0], [0, 1], [2, 2]]`. A user who has met films 0 and 2 gets
# $(1 + 2, 0 + 2) / 2^{1/2} = [2.121, 1.414]$.
#
# <details><summary>Hint 1</summary>
#
# A sum over those rows that have a one is a matrix product.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# `met.sum(axis=1, keepdims=True)` is the number of films a user, as a column. For the empty row it is 0, and 0 / 0 is
# no number: `np.maximum(..., 1)` leaves all others as they are.
#
# </details>


# %% tags=["exercise"]
def history_vectors(met, vectors):
    """Returns [num_users, d]: the sum of the vectors of the films a user has met, over the root of their number."""
    # BEGIN SOLUTION
    met, vectors = np.asarray(met, float), np.asarray(vectors, float)
    counts = met.sum(axis=1, keepdims=True)
    return (met @ vectors) / np.sqrt(np.maximum(counts, 1))
    # END SOLUTION


# %% tags=["check"]
grading.check("6.3", history_vectors)

# %% [markdown]
# In `models.feature_rows` a history is simply more columns: a user who has met four films has 1 / 2 in each of the
# four. Times the table of vectors, that is the sum you have written.

# %%
tiny = models.feature_rows(["Ana", "Ben"], history=(["Ana", "Ana", "Ana", "Ana", "Ben"], ["A", "B", "C", "D", "B"]))
pd.DataFrame(tiny.matrix.toarray(), index=tiny.ids, columns=tiny.names)

# %% [markdown]
# Both sides get theirs: users read their films, films read their users. From train alone, of course: that somebody
# *has* a rating in validation must not be known.

# %% tags=["nbval-ignore-output"]
met_by = split.train.user_id.to_numpy(object), split.train.movie_id.to_numpy(object)
user_rows = models.feature_rows(split.train.user_id, people, history=met_by)
movie_rows = models.feature_rows(movies.movie_id, films, history=met_by[::-1])
machine("+ users' histories", user_rows, film_rows)
machine("+ films' histories", user_rows, movie_rows)

if DATASET == "100k":
    assert curves["+ films' histories"]["validation"][-1] < crossed - 0.003
    assert curves["+ films' histories"]["validation"][-1] < curves["+ users' histories"]["validation"][-1]

# %% [markdown]
# More than all features before. With histories on both sides, crosses have nothing left to add: in the course's
# benchmark a full DCN-v2 on these rows comes out where the plain machine does, at several times the cost. A model's
# parts are no list of improvements that add up; each was worth what the others had left over.
#
# ## 8 · Sixteen opinions
#
# Two machines that start from other random numbers reach the same RMSE with *different* predictions. Where ratings
# decide, they agree; where ratings leave room, each fills it in its own way. What does the mean of their predictions
# do?
#
# By hand: the truth is 4 stars, one member says 3, the other 4.5. *Predict:* is the squared error of the mean 3.75
# below or above the mean of the two squared errors, and by how much?

# %%
truth, answers = 4.0, np.array([3.0, 4.5])
print("mean of the squared errors:", np.mean((answers - truth) ** 2))
print("squared error of the mean: ", (answers.mean() - truth) ** 2)
print("variance of the answers:   ", answers.var())

# %% [markdown]
# The first is the second plus the third, always. So the mean is never worse than its members are on average, and gains
# exactly as much as they *differ*. Sixteen members need no sixteen models: they stand side by side in the same vectors
# (`members=16`), read the same rows, and share every step.

# %% tags=["nbval-ignore-output"]
machine("+ 16 members", user_rows, movie_rows, members=16)

columns = {name: tf.constant(values) for name, values in validation.items()}
answers = fitted["+ 16 members"].network(columns).numpy()  # [num_ratings, members]
squared = (answers - validation_stars[:, np.newaxis]) ** 2
print(f"members, one by one: {np.sqrt(squared.mean(axis=0)).min():.3f} to {np.sqrt(squared.mean(axis=0)).max():.3f}")
print(f"their mean:          {rmse(answers.mean(axis=1), validation_stars):.3f}")
np.testing.assert_allclose(
    squared.mean() - answers.var(axis=1).mean(), np.mean((answers.mean(axis=1) - validation_stars) ** 2), rtol=1e-4
)
assert curves["+ 16 members"]["validation"][-1] < curves["+ films' histories"]["validation"][-1] - 0.003

# %% [markdown]
# The largest single step since the histories, and the cheapest to write. A Bayesian would say: we average over the
# models that the data leave open, instead of betting on one. When it is served, nothing is left of the sixteen: the
# mean of sixteen dot products of ten numbers is one dot product of a hundred and sixty.
#
# ## 9 · The test, once
#
# All of them on the test part, on one protocol. Predictions beyond the scale are cut to it, which can only bring them
# nearer. Beside RMSE stands **NDCG at 10**: each user's held-out films are put in order by the prediction, and a film
# of $r$ stars is worth $2^r - 1$, less the further down it stands; 1 is the perfect order.
#
# $$\mathrm{DCG}_u = \sum_{\mathrm{place}=1}^{10} \frac{2^{r} - 1}{\log_2(\mathrm{place} + 1)} \qquad
# \mathrm{NDCG}_u = \frac{\mathrm{DCG}_u}{\mathrm{best\ possible}}$$

# %% tags=["nbval-ignore-output"]
LOWEST, HIGHEST = train_stars.min(), train_stars.max()


def table_row(predicted, part):
    ndcg = metrics.rated_ndcg_at_k(predicted, part.user_rating, part.user_id, 10)
    return {"RMSE": rmse(np.clip(predicted, LOWEST, HIGHEST), part.user_rating), "NDCG@10": ndcg}


def score_all(part):
    rows = {"mean": np.full(len(part), MEAN), "biases": biases.predict(*positions(part))}
    rows |= {name: models.predict_ratings(model, part) for name, model in fitted.items()}
    return pd.DataFrame({name: table_row(predicted, part) for name, predicted in rows.items()}).T


on_test = score_all(split.test)  # read here, once
on_test.round(3)

# %% tags=["nbval-ignore-output"]
ours = "+ 16 members"
plotting.ladder(on_test["RMSE"].to_dict(), "test RMSE in stars; lower is better", highlight=ours)
plt.show()

if DATASET == "100k":
    assert on_test["RMSE"][ours] == on_test["RMSE"].min() and on_test["RMSE"][ours] <= 0.885
    assert on_test["RMSE"]["dense, tuned"] > on_test["RMSE"]["+ films' histories"] + 0.03

# %% [markdown]
# `make bench-ranking` has the same over five seeds, beside a Bayesian factorisation machine, and on GroupLens' own
# split u1 where that can be had.
#
# ### What a good RMSE is not
#
# **It is no property of a model.** Here is the same model on the two held-out tenths:

# %% tags=["nbval-ignore-output"]
on_validation = score_all(split.validation)["RMSE"][ours]
print(f"validation {on_validation:.3f}, test {on_test['RMSE'][ours]:.3f}")

# %% [markdown]
# Two random tenths of the same data, and they may differ by more than most improvements of this chapter. A figure
# from another split, another dataset or another cut of the scale says nothing about yours. Differences *within* one
# table are far steadier, since all rows meet the same easy and hard ratings.
#
# **It is no good list**, either.
#
# > **Misconception: the better the predicted ratings, the better the recommendations.**
#
# Let our best model score the whole catalogue, as in chapter 3, and take the highest predictions. *Predict:* does it
# find more of what people went on to watch than a list of the most popular films?

# %% tags=["nbval-ignore-output"]
seen, watched = index.matrix(split.train), index.matrix(split.validation)
predicted_stars = models.rating_scorer(fitted[ours].network, index)
retrieval = baselines.ImplicitALS().fit(seen).score
scorers = {
    "highest predicted rating": predicted_stars,
    "most popular": baselines.MostPopular().fit(seen).score,
    "retrieval (iALS)": retrieval,
}
found = {
    name: metrics.hit_rate_at_k(metrics.rank_held_out(scorer, watched, seen), 100) for name, scorer in scorers.items()
}
print("\n".join(f"{name:25s} seen-out hit rate at 100: {rate:.3f}" for name, rate in found.items()))
if DATASET == "100k":
    assert found["highest predicted rating"] < found["most popular"] < found["retrieval (iALS)"]

# %% [markdown]
# The model with the best RMSE makes the worst list. It has only ever seen films that people *chose* to rate, so it
# answers "how would you like it, if you watched it?", and knows nothing of whether you would. Seldom rated films with a
# few enthusiasts come out on top. That is why there are two stages: retrieval asks what you would watch, ranking how
# you would like it.
#
# ## 10 · Does a 4 mean 4?
#
# A ranked list needs the order alone. But as soon as a prediction is shown to someone, compared with a price or mixed
# with other scores, it has to mean what it says. **Calibration**: among all films predicted about 4, is the mean rating
# about 4?

# %% tags=["nbval-ignore-output"]
def calibration(predicted, actual, bins=12):
    groups = pd.qcut(predicted, bins, duplicates="drop")
    return pd.DataFrame({"predicted": predicted, "actual": actual}).groupby(groups, observed=True).mean()


tables = {
    name: calibration(models.predict_ratings(fitted[name], split.validation), validation_stars)
    for name in ("ids, no penalty", ours)
}
plotting.calibration({name: (table.predicted, table.actual) for name, table in tables.items()}, "stars")
plt.show()

if DATASET == "100k":
    slopes = {name: np.polyfit(table.predicted, table.actual, 1)[0] for name, table in tables.items()}
    assert slopes["ids, no penalty"] < 0.9, "overfitted: extremes are too extreme"
    assert abs(slopes[ours] - 1) < 0.2

# %% [markdown]
# The overfitted machine exaggerates: where it says 5, people gave less; where it says 2, they gave more. The averaged
# one stays near the diagonal; a penalty can even make a model too timid, which shows as a slope above 1.
#
# ### Exercise 6.4 · Mend the meaning, keep the order
#
# *open design · difficulty 3 of 5 · 20 minutes*
#
# Write `recalibrate(predicted, actual)`. It gets predictions and ratings of a validation part, learns from them, and
# returns a *function* that turns new predictions into better calibrated ones. There are several good ways. The check
# plays a few worlds to it, and wants that
#
# - predictions that are all half a star too high, or exaggerated twofold, come out nearly as good as can be;
# - predictions that are fine already stay fine, also when learned from thirty ratings only;
# - the order is kept: of two predictions the higher one never comes out lower, even where the world is upside down;
# - new predictions beyond all it has learned from give finite numbers, and so does a model that always says the same.
#
# Example: learned from predictions `[2, 3, 4]` and ratings `[1, 2, 3]`, it should turn `[3.5]` into about `[2.5]`.
#
# <details><summary>Hint 1</summary>
#
# What is the simplest function that can shift and stretch? Least squares finds it.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Slope: the mean of (prediction minus mean prediction) times rating, over the variance of the predictions. What must a
# slope not be, if the order is to stay? And what if the variance is 0?
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# Return a function from within a function: `return lambda scores: actual.mean() + slope * (scores - predicted.mean())`.
#
# </details>


# %% tags=["exercise"]
def recalibrate(predicted, actual):
    """Returns a function from [n] predictions to [n] calibrated ratings, learned from a validation part."""
    # BEGIN SOLUTION
    predicted, actual = np.asarray(predicted, float), np.asarray(actual, float)
    centred = predicted - predicted.mean()
    variance = np.mean(centred**2)
    slope = max(np.mean(centred * actual) / variance, 0.0) if variance > 0 else 0.0
    return lambda scores: actual.mean() + slope * (np.asarray(scores, float) - predicted.mean())
    # END SOLUTION


# %% tags=["check"]
grading.check("6.4", recalibrate)

# %%
recalibrate = models.recalibrate  # the course's own version

# %% [markdown]
# ## 11 · Points, pairs, lists
#
# So far every rating was judged by itself: **pointwise**. But if the order is what we want, why not train for it?
#
# - **Pairwise**: of two films that a user has rated differently, the better one should score higher. The loss of a pair
#   is $\log(1 + \exp(-(s_i - s_j)))$: near 0 if film $i$ is ahead by far, and growing with the margin if it is behind.
# - **Listwise**: compare the softmax of a whole list's scores with the softmax of its stars. It is chapter 3's loss
#   with stars in place of a single right answer.
#
# ### Exercise 6.5 · The pairwise loss
#
# *fill in · difficulty 3 of 5 · 15 minutes*
#
# For *one* list: `scores` and `ratings` are `[n]`. Return the mean loss over all pairs $(i, j)$ whose ratings fulfil
# $r_i > r_j$. Films with equal ratings make no pair. A list without any pair costs 0.
#
# Example: scores `[1, 0, 0]`, ratings `[5, 3, 3]`. There are two pairs, the first film with each of the others, and the
# margin is 1 in both: $\log(1 + \exp(-1)) = 0.313$.
#
# <details><summary>Hint 1</summary>
#
# `scores[:, None] - scores[None, :]` holds every margin, row minus column. Which of them are pairs?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# `ratings[:, None] > ratings[None, :]` is a mask that you can index the margins with.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# `np.exp(1000)` is infinite. `np.logaddexp(0, -margin)` is $\log(1 + \exp(-\mathrm{margin}))$, done safely.
#
# </details>


# %% tags=["exercise"]
def pairwise_loss(scores, ratings):
    """Returns the mean logistic loss over the pairs of one list; 0 if there are none."""
    # BEGIN SOLUTION
    scores, ratings = np.asarray(scores, float), np.asarray(ratings, float)
    margins = scores[:, None] - scores[None, :]
    of_pairs = margins[ratings[:, None] > ratings[None, :]]
    return np.logaddexp(0, -of_pairs).mean() if of_pairs.size else 0.0
    # END SOLUTION


# %% tags=["check"]
grading.check("6.5", pairwise_loss)

# %%
pairwise_loss = models.pairwise_loss  # the course's own version, in TensorFlow and for many lists at once

# %% [markdown]
# Three trainings of the same machine on the same lists, ten films of one user each, alike in everything but the loss.
# Scores that were trained on pairs are no stars, so we look at RMSE twice: as it is, and after `recalibrate` has put
# the scores on the scale (learned on one half of validation, measured on the other).
#
# *Predict:* which one has the best NDCG? Which one the best RMSE?

# %% tags=["nbval-ignore-output"]
lists = models.rated_lists(split.train, list_length=10)
EPOCHS, LISTS = 12, 400
half = np.arange(len(split.validation)) % 2 == 0
learned, judged = split.validation[half], split.validation[~half]
losses = {"pointwise": models.pointwise_loss, "pairwise": pairwise_loss, "listwise": models.listwise_loss}
rows = {}
for name, loss in losses.items():
    tf.keras.utils.set_random_seed(42)
    model = models.ListModel(FactorisationMachine(user_rows, movie_rows, MEAN), loss)
    steps = EPOCHS * -(-len(lists["user_id"]) // LISTS)
    model.compile(optimizer=tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(0.015, steps)))
    model.fit(data.batches(lists, LISTS, shuffle=True), epochs=EPOCHS, verbose=0)
    raw, to_learn = (models.predict_ratings(model, part) for part in (judged, learned))
    rows[name] = table_row(raw, judged)
    rows[name]["RMSE, recalibrated"] = rmse(recalibrate(to_learn, learned.user_rating)(raw), judged.user_rating)
by_loss = pd.DataFrame(rows).T[["NDCG@10", "RMSE", "RMSE, recalibrated"]]
by_loss.round(3)

# %% tags=["nbval-ignore-output"]
if DATASET == "100k":
    assert np.ptp(by_loss["NDCG@10"]) < 0.015, "three losses, about the same order"
    assert by_loss["RMSE"].idxmin() == "pointwise" and by_loss["RMSE"]["pairwise"] > by_loss["RMSE"]["pointwise"] + 0.1
    assert by_loss["RMSE, recalibrated"]["pairwise"] < by_loss["RMSE"]["pairwise"]
    assert by_loss["RMSE, recalibrated"]["pairwise"] > by_loss["RMSE"]["pointwise"] + 0.03

# %% [markdown]
# As for the order, the three are about equal here: the differences are no larger than another seed makes. As for the
# stars, only the pointwise scores are stars at all. Recalibration mends the scale, but not everything: within a list
# nothing had told the model how generous a user is, since a bias of the user moves all its films alike and changes no
# pair.
#
# So with explicit stars, pointwise is a good choice. Pairs and lists earn their keep where there are no stars: clicks,
# in which only the order within a page means anything.
#
# ## 12 · The two stages, together
#
# Now ranking as it is used: a hundred candidates from retrieval, put in order by predicted stars.
#
# *Predict:* compared with retrieval's own order, do more or fewer of the first ten turn out to be films that the user
# did watch? And did they like them more, or less?


# %% tags=["nbval-ignore-output"]
def retrieve_then_rank(rows, candidates=100):
    affinities = np.array(retrieval(rows), dtype=float)
    affinities[seen[rows].nonzero()] = -np.inf
    last_in = np.sort(affinities, axis=1)[:, -candidates, np.newaxis]
    return np.where(affinities >= last_in, predicted_stars(rows), -np.inf)



stars_of = pd.Series(validation_stars, index=pd.MultiIndex.from_arrays(positions(split.validation)))
rows = {}
for name, scorer in {**scorers, "retrieval, then ranking": retrieve_then_rank}.items():
    held = metrics.rank_held_out(scorer, watched, seen)
    hits = held.ranks <= 10
    liked = stars_of.loc[list(zip(held.users[hits], held.movies[hits], strict=True))]
    rows[name] = {"hits in the first 10": hits.sum(), "hit rate at 10": hits.mean(), "their mean stars": liked.mean()}
stages = pd.DataFrame(rows).T
stages.round(3)

# %% tags=["nbval-ignore-output"]
if DATASET == "100k":
    both, alone = stages.loc["retrieval, then ranking"], stages.loc["retrieval (iALS)"]
    assert stages["hit rate at 10"]["highest predicted rating"] < both["hit rate at 10"] < alone["hit rate at 10"]
    assert both["their mean stars"] > alone["their mean stars"] + 0.1

# %% [markdown]
# Fewer hits, and better liked ones. Ordering by stars alone gives away what retrieval knew about watching; ordering
# by retrieval alone gives away what ranking knows about liking. Which of the two is worth more is no question of
# modelling: it says what the service is for. In practice the ranking score is a mixture, such as *probability of
# watching, times stars*, tuned on what the business counts.
#
# Here are both lists for one user, with names.

# %% tags=["nbval-ignore-output"]
(row,) = index.user_positions([split.train.user_id.value_counts().index[100]])


def titles(scorer):
    scores = np.array(scorer(np.array([row]))[0], dtype=float)
    best = models.top_k_unseen(scores, seen[row].indices, k=8)
    stars = predicted_stars(np.array([row]))[0][best]
    return [f"{movies.movie_title[film]}  {value:.1f}" for film, value in zip(best, stars, strict=True)]


print(f"user {index.user_ids[row]}; after each title the predicted stars")
pd.DataFrame({"retrieval's order": titles(retrieval), "then ranked": titles(retrieve_then_rank)})

# %% [markdown]
# ## Summary
#
# - The baseline for ratings is mean plus biases, with a pull towards 0. The tutorials' dense network, as published,
#   loses to it by far; tuned, it just about gets there, since it has to imitate a product.
# - A product of vectors finds taste, if a penalty keeps it from learning by heart. Without one it lost to the biases.
# - Genres and decade help; what is known of people, and words of titles, did not. Crosses (DCN-v2) helped on those
#   features, and no longer beside histories.
# - The histories of both sides, read as features, were worth more than all labels together.
# - Averaging members gains exactly their variance, costs one wide vector, and beats every single machine.
# - RMSE compares models within one table; it does not travel, and it says nothing about the list.
# - Pointwise, pairwise and listwise losses put films in about the same order here; only pointwise scores are stars.
# - Retrieval knows what is watched, ranking what is liked; a service needs both.
#
# ## Three questions
#
# <details><summary>A colleague reports an RMSE of 0.86 on MovieLens, you have 0.89. Is their model better?</summary>
#
# One cannot tell. Another split, another cut of the data or another share of new users moves RMSE by more than that.
# Ask for the RMSE of the biases on their split, or run both models on one.
#
# </details>
#
# <details><summary>Your validation RMSE is best after two epochs and then rises. Is early stopping the cure?</summary>
#
# It takes the best point of a bad path. The machine without a penalty did not beat the biases at its best epoch. A
# penalty, dropout or averaging gives a better path; stop early on that one.
#
# </details>
#
# <details><summary>You double all scores of a ranker. What changes: NDCG, RMSE, the pairwise loss?</summary>
#
# NDCG stays, as the order does. RMSE changes, for the scores no longer mean stars. The pairwise loss changes too, since
# margins are doubled, though every pair is as right or wrong as before.
#
# </details>
#
# ## What breaks in production
#
# - **Only chosen films have ratings.** The model is trained on what people picked and asked about what they did not.
#   Explore a little, or weigh by the probability of having been shown.
# - **Histories leak.** A history computed "as of now" holds what came after the rating to be predicted. Compute it as
#   of the rating's time; on a random split, as here, it flatters.
# - **Training and serving differ.** If the row of features is built by two programs, one of them will be wrong. Build
#   it once, and save it with the model.
# - **Ratings drift.** A user's scale changes, and a site's too. Biases age faster than taste; recalibrate often.
# - **Latency.** Ranking runs once a candidate: a hundred times a request. Send the hundred as one batch.
#
# ## Further reading
#
# - Koren, Bell and Volinsky, *Matrix Factorization Techniques for Recommender Systems*, IEEE Computer 2009.
# - Koren, *Factorization Meets the Neighborhood*, KDD 2008: SVD++.
# - Rendle, *Factorization Machines*, ICDM 2010; Rendle, Zhang and Koren, *On the Difficulty of Evaluating Baselines*,
#   2019: how far plain models go when they are tuned.
# - Wang et al., *DCN V2: Improved Deep & Cross Network*, WWW 2021.
# - Cao et al., *Learning to Rank: From Pairwise Approach to Listwise Approach*, ICML 2007.
