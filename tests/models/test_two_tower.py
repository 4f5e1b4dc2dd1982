"""The two towers: equal to the formulas they are taught by, and able to find planted taste groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recsys_course import baselines, data, metrics, models
from recsys_course.models import losses


def by_hand(queries, candidates, probability, positions):
    logits = losses.correct_log_q(queries @ candidates.T, probability)
    return losses.in_batch_softmax(losses.mask_accidental_hits(logits, positions))


def test_losses_in_numpy_are_what_tfrs_computes():
    """Random batch of 16 with films that stand in it twice; TFRS sums over the batch."""
    rng = np.random.default_rng(0)
    queries, candidates = rng.normal(size=(2, 16, 8)).astype(np.float32)
    positions = rng.integers(0, 6, 16)
    probability = rng.uniform(0.01, 0.5, 6).astype(np.float32)[positions]
    task = tfrs.tasks.Retrieval(remove_accidental_hits=True)
    summed = task(
        queries,
        candidates,
        candidate_ids=tf.constant(positions),
        candidate_sampling_probability=tf.constant(probability),
        compute_metrics=False,
    )
    np.testing.assert_allclose(summed, by_hand(queries, candidates, probability, positions).sum(), rtol=1e-5)


@pytest.mark.parametrize("call", [losses.in_batch_softmax, lambda a: losses.correct_log_q(a, [0.5, 0.5])])
def test_what_is_not_square_is_refused(call):
    with pytest.raises(ValueError, match="square"):
        call(np.zeros((2, 3)))


def test_impossible_probabilities_and_ids_are_refused():
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        losses.correct_log_q(np.zeros((2, 2)), [0.5, 0.0])
    with pytest.raises(ValueError, match="one sampling probability"):
        losses.correct_log_q(np.zeros((2, 2)), [0.5])
    with pytest.raises(ValueError, match="one id"):
        losses.mask_accidental_hits(np.zeros((2, 2)), [1])


@pytest.fixture(scope="module")
def world():
    synthetic = data.synthetic.taste_groups(num_users=120, num_movies=90, num_groups=3)
    split = data.random_split(synthetic.ratings)
    index = data.InteractionIndex.of(synthetic.ratings, synthetic.movies)
    return synthetic.movies, split, index


def train(world, epochs, seed=1):
    movies, split, index = world
    tf.keras.utils.set_random_seed(seed)
    known = movies[movies["movie_id"].isin(split.train["movie_id"].astype(str))]
    model = models.TwoTower(models.IdTower("user_id", split.train["user_id"], 8), models.MovieTower(known, 8), l2=0.001)
    model.compile(optimizer=tf.keras.optimizers.Adam(0.02))
    columns = models.training_columns(split.train, movies, models.sampling_probability(split.train, movies))
    watch = models.HitRate(index, movies, index.matrix(split.validation), index.matrix(split.train), k=10)
    history = model.fit(data.batches(columns, 256, shuffle=True), epochs=epochs, callbacks=[watch], verbose=0)
    return model, history.history


def test_planted_taste_is_found(world):
    """Films of one's own group are what a user rates: the towers must beat the most popular by far."""
    movies, split, index = world
    model, history = train(world, epochs=12)
    assert history["softmax_loss"][-1] < history["softmax_loss"][0]
    test, seen = index.matrix(split.test), index.matrix(split.train)
    popular = baselines.MostPopular().fit(seen)
    ours = metrics.hit_rate_at_k(metrics.rank_held_out(models.affinity_scorer(model, index, movies), test, seen), 10)
    theirs = metrics.hit_rate_at_k(metrics.rank_held_out(popular.score, test, seen), 10)
    assert ours > theirs + 0.1
    assert len(history["val_hit_rate"]) == len(history["val_hit_rate_raw"]) == 12


def test_the_same_seed_gives_the_same_model(world):
    (one, _), (other, _) = train(world, 1), train(world, 1)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_unknown_id_gets_the_oov_vector_and_nothing_breaks():
    tower = models.IdTower("user_id", ["7", "9"], 4)
    unknown, other, known = tower({"user_id": tf.constant(["nobody", "none", "7"])}).numpy()
    np.testing.assert_array_equal(unknown, other)
    assert not np.array_equal(unknown, known)


def test_a_rated_film_outside_the_catalogue_is_told():
    ratings = pd.DataFrame({"user_id": ["1"], "movie_id": ["404"]})
    movies = pd.DataFrame({"movie_id": ["1"], "movie_title": ["One (1990)"], "movie_genres": [("Drama",)]})
    with pytest.raises(ValueError, match="'404' is rated, but not in the catalogue"):
        models.training_columns(ratings, movies)


def test_sampling_probability_sums_to_one_and_spares_no_film():
    train_rows = pd.DataFrame({"movie_id": ["2", "2", "2"]})
    movies = pd.DataFrame({"movie_id": ["1", "2"]})
    # (0 + 1) / 5 and (3 + 1) / 5
    np.testing.assert_allclose(models.sampling_probability(train_rows, movies), [0.2, 0.8])


def test_top_k_unseen_by_hand():
    assert models.top_k_unseen([0.9, -0.2, 0.7, 0.8], [0, 2], 2).tolist() == [3, 1]
    assert models.top_k_unseen([0.5, 0.5], [], 1).tolist() == [0]
    with pytest.raises(ValueError, match="at least 1"):
        models.top_k_unseen([0.1], [], 0)


def test_should_stop_waits_for_patience():
    assert not models.should_stop([])
    assert not models.should_stop([0.1, 0.3, 0.2, 0.2])
    assert models.should_stop([0.1, 0.3, 0.2, 0.2, 0.3])  # an equal value is no new best
    with pytest.raises(ValueError, match="patience"):
        models.should_stop([0.1], 0)
