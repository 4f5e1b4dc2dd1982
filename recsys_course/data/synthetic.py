"""A small world whose right answer is known: people in taste groups, each with films of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

_GENRES = ("Western", "Sci-Fi", "Romance", "Horror", "Musical", "War", "Animation", "Crime")


class SyntheticData(NamedTuple):
    """Ratings and movies in the schema of `load_ratings` and `load_movies`, and the truth behind them.

    Attributes:
      ratings: canonical order, no demographics.
      movies: the catalogue.
      user_group: ``[num_users] int64``, the taste group of user ``str(position + 1)``.
      movie_group: ``[num_movies] int64``, the group of the movie in that row of ``movies``.
    """

    ratings: pd.DataFrame
    movies: pd.DataFrame
    user_group: np.ndarray
    movie_group: np.ndarray


def taste_groups(
    num_users: int = 200, num_movies: int = 120, num_groups: int = 4, ratings_per_user: int = 20, seed: int = 0
) -> SyntheticData:
    """Draws ratings of people who mostly watch, and like, the films of their own group.

    Nine ratings in ten are of a film of the user's group and give 4 or 5 stars; the tenth is of any other film and
    gives 1 or 2. So a recommender that has learnt anything fills its lists from the user's group. Within a group films
    differ in popularity. Neighbouring ratings of a user often share a time stamp, as in MovieLens.

    Args:
      num_users, num_movies, num_groups: sizes; groups are as equal as they can be.
      ratings_per_user: distinct films rated by each user.
      seed: the same world on every machine.

    Raises:
      ValueError: when the groups are too small for so many ratings.
    """
    within = round(0.9 * ratings_per_user)
    without = ratings_per_user - within
    smallest, largest = num_movies // num_groups, -(-num_movies // num_groups)
    if not (num_groups >= 1 and num_users >= num_groups and within <= smallest and without <= num_movies - largest):
        raise ValueError(
            f"{ratings_per_user} ratings a user need groups of at least {within} movies and {without} outside of them, "
            f"and a user in each group; {num_users} users and {num_movies} movies in {num_groups} groups do not give "
            "that."
        )
    random = np.random.Generator(np.random.PCG64(seed))
    user_group = np.arange(num_users) % num_groups
    movie_group = np.arange(num_movies) % num_groups
    # Exponential keys divided by weights: the smallest make a weighted draw without replacement.
    popularity = 1.0 / (1.0 + np.arange(num_movies) // num_groups)
    keys = -np.log1p(-random.random((num_users, num_movies))) / popularity
    own = user_group[:, None] == movie_group[None, :]
    liked = np.argsort(np.where(own, keys, np.inf), axis=1, kind="stable")[:, :within]
    other = np.argsort(np.where(own, np.inf, keys), axis=1, kind="stable")[:, :without]
    movie = np.concatenate([liked, other], axis=1)
    stars = np.concatenate([np.full(liked.shape, 4), np.full(other.shape, 1)], axis=1) + (
        random.random(movie.shape) < 0.5
    )
    # Half of all steps take no time at all; a user's first rating falls anywhere in a year.
    steps = np.where(random.random(movie.shape) < 0.5, 0, 1 + np.floor(random.random(movie.shape) * 600)).astype(
        np.int64
    )
    timestamp = (
        900_000_000 + np.floor(random.random((num_users, 1)) * 31_536_000).astype(np.int64) + steps.cumsum(axis=1)
    )
    shuffled = np.argsort(random.random(movie.shape), axis=1, kind="stable")
    movie, stars = np.take_along_axis(movie, shuffled, axis=1), np.take_along_axis(stars, shuffled, axis=1)

    movie_ids = _as_text(1 + 3 * np.arange(num_movies))  # ids with gaps, as in MovieLens
    ratings = pd.DataFrame(
        {
            "user_id": pd.Categorical.from_codes(
                np.repeat(np.arange(num_users), ratings_per_user), _as_text(1 + np.arange(num_users))
            ),
            "movie_id": pd.Categorical.from_codes(movie.ravel(), movie_ids).remove_unused_categories(),
            "user_rating": stars.ravel().astype(np.float32),
            "timestamp": timestamp.ravel(),
        }
    )
    order = np.lexsort((movie.ravel(), timestamp.ravel(), np.repeat(np.arange(num_users), ratings_per_user)))
    movies = pd.DataFrame(
        {
            "movie_id": movie_ids,
            "movie_title": [f"Film {i} of group {g} ({1950 + i % 50})" for i, g in enumerate(movie_group)],
            "movie_genres": [(_GENRES[group % len(_GENRES)],) for group in movie_group],
        }
    )
    return SyntheticData(ratings.iloc[order].reset_index(drop=True), movies, user_group, movie_group)


def _as_text(numbers: np.ndarray) -> np.ndarray:
    return np.array([str(number) for number in numbers], dtype=object)
