"""What the ranker reads: numbers about a history and a candidate. The graph that serves them also made the lists that
the ranker has learnt from, so what it meets in service is what it was trained on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import tensorflow as tf

from recsys_course import baselines, data
from recsys_course.baselines.popularity import SECONDS_PER_DAY
from recsys_course.data.titles import split_title
from recsys_course.recommender.neighbours import Neighbours, rated_in_one_sitting, watched_by_the_same

RECENT_DAYS = 30.0  # half-life of an interaction in recent popularity
LATEST = 3.0  # places in a history after which a film counts half among the latest
YEARS_A_DECADE = 10.0


class PairFeatures(tf.Module):
    """Features of every candidate in the light of a history; all learnt from the training ratings.

    | feature | what it says |
    |---|---|
    | affinity | retrieval's own score |
    | place | logarithm of the candidate's place in retrieval's list |
    | popularity, recent popularity | logarithm of the number of ratings; the same, fading |
    | liking | how much higher than the mean the film is rated, users' habits taken out |
    | age | of the film, in decades before the newest; 0 where its year is unknown |
    | genres in common | cosine between the film's genres and those of the history |
    | shared users | how well it goes with the history, by the users that films share |
    | shared users, latest | the same, with the latest films foremost |
    | same sitting | how well it goes with the latest films, by what is rated in one sitting |
    | history | logarithm of the history's length: the same for all candidates, it tells how far to trust the others |

    Args:
        train: training ratings, with stars and time stamps.
        movies: the catalogue.
        index: says which position stands for which film.
    """

    NAMES = (
        "affinity",
        "place",
        "popularity",
        "recent popularity",
        "liking",
        "age",
        "genres in common",
        "shared users",
        "shared users, latest",
        "same sitting",
        "history",
    )

    def __init__(self, train: pd.DataFrame, movies: pd.DataFrame, index: data.InteractionIndex) -> None:
        super().__init__()
        self.num_movies = index.num_movies
        self.films = _table(_film_features(train, movies, index))  # [num_movies, 4]
        self.genres = _table(_genre_directions(movies, index))  # [num_movies + 1, num_genres]
        self.shared_users = _tables(watched_by_the_same(index.matrix(train)))
        self.same_sitting = _tables(rated_in_one_sitting(train, index))

    def __call__(self, history: tf.Tensor, candidates: tf.Tensor, affinities: tf.Tensor) -> tf.Tensor:
        """Returns `[batch, num_candidates, num_features] float32`.

        Args:
            history: `[batch, length] int32` positions, the most recent first; `num_movies` where there is none.
            candidates: `[batch, num_candidates] int32` positions, best first.
            affinities: `[batch, num_candidates] float32`.
        """
        met = tf.cast(history < self.num_movies, tf.float32)  # [batch, length]
        count = tf.reduce_sum(met, axis=1, keepdims=True)  # [batch, 1]
        places = tf.range(tf.shape(history)[1], dtype=tf.float32)
        evenly = met / tf.sqrt(tf.maximum(count, 1.0))
        latest = met * 2.0 ** (-places / LATEST)

        of_list = tf.math.log(tf.range(1, tf.shape(candidates)[1] + 1, dtype=tf.float32))
        profile = tf.math.l2_normalize(tf.reduce_sum(tf.gather(self.genres, history), axis=1), axis=1)
        films = tf.unstack(tf.gather(self.films, candidates), axis=2)
        columns = [
            affinities,
            tf.broadcast_to(of_list, tf.shape(affinities)),
            *films,
            tf.einsum("bcg,bg->bc", tf.gather(self.genres, candidates), profile),
            self._go_with(self.shared_users, history, evenly, candidates),
            self._go_with(self.shared_users, history, latest, candidates),
            self._go_with(self.same_sitting, history, latest, candidates),
            tf.broadcast_to(tf.math.log1p(count), tf.shape(affinities)),
        ]
        return tf.stack(columns, axis=2)

    def _go_with(
        self, tables: tuple[tf.Variable, tf.Variable], history: tf.Tensor, weights: tf.Tensor, candidates: tf.Tensor
    ) -> tf.Tensor:
        """`[batch, num_candidates]`: the strengths between candidates and history, weighted and added up.

        The neighbours of the history are spread over the catalogue, which costs a history times its neighbours; to look
        through the neighbours of every candidate would cost six times that.
        """
        films, strengths = (tf.gather(table, history) for table in tables)  # [batch, length, width]
        batch = tf.shape(history)[0]
        width = self.num_movies + 1
        cells = films + width * tf.range(batch)[:, tf.newaxis, tf.newaxis]
        added = tf.math.unsorted_segment_sum(strengths * weights[:, :, tf.newaxis], cells, batch * width)
        return tf.gather(tf.reshape(added, [batch, width]), candidates, batch_dims=1)


def film_ages(movies: pd.DataFrame, index: data.InteractionIndex) -> np.ndarray:
    """`[num_movies] float64`: years before the newest film, by the titles, in the order of the index; NaN: no year."""
    titles = movies.set_index("movie_id")["movie_title"].loc[index.movie_ids]
    years = np.array([np.nan if (year := split_title(title)[1]) is None else year for title in titles], np.float64)
    return years if np.isnan(years).all() else np.nanmax(years) - years


def film_genres(movies: pd.DataFrame, index: data.InteractionIndex) -> np.ndarray:
    """`[num_movies, num_genres] bool`: which genres each film has, in the order of the index; genres sorted by name."""
    genres = movies.set_index("movie_id")["movie_genres"].loc[index.movie_ids]
    names = sorted({name for film in genres for name in film})
    return np.array([[name in film for name in names] for film in genres], bool).reshape(len(genres), len(names))


def _film_features(train: pd.DataFrame, movies: pd.DataFrame, index: data.InteractionIndex) -> np.ndarray:
    """`[num_movies, 4]`: popularity, recent popularity, liking, age."""
    users, films = index.user_positions(train["user_id"]), index.movie_positions(train["movie_id"])
    popularity = np.bincount(films, minlength=index.num_movies)
    days = (train["timestamp"].max() - train["timestamp"].to_numpy()) / SECONDS_PER_DAY
    recent = np.bincount(films, np.exp2(-days / RECENT_DAYS), minlength=index.num_movies)
    biases = baselines.UserItemBiases().fit(users, films, train["user_rating"])
    liking = biases.predict(np.full(index.num_movies, -1), np.arange(index.num_movies)) - biases.mean
    age = np.nan_to_num(film_ages(movies, index) / YEARS_A_DECADE)
    return np.column_stack([np.log1p(popularity), np.log1p(recent), liking, age]).astype(np.float32)


def _genre_directions(movies: pd.DataFrame, index: data.InteractionIndex) -> np.ndarray:
    """`[num_movies + 1, num_genres] float32`: each film's genres as a vector of length 1; zeros for no film."""
    marks = film_genres(movies, index).astype(np.float32)
    return np.vstack([marks / np.sqrt(np.maximum(marks.sum(axis=1, keepdims=True), 1)), np.zeros((1, marks.shape[1]))])


def _table(values: np.ndarray) -> tf.Variable:
    return tf.Variable(np.asarray(values, np.float32), trainable=False)


def _tables(neighbours: Neighbours) -> tuple[tf.Variable, tf.Variable]:
    return tf.Variable(neighbours.films, trainable=False), _table(neighbours.strengths)
