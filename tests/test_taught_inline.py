"""What a chapter builds before the reader's eyes and later chapters import must be one and the same thing.

A public function or class whose docstring says "Built in chapter N" has a twin in that chapter's source. Both are put
through the same use on the same random inputs, with the same seed, and have to give the same result.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy import sparse

from recsys_course.authoring.notebooks import read_script
from recsys_course.authoring.project import find_project
from recsys_course.data import synthetic

PROJECT = find_project(Path(__file__).parent)
TAUGHT = ("data", "preprocessing", "metrics", "baselines", "models", "models.losses", "serving")
BUILT = re.compile(r"Built in chapter (\d+)")


def public() -> dict[str, Any]:
    """The functions and classes that the package's parts offer, by name."""
    found = {}
    for part in TAUGHT:
        module = importlib.import_module(f"recsys_course.{part}")
        found |= {
            name: value
            for name, value in vars(module).items()
            if not name.startswith("_")
            and (inspect.isfunction(value) or inspect.isclass(value))
            and value.__module__.startswith("recsys_course.")
        }
    return found


def chapter_of(value: Any) -> int | None:
    """The chapter that builds it, as its docstring says."""
    match = BUILT.search(inspect.getdoc(value) or "")
    return int(match[1]) if match else None


@cache
def statements(number: int) -> list[ast.stmt]:
    """The top-level statements of a chapter's cells, answers included."""
    notebook = read_script(PROJECT.chapter(number).source.read_text(encoding="utf-8"))
    return [node for cell in notebook.cells if cell.cell_type == "code" for node in ast.parse(cell.source).body]


def definitions(number: int) -> dict[str, ast.stmt]:
    """A chapter's own functions and classes; of two with one name the first, which is the one that is taught."""
    found: dict[str, ast.stmt] = {}
    for node in statements(number):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.setdefault(node.name, node)
    return found


def namespace(number: int) -> dict[str, Any]:
    """A chapter's imports, constants and definitions, executed; no data is loaded and nothing trained."""
    own = definitions(number)
    imported: set[str] = set()
    kept = []
    for node in statements(number):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
            kept.append(node)
        elif node in own.values() or (isinstance(node, ast.Assign) and _is_constant(node, imported, own)):
            kept.append(node)
    executed: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(ast.Module(kept, type_ignores=[]), f"<chapter {number}>", "exec"), executed)
    return executed


def _is_constant(node: ast.Assign, imported: set[str], own: dict[str, ast.stmt]) -> bool:
    """Whether a name other than a definition's gets a literal or a member of an imported module."""
    value = node.value
    while isinstance(value, ast.Attribute):
        value = value.value
    is_fixed = isinstance(value, ast.Constant) or (isinstance(value, ast.Name) and value.id in imported)
    return is_fixed and isinstance(node.targets[0], ast.Name) and node.targets[0].id not in own


USES: dict[str, tuple[str, Callable]] = {}


def twin(name: str, inline: str | None = None) -> Callable:
    """Registers how to use a thing of the package, and the name that it has in its chapter."""

    def register(use: Callable[[Any, np.random.Generator], Any]) -> Callable:
        USES[name] = (inline or name, use)
        return use

    return register


def words(rng: np.random.Generator, count: int) -> list[str]:
    return [f"word{number}" for number in rng.integers(0, 12, count)]


def square(rng: np.random.Generator) -> np.ndarray:
    size = rng.integers(1, 9)
    return rng.normal(scale=rng.choice([1, 500]), size=(size, size))


def films(rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "movie_id": [str(number) for number in rng.permutation(8)],
            "movie_title": [" ".join(words(rng, rng.integers(0, 5))) + " x" for _ in range(8)],
            "movie_genres": [tuple(sorted(set(words(rng, 1 + rng.integers(0, 3))))) for _ in range(8)],
        }
    )


@twin("MostPopular", inline="most_popular")
def _(definition, rng):
    interactions = sparse.random(7, 5, 0.4, "csr", rng=rng, data_rvs=np.ones)
    if inspect.isclass(definition):
        return definition().fit(interactions).score(np.arange(7))
    definition.__globals__["popularity"] = np.asarray(interactions.sum(axis=0)).ravel()
    return definition(np.arange(7))


@twin("id_lookup")
def _(definition, rng):
    layer = definition(words(rng, 20))
    return layer(words(rng, 20) + ["never seen"]), layer.get_vocabulary()


@twin("IdDropout")
def _(definition, rng):
    layer, indices = definition(0.4), tf.constant(rng.integers(1, 9, 50))
    return layer(indices, training=True), layer(indices, training=False), definition(0)(indices, training=True)


@twin("SecondsSince")
def _(definition, rng):
    stamps = rng.integers(8e8, 9e8, 20)
    return definition(int(stamps.mean()))(tf.constant(stamps))


@twin("timestamp_normalizer")
def _(definition, rng):
    return definition(rng.integers(8e8, 9e8, 20))(tf.constant(rng.integers(8e8, 9e8, 20)))


@twin("daily_cycle", inline="time_features")
def _(definition, rng):
    return definition(rng.integers(0, 9e8, 20))


@twin("masked_mean")
def _(definition, rng):
    return definition(tf.constant(rng.normal(size=(6, 4, 3)), tf.float32), tf.constant(rng.random((6, 4)) < 0.5))


@twin("MaskedMean")
def _(definition, rng):
    vectors, mask = tf.constant(rng.normal(size=(6, 4, 3)), tf.float32), tf.constant(rng.random((6, 4)) < 0.5)
    return definition()(vectors, mask=mask)


@twin("title_encoder")
def _(definition, rng):
    titles = films(rng).movie_title
    return definition(titles, 4)(tf.constant(titles)), definition(titles, 4, max_tokens=5)(tf.constant(titles))


@twin("pad_genres")
def _(definition, rng):
    return definition(films(rng).movie_genres), definition([(), ()])


@twin("genre_encoder")
def _(definition, rng):
    genres = films(rng).movie_genres
    padded = np.full((8, 4), "", object)
    padded[:, 0] = [names[0] for names in genres]
    padded[0, 1] = "never seen"
    return definition(genres)(tf.constant(padded.astype(str)))


@twin("IdTower")
def _(definition, rng):
    return definition("movie_id", words(rng, 20), 4)({"movie_id": tf.constant(words(rng, 9)), "other": tf.zeros(9)})


@twin("MovieTower")
def _(definition, rng):
    table = films(rng)
    padded = np.full((8, 4), "", object)
    padded[:, 0] = [names[0] for names in table.movie_genres]
    features = {"movie_id": table.movie_id, "movie_title": table.movie_title, "movie_genres": padded.astype(str)}
    return definition(table, 4)({name: tf.constant(values) for name, values in features.items()})


@twin("TwoTower")
def _(definition, rng):
    from recsys_course.models import IdTower

    users, movies = words(rng, 64), words(rng, 64)
    columns = {
        "user_id": tf.constant(users),
        "movie_id": tf.constant(movies),
        "movie_position": tf.constant([int(word[4:]) for word in movies], tf.int64),
        "sampling_probability": tf.constant(rng.uniform(0.01, 1, 64), tf.float32),
    }
    model = definition(IdTower("user_id", users, 4), IdTower("movie_id", movies, 4), l2=0.1)
    model.compile(optimizer=tf.keras.optimizers.Adam(0.01))
    history = model.fit(tf.data.Dataset.from_tensor_slices(columns).batch(16), epochs=2, verbose=0).history
    plain = definition(model.query_tower, model.candidate_tower, remove_accidental_hits=False)
    return [history[name] for name in sorted(history)], plain.compute_loss(columns)


@twin("sampling_probability")
def _(definition, rng):
    table = synthetic.taste_groups(num_users=20, num_movies=60, num_groups=3, seed=int(rng.integers(99)))
    return definition(table.ratings, table.movies).to_numpy()


@twin("in_batch_softmax")
def _(definition, rng):
    return definition(square(rng))


@twin("correct_log_q")
def _(definition, rng):
    logits = square(rng)
    return definition(logits, rng.uniform(0.001, 1, len(logits)))


@twin("mask_accidental_hits")
def _(definition, rng):
    logits = square(rng)
    return definition(logits, rng.integers(0, 4, len(logits)))


@twin("should_stop")
def _(definition, rng):
    return [definition(list(rng.integers(0, 6, length))) for length in range(1, 12)]


@twin("top_k_unseen")
def _(definition, rng):
    return [definition(rng.normal(size=12), rng.choice(12, rng.integers(0, 9), replace=False), k) for k in (1, 5, 12)]


@twin("neighbor_recall_at_k")
def _(definition, rng):
    exact = np.array([rng.choice(30, 6, replace=False) for _ in range(8)])
    found = np.array([rng.choice(30, 6, replace=False) for _ in range(8)])
    exact[0], exact[1, 2:], found[2, 1:] = -1, -1, -1  # a query without neighbours, one with two, one that found one
    return definition(found, exact), definition(exact, exact)


def rated(rng: np.random.Generator) -> tuple[Any, Any, dict[str, tf.Tensor]]:
    """Rows of users and of films, with labels and histories, and ratings of ids known and unknown."""
    from recsys_course.models import feature_rows

    users, movies = words(rng, 60), words(rng, 60)
    labels = {word: words(rng, 2) for word in set(users + movies)}
    rows = feature_rows(users, labels, (users, movies)), feature_rows(movies, labels, (movies, users))
    stars = tf.constant(rng.integers(1, 6, 61), tf.float32)
    ids = {"user_id": tf.constant([*users, "nobody"]), "movie_id": tf.constant([*movies, "nothing"])}
    return *rows, ids | {"user_rating": stars}


def judged(network: Any, columns: dict[str, tf.Tensor]) -> Any:
    """What a network answers in training and in use, and the gradient that it would learn from."""
    with tf.GradientTape() as tape:
        answers = network(columns, training=True)
        loss = tf.reduce_mean((answers - columns["user_rating"][:, tf.newaxis]) ** 2) + sum(network.losses)
    gradients = tape.gradient(loss, network.trainable_variables)
    return answers, network(columns, training=False), [tf.convert_to_tensor(gradient) for gradient in gradients]


@twin("DenseRating")
def _(definition, rng):
    users, movies, columns = rated(rng)
    return judged(definition(users.ids, movies.ids, 4), columns)


@twin("FeatureVectors")
def _(definition, rng):
    users, _, columns = rated(rng)
    layer = definition(users, 5, l2=0.1)
    return layer(columns["user_id"]), layer.table(), layer.losses


@twin("FactorisationMachine")
def _(definition, rng):
    users, movies, columns = rated(rng)
    machine = definition(users, movies, 3.5, embedding_dim=3, members=4, l2=0.01)
    lists = {name: tf.reshape(columns[name][:60], (12, 5)) for name in ("user_id", "movie_id")}
    return judged(machine, columns), machine(lists | {"user_id": lists["user_id"][:, :1]})


@twin("CrossRating")
def _(definition, rng):
    users, movies, columns = rated(rng)
    return [
        judged(definition(users, movies, 3.5, embedding_dim=3, **options), columns)
        for options in ({}, {"dense_units": (), "dropout": 0.1, "cross_layers": 1, "l2": 0.01})
    ]


@twin("RatingModel")
def _(definition, rng):
    from recsys_course.models import FactorisationMachine

    users, movies, columns = rated(rng)
    model = definition(FactorisationMachine(users, movies, 3.5, embedding_dim=3, members=2))
    model.compile(optimizer=tf.keras.optimizers.Adam(0.01))
    history = model.fit(tf.data.Dataset.from_tensor_slices(columns).batch(16), epochs=2, verbose=0).history
    return [history[name] for name in sorted(history)], model(columns)


@twin("cross_layer")
def _(definition, rng):
    return definition(*rng.normal(size=(2, 6, 4)), rng.normal(size=(4, 4)), rng.normal(size=4))


@twin("pairwise_loss")
def _(definition, rng):
    return [definition(rng.normal(size=n, scale=300), rng.integers(1, 6, n).astype(float)) for n in (1, 2, 9)]


@twin("recalibrate")
def _(definition, rng):
    predicted, fresh = rng.normal(size=20), rng.normal(size=5)
    return [
        definition(p, rng.normal(size=20) + sign * 2 * predicted)(fresh)
        for sign in (1, -1)
        for p in (predicted, 0 * predicted)
    ]


@twin("checked_k")
def _(definition, rng):
    wanted = tf.constant(rng.integers(1, 40, 9), tf.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="k must be at least 1"):
        definition(tf.concat([wanted, [-rng.integers(3)]], axis=0), 20)
    return definition(wanted, 20)


@twin("differing_users")
def _(definition, rng):
    def lists():
        return {user: rng.choice(["a", "b"], rng.integers(1, 3)).tolist() for user in rng.permutation(30)[:20]}

    return definition(lists(), lists())


@twin("latency_percentile")
def _(definition, rng):
    latencies = rng.exponential(size=rng.integers(1, 300))
    return [definition(latencies, percent) for percent in (0.1, 7, 50, 99, 100)]


@twin("publish")
def _(definition, rng):
    told = []
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        for name in ("2", "10", "notes"):
            (base / name).mkdir()

        def write(version):
            told.append(sorted(path.name for path in base.iterdir() if path.name.isdecimal()))
            (version / "saved_model.pb").write_text(str(len(told)))

        published = [definition(base, write) for _ in range(3)]
        return told, [(path.name, (path / "saved_model.pb").read_text()) for path in published]


def log(rng: np.random.Generator) -> pd.DataFrame:
    """Who rated what and when, in any order, many at the same moment."""
    moments = rng.integers(0, 20, 60)
    return pd.DataFrame({"user_id": words(rng, 60), "movie_id": words(rng, 60), "timestamp": moments})


@twin("pad_histories")
def _(definition, rng):
    starts = rng.integers(0, 12, 9)
    ends = starts + rng.integers(0, 8, 9)
    return [definition(np.array(words(rng, 20), dtype=object), starts, ends, length) for length in (1, 4, 30)]


@twin("histories")
def _(definition, rng):
    ratings, asked = log(rng), [*words(rng, 15), "a stranger"]
    return [definition(ratings, asked, 5, before) for before in (None, 7, rng.integers(-1, 22, 16))]


@twin("HistoryTower")
def _(definition, rng):
    films = np.array(words(rng, 40) + ["", "", "never seen", ""], dtype=object).reshape(11, 4)
    return [
        definition(words(rng, 20), 6, **options)({"history": tf.constant(films)})
        for options in ({}, {"decays": (0.5,)}, {"decays": (0.0, 1.0, 2.0)})
    ]


@twin("context_columns")
def _(definition, rng):
    columns = definition(rng.integers(0, 2e9, 30))
    return [columns[name] for name in ("hour", "weekday", "month")]


@twin("SumTower")
def _(definition, rng):
    from recsys_course.models import IdTower

    columns = {name: tf.constant(words(rng, 9)) for name in ("hour", "weekday")}
    return definition([IdTower(name, words(rng, 20), 4) for name in columns])(columns)


@twin("YearTower")
def _(definition, rng):
    titles = [f"{word} ({year})" for word, year in zip(words(rng, 20), rng.integers(1950, 1960, 20), strict=True)]
    return definition(titles[:12], 3)({"movie_title": tf.constant([*titles, "no year", "(1950) first"])})


@twin("find_film")
def _(definition, rng):
    titles = ["Lion King, The (1994)", "Alien (1979)", "Aliens (1986)", "It's a Wonderful Life (1946)", *words(rng, 5)]
    typed = ["lion king", "aliens", " ALIEN (1979)", "its a wonderfull life", "", "qzx", *words(rng, 3)]
    return [str(definition(text, titles)) for text in typed]


def test_whatever_claims_to_be_built_in_a_chapter_is_compared_with_it():
    claimed = {name for name, value in public().items() if chapter_of(value)}
    assert claimed == set(USES), "give each its use above"


def test_whatever_a_chapter_builds_says_so():
    silent = [
        f"{name}: its docstring should say 'Built in chapter {chapter.number}'"
        for chapter in PROJECT.chapters
        for name in definitions(chapter.number)
        if name in public() and chapter_of(public()[name]) != chapter.number
    ]
    assert silent == []


@pytest.mark.parametrize("name", USES)
def test_both_give_the_same(name):
    inline, use = USES[name]
    packaged = public()[name]
    number = chapter_of(packaged)
    assert inline in definitions(number), f"chapter {number} does not define {inline}"
    taught = namespace(number)[inline]
    assert taught is not packaged
    for seed in range(3):
        results = []
        for definition in (taught, packaged):
            tf.keras.backend.clear_session()
            tf.keras.utils.set_random_seed(seed)
            results.append(use(definition, np.random.default_rng(seed)))
        assert_same(*results)


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    elif np.asarray(one).dtype.kind == "f":
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    else:
        np.testing.assert_array_equal(one, other)


def test_a_twin_that_drifts_is_noticed():
    _, use = USES["should_stop"]
    drifted = lambda history: len(history) - 1 - int(np.argmax(history)) >= 4  # noqa: E731
    with pytest.raises(AssertionError):
        assert_same(use(drifted, np.random.default_rng(0)), use(public()["should_stop"], np.random.default_rng(0)))
