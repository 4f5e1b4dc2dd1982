"""The whole path, on the smallest catalogues that have the case: what is asked, what is left out, what is said."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from recsys_course.recommender.module import MOST_LIKED
from recsys_course.serving.user_lists import FILLED


def ids(answer, row: int = 0) -> list[str]:
    """The films of a row, without the empty places."""
    return [movie.decode() for movie in answer["movie_ids"].numpy()[row] if movie]


def by(answer) -> list[str]:
    return [text.decode() for text in answer["answered_by"].numpy()]


def ask(module, liked: list[list[str]], k: int = 10):
    return module.liked(tf.constant(liked, tf.string, shape=(len(liked), len(liked[0]))), tf.fill([len(liked)], k))


def test_a_page_is_what_retrieval_and_ranker_say_without_what_was_seen(small):
    module = small(["bd", "a"], biases=[0, 1, 2, 3, 4, 5])
    answer = module.serving_default(tf.constant(["0", "1"]))
    assert [ids(answer, row) for row in (0, 1)] == [["f", "e", "c", "a"], ["f", "e", "d", "c", "b"]]
    assert answer["titles"][0, 0].numpy() == b"Film f (1995)"
    affinities = np.array([5, 4, 2, 0])
    np.testing.assert_allclose(answer["scores"][0, :4], np.exp(affinities) / np.exp(affinities).sum(), rtol=1e-5)
    assert by(answer) == ["two stages"] * 2


def test_who_has_seen_everything_gets_empty_places(small):
    module = small(["abc", "a"], biases=[1, 2, 3])
    answer = module.serving_default(tf.constant(["0"]))
    assert ids(answer) == [] and by(answer) == ["two stages"]
    assert (answer["scores"].numpy() == FILLED).all()
    assert set(answer["titles"].numpy().ravel()) == set(answer["because"].numpy().ravel()) == {b""}
    assert answer["movie_ids"].shape == (1, 10) and answer["because"].shape == (1, 10, 2)


def test_fewer_films_than_asked_for_are_what_there_is(small):
    module = small(["ab"], biases=[1, 2, 3, 4])
    answer = module.top_k(tf.constant(["0"]), tf.constant([1_000_000]))
    assert ids(answer) == ["d", "c"] and answer["movie_ids"].shape == (1, 4)
    assert ids(module.top_k(tf.constant(["0"]), tf.constant([1]))) == ["d"]


def test_an_unknown_film_is_passed_over_and_a_known_one_beside_it_counts(small):
    module = small(["ab", "abc"], biases=[1, 2, 3, 4])
    answer = ask(module, [["no such film", "b"]])
    assert by(answer) == ["two stages"] and ids(answer) == ["d", "c", "a"]
    nothing = ask(module, [["no such film", ""]])
    assert by(nothing) == ["popularity"] and ids(nothing) == ["a", "b", "c", "d"]


def test_a_film_that_nobody_rated_tells_nothing_and_is_not_recommended_back(small):
    module = small(["ab", "abc"], biases=[1, 2, 3, 4])
    answer = ask(module, [["d"]])
    assert by(answer) == ["popularity"] and ids(answer) == ["a", "b", "c"]
    assert ids(ask(module, [["a", "d"]])) == ["c", "b"]


@pytest.mark.parametrize("liked", [[["a", "b"]], [["a", "a", "b", "a"]], [["", "a", "", "b"]], [["a", "?", "b", "b"]]])
def test_repetitions_and_gaps_change_nothing(world, liked):
    films = dict(zip("ab", world.found.index.movie_ids[:2], strict=True))
    module = world.module()
    answers = [ask(module, [[films.get(id, id) for id in row] for row in asked]) for asked in ([["a", "b"]], liked)]
    for name in answers[0]:
        np.testing.assert_array_equal(answers[0][name], answers[1][name], err_msg=name)


def test_the_order_of_what_is_liked_counts(world):
    films = world.found.index.movie_ids[:6].tolist()
    module = world.module()
    answers = [ask(module, [listed]) for listed in (films, films[::-1])]
    assert np.abs(answers[0]["scores"].numpy() - answers[1]["scores"].numpy()).max() > 0


@pytest.mark.parametrize("liked", [[[]], [[""]], [["", "", ""]]])
def test_an_empty_history_is_answered_by_what_is_popular_and_told(small, liked):
    module = small(["ab", "abc", "b"], biases=[1, 2, 3, 4])
    answer = ask(module, liked)
    assert by(answer) == ["popularity"] and ids(answer) == ["b", "a", "c", "d"]
    assert set(answer["because"].numpy().ravel()) == {b""}
    np.testing.assert_allclose(answer["scores"][0, :4], np.array([4, 3, 2, 1]) / 10, rtol=1e-5)


def test_an_unknown_user_is_answered_by_what_is_popular_and_told(small):
    module = small(["ab", "abc", "b", ""], biases=[1, 2, 3, 4])
    answer = module.serving_default(tf.constant(["stranger", "0", "3", ""]))
    assert by(answer) == ["popularity", "two stages", "popularity", "popularity"]
    assert ids(answer, 0) == ids(answer, 2) == ids(answer, 3) == ["b", "a", "c", "d"]


@pytest.mark.parametrize("k", [0, -1, np.iinfo(np.int32).min])
def test_a_length_below_one_is_refused(small, k):
    module = small(["ab"], biases=[1, 2, 3])
    with pytest.raises(tf.errors.InvalidArgumentError, match="k must be at least 1"):
        module.top_k(tf.constant(["0", "0"]), tf.constant([3, k], tf.int32))
    with pytest.raises(tf.errors.InvalidArgumentError, match="k must be at least 1"):
        ask(module, [["a"]], k)


def test_lengths_and_rows_must_agree(small):
    module = small(["ab"], biases=[1, 2, 3])
    with pytest.raises(tf.errors.InvalidArgumentError, match="equally long"):
        module.top_k(tf.constant(["0", "1"]), tf.constant([3]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="equally many rows"):
        module.liked(tf.constant([["a"], ["b"]]), tf.constant([3]))


def test_nobody_asked_is_nobody_answered(small):
    module = small(["ab"], biases=[1, 2, 3])
    assert module.serving_default(tf.constant([], tf.string))["movie_ids"].shape == (0, 10)
    assert module.liked(tf.zeros([0, 3], tf.string), tf.constant([], tf.int32))["answered_by"].shape == (0,)


def test_a_user_id_and_the_same_history_listed_give_the_same_films(world):
    module, users = world.module(diversity=0.5, genre_share=0.5), world.found.index.user_ids[:20].tolist()
    train = world.found.train
    listed = [train[train.user_id == user].movie_id.astype(str).tolist()[::-1] for user in users]
    longest = max(map(len, listed))
    padded = [films + [""] * (longest - len(films)) for films in listed]
    stored, named = module.serving_default(tf.constant(users)), ask(module, padded)
    np.testing.assert_array_equal(stored["movie_ids"], named["movie_ids"])


def test_a_row_does_not_depend_on_its_company(world):
    module, users = world.module(diversity=0.5, genre_share=0.5), tf.constant(world.found.index.user_ids)
    together = module.serving_default(users)
    alone = [module.serving_default(users[at : at + 1])["movie_ids"] for at in range(len(users))]
    np.testing.assert_array_equal(np.concatenate(alone), together["movie_ids"])
    mixed = module.top_k(users[:2], tf.constant([10, 25]))
    np.testing.assert_array_equal(mixed["movie_ids"][0, :10], together["movie_ids"][0])
    assert set(mixed["movie_ids"][0, 10:].numpy()) == {b""}


def test_a_very_long_list_is_cut_but_not_recommended_back(small):
    module = small(["abc"], biases=[1, 2, 3, 4])
    answer = ask(module, [["a"] * (MOST_LIKED + 5) + ["d"]])
    assert ids(answer) == ["c", "b"]


def test_reasons_are_the_nearest_films_that_were_liked(small):
    # The films lie on a quarter of a circle, in the order of their ids.
    module = small(["ab", "abcdef"], biases=[1, 2, 3, 4, 5, 6])
    answer = ask(module, [["a", "c", "f"]])
    because = answer["because"].numpy()[0, :3].astype(str).tolist()
    reasons = dict(zip(ids(answer), because, strict=True))
    assert reasons == {"b": ["a", "c"], "d": ["c", "f"], "e": ["f", "c"]}
    assert answer["because_titles"][0, 0, 0].numpy().startswith(b"Film ")


def test_what_a_user_did_not_like_is_no_reason(world):
    train, index = world.found.train, world.found.index
    module = world.module()
    answer = module.serving_default(tf.constant(index.user_ids))
    stars = train.set_index(["user_id", "movie_id"])["user_rating"]
    given = 0
    for user, rows in zip(index.user_ids, answer["because"].numpy().astype(str), strict=True):
        for film in filter(None, rows.ravel()):
            assert stars[user, film] >= 4
            given += 1
    assert given > 10 * len(index.user_ids)
