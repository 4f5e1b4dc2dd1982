"""Titles are split where the year stands, and only there; everybody who reads years reads the same ones."""

from __future__ import annotations

import re

import pandas as pd
import pytest
import tensorflow as tf

from recsys_course import models
from recsys_course.data.titles import YEAR, split_title

TITLES = {
    "Toy Story (1995)": ("Toy Story", 1995),
    "Toy Story": ("Toy Story", None),
    "": ("", None),
    "(1995)": ("", 1995),
    "Toy Story(1995)": ("Toy Story", 1995),
    "Toy Story  (1995) \t": ("Toy Story", 1995),
    "Toy Story (1995) (2012)": ("Toy Story (1995)", 2012),
    "Seven (Se7en) (1995)": ("Seven (Se7en)", 1995),
    "Land Before Time III (1995) (V)": ("Land Before Time III (1995) (V)", None),
    "Series (1995-1996)": ("Series (1995-1996)", None),
    "Series (95)": ("Series (95)", None),
    "Series (19955)": ("Series (19955)", None),
    "Series ( 1995 )": ("Series ( 1995 )", None),
    "1995-1996": ("1995-1996", None),
    "Misérables, Les (1995)": ("Misérables, Les", 1995),
    "七人の侍 (1954)": ("七人の侍", 1954),
    "Old One (0099)": ("Old One", 99),
}


@pytest.mark.parametrize(("title", "expected"), TITLES.items(), ids=repr)
def test_a_title_is_split_at_its_year(title, expected):
    assert split_title(title) == expected


def test_a_decade_a_learned_year_and_a_typed_name_are_of_the_same_year():
    titles = list(TITLES)
    years = [found[1] if (found := re.search(YEAR, title)) else None for title in titles]
    assert [year and int(year) for year in years] == [year for _, year in TITLES.values()]

    columns = {"movie_id": map(str, range(len(titles))), "movie_title": titles, "movie_genres": [()] * len(titles)}
    labels = models.movie_labels(pd.DataFrame(columns))
    assert list(labels.values()) == [[] if year is None else [f"{year[:3]}0s"] for year in years]

    tower = models.YearTower(titles, 2)
    known = sorted({year for year in years if year})
    assert sorted(tower.lookup.get_vocabulary()[1:]) == known
    vectors = tower({"movie_title": tf.constant(titles)}).numpy()
    of_year = tower.embedding(tower.lookup(tf.constant([year or "none" for year in years]))).numpy()
    assert (vectors == of_year).all()

    assert models.find_film("misérables", ["Misérables, Les (1995) "]) == 0
