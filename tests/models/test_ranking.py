"""Models of ratings: equal to their formulas, able to find what was planted, clear about what they cannot take."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs
from scipy import sparse

from recsys_course import baselines, data, metrics, models
from recsys_course.models import ranking

# --- Rows of features ---------------------------------------------------------------------------------------------


def test_rows_hold_labels_then_histories():
    rows = models.feature_rows(
        ["10", "9", "9"], {"9": ["tall"], "10": ["tall", "old"]}, (["9", "9", "10", "9"], ["b", "a", "b", "b"])
    )
    assert rows.ids.tolist() == ["9", "10"]  # in the order of their values
    assert rows.names.tolist() == ["old", "tall", "met a", "met b"]
    half = 2**-0.5
    np.testing.assert_allclose(rows.matrix.toarray(), [[0, 1, half, half], [1, 1, 0, 1]], rtol=1e-6)


def test_rows_without_features_are_ids_alone():
    rows = models.feature_rows(["a", "b"])
    assert rows.matrix.shape == (2, 0) and rows.matrix.dtype == np.float32


def test_history_weights_have_length_one_and_spare_the_empty():
    weights = models.history_weights(sparse.csr_matrix([[1, 5, 1, 1], [0, 0, 0, 0], [0, 0, 2, 0]]))
    np.testing.assert_allclose(weights.toarray(), [[0.5] * 4, [0] * 4, [0, 0, 1, 0]])


def test_rows_refuse_what_they_do_not_know():
    with pytest.raises(ValueError, match="at least one id"):
        models.feature_rows([])
    with pytest.raises(ValueError, match="'7', which is none of the 1 ids"):
        models.feature_rows(["8"], history=(["8", "7"], ["a", "a"]))


def test_labels_say_what_the_dataset_says():
    movies = pd.DataFrame(
        {
            "movie_id": ["1", "2"],
            "movie_title": ["The Stars (1987)", "Stars Again"],
            "movie_genres": [("Comedy", "War"), ()],
        }
    )
    assert models.movie_labels(movies) == {"1": ["genre Comedy", "genre War", "1980s"], "2": []}
    assert models.movie_labels(movies, words=2)["2"] == ["word stars"]
    ratings = pd.DataFrame({"user_id": ["5", "5"], "bucketized_user_age": [25.0, 25.0], "user_gender": [False, False]})
    assert models.user_labels(ratings) == {"5": ["age 25", "gender female"]}
    assert models.user_labels(ratings[["user_id"]]) == {"5": []}


# --- Networks -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world():
    synthetic = data.synthetic.taste_groups(num_users=150, num_movies=80, num_groups=3)
    split = data.random_split(synthetic.ratings)
    return synthetic.movies, split, data.InteractionIndex.of(synthetic.ratings, synthetic.movies)


@pytest.fixture(scope="module")
def rows(world):
    movies, split, _ = world
    met = split.train["user_id"].astype(str), split.train["movie_id"].astype(str)
    return models.feature_rows(met[0], history=met), models.feature_rows(
        movies["movie_id"], models.movie_labels(movies), met[::-1]
    )


def by_hand(machine, rows, user, movie):
    """The formula, from the machine's own weights, for one member at a time."""
    vectors = []
    for layer, side, id in ((machine.users, rows[0], user), (machine.movies, rows[1], movie)):
        place = side.ids.tolist().index(id)
        vector = layer.own.numpy()[place] + side.matrix.toarray()[place] @ layer.shared.numpy()
        vectors.append(vector.reshape(machine.members, -1))
    (p, q), mean = vectors, float(machine.mean.numpy())
    return mean + p[:, -1] + q[:, -1] + (p[:, :-1] * q[:, :-1]).sum(axis=1)


def test_a_factorisation_machine_is_its_formula(rows):
    machine = models.FactorisationMachine(*rows, mean=3.5, embedding_dim=4, members=3)
    user, movie = rows[0].ids[5], rows[1].ids[7]
    features = {"user_id": tf.constant([user]), "movie_id": tf.constant([movie])}
    np.testing.assert_allclose(machine(features)[0], by_hand(machine, rows, user, movie), rtol=1e-4)


def test_an_unknown_user_gets_the_mean_and_the_film_s_bias(rows):
    machine = models.FactorisationMachine(*rows, mean=3.5, embedding_dim=4)
    movie = rows[1].ids[7]
    predicted = machine({"user_id": tf.constant(["nobody"]), "movie_id": tf.constant([movie])})
    bias = machine.movies(tf.constant([movie]))[0, -1]
    np.testing.assert_allclose(predicted[0, 0], 3.5 + bias, rtol=1e-5)


def test_large_rows_stay_sparse_and_give_the_same(rows, monkeypatch):
    tf.keras.utils.set_random_seed(1)
    dense = models.FeatureVectors(rows[0], 4, l2=0.1)
    monkeypatch.setattr(ranking, "DENSE_CELLS", 0)
    tf.keras.utils.set_random_seed(1)
    thin = models.FeatureVectors(rows[0], 4, l2=0.1)
    assert isinstance(thin.matrix, tf.SparseTensor) and not isinstance(dense.matrix, tf.SparseTensor)
    np.testing.assert_allclose(thin.table(), dense.table(), rtol=1e-4, atol=1e-6)


def test_the_scorer_is_the_model(world, rows):
    movies, _, index = world
    machine = models.FactorisationMachine(*rows, mean=3.5, embedding_dim=4, members=3)
    pairs = pd.DataFrame({"user_id": index.user_ids[:4], "movie_id": index.movie_ids[:4], "user_rating": 0.0})
    scores = models.rating_scorer(machine, index)(np.arange(4))
    assert scores.shape == (4, len(movies))
    predicted = models.predict_ratings(models.RatingModel(machine), pairs)
    np.testing.assert_allclose(np.diag(scores), predicted, rtol=1e-4)


def fit(build, split, epochs=15):
    tf.keras.utils.set_random_seed(3)
    model = models.RatingModel(build())
    model.compile(optimizer=tf.keras.optimizers.Adam(0.02), steps_per_execution=8)
    model.fit(data.batches(models.rating_columns(split.train), 512, shuffle=True), epochs=epochs, verbose=0)
    return model


@pytest.fixture(scope="module")
def machine(world, rows):
    _, split, _ = world
    mean = split.train["user_rating"].mean()
    return fit(lambda: models.FactorisationMachine(*rows, mean, embedding_dim=4, members=4, l2=0.001), split)


def test_planted_taste_is_found(world, machine):
    _, split, index = world
    places = [(index.user_positions(part.user_id), index.movie_positions(part.movie_id)) for part in split]
    biases = baselines.UserItemBiases().fit(*places[0], split.train["user_rating"])
    theirs = metrics.rmse(biases.predict(*places[2]), split.test["user_rating"])
    assert metrics.rmse(models.predict_ratings(machine, split.test), split.test["user_rating"]) < theirs - 0.05


def test_a_saved_model_predicts_the_same(world, machine, tmp_path):
    _, split, _ = world
    pairs = {name: tf.constant(split.test[name].astype(str)[:9]) for name in ("user_id", "movie_id")}
    module = tf.Module()
    module.model = machine
    text = tf.TensorSpec([None], tf.string)
    module.predict = tf.function(
        lambda features: machine(features), input_signature=[{"user_id": text, "movie_id": text}]
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))  # a name of its own: what nobody holds, takes its variables along
    np.testing.assert_allclose(loaded.predict(pairs), machine(pairs), rtol=1e-5)


def test_a_cross_network_learns_too(world, rows):
    _, split, _ = world
    mean = split.train["user_rating"].mean()
    constant = metrics.rmse(np.full(len(split.test), mean), split.test["user_rating"])
    network = lambda: models.CrossRating(*rows, mean, embedding_dim=4, dense_units=(8,))  # noqa: E731
    predicted = models.predict_ratings(fit(network, split, epochs=8), split.test)
    assert metrics.rmse(predicted, split.test["user_rating"]) < constant - 0.02


def test_cross_layers_are_those_of_tfrs():
    rng = np.random.default_rng(0)
    first, x = rng.normal(size=(2, 7, 5)).astype(np.float32)
    layer = tfrs.layers.dcn.Cross(bias_initializer="random_normal")
    expected = layer(first, x)
    np.testing.assert_allclose(models.cross_layer(first, x, *layer.get_weights()), expected, rtol=1e-4, atol=1e-5)
    assert models.cross_layer([[1, 2]], [[3, 4]], [[0, 1], [1, 0]], [0, 0]).tolist() == [[7, 10]]


# --- Lists --------------------------------------------------------------------------------------------------------


def test_list_losses_by_hand():
    scores, ratings = [[1.0, 0.0, 0.0], [2.0, 2.0, 2.0]], [[5.0, 3.0, 3.0], [4.0, 4.0, 4.0]]
    np.testing.assert_allclose(models.pairwise_loss(scores, ratings), [np.log1p(np.exp(-1)), 0], rtol=1e-6)
    np.testing.assert_allclose(models.pointwise_loss(tf.constant(scores), ratings), [34 / 3, 4], rtol=1e-6)
    target = np.exp([5, 3, 3]) / np.exp([5, 3, 3]).sum()
    probability = np.exp([1, 0, 0]) / np.exp([1, 0, 0]).sum()
    expected = [-(target * np.log(probability)).sum(), np.log(3)]
    np.testing.assert_allclose(models.listwise_loss(tf.constant(scores), tf.constant(ratings)), expected, rtol=1e-5)


def test_lists_hold_one_user_each_and_no_rating_twice(world):
    _, split, _ = world
    lists = models.rated_lists(split.train, 5)
    table = split.train.assign(user_id=split.train.user_id.astype(str), movie_id=split.train.movie_id.astype(str))
    stars = table.set_index(["user_id", "movie_id"]).user_rating
    pairs = [(user, movie) for user, row in zip(lists["user_id"], lists["movie_id"], strict=True) for movie in row]
    assert len(set(pairs)) == len(pairs)
    np.testing.assert_array_equal(stars.loc[pairs], lists["user_rating"].ravel())
    assert len(pairs) == sum(count // 5 * 5 for count in table.user_id.value_counts())
    with pytest.raises(ValueError, match="at least 2"):
        models.rated_lists(split.train, 1)
    with pytest.raises(ValueError, match="no user has 10000"):
        models.rated_lists(split.train, 10_000)


@pytest.mark.parametrize("loss", [models.pointwise_loss, models.pairwise_loss, models.listwise_loss])
def test_every_list_loss_learns_an_order(world, rows, loss):
    _, split, _ = world
    tf.keras.utils.set_random_seed(3)
    model = models.ListModel(models.FactorisationMachine(*rows, 3.5, embedding_dim=4), loss)
    model.compile(optimizer=tf.keras.optimizers.Adam(0.02), steps_per_execution=8)
    model.fit(data.batches(models.rated_lists(split.train, 5), 64, shuffle=True), epochs=8, verbose=0)
    told = split.test["user_rating"], split.test["user_id"], 5
    ours = metrics.rated_ndcg_at_k(models.predict_ratings(model, split.test), *told)
    assert ours > metrics.rated_ndcg_at_k(np.zeros(len(split.test)), *told) + 0.05


# --- Calibration --------------------------------------------------------------------------------------------------


def test_recalibrate_finds_the_line():
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=50)
    line = models.recalibrate(predicted, 1 + 0.5 * predicted)
    np.testing.assert_allclose(line([0.0, 4.0]), [1, 3])
    np.testing.assert_allclose(models.recalibrate(predicted, -predicted)([0.0, 9.0]), [-predicted.mean()] * 2)
    np.testing.assert_allclose(models.recalibrate([2.0, 2.0], [3.0, 4.0])([2.0, 5.0]), [3.5, 3.5])
    with pytest.raises(ValueError, match="as many predictions as ratings"):
        models.recalibrate([1.0], [1.0, 2.0])
