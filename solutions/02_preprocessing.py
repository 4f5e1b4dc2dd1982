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
# # 2 · Preprocessing layers
#
# **From raw strings and whole seconds to a model that takes both as they come — and a straight answer to what it does
# with a user nobody has ever seen.**
#
# After this chapter you can
#
# - turn ids, times, titles and genres into tensors with Keras layers, and say what each layer has learnt from the data;
# - fit that state on the training set alone, in batches, and show what goes wrong when you do not;
# - keep whole seconds whole on their way into a float32;
# - predict how many ids will collide in a hash table before you build it;
# - say what an unseen user and an unseen movie become inside a model, and train the model for them.
#
# | | |
# |---|---|
# | Time | 90 minutes with the five exercises; the code alone runs in under a minute |
# | Data | MovieLens 100K (any other by `COURSE_DATASET`) |
# | Needs | chapter 1: random and temporal split, the idea of leakage |
# | Sources | Keras' preprocessing layers; Weinberger et al. 2009 (hashing); Volkovs et al. 2017 (DropoutNet) |

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

# %% tags=["nbval-ignore-output"]
import time

import numpy as np
import pandas as pd
import tensorflow as tf

from recsys_course import baselines, data, grading, metrics, preprocessing

tf.keras.utils.set_random_seed(42)
tf.config.experimental.enable_op_determinism()
tf.get_logger().setLevel("ERROR")  # adapting several small layers is no reason to warn of retracing
layers = tf.keras.layers

# %% tags=["nbval-ignore-output"]
DATASET = data.dataset_name()
ratings, movies = data.load_ratings(), data.load_movies()

# %% [markdown]
# ## What the model is given
#
# A network multiplies and adds float32 numbers. Here is what a rating really looks like.

# %%
train, validation, _ = data.random_split(ratings)
films = movies[movies.movie_id.isin(train.movie_id)]  # the films that occur in training, one row each
train[["user_id", "movie_id", "user_rating", "timestamp"]].head(3)

# %%
films.head(3)

# %% [markdown]
# Two names, a count of seconds, some text, a list of words; and a number of stars to predict. None of it can be
# multiplied as it stands, not even the time stamp, as we shall see.
#
# You could prepare all this in pandas. But then the service that answers requests needs the same code again, in the
# same version, and one day the two will differ: *training–serving skew*. **Preprocessing layers** are part of the model
# instead. Whoever gets the model gets its vocabularies and averages too, and sends raw strings.
#
# Such a layer has *state* that comes from data rather than from gradient descent. One rule covers all of it: **state is
# fitted on the training set, and on nothing else.** The last section breaks the rule and looks at the damage.
#
# ## Ids: StringLookup
#
# Which number does an id become? And an id that was never seen? A vocabulary of two will do to find out.
#
# *Predict* the four numbers before you run the cell.

# %%
lookup = layers.StringLookup(vocabulary=["ann", "bob"])
lookup(["bob", "ann", "zoe", "bob"]).numpy()


# %% [markdown]
# Index 0 is reserved. It stands for everything *out of vocabulary*, **OOV** for short; the known ids follow from 1. So
# the layer never fails on a new user, which is a comfort and, later in this chapter, a trap.
#
# ### Exercise 2.1 · The index of an id
#
# *fill in · difficulty 1 of 5 · 5 minutes*
#
# Write the lookup yourself. With the vocabulary `["ann", "bob"]` the ids `["bob", "zoe"]` become `[2, 0]`: `bob` is the
# second known id, `zoe` is not known. The vocabulary comes in the order that counts; do not sort it.
#
# <details><summary>Hint 1</summary>
#
# A dictionary from id to index makes each lookup one step, however long the vocabulary is.
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# `enumerate` can start counting at 1, and a dictionary's `get` takes a second argument for what is missing.
#
# </details>

# %% tags=["exercise"]
def index_of(vocabulary, ids):
    """Index of each id: its place in the vocabulary, counted from 1; 0 where the vocabulary lacks it."""
    # BEGIN SOLUTION
    place = {known: index for index, known in enumerate(vocabulary, start=1)}
    return [place.get(id, 0) for id in ids]
    # END SOLUTION


# %% tags=["check"]
grading.check("2.1", index_of)


# %%
def index_of(vocabulary, ids):  # the course's own version: nothing below depends on your answer
    return layers.StringLookup(vocabulary=vocabulary)(ids)


# %% [markdown]
# Where does the vocabulary come from? A layer's `adapt` reads it off the data. *Predict*: in which order?

# %%
adapted = layers.StringLookup()
adapted.adapt(data.batches({"movie_id": train.movie_id}, 8_192).map(lambda rows: rows["movie_id"]))
most_rated = [str(id) for id in adapted.get_vocabulary()[1:6]]
print("first in the vocabulary:", most_rated)
print("their ratings in train: ", train.movie_id.value_counts()[most_rated].tolist())


# %% [markdown]
# By frequency, after the OOV token. That is handy where only the most frequent are kept (`max_tokens=`), and a nuisance
# elsewhere: one rating more can swap two ids, and each would read the other's embedding. For ids the course sorts.

# %%
def id_lookup(ids):
    """Lookup from an id to its index; every id that is not in the training set gets index 0."""
    vocabulary = list(pd.Series(ids).unique())
    return layers.StringLookup(vocabulary=sorted(vocabulary), num_oov_indices=1)


users, films_by_id = id_lookup(train.user_id), id_lookup(train.movie_id)
assert set(films_by_id.get_vocabulary()) == set(adapted.get_vocabulary())
print(users.vocabulary_size(), "user rows,", films_by_id.vocabulary_size(), "movie rows, OOV included")

# %% [markdown]
# ### Adapt in batches
#
# `adapt` runs one step for each element of the dataset, and a step has a fixed price. Does it matter? The same 2,000
# time differences, one at a time and all at once.

# %% tags=["nbval-ignore-output"]
numbers = tf.data.Dataset.from_tensor_slices(np.arange(2_000, dtype=np.float32))
seconds_taken = {}
for name, dataset in {"one by one": numbers.batch(1), "in one batch": numbers.batch(2_000)}.items():
    start = time.perf_counter()
    layers.Normalization(axis=None).adapt(dataset)
    seconds_taken[name] = time.perf_counter() - start
ratio = seconds_taken["one by one"] / seconds_taken["in one batch"]
print(f"one by one takes {ratio:.0f} times as long as in one batch")
assert ratio > 2

# %% [markdown]
# And this was a slice: the more rows, the larger the ratio. The result is the same, so there is nothing to weigh up.

# %%
ADAPT_BATCH = 8_192

# %% [markdown]
# ## Embedding: a table with a row for each index
#
# An index is still no quantity: user 600 is not twice user 300. An *embedding* gives each index a row of numbers that
# training may move. With three rows written by hand, *predict* what indices 2 and 0 yield.

# %%
table = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]], np.float32)  # rows: OOV, ann, bob
embedding = layers.Embedding(3, 2, weights=[table])
print(embedding(tf.constant([2, 0])).numpy())
print(tf.one_hot([2, 0], depth=3).numpy() @ table)

# %% [markdown]
# Reading a row is the product of a one-hot vector with the table, without ever writing down the zeros. A table needs as
# many rows as the lookup has indices, **OOV included**: `vocabulary_size()` counts it.
#
# One thing that bites: a `Sequential` whose first layer takes strings must be told so by an `Input`. Without it Keras
# assumes numbers, and `fit` fails with *Cast string to int64 is not supported*.

# %%
user_vector = tf.keras.Sequential(
    [tf.keras.Input((), dtype=tf.string), users, layers.Embedding(users.vocabulary_size(), 16)]
)
user_vector(tf.constant([train.user_id.iloc[0], "nobody"])).shape

# %% [markdown]
# ## Hashing: a vocabulary that nobody keeps
#
# Where ids never stop coming, a vocabulary is a burden. `Hashing` needs none: it mixes the letters into a number and
# takes the remainder. *Predict*: can it promise different bins to six different names, given six bins?

# %%
names = ["ann", "bob", "cleo", "dan", "eve", "zoe"]
print(dict(zip(names, layers.Hashing(num_bins=6)(names).numpy().tolist(), strict=True)))


# %% [markdown]
# It cannot: some names share a bin while others stay empty. Ids in one bin share one embedding, and the model cannot
# tell them apart. This is no defect of the hash function but what chance does.
#
# ### Exercise 2.2 · How many ids share a bin?
#
# *fill in · difficulty 3 of 5 · 10 minutes*
#
# Throw `num_ids` ids into `num_bins` bins, each bin equally likely. Which share of the ids do you expect to find in a
# bin with **at least one other** id?
#
# Worked example, 3 ids and 4 bins. Look at one id. The second id misses its bin with probability $\frac{3}{4}$, so does
# the third, both with $\frac{3}{4} \cdot \frac{3}{4} = \frac{9}{16}$. So our id is disturbed with probability
# $\frac{7}{16}$. The same holds for each of the three, so $\frac{7}{16}$ is the expected share.
#
# <details><summary>Hint 1</summary>
#
# How many *other* ids are there, and with which probability does one of them miss a given bin?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# "At least one hits" is the opposite of "all of them miss"; independent misses multiply.
#
# </details>

# %% tags=["exercise"]
def collision_share(num_ids, num_bins):
    """Expected share of ids that have to share their bin with another id."""
    # BEGIN SOLUTION
    all_others_miss = (1 - 1 / num_bins) ** (num_ids - 1)
    return 1 - all_others_miss
    # END SOLUTION


# %% tags=["check"]
grading.check("2.2", collision_share)


# %%
def collision_share(num_ids, num_bins):  # the course's own version: nothing below depends on your answer
    return 1 - (1 - 1 / num_bins) ** (num_ids - 1)


# %% [markdown]
# Now for all movie ids. *Predict*: with as many bins as ids, what share is in a collision? And with ten times as many?

# %%
num_ids = len(movies)
for bins_per_id in (1, 10, 100):
    bins = layers.Hashing(bins_per_id * num_ids)(movies.movie_id.to_numpy(dtype=object)).numpy()
    shared = pd.Series(bins).duplicated(keep=False).mean()
    expected = collision_share(num_ids, bins_per_id * num_ids)
    print(f"{bins_per_id:>3} bins an id: {shared:6.1%} share a bin, {expected:6.1%} expected")
    assert abs(shared - expected) < 2 / num_ids**0.5

# %% [markdown]
# Counted and computed agree. Room for every id is far from enough, and ten rows of embedding for each id is what it
# costs to bring the share down to a tenth. So: a lookup where the ids can be listed, hashing where they cannot. And a
# hash has no OOV: a newcomer silently borrows the vector of whoever lives in that bin.
#
# ## Time: Normalization
#
# Inputs of a network should be of the size of its weights, around 1. The **z-score** does that: subtract the mean,
# divide by the standard deviation, $z = \frac{x - \mu}{\sigma}$. By hand, 2, 4, 6 have mean 4 and variance
# $\frac{4 + 0 + 4}{3}$.

# %%
normalization = layers.Normalization(axis=None)
normalization.adapt(np.array([2.0, 4.0, 6.0], np.float32))
print(normalization(np.array([2.0, 4.0, 6.0, 8.0], np.float32)).numpy().round(3))

# %% [markdown]
# Note the 8: it was not there when the layer adapted, and simply lies further out. Now with time stamps, three films
# rated 20 seconds apart. *Predict* the z-scores.

# %%
start = int(train.timestamp.max()) // 64 * 64
session = np.array([start, start + 20, start + 40])
normalization = layers.Normalization(axis=None)
normalization.adapt(session)
print("normalised:     ", normalization(session).numpy())
print("cast to float32:", session.astype(np.float32) - np.float32(start))
print("next float32:   ", np.spacing(np.float32(start)), "seconds away")

# %% [markdown]
# The layer works in float32, which keeps 24 binary digits. Close to a billion, neighbouring float32 numbers lie 64
# seconds apart. So the first two moments have become one, and even the mean was rounded, **before** anything was
# subtracted. Are such short pauses rare?

# %%
gaps = ratings.groupby("user_id", observed=True).timestamp.diff().dropna()
print(f"{(gaps < 64).mean():.0%} of all ratings come less than 64 seconds after the user's previous one")
as_float32 = train.timestamp.astype(np.float32)
print(f"{train.timestamp.nunique():,} different time stamps, {as_float32.nunique():,} as float32")


# %% [markdown]
# The cure: subtract while the seconds are still integers, and cast what is left. Small numbers have fine neighbours.
#
# ### Exercise 2.3 · Z-scores that keep the seconds
#
# *fill in · difficulty 2 of 5 · 10 minutes*
#
# Write the z-score in numpy. Mean and deviation come from the training time stamps. With the training stamps
# `[10, 20, 30, 40]` the mean is 25 and the variance $\frac{225 + 25 + 25 + 225}{4} = 125$, so 40 becomes
# $\frac{15}{\sqrt{125}} = 1.342$. Two demands more: 20 seconds must make a difference in any year, and if all training
# stamps are equal, that stamp gets 0 rather than a division by zero.
#
# <details><summary>Hint 1</summary>
#
# Both arguments are int64. What is the last moment at which you may turn them into float32?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Subtract `train_timestamps.mean()`, a float64, first. For the last demand ask what a deviation of zero should be
# replaced by.
#
# </details>

# %% tags=["exercise"]
def z_scores(timestamps, train_timestamps):
    """Z-score of int64 seconds as float32, with mean and (population) standard deviation of the training set."""
    # BEGIN SOLUTION
    deviation = train_timestamps.std() or 1.0
    return ((timestamps - train_timestamps.mean()) / deviation).astype(np.float32)
    # END SOLUTION


# %% tags=["check"]
grading.check("2.3", z_scores)


# %% [markdown]
# As layers, so that it travels with the model: one that subtracts an integer, then Keras' own.

# %%
class SecondsSince(layers.Layer):
    """Subtracts an origin from whole seconds while they are still integers, then casts to float32."""

    def __init__(self, origin):
        super().__init__()
        self.origin = int(origin)

    def call(self, timestamps):
        return tf.cast(tf.cast(timestamps, tf.int64) - self.origin, tf.float32)


def timestamp_normalizer(timestamps):
    """Z-score of a time stamp, safe for float32."""
    seconds = np.asarray(timestamps)
    since = SecondsSince(round(seconds.mean()))
    normalization = layers.Normalization(axis=None)
    rows = tf.data.Dataset.from_tensor_slices(seconds.astype(np.int64))
    normalization.adapt(rows.batch(ADAPT_BATCH).map(since))
    return tf.keras.Sequential([tf.keras.Input((), dtype=tf.int64), since, normalization])


# %%
def z_scores(timestamps, train_timestamps):  # the course's own version: nothing below depends on your answer
    return timestamp_normalizer(train_timestamps)(timestamps).numpy()


print("the session again:", z_scores(session, session).round(3))
in_train = z_scores(train.timestamp.to_numpy(), train.timestamp.to_numpy())
print(f"all of train: mean {abs(in_train.mean()):.2f}, deviation {in_train.std():.2f}")

# %% [markdown]
# How much harm does casting first do over the *whole* dataset? Rounding by half a minute, where one deviation is weeks:

# %%
rounded = train.timestamp.astype(np.float32).astype(np.float64)
careless = (rounded - train.timestamp.mean()) / train.timestamp.std(ddof=0)
print(f"one deviation: {train.timestamp.std() / 86_400:,.0f} days")
print(f"largest error of the z-score: {np.abs(careless - in_train).max():.6f}")


# %% [markdown]
# None to speak of. Be fair to the trap: it spares whatever is measured in months and ruins whatever is measured in
# seconds, such as the pause since the last click, or the time of day below.
#
# ### Exercise 2.4 · Features of a time stamp
#
# *open design · difficulty 4 of 5 · 20 minutes*
#
# A z-score says how late in history a rating was given. It cannot say that people are milder at night. Design features
# from which a network could learn such a thing. Yours is right if, for int64 seconds since 1970 (UTC),
#
# 1. the result is an array `[num_rows, num_features]`, all values between −10 and 10;
# 2. a row's features depend on that row alone;
# 3. 23:59 lies closer to 00:01 than to noon (Euclidean distance);
# 4. nine in the morning lies closer to nine the next morning than to nine in the evening of the same day;
# 5. moments 20 seconds apart have different features, in any year, also after the model has cast them to float32.
#
# Worked example of a design that fails: the hour as a fraction, `[[0.999]]` for 23:59 and `[[0.001]]` for 00:01, has
# them
# 0.998 apart; noon is closer to both. Demand 3 breaks.
#
# <details><summary>Hint 1</summary>
#
# On a line, midnight has two ends. On which shape do the ends meet?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# Think of the hour hand of a clock that goes round once a day. Its tip has two coordinates.
#
# </details>
#
# <details><summary>Hint 3</summary>
#
# The remainder of the seconds by 86,400, taken as integers, turned into an angle; then its sine and cosine.
#
# </details>

# %% tags=["exercise"]
def time_features(timestamps):
    """`[num_rows, num_features]` features of `[num_rows]` int64 seconds since 1970, UTC."""
    # BEGIN SOLUTION
    angle = (timestamps % 86_400) * (2 * np.pi / 86_400)
    return np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)
    # END SOLUTION


# %% tags=["check"]
grading.check("2.4", time_features)

# %%
daily_cycle = preprocessing.daily_cycle  # the course's own version: nothing below depends on your answer
six_oclock = 86_400 * 10_000 + 3_600 * np.array([0, 6, 12, 18])
print(daily_cycle(six_oclock).numpy().round(3) + 0.0)

# %% [markdown]
# Midnight, six, noon, six: four points on a circle. Whether it helps is another question, which only a validation set
# can answer. (And these are hours in Greenwich; MovieLens does not say where its users live.)
#
# ## Discretization: steps instead of a line
#
# A single number lets a linear layer say only "the later, the better". **Discretization** cuts the range into buckets,
# each of which may have an embedding of its own. With given boundaries, *predict* the bucket of 10:

# %%
layers.Discretization(bin_boundaries=[10.0, 20.0])(np.array([5.0, 10.0, 19.0, 25.0])).numpy()

# %% [markdown]
# A boundary belongs to the bucket above it. `adapt` chooses boundaries so that the buckets hold about as many values
# each. Compare with buckets that are equally *wide*, on a quantity that is anything but even: how many ratings a movie
# has.

# %%
popularity = train.movie_id.value_counts().loc[lambda count: count > 0].to_numpy(np.float32)
buckets = layers.Discretization(num_bins=4)
buckets.adapt(tf.data.Dataset.from_tensor_slices(popularity).batch(ADAPT_BATCH))
equally_full = np.bincount(buckets(popularity), minlength=4) / len(popularity)
equally_wide = np.histogram(popularity, bins=4)[0] / len(popularity)
print("share of movies, adapted:     ", equally_full.round(2))
print("share of movies, equally wide:", equally_wide.round(2))

# %% [markdown]
# Equally wide, nearly all movies fall into the first bucket and the rest of the table starves. Adapted boundaries are
# estimates and counts have ties, hence no exact quarters. Use buckets where an effect goes up and down, as with age or
# price; the model below does without.
#
# ## Titles: TextVectorization
#
# A title is a list of words whose length varies. `TextVectorization` lower-cases, strips punctuation, splits, and looks
# each word up. Three titles by hand; *predict* the zeros.

# %%
titles = ["Toy Story (1995)", "The Toy (1982)", "Alien (1979)"]
words = layers.TextVectorization()
words.adapt(tf.constant(titles))
print([str(word) for word in words.get_vocabulary()])
words([*titles, "Alien Resurrection", ""]).numpy()


# %% [markdown]
# Two indices are reserved here: 0 is *padding*, which fills the shorter titles up, and 1 is OOV. Mind the difference:
# padding is nothing, an unknown word is something.
#
# One vector a title is wanted, so the word vectors are averaged. The padding must stay out of the average.
#
# ### Exercise 2.5 · The title that shrinks
#
# *find the bug · difficulty 3 of 5 · 15 minutes*
#
# `masked_mean` was to average the vectors of the real words. A colleague reports that the vector of *Alien* is not
# always the same: alone it is $[3, 6]$, beside a title of three words it is $[1, 2]$. And then there is a film whose
# title is empty; its vector should be zeros.
#
# Worked example: word vectors $[2, 4]$, $[4, 0]$ and one padding, `mask` `[True, True, False]`. The mean is
# $\frac{[2, 4] + [4, 0]}{2} = [3, 2]$, whatever stands in the padding.
#
# <details><summary>Hint 1</summary>
#
# The numerator is right: padding is multiplied by zero. By what is the sum divided?
#
# </details>
#
# <details><summary>Hint 2</summary>
#
# The number of real words is a sum over the mask, one number for each title. Then try the empty title.
#
# </details>

# %% tags=["exercise"]
def masked_mean(vectors, mask):
    """Mean over the real words: vectors `[batch, words, dim]`, mask `[batch, words]` bool, result `[batch, dim]`."""
    # BEGIN SOLUTION
    weights = tf.cast(mask, vectors.dtype)[:, :, tf.newaxis]  # [batch, words, 1]
    total = tf.reduce_sum(vectors * weights, axis=1)
    return total / tf.maximum(tf.reduce_sum(weights, axis=1), 1)
    # STUB
    # weights = tf.cast(mask, vectors.dtype)[:, :, tf.newaxis]  # [batch, words, 1]
    # return tf.reduce_mean(vectors * weights, axis=1)
    # END SOLUTION


# %% tags=["check"]
grading.check("2.5", masked_mean)

# %% [markdown]
# Keras has a layer for this, `GlobalAveragePooling1D`, which reads the mask that `Embedding(mask_zero=True)` sends
# along.
# *Predict* what it makes of an empty title.

# %%
masked_mean = preprocessing.masked_mean  # the course's own version: nothing below depends on your answer
encode = tf.keras.Sequential([layers.Embedding(words.vocabulary_size(), 2, mask_zero=True)])
indices = words(["Alien (1979)", ""])
pooled = layers.GlobalAveragePooling1D()(encode(indices), mask=indices != 0)
print("Keras, empty title:    ", pooled[1].numpy())
print("the course, empty title:", masked_mean(encode(indices), indices != 0)[1].numpy())


# %% [markdown]
# Zero divided by zero. One such row makes the loss NaN, and with it every weight. So the course has its own pooling
# layer.

# %%
class MaskedMean(layers.Layer):
    """`masked_mean` as a layer: reads the mask that an `Embedding(mask_zero=True)` sends along."""

    def call(self, vectors, mask=None):
        return masked_mean(vectors, mask)


def title_encoder(titles, embedding_dim, max_tokens=1_000):
    """Title to vector: words, their embeddings, the mean over the words."""
    titles = list(titles)
    words = layers.TextVectorization(max_tokens=max_tokens)
    words.adapt(tf.data.Dataset.from_tensor_slices(titles).batch(ADAPT_BATCH))
    return tf.keras.Sequential(
        [
            tf.keras.Input((), dtype=tf.string),
            words,
            layers.Embedding(words.vocabulary_size(), embedding_dim, mask_zero=True),
            MaskedMean(),
        ]
    )


# %% [markdown]
# Why `max_tokens`? Count how many words stand in one single title.

# %%
every_word = layers.TextVectorization(output_mode="count")
every_word.adapt(films.movie_title.to_numpy(dtype=object))
titles_with = (every_word(films.movie_title.to_numpy(dtype=object)).numpy() > 0).sum(axis=0)[1:]
print(f"{len(titles_with):,} words, {(titles_with == 1).mean():.0%} of them in one title only")

# %% [markdown]
# Such a word is a second id of its film: it cannot carry over to another. Worse, if every training word is in the
# vocabulary, no training row ever contains an unknown one, and the OOV vector is never trained. With `max_tokens` the
# rare words share it, and train it. Keep that thought for the section on unseen users.
#
# ## Genres: multi-hot
#
# A film has several genres, in no order. The fitting vector has a 1 for each. Its lookup drops the padding `""`;
# *predict* which column the unknown genre hits.

# %%
genres = layers.StringLookup(vocabulary=["Comedy", "Drama"], mask_token="", output_mode="multi_hot")
genres([["Drama", ""], ["Drama", "Comedy"], ["Opera", ""]]).numpy()


# %% [markdown]
# Column 0, as ever. Multiply such a row with a table and you get the *sum* of its genres' embeddings, so a dense layer
# on top of multi-hot is an embedding already.

# %%
def pad_genres(genres):
    """Genre names as a rectangle: the shorter lists are filled up with ""."""
    genres = list(genres)
    padded = np.full((len(genres), max([1, *map(len, genres)])), "", dtype=object)
    for row, names in zip(padded, genres, strict=True):
        row[: len(names)] = names
    return padded


def genre_encoder(genres):
    """Lookup from a film's genre names to a multi-hot vector."""
    names = sorted({name for film in genres for name in film if name})
    return layers.StringLookup(vocabulary=names, mask_token="", output_mode="multi_hot")


multi_hot = genre_encoder(films.movie_genres)(pad_genres(films.movie_genres[:3])).numpy()
print(multi_hot.shape, "and genres of the first three films:", multi_hot.sum(axis=1))


# %% [markdown]
# ## A model that takes raw strings
#
# Everything comes together: five raw inputs, one rating. The model is small on purpose. The last layer starts at the
# mean of the training ratings, so that it need not be learnt. `IdDropout` does nothing yet: its rate is 0; its turn
# comes.

# %%
class IdDropout(layers.Layer):
    """In training, replaces each index by the OOV index 0 with probability `rate`."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def call(self, indices, training=None):
        if not training or self.rate == 0:
            return indices
        hidden = tf.random.uniform(tf.shape(indices)) < self.rate
        return tf.where(hidden, tf.zeros_like(indices), indices)


def embed_id(ids, raw, embedding_dim, id_dropout, name):
    lookup = id_lookup(ids)
    indices = IdDropout(id_dropout)(lookup(raw))
    return layers.Embedding(lookup.vocabulary_size(), embedding_dim, name=name)(indices)


# %%
def rating_model(train, id_dropout=0.0, with_time=True, embedding_dim=16):
    """Raw strings and seconds in, stars out; every layer is fitted on `train`."""
    tf.keras.utils.set_random_seed(42)
    films = movies[movies.movie_id.isin(train.movie_id)]
    raw = {name: tf.keras.Input((), dtype=tf.string, name=name) for name in ("user_id", "movie_id", "movie_title")}
    raw["movie_genres"] = tf.keras.Input((None,), dtype=tf.string, name="movie_genres")
    raw["timestamp"] = tf.keras.Input((), dtype=tf.int64, name="timestamp")
    features = [
        embed_id(train.user_id, raw["user_id"], embedding_dim, id_dropout, "users"),
        embed_id(train.movie_id, raw["movie_id"], embedding_dim, id_dropout, "movies"),
        title_encoder(films.movie_title, embedding_dim)(raw["movie_title"]),
        genre_encoder(films.movie_genres)(raw["movie_genres"]),
    ]
    if with_time:
        late = timestamp_normalizer(train.timestamp)(raw["timestamp"])[:, tf.newaxis]
        features += [late, daily_cycle(raw["timestamp"])]
    hidden = layers.Dense(64, activation="relu")(layers.Concatenate()(features))
    mean = tf.keras.initializers.Constant(float(train.user_rating.mean()))
    rating = layers.Dense(1, bias_initializer=mean)(hidden)
    return tf.keras.Model(raw, rating[:, 0])


# %% [markdown]
# The rows to feed it: ratings with their films' titles and genres beside them.

# %%
def raw_columns(ratings):
    film = pd.Index(movies.movie_id).get_indexer(ratings.movie_id.astype(str))
    return {
        "user_id": ratings.user_id,
        "movie_id": ratings.movie_id,
        "movie_title": movies.movie_title.to_numpy(dtype=object)[film],
        "movie_genres": pad_genres(movies.movie_genres)[film],
        "timestamp": ratings.timestamp,
    }


def labelled(ratings, shuffle=False):
    batches = data.batches(raw_columns(ratings) | {"stars": ratings.user_rating}, 512, shuffle=shuffle)
    return batches.map(lambda row: ({name: row[name] for name in row if name != "stars"}, row["stars"]))


def fit(model, train, validation, epochs=4):
    model.compile(optimizer=tf.keras.optimizers.Adam(0.003), loss="mse")
    history = model.fit(labelled(train, shuffle=True), validation_data=labelled(validation), epochs=epochs, verbose=0)
    return np.sqrt(pd.DataFrame(history.history)).rename(columns={"loss": "train RMSE", "val_loss": "validation RMSE"})


def predict(model, ratings):
    return model.predict(labelled(ratings), verbose=0)


# %% tags=["nbval-ignore-output"]
model = rating_model(train)
fit(model, train, validation).round(3)

# %% [markdown]
# The training error falls faster than the validation error: with every epoch the model knows the training ratings
# better than ratings in general. Is the result any good? Ask a baseline that knows no titles, genres or times, and no
# network either: the mean, plus how far this user and this movie usually are from it (`UserItemBiases`). Same train,
# same validation.

# %% tags=["nbval-ignore-output"]
index = data.InteractionIndex.of(ratings, movies)


def fit_biases(train):
    positions = index.user_positions(train.user_id), index.movie_positions(train.movie_id)
    return baselines.UserItemBiases().fit(*positions, train.user_rating)


def predict_biases(biases, ratings):
    return biases.predict(index.user_positions(ratings.user_id), index.movie_positions(ratings.movie_id))


biases = fit_biases(train)
rmse_of_model = metrics.rmse(predict(model, validation), validation.user_rating)
rmse_of_biases = metrics.rmse(predict_biases(biases, validation), validation.user_rating)
rmse_of_mean = metrics.rmse(np.full(len(validation), train.user_rating.mean()), validation.user_rating)
print(f"validation RMSE: mean {rmse_of_mean:.3f}, biases {rmse_of_biases:.3f}, model {rmse_of_model:.3f}")
if DATASET == "100k":
    assert rmse_of_model < rmse_of_biases < rmse_of_mean

# %% [markdown]
# The model wins on MovieLens 100K, but look at the distances. From the plain mean to two sets of biases is a long way;
# from there to embeddings, titles, genres and time is a short one. Most of what can be predicted about a rating is who
# gives it and what it is given to. Chapter 6 goes on from here.
#
# And it takes raw strings: no index, no scaling outside, just what a request would carry.

# %% tags=["nbval-ignore-output"]
request = {name: tf.convert_to_tensor(np.asarray(column)[:2]) for name, column in raw_columns(validation).items()}
print({name: value.numpy().tolist() for name, value in request.items()})
print("stars:", model(request).numpy().round(2))

# %% [markdown]
# ## What an unseen user becomes
#
# A random split is kind: it leaves some ratings of nearly every user in training. Split by time instead, as chapter 1
# did, and train on the past. *Predict*: how many of the later ratings come from users without a past?

# %%
past, later, _ = data.temporal_split(ratings)
is_new = ~later.user_id.isin(past.user_id.unique()).to_numpy()
print(f"{is_new.mean():.0%} of the later ratings are by users whom training has never seen")

# %% [markdown]
# **A misconception: "the OOV index takes care of new users."** The lookup does send each of them to index 0, and
# nothing fails. But who trained row 0? Compare the table of users before and after training.

# %%
plain = rating_model(past)
before = plain.get_layer("users").get_weights()[0].copy()
plain_history = fit(plain, past, later)
moved = np.abs(plain.get_layer("users").get_weights()[0] - before).max(axis=1)
print("rows that moved:", (moved[1:] > 0).sum(), "of", len(moved) - 1, "users; the OOV row moved by", moved[0])
assert moved[0] == 0

# %% [markdown]
# Not by a digit. Every training user is in the vocabulary, for that is where the vocabulary comes from, so no training
# row ever reads row 0. It still holds the random numbers it was born with. A new user does not get "the average taste"
# but whatever the dice showed.
#
# The cure is to let training see strangers: now and then hide an id, as if it were unknown. This is what `IdDropout`
# does; the idea is DropoutNet's. Here one id in ten is hidden, drawn afresh in each batch. And since the clock of the
# future is a stranger as well (every later z-score lies beyond all that training has met), two models do without the
# time.

# %% tags=["nbval-ignore-output"]
timeless, hiding = rating_model(past, with_time=False), rating_model(past, with_time=False, id_dropout=0.1)
for each in (timeless, hiding):
    fit(each, past, later)
past_biases = fit_biases(past)
predictions = {
    "mean": np.full(len(later), past.user_rating.mean()),
    "biases": predict_biases(past_biases, later),
    "model": predict(plain, later),
    "model without time": predict(timeless, later),
    "model without time, id dropout": predict(hiding, later),
}
groups = {"all": np.full(len(later), True), "new users": is_new, "known users": ~is_new}
stars = later.user_rating.to_numpy()
unseen = pd.DataFrame(
    {
        group: {name: metrics.rmse(values[rows], stars[rows]) for name, values in predictions.items() if rows.any()}
        for group, rows in groups.items()
    }
)
if DATASET == "100k":
    strangers = unseen["new users"]
    assert strangers["model without time"] < min(strangers["biases"], strangers["model"])
    assert abs(strangers["model without time, id dropout"] - strangers["model without time"]) < 0.01
unseen.round(3)

# %% [markdown]
# Two surprises, both worth more than a victory. Taking the *time stamp* out makes the model better on the future,
# because outside the range that it has seen a network's answer is a guess. A random split, whose validation rows lie in
# the same months as train, never asks for that guess.
#
# And *id dropout* makes hardly any difference here. Was the warning idle? Keras draws new rows from ±0.05, small beside
# the trained ones: row 0 is nearly zero, which nearly means "nobody in particular". That is luck with a default, not
# design; others start tables from a normal distribution of deviation 1. What if the dice had shown larger numbers? Put
# rows of the size of the trained ones in place 0 of the model without id dropout and look at the strangers again.

# %% tags=["nbval-ignore-output"]
table = timeless.get_layer("users").get_weights()[0]
newcomers = later[is_new] if is_new.any() else later
draws, dice = [], np.random.default_rng(0)
for _ in range(8):
    drawn = dice.normal(size=table.shape[1]) * table[1:].std()
    timeless.get_layer("users").set_weights([np.vstack([drawn, table[1:]])])
    draws.append(metrics.rmse(predict(timeless, newcomers), newcomers.user_rating))
timeless.get_layer("users").set_weights([table])
rmse_trained = metrics.rmse(predict(hiding, newcomers), newcomers.user_rating)
print(
    f"RMSE for newcomers, eight draws of row 0: {min(draws):.3f} to {max(draws):.3f}; row 0 trained: {rmse_trained:.3f}"
)
if DATASET == "100k":
    assert min(draws) > rmse_trained

# %% [markdown]
# All eight throws serve newcomers worse than the trained row does, some far worse, and nothing in training or in a
# random validation set tells you which one you have got. A trained row 0 does not depend on a throw. For users that,
# rather than a better RMSE than a lucky default, is what id dropout buys here. For movies it buys more.

# %% [markdown]
# ## What an unseen movie becomes
#
# A new movie loses its id, not its content: title and genres are still there. Invent two, to be rated by the same user.

# %% tags=["nbval-ignore-output"]
invented = {
    "user_id": tf.constant([past.user_id.iloc[0]] * 2),
    "movie_id": tf.constant(["not yet listed"] * 2),
    "movie_title": tf.constant(["The Quiet Harbour (1998)", "Slasher Night 4 (1998)"]),
    "movie_genres": tf.constant([["Drama", "War"], ["Horror", ""]]),
    "timestamp": tf.constant([int(past.timestamp.max())] * 2, tf.int64),
}
harbour, slasher = hiding(invented).numpy()
print(f"harbour {harbour:.2f}, slasher {slasher:.2f}")

# %% [markdown]
# Both share the OOV movie row, yet get different stars: words and genres speak for them. That is the beginning of
# *content-based* recommendation, and the only kind of help a new movie can get. How much is content worth? Hide the
# movies' ids, then their titles too.

# %% tags=["nbval-ignore-output"]
without_id = raw_columns(later) | {"movie_id": np.full(len(later), "hidden", object)}
without_both = without_id | {"movie_title": np.full(len(later), "", object)}
content = {}
for name, columns in {"everything": raw_columns(later), "no id": without_id, "no id, no title": without_both}.items():
    batches = data.batches(columns, 4_096)
    content[name] = {
        "model": metrics.rmse(timeless.predict(batches, verbose=0), later.user_rating),
        "id dropout": metrics.rmse(hiding.predict(batches, verbose=0), later.user_rating),
    }
no_movie = np.full(len(later), -1)  # to the biases, -1 is a movie they have never seen
rmse_of_strangers = metrics.rmse(past_biases.predict(index.user_positions(later.user_id), no_movie), later.user_rating)
if DATASET == "100k":
    assert content["no id"]["id dropout"] < content["no id"]["model"]
    assert content["no id"]["id dropout"] < content["no id, no title"]["id dropout"]
    assert content["no id"]["id dropout"] < rmse_of_strangers
print(f"biases that know neither the movie nor, mostly, the user: {rmse_of_strangers:.3f}")
pd.DataFrame(content).round(3)

# %% [markdown]
# Without the id the model that was never trained for it falls back by far more than the one that was: with id dropout
# the content had to learn to speak for itself. A caution: nearly all these titles occur in training, so their words
# serve as a second id. A really new movie fares somewhere between the last two columns.

# %% [markdown]
# ## Fitted on everything: leakage that no test notices
#
# "It is only a vocabulary." Fit the lookup on all ratings and ask how many users are unknown later on.

# %%
for name, fitted_on in {"train": past, "everything": ratings}.items():
    unknown = (id_lookup(fitted_on.user_id)(later.user_id.to_numpy(dtype=object)).numpy() == 0).mean()
    print(f"vocabulary of {name:<10}: {unknown:4.0%} of the later ratings by unknown users")

# %% [markdown]
# Now each newcomer has a row of their own, just as untrained, and your monitor for unknown users reads zero until the
# day of the launch. There is a quiet way to do this by accident: a pandas category remembers the ids of the table it
# was cut from.

# %%
print("users in train:", past.user_id.nunique(), "| categories it remembers:", len(past.user_id.cat.categories))

# %% [markdown]
# Statistics leak louder, above all those that contain the target. The biases are means of ratings. Fit them on
# everything, and validate as before:

# %%
leaky = metrics.rmse(predict_biases(fit_biases(ratings), validation), validation.user_rating)
print(f"validation RMSE: biases of train {rmse_of_biases:.3f}, biases of everything {leaky:.3f}")
if ratings.user_rating.nunique() > 1:
    assert leaky < rmse_of_biases - 0.01

# %% [markdown]
# A gain of the size that the whole network brought, and all of it a mirage: each validation rating has helped to
# compute the mean that predicts it. Nothing fails, no warning appears. Therefore the rule, once more: **state is fitted
# on train alone.** `recsys_course.preprocessing` holds the layers built here; every function in it takes training
# values only.
#
# ## Summary
#
# - A preprocessing layer is part of the model: whoever has the model can send raw strings.
# - Lookups reserve index 0 for OOV (text: 0 for padding, 1 for OOV), and an embedding needs a row for it.
# - With as many hash bins as ids, well over half of the ids collide; the share can be computed beforehand.
# - Integers are subtracted first and cast later: a float32 near a billion counts in steps of 64.
# - A mean over words divides by the number of words, not by the width of the batch, and survives an empty title.
# - Content carries an unseen movie, if id dropout has taught the model to read it.
# - The OOV row stays as it was initialised, and its worth a matter of luck, unless training meets it: hide ids at
# random.
# - A feature that reaches beyond its training range, such as the time, can make the future worse; a random split hides
# it.
# - Vocabularies and statistics of all data make validation look better than it is.
#
# ## Check yourself
#
# **1.** A lookup was adapted on train; the embedding behind it has `len(vocabulary without OOV)` rows. What happens?
#
# <details><summary>Answer</summary>
#
# The indices run from 0 to that number, so the largest has no row. On a CPU TensorFlow raises an error for that id; on
# a GPU the lookup returns zeros without a word. Use `vocabulary_size()`.
#
# </details>
#
# **2.** Your OOV vector is trained by id dropout at 10 %. Why not at 90 %?
#
# <details><summary>Answer</summary>
#
# Then a known user's own row is read in one batch out of ten, and the model learns to get along without it: good for
# strangers, poor for everyone known. The rate should follow how often requests will come from strangers; a temporal
# validation set tells.
#
# </details>
#
# **3.** Someone normalises prices with the mean over train and test together. "There is no target in it." Is it
# leakage?
#
# <details><summary>Answer</summary>
#
# Yes. It may be harmless in size, but the model now knows where future prices lie, and under a drift (inflation) that
# is just what it should not know: in service the mean would have come from the past. The number reported is for a model
# that cannot be built.
#
# </details>
#
# ## What breaks in production
#
# - **Vocabularies age.** Every new movie is OOV until the next training run. Count the OOV share of live requests and
#   raise an alarm when it climbs.
# - **Indices move.** Retrain with a new vocabulary and old embeddings no longer fit: save the lookup with the table,
#   always as one artefact (chapter 5).
# - **Ids change type.** `"42"`, `42` and `"42.0"` are three users. One caller that reads ids as floats makes everybody
#   OOV, and nothing fails.
# - **Clocks.** Milliseconds instead of seconds give a z-score in the thousands. Check ranges at the door.
#
# ## Further reading
#
# - The Keras guide to preprocessing layers, on which of them run inside `tf.data` and which inside the model.
# - Weinberger, Dasgupta, Langford, Smola, Attenberg: *Feature Hashing for Large Scale Multitask Learning*, ICML 2009.
# - Volkovs, Yu, Poutanen: *DropoutNet: Addressing Cold Start in Recommender Systems*, NeurIPS 2017.
# - Kaufman, Rosset, Perlich: *Leakage in Data Mining: Formulation, Detection, and Avoidance*, KDD 2011.
