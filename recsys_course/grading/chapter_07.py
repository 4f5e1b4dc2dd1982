"""Checks of chapter 7: all histories at once, a mean that fades, a paired difference, and a title as people type it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from recsys_course.grading.core import Wrong, exercise, inputs

# --- 7.1 All histories at once ------------------------------------------------------------------------------------


def _pad_histories(films, starts, ends, length):
    # One history after the other: another road than the solution's.
    rows = []
    for start, end in zip(starts, ends, strict=True):
        newest_first = list(films[start:end])[::-1][:length]
        rows.append(newest_first + [""] * (length - len(newest_first)))
    return np.array(rows, dtype=object).reshape(len(starts), length)


def _oldest_first(films, starts, ends, length):
    padded = _pad_histories(films, starts, ends, length)
    turned = [[film for film in row[::-1] if film] + [""] * int((row == "").sum()) for row in padded]
    return np.array(turned, dtype=object).reshape(padded.shape)


def _keeps_the_oldest(films, starts, ends, length):
    return _pad_histories(films, starts, np.minimum(ends, np.asarray(starts) + length), length)


def _gathered(films, starts, ends, length, newest=1):
    rows = np.asarray(ends)[:, np.newaxis] - newest - np.arange(length)
    return np.append(films, "")[np.where(rows >= np.asarray(starts)[:, np.newaxis], rows, len(films))]


def _runs_into_the_neighbour(films, starts, ends, length):
    return np.asarray(films)[np.asarray(ends)[:, np.newaxis] - 1 - np.arange(length)]


def _holds_the_target(films, starts, ends, length):
    return _gathered(np.append(films, ""), starts, ends, length, newest=0)


def _padding_in_front(films, starts, ends, length):
    padded = _pad_histories(films, starts, ends, length)
    return np.array([sorted(row, key=bool) for row in padded], dtype=object).reshape(padded.shape)


def _drops_the_first_film(films, starts, ends, length):
    return _gathered(films, np.asarray(starts) + 1, ends, length)


_FILMS = np.array(["50", "181", "50", "98", "7", "1", "222", "12"], dtype=object)

exercise(
    "7.1",
    answer="pad_histories",
    reference=_pad_histories,
    cases=[
        inputs(np.array(["A", "B", "C", "D", "E"], dtype=object), np.array([0, 3]), np.array([3, 4]), 2),
        inputs(_FILMS, np.array([0, 0, 3, 3, 3]), np.array([1, 3, 5, 7, 8]), 4),
        inputs(_FILMS, np.array([0, 3, 8]), np.array([0, 3, 8]), 3),  # nothing before the first click, or at all
        inputs(_FILMS, np.array([3]), np.array([8]), 1),
        inputs(_FILMS, np.array([5, 3]), np.array([8, 4]), 12),  # longer than everything there is
    ],
    misconceptions={
        "the most recent film comes first; yours runs from the oldest on": _oldest_first,
        "where a history is longer than `length`, keep its most *recent* films; you have kept the oldest": (
            _keeps_the_oldest
        ),
        "a short history runs on into the films of the user above: rows before `starts` are somebody else's": (
            _runs_into_the_neighbour
        ),
        "the row at `ends` is the film to be predicted: a history stops one row before it": _holds_the_target,
        'the padding stands in front; the films come first, then ""': _padding_in_front,
        "the user's very first film is missing: the row at `starts` belongs to the history": _drops_the_first_film,
    },
)

# --- 7.2 The weight of nothing ------------------------------------------------------------------------------------


def _fading_mean(vectors, is_film, decay):
    means = np.zeros((len(vectors), np.shape(vectors)[2]))
    for row, (history, there) in enumerate(zip(vectors, is_film, strict=True)):
        total = 0.0
        for place, (vector, counts) in enumerate(zip(history, there, strict=True), start=1):
            if counts:
                weight = math.exp(-decay * math.log(place))
                means[row] += weight * np.asarray(vector, np.float64)
                total += weight
        if total:
            means[row] /= total
    return means


def _places(is_film):
    return np.arange(1, np.shape(is_film)[1] + 1)


def _shares_before_masking(vectors, is_film, decay):
    places = np.arange(1, is_film.shape[1] + 1)
    weights = places**-decay / (places**-decay).sum()
    return np.einsum("bl,bld->bd", is_film * weights, vectors)


def _ignores_the_mask(vectors, is_film, decay):
    return _fading_mean(vectors, np.ones_like(is_film), decay)


def _divides_nothing_by_nothing(vectors, is_film, decay):
    weights = is_film * _places(is_film) ** -float(decay)
    with np.errstate(invalid="ignore"):
        return np.einsum("bl,bld->bd", weights, vectors) / weights.sum(axis=1, keepdims=True)


def _sums(vectors, is_film, decay):
    return np.einsum("bl,bld->bd", is_film * _places(is_film) ** -float(decay), vectors)


def _divides_by_the_number_of_films(vectors, is_film, decay):
    return _sums(vectors, is_film, decay) / np.maximum(is_film.sum(axis=1, keepdims=True), 1)


exercise(
    "7.2",
    answer="fading_mean",
    reference=_fading_mean,
    cases=[
        inputs(
            np.array([[[4.0, 0.0], [0.0, 2.0]], [[4.0, 0.0], [9.0, 9.0]]]), np.array([[True, True], [True, False]]), 1.0
        ),
        inputs(
            np.random.default_rng(0).normal(size=(4, 3, 2)),
            np.array([[True, True, True], [True, True, False], [True, False, False], [True, False, True]]),
            0.5,
        ),
        inputs(np.array([[[1.0], [2.0], [6.0]]]), np.array([[True, True, True]]), 0.0),  # no fading: the plain mean
        inputs(np.array([[[3.0, 5.0], [1.0, 2.0]]]), np.array([[False, False]]), 1.0),  # nothing there: zeros
        inputs(np.array([[[3.0], [1.0]], [[2.0], [8.0]]]), np.array([[False, True], [True, True]]), 2.0),
    ],
    misconceptions={
        "the weights are shared out before the padding is taken away, so a short history comes out too small: "
        "take the padding out first, then divide by what is left": _shares_before_masking,
        "padding counts as if it were a film: whatever its vector holds gets into the mean": _ignores_the_mask,
        "a history without any film is 0 / 0, which is no number; it should give zeros": _divides_nothing_by_nothing,
        "this is the weighted sum; divide by the sum of the weights": _sums,
        "you divide by the number of films; divide by the sum of their weights": _divides_by_the_number_of_films,
        "the weights grow with the age: the exponent is minus `decay`": (
            lambda vectors, is_film, decay: _fading_mean(vectors, is_film, -decay)
        ),
    },
    planted_bug=_shares_before_masking,
)

# --- 7.3 Is it better? --------------------------------------------------------------------------------------------


def _paired_difference(ours, theirs):
    users = [
        sum(float(mine[user]) - float(their[user]) for mine, their in zip(ours, theirs, strict=True)) / len(ours)
        for user in range(np.shape(ours)[1])
    ]
    mean = sum(users) / len(users)
    variance = sum((difference - mean) ** 2 for difference in users) / (len(users) - 1)
    return mean, math.sqrt(variance / len(users))


def _spread(values):
    return np.std(values, ddof=1) / math.sqrt(np.size(values))


def _difference(ours, theirs):
    return np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)


def _unpaired(ours, theirs):
    by_user = [np.mean(np.asarray(hits, np.float64), axis=0) for hits in (ours, theirs)]
    return _difference(ours, theirs).mean(), math.hypot(*map(_spread, by_user))


exercise(
    "7.3",
    answer="paired_difference",
    reference=_paired_difference,
    cases=[
        inputs(np.array([[1, 0, 1, 1], [1, 0, 0, 1]]), np.array([[0, 0, 1, 0], [1, 0, 0, 0]])),
        inputs(
            (np.random.default_rng(0).random((3, 40)) < 0.6).astype(float),
            (np.random.default_rng(1).random((3, 40)) < 0.4).astype(float),
        ),
        inputs(np.array([[1.0, 0.0, 1.0]]), np.array([[0.0, 1.0, 1.0]])),  # one seed
        inputs(np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 1]]), np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 1]])),  # the same
    ],
    misconceptions={
        "the pairs are lost: take the difference user by user, and only then its spread": _unpaired,
        "you count every seed of a user as one more user; seeds of one user are no new evidence about people. "
        "Average over the seeds first": (
            lambda ours, theirs: (_difference(ours, theirs).mean(), _spread(_difference(ours, theirs)))
        ),
        "this is the spread between seeds: it says how much the start matters, and nothing of the users drawn": (
            lambda ours, theirs: (
                _difference(ours, theirs).mean(),
                _spread(_difference(ours, theirs).mean(axis=1)) if len(ours) > 1 else math.nan,
            )
        ),
        "this is the standard deviation of one user; the mean of n users wavers less, by the root of n": (
            lambda ours, theirs: (
                _difference(ours, theirs).mean(),
                np.std(_difference(ours, theirs).mean(axis=0), ddof=1),
            )
        ),
        "the sign is the wrong way round: positive should mean that `ours` is better": (
            lambda ours, theirs: _paired_difference(theirs, ours)
        ),
        "the mean is right; for the standard deviation use `ddof=1`, since the mean was taken from the same users": (
            lambda ours, theirs: (
                _difference(ours, theirs).mean(),
                np.std(_difference(ours, theirs).mean(axis=0)) / math.sqrt(np.shape(ours)[1]),
            )
        ),
        "return two numbers: the mean difference, and its standard error": (
            lambda ours, theirs: _difference(ours, theirs).mean()
        ),
    },
)

# --- 7.4 A title as people type it --------------------------------------------------------------------------------

_TITLES = [
    "Toy Story (1995)",
    "GoldenEye (1995)",
    "Star Wars (1977)",
    "Lion King, The (1994)",
    "Beauty and the Beast (1991)",
    "Shining, The (1980)",
    "Aliens (1986)",
    "Alien (1979)",
    "Alien 3 (1992)",
    "Sabrina (1995)",
    "Sabrina (1954)",
    "Silence of the Lambs, The (1991)",
    "When Harry Met Sally... (1989)",
    "It's a Wonderful Life (1946)",
    "Casablanca (1942)",
]
_TYPED = {
    "the year is left out": [("Toy Story", "Toy Story (1995)"), ("Casablanca", "Casablanca (1942)")],
    "a film whose whole name was typed comes before one whose name only begins so": [
        ("Alien", "Alien (1979)"),
        ("Aliens", "Aliens (1986)"),
    ],
    "the article stands in front, as people say it": [
        ("The Lion King", "Lion King, The (1994)"),
        ("The Shining", "Shining, The (1980)"),
        ("The Silence of the Lambs", "Silence of the Lambs, The (1991)"),
    ],
    "the article is left out": [("lion king", "Lion King, The (1994)"), ("shining", "Shining, The (1980)")],
    "punctuation is left out": [
        ("When Harry Met Sally", "When Harry Met Sally... (1989)"),
        ("its a wonderful life", "It's a Wonderful Life (1946)"),
    ],
    "a letter is wrong or missing": [
        ("Toy Stori", "Toy Story (1995)"),
        ("Casablnca", "Casablanca (1942)"),
        ("Silence of the Lamps", "Silence of the Lambs, The (1991)"),
        ("Beauty and the Beest", "Beauty and the Beast (1991)"),
    ],
}


def _found(answer: Any, typed: str, titles: list[str]) -> str | None:
    """The title at the position that the answer gives; checked."""
    kept = list(titles)
    position = answer(typed, kept)
    if kept != titles:
        raise Wrong("find_film changes the list of titles that it is given: work on a copy", given=typed)
    if position is None:
        return None
    if isinstance(position, bool) or not isinstance(position, int | np.integer):
        raise Wrong("find_film should return a position, a whole number, or None", given=typed, got=position)
    if not 0 <= position < len(titles):
        last = len(titles) - 1
        raise Wrong("the position lies outside the list of titles", given=typed, expected=f"0 to {last}", got=position)
    return titles[position]


@exercise("7.4", answer="find_film")
def _find_film(answer: Any) -> None:
    if not callable(answer):
        raise Wrong("find_film should be a function that takes what was typed and the list of titles", got=answer)
    for titles in (_TITLES, _TITLES[::-1]):
        for title in titles:
            for typed, what in (
                (title, "an exact title should give its own film"),
                (title.upper(), "capitals should not matter"),
                (f"  {title} ", "spaces around the title should not matter"),
            ):
                if (got := _found(answer, typed, titles)) != title:
                    raise Wrong(what, given=repr(typed), expected=title, got=got)
        for what, pairs in _TYPED.items():
            for typed, title in pairs:
                if (got := _found(answer, typed, titles)) != title:
                    raise Wrong(f"it does not manage this yet: {what}", given=repr(typed), expected=title, got=got)
        if (got := _found(answer, "Sabrina", titles)) not in ("Sabrina (1995)", "Sabrina (1954)"):
            raise Wrong("of two films of one name either will do", given="'Sabrina'", expected="one of them", got=got)
    for typed in ("qzxwvk jjjq", "12345678", "zz", "", "   "):
        if (got := _found(answer, typed, _TITLES)) is not None:
            raise Wrong(
                "what resembles no film should give None: a wrong film in a history is worse than none",
                given=repr(typed),
                expected=None,
                got=got,
            )
    if (got := _found(answer, "Toy Story", [])) is not None:
        raise Wrong("in an empty catalogue nothing can be found", expected=None, got=got)
