"""MovieLens latest-small in miniature: its schema and its oddities, planted taste groups, prepared as TFDS prepares it.

The real one cannot be downloaded everywhere; whatever runs on this runs on that.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np

from recsys_course.data import synthetic
from recsys_course.data.preparation import Prepared, prepare_from_archive

NUM_UNRATED = 3


def prepare(
    data_dir: Path, num_users: int = 200, num_movies: int = 150, num_groups: int = 4, seed: int = 0
) -> Prepared:
    """Writes the archive's files and lets TFDS' own builder prepare ``movielens/latest-small-*`` under ``data_dir``.

    Point ``TFDS_DATA_DIR`` there and set ``COURSE_DATASET=latest-small`` to run anything above on it.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "ml-latest-small"
        write_archive(archive, num_users, num_movies, num_groups, seed)
        return prepare_from_archive("latest-small", archive, data_dir)


def write_archive(folder: Path, num_users: int, num_movies: int, num_groups: int = 4, seed: int = 0) -> None:
    """Writes ``ratings.csv`` and ``movies.csv`` in the layout and order of GroupLens' archive.

    As there: at least 20 ratings a user, half stars, movie ids with wide gaps, a few movies that nobody rated, some
    without genres, titles with commas and quotes, and one title without a year.
    """
    world = synthetic.taste_groups(num_users, num_movies - NUM_UNRATED, num_groups, ratings_per_user=25, seed=seed)
    movie_ids = {
        movie_id: str(1 + position + position**2) for position, movie_id in enumerate(world.movies["movie_id"])
    }
    movies = [
        (movie_ids[movie_id], title, "|".join(genres))
        for movie_id, title, genres in world.movies.itertuples(index=False)
    ]
    movies += [(str(170_000 + i), f"Film nobody rated {i} (201{i})", "Drama|IMAX") for i in range(NUM_UNRATED)]
    movies[0] = (movies[0][0], "Film, The (1950)", "Adventure|Children|Fantasy")
    movies[1] = (movies[1][0], 'The "Other" Film (a.k.a. Autre, L\') (1951)', movies[1][2])
    movies[2] = (movies[2][0], "Film without a year", movies[2][2])
    for position in range(4, len(movies), 40):
        movies[position] = (*movies[position][:2], "(no genres listed)")

    half = np.random.Generator(np.random.PCG64(seed)).random(len(world.ratings)) < 0.3
    stars = world.ratings["user_rating"] - 0.5 * half
    ratings = zip(
        world.ratings["user_id"],
        world.ratings["movie_id"].map(movie_ids),
        stars.map("{:.1f}".format),
        world.ratings["timestamp"],
        strict=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "movies.csv", ("movieId", "title", "genres"), movies)
    by_user_then_movie = sorted(ratings, key=lambda row: (int(row[0]), int(row[1])))
    _write(folder / "ratings.csv", ("userId", "movieId", "rating", "timestamp"), by_user_then_movie)


def _write(path: Path, header: tuple[str, ...], rows: list[tuple]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
