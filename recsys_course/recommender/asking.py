"""`course recommend`: asks the live recommender as a person would, by user id or by titles, and shows a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from recsys_course.recommender.module import TWO_STAGES
from recsys_course.recommender.titles import Titles
from recsys_course.recommender.trained import TrainedRecommender

if TYPE_CHECKING:
    from rich.table import Table


class Recommended(NamedTuple):
    """One film of a page.

    Attributes:
        title: with its year.
        genres: names.
        score: probability by the ranker among the candidates; for strangers the film's part of their ratings.
        because: titles of the liked films nearest to it.
    """

    title: str
    genres: tuple[str, ...]
    score: float
    because: tuple[str, ...]


class Page(NamedTuple):
    """An answer.

    Attributes:
        films: best first.
        about: a sentence that says for whom, and on what ground.
    """

    films: list[Recommended]
    about: str


def recommend_to_user(trained: TrainedRecommender, user: str, k: int) -> Page:
    """A page for a user id; what is popular, and said so, where it has no history."""
    module = trained.module()
    answer = module.top_k(tf.constant([user]), tf.constant([k]))
    rated = int((trained.train["user_id"].astype(str) == user).sum())
    known = f"For user {user}, from the last of {rated:,} films rated:"
    return _page(trained, answer, known, f"Nothing is known of a user {user}, so this is what is popular:")


def recommend_to_fan(trained: TrainedRecommender, liked: Sequence[str], k: int) -> Page:
    """A page for somebody new who names films, the latest first.

    Raises:
        UnknownTitle: a title is not one film's; lists the nearest.
    """
    films = titles(trained)
    positions = [films.find(title) for title in liked]
    module, index = trained.module(), trained.retrieval.index
    answer = module.liked(tf.constant([index.movie_ids[positions].tolist()]), tf.constant([k]))
    named = "; ".join(_titles_by_position(trained)[positions])
    strange = f"Nobody in the training ratings has rated {named}, so this is what is popular:"
    return _page(trained, answer, f"For somebody who likes {named}:", strange)


def titles(trained: TrainedRecommender) -> Titles:
    """Finds the positions of films by title."""
    index = trained.retrieval.index
    popularity = np.bincount(index.movie_positions(trained.train["movie_id"]), minlength=index.num_movies)
    return Titles(_titles_by_position(trained), popularity)


def table(page: Page) -> Table:
    """The films of a page for a terminal."""
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    shown.add_column("", justify="right", style="dim")
    shown.add_column("film", ratio=4)
    shown.add_column("genres", ratio=3, style="dim")
    shown.add_column("score", justify="right", no_wrap=True)
    shown.add_column("because of", ratio=4)
    for rank, film in enumerate(page.films, 1):
        cells = (film.title, ", ".join(film.genres), f"{film.score:.1%}", "; ".join(film.because))
        shown.add_row(str(rank), *cells)
    return shown


def _page(trained: TrainedRecommender, answer: dict[str, tf.Tensor], known: str, strange: str) -> Page:
    genres = dict(zip(trained.movies["movie_id"], trained.movies["movie_genres"], strict=True))
    ids, names, because = (_text(answer[name][0]) for name in ("movie_ids", "titles", "because_titles"))
    films = [
        Recommended(title, genres[movie], score, tuple(filter(None, reasons)))
        for movie, title, score, reasons in zip(ids, names, answer["scores"][0].numpy().tolist(), because, strict=True)
        if movie
    ]
    about = known if _text(answer["answered_by"][0]) == TWO_STAGES else strange
    return Page(films, about if films else f"{about} nothing, for every film has been seen.")


def _titles_by_position(trained: TrainedRecommender) -> np.ndarray:
    by_id = trained.movies.set_index("movie_id")["movie_title"]
    return by_id.loc[trained.retrieval.index.movie_ids].to_numpy(object)


def _text(tensor: tf.Tensor) -> list[Any] | str:
    return np.char.decode(np.asarray(tensor.numpy(), bytes), "utf-8").tolist()
