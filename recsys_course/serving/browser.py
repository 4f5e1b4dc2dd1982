"""Chapter 3's film embeddings as a script that a page loads: recommendations without a server."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from recsys_course import baselines, data, metrics, models
from recsys_course.serving.export import catalogue
from recsys_course.serving.trained import Say, Trained, trained_retrieval

MOST_FILMS = 6_000  # of a larger catalogue those most often rated, so that the file stays under a megabyte
NUM_LIKED = 5
LARGEST_STEP = np.iinfo(np.int16).max


class BrowserFilms(NamedTuple):
    """A catalogue as the page holds it, most often rated films first.

    Attributes:
        ids: `[num_films]` movie ids.
        titles: `[num_films]`.
        genre_names: every genre, sorted.
        genres: `[num_films]` lists of positions in `genre_names`.
        steps: `[num_films, embedding_dim] int16`: the embeddings in whole steps.
        step: length of a step.
    """

    ids: list[str]
    titles: list[str]
    genre_names: list[str]
    genres: list[list[int]]
    steps: np.ndarray
    step: float

    @property
    def embeddings(self) -> np.ndarray:
        """`[num_films, embedding_dim] float64`, as the browser computes with them."""
        return self.steps * self.step


def browser_films(trained: Trained) -> BrowserFilms:
    """What a page needs of a trained model: embeddings rounded to 16 bits, titles and genres."""
    counts = trained.train["movie_id"].value_counts().reindex(trained.index.movie_ids, fill_value=0).to_numpy()
    kept = np.argsort(-counts, kind="stable")[:MOST_FILMS]
    embeddings = trained.candidate_embeddings()[kept].astype(np.float64)
    step = float(np.abs(embeddings).max()) / LARGEST_STEP
    films = trained.movies.set_index("movie_id").loc[np.asarray(trained.index.movie_ids)[kept]]
    names = sorted({genre for genres in films["movie_genres"] for genre in genres})
    return BrowserFilms(
        films.index.tolist(),
        films["movie_title"].tolist(),
        names,
        [[names.index(genre) for genre in genres] for genres in films["movie_genres"]],
        np.round(embeddings / step).astype("<i2"),
        step,
    )


def write_browser_films(films: BrowserFilms, path: Path | str) -> None:
    """Writes the script; it sets `window.courseFilms`. A page opened from disk may run scripts, but fetch no data."""
    content = {
        "ids": films.ids,
        "titles": films.titles,
        "genre_names": films.genre_names,
        "genres": films.genres,
        "dim": films.steps.shape[1],
        "step": films.step,
        "embeddings": base64.b64encode(films.steps.tobytes()).decode(),
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    Path(path).write_text(f"window.courseFilms = {text};\n", encoding="utf-8")


def hit_rates_from_liked(trained: Trained, held_out: pd.DataFrame, k: int = 100) -> dict[str, float]:
    """How well five liked films stand in for a user: of those who have five, the five best, against what else they met.

    Args:
        trained: a trained model.
        held_out: interactions that it has not seen; those of users without five liked films are left out.
        k: length of the list.

    Returns:
        Hit rate at `k`, films of the training set taken out, of `"five liked films"` as `models.recommend_from_liked`
        reads them, of their plain `"mean embedding"`, and of the `"most popular"` films. Empty where no user has both
        five liked films and a held-out one.
    """
    liked = {user: films[:NUM_LIKED] for user, films in catalogue(trained)["users"].items() if len(films) >= NUM_LIKED}
    index, embeddings = trained.index, trained.candidate_embeddings()
    rows = index.user_positions(list(liked))
    seen, relevant = index.matrix(trained.train), index.matrix(held_out)[rows]
    if relevant.nnz == 0:
        return {}
    positions = np.stack([index.movie_positions(films) for films in liked.values()])  # [num_users, NUM_LIKED]
    directions = models.taste_directions(embeddings)
    popular = baselines.MostPopular().fit(seen)
    scorers = {
        "five liked films": lambda users: directions[positions[users]].mean(axis=1) @ directions.T,
        "mean embedding": lambda users: embeddings[positions[users]].mean(axis=1) @ embeddings.T,
        "most popular": lambda users: popular.score(rows[users]),
    }
    ranked = {name: metrics.rank_held_out(score, relevant, seen[rows]) for name, score in scorers.items()}
    return {name: metrics.hit_rate_at_k(held, k) for name, held in ranked.items()}


def write_films(path: Path | str, say: Say = print) -> dict[str, float]:
    """Writes chapter 3's films for the page, and says how good its lists are: `hit_rates_from_liked` on the test split.

    Trains the model first where this machine has not done so yet.
    """
    trained = trained_retrieval(say=say)
    write_browser_films(browser_films(trained), path)
    return hit_rates_from_liked(trained, data.random_split(data.load_ratings(trained.dataset)).test)
