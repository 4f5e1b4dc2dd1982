"""Histories as of a moment, the tower that reads them, and what it learns in a world whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from recsys_course import baselines, data, metrics, models


@pytest.fixture
def ratings():
    """Ana: A at 1, B and C at 2, D at 5. Ben: E at 2. Rows are not in order of time."""
    rows = [("Ana", "D", 5), ("Ana", "A", 1), ("Ben", "E", 2), ("Ana", "B", 2), ("Ana", "C", 2)]
    return pd.DataFrame(rows, columns=["user_id", "movie_id", "timestamp"])


def test_a_history_is_newest_first_and_padded(ratings):
    found = models.histories(ratings, ["Ana", "Ben"], length=3)
    assert found.tolist() == [["D", "C", "B"], ["E", "", ""]]


def test_a_history_ends_strictly_before_its_moment(ratings):
    found = models.histories(ratings, ["Ana"] * 5 + ["Ben"], length=3, before=[1, 2, 3, 5, 6, 2])
    assert found.tolist() == [
        ["", "", ""],
        ["A", "", ""],  # B and C carry the moment's own time stamp
        ["C", "B", "A"],
        ["C", "B", "A"],
        ["D", "C", "B"],
        ["", "", ""],
    ]
    assert models.histories(ratings, ["Ana", "Ben"], 2, before=2).tolist() == [["A", ""], ["", ""]]


def test_a_stranger_has_no_history(ratings):
    assert models.histories(ratings, ["Cem", "Ana"], 1).tolist() == [[""], ["D"]]


def test_impossible_requests_are_refused(ratings):
    with pytest.raises(ValueError, match="length must be at least 1, got 0"):
        models.histories(ratings, ["Ana"], 0)
    with pytest.raises(ValueError, match="one for each of 2 users"):
        models.histories(ratings, ["Ana", "Ben"], 3, before=[1, 2, 3])


@pytest.fixture(scope="module")
def world():
    return data.synthetic.taste_groups(num_users=120, num_movies=90, num_groups=3)


def test_no_target_and_nothing_as_late_stands_in_a_history(world):
    """Against a loop over every rating; in this world half of the ratings share a time stamp with the one before."""
    columns = models.history_training_columns(world.ratings, world.movies, length=4)
    assert (columns["movie_id"] == world.ratings["movie_id"].to_numpy(object)).all()
    for (_, row), history in zip(world.ratings.iterrows(), columns["history"], strict=True):
        own = world.ratings[(world.ratings.user_id == row.user_id) & (world.ratings.timestamp < row.timestamp)]
        newest = own.sort_values("timestamp", kind="stable").movie_id.tolist()[::-1][:4]
        assert history.tolist() == newest + [""] * (4 - len(newest))


# --- the tower ----------------------------------------------------------------------------------------------------


def read(tower, *histories):
    return tower({"history": tf.constant(histories)}).numpy()


def test_unknown_films_and_padding_count_as_nothing():
    tower = models.HistoryTower(["1", "2", "3"], 5)
    empty, unknown = read(tower, ["", ""], ["404", ""])
    np.testing.assert_array_equal(empty, unknown)
    np.testing.assert_allclose(read(tower, ["2", "1"]), read(tower, ["2", "1", "", ""]), rtol=1e-6)
    np.testing.assert_allclose(read(tower, ["2", "", "1"]), read(tower, ["2", "404", "1"]), rtol=1e-6)
    assert not np.allclose(read(tower, ["2"]), read(tower, [""]))
    assert empty.shape == (5,) and empty[-1] == 1


def test_the_means_fade_as_said():
    tower = models.HistoryTower(["1", "2", "3"], 5, decays=(0.0, 2.0))
    vector = tower.embedding(tower.lookup(tf.constant(["3", "1"]))).numpy()
    nothing = tower.nothing.numpy()
    plain = (vector[0] + vector[1] + nothing[0]) / 3
    fading = (vector[0] + vector[1] / 4 + nothing[1]) / 2.25
    expected = tower.mix(np.concatenate([plain, fading])[np.newaxis]).numpy()
    np.testing.assert_allclose(read(tower, ["3", "1"])[:, :-1], expected, rtol=1e-5)


def test_towers_add_up_and_read_the_context():
    moments = context = models.context_columns([0, 86_400 * 3 + 3_600 * 23])
    assert [moments[name].tolist() for name in ("hour", "weekday", "month")] == [
        ["00", "23"],
        ["Thu", "Sun"],
        ["1970-01", "1970-01"],
    ]
    hour, weekday = (models.IdTower(name, context[name], 4) for name in ("hour", "weekday"))
    features = {name: tf.constant(values) for name, values in context.items()}
    both = models.SumTower([hour, weekday])
    np.testing.assert_allclose(both(features), hour(features) + weekday(features))
    assert models.DeepTower(both, (8,), 4)(features).shape == (2, 4)


def test_a_year_is_read_off_the_title():
    tower = models.YearTower(["Toy Story (1995)", "Heat (1995)", "Psycho (1960)", "Nameless"], 3)
    titles = ["Seven (1995)", "Heat (1995)", "Psycho (1960)", "Nameless", "Metropolis (1927)"]
    seven, heat, psycho, nameless, metropolis = tower({"movie_title": tf.constant(titles)}).numpy()
    np.testing.assert_array_equal(seven, heat)
    np.testing.assert_array_equal(nameless, metropolis)
    assert not np.array_equal(heat, psycho) and not np.array_equal(heat, nameless)


# --- training -----------------------------------------------------------------------------------------------------

RECIPE = models.HISTORY_RECIPE | {
    "embedding_dim": 12,
    "length": 10,
    "learning_rate": 0.02,
    "batch_size": 128,
    "epochs": 8,
}


@pytest.fixture(scope="module")
def trained(world):
    split = data.leave_last_out(world.ratings)
    said = []
    return split, models.fit_history(split.train, world.movies, RECIPE, said.append), said


def test_planted_taste_is_found(world, trained):
    split, model, said = trained
    index = data.InteractionIndex.of(world.ratings, world.movies)
    seen, test = index.matrix(split.train), index.matrix(split.test)
    held_at = split.test.set_index("user_id")["timestamp"].reindex(index.user_ids).to_numpy()
    scorers = {
        "popular": baselines.MostPopular().fit(seen).score,
        "everything": models.history_scorer(model, index, world.movies, split.train, length=10),
        "strictly before": models.history_scorer(model, index, world.movies, split.train, held_at, length=10),
    }
    found = {
        name: metrics.hit_rate_at_k(metrics.rank_held_out(score, test, seen), 15) for name, score in scorers.items()
    }
    assert found["strictly before"] > found["popular"] + 0.1
    assert found["everything"] > found["popular"] + 0.1
    assert len(said) == 1 + RECIPE["epochs"] and "softmax loss" in said[-1]


def test_somebody_new_is_understood_from_three_films(world, trained):
    """The towers know no users: whoever names films of a group is offered films of that group."""
    _, model, _ = trained
    index = data.InteractionIndex.of(world.ratings, world.movies)
    named = [world.movies["movie_id"][world.movie_group == group].tolist()[:3] for group in range(3)]
    score = models.query_scorer(model, index, world.movies, {"history": np.array(named, dtype=object)})
    for group, scores in enumerate(score(np.arange(3))):
        offered = np.argsort(-scores)[:10]
        assert (world.movie_group[offered] == group).mean() >= 0.8


def test_the_same_recipe_gives_the_same_model(world, trained):
    split, model, _ = trained
    again = models.fit_history(split.train, world.movies, RECIPE, lambda line: None)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_fit_into_untrained_towers(world, trained):
    split, model, _ = trained
    empty = models.history_two_tower(split.train, world.movies, RECIPE)
    assert [weight.shape for weight in empty.trainable_variables] == [w.shape for w in model.trainable_variables]
