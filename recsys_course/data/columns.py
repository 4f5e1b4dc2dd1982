"""The decoded dataset as columns: parsed once, kept as parquet beside TFDS' data, loaded in a fraction of a second.

Loading from a valid cache touches neither TensorFlow nor TFDS.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_course.data import decoding
from recsys_course.data.integrity import Damaged, check, fingerprint, publish, seal, workshop
from recsys_course.data.interactions import id_ranks, sorted_ids
from recsys_course.data.names import dataset_name, own_folder, prepared_folder
from recsys_course.data.preparation import prepare

# Raise it when the columns or their order change: caches of other numbers are then no longer read.
SCHEMA = 1

_IDS = ("user_id", "movie_id")
_NUMBERS = ("user_rating", "timestamp", "raw_user_age", "bucketized_user_age", "user_gender")
_TEXTS = ("user_occupation_text", "user_zip_code")
_ORDER = _IDS + _NUMBERS + _TEXTS


def load_ratings(name: str | None = None) -> pd.DataFrame:
    """All ratings of a dataset; prepares it first where that is still to do.

    Rows stand in a canonical order that depends on no machine and no source: by user, then time stamp, then movie; ids
    compare as integers where all are whole numbers, else as text. Categories are the ids that occur, in that order.

    Args:
      name: see `dataset_name`.

    Returns:
      One row a rating: ``user_id`` and ``movie_id`` (category of str), ``user_rating`` (float32, stars), ``timestamp``
      (int64, seconds since 1970, UTC). In 100k and 1m also ``bucketized_user_age`` (float32, years),
      ``user_gender`` (bool, True for male, as TFDS has it), ``user_occupation_text`` and ``user_zip_code`` (category of
      str); in 100k also ``raw_user_age`` (float32, years).

    Raises:
      ValueError, DatasetError: as `ensure_dataset`.
    """
    table = _cached(dataset_name(name), "ratings", _decode_ratings)
    columns = {}
    for column in table.column_names:
        values = table[column]
        if column in _IDS and pa.types.is_integer(values.type):
            columns[column] = _categories_of_integers(values.to_numpy())
        elif column in _IDS + _TEXTS:
            text = values.to_pandas()
            order = sorted_ids(text.cat.categories) if column in _IDS else sorted(text.cat.categories)
            columns[column] = text.cat.reorder_categories(order)
        else:
            columns[column] = values.to_numpy()
    return pd.DataFrame(columns)


def load_movies(name: str | None = None) -> pd.DataFrame:
    """The catalogue of a dataset: every movie once, rated or not, in the order of the ids that `load_ratings` has.

    Args:
      name: see `dataset_name`.

    Returns:
      ``movie_id`` (str), ``movie_title`` (str, with the year in brackets as MovieLens has it; not unique),
      ``movie_genres`` (tuple of genre names, possibly the single ``(no genres listed)``).

    Raises:
      ValueError, DatasetError: as `ensure_dataset`.
    """
    table = _cached(dataset_name(name), "movies", _decode_movies)
    return pd.DataFrame(
        {
            # Caches of earlier versions hold integers.
            "movie_id": [str(movie_id) for movie_id in table["movie_id"].to_pylist()],
            "movie_title": table["movie_title"].to_pylist(),
            "movie_genres": [tuple(genres) for genres in table["movie_genres"].to_pylist()],
        }
    )


def _cached(name: str, kind: str, decode: Callable[[Path], pa.Table]) -> pa.Table:
    prepared = prepare(name)
    source = prepared_folder(prepared.data_dir, name, kind)
    of = fingerprint(source)
    folder = own_folder(prepared.data_dir) / f"columns-{SCHEMA}" / f"{name}-{kind}"
    try:
        return _read(folder, of)
    except (Damaged, OSError, pa.ArrowException):
        pass
    with workshop(prepared.data_dir) as work:
        try:
            return _read(folder, of)  # another process has just made it
        except (Damaged, OSError, pa.ArrowException):
            table = decode(source)
            fresh = work / "columns"
            fresh.mkdir()
            # A dictionary of ids of text, however large, stays one: pandas then reads codes and not a text a row.
            file = fresh / "table.parquet"
            pq.write_table(table, file, compression="zstd", dictionary_pagesize_limit=1 << 28)
            seal(fresh, of=of)
            publish(fresh, folder, work)
            return table


def _read(folder: Path, of: str) -> pa.Table:
    if check(folder)["of"] != of:
        raise Damaged(f"{folder} was made from another preparation of the dataset")
    return pq.read_table(folder / "table.parquet")


def _decode_ratings(folder: Path) -> pa.Table:
    parts: dict[str, list[np.ndarray]] = {}
    codes: dict[str, dict[bytes, int]] = {name: {} for name in _IDS + _TEXTS}
    for batch in decoding.read_batches(folder, _ORDER):
        for name, values in batch.items():
            if name in codes:
                known = codes[name]
                values = np.fromiter((known.setdefault(text, len(known)) for text in values), np.int32, len(values))
            parts.setdefault(name, []).append(values)
    columns = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
    texts = {name: np.array([text.decode("utf-8") for text in known], dtype=object) for name, known in codes.items()}
    user, movie = (id_ranks(pd.Series(texts[name], dtype=object))[columns[name]] for name in _IDS)
    order = np.lexsort((movie, columns["timestamp"], user))
    arrays = {}
    for name in list(columns):
        values = columns.pop(name)[order]
        if name in _IDS and _are_small_integers(texts[name]):
            arrays[name] = pa.array(texts[name].astype(np.int32)[values])
        elif name in codes:
            arrays[name] = pa.DictionaryArray.from_arrays(pa.array(values), pa.array(texts[name], pa.string()))
        else:
            arrays[name] = pa.array(values)
    return pa.table(arrays)


def _decode_movies(folder: Path) -> pa.Table:
    names = decoding.genre_names(folder)
    rows = {}
    for batch in decoding.read_batches(folder, ("movie_id", "movie_title", "movie_genres")):
        for movie_id, title, genres in zip(*batch.values(), strict=True):
            rows[movie_id.decode("utf-8")] = title.decode("utf-8"), [names[genre] for genre in genres]
    ids = sorted_ids(rows)
    titles, genres = zip(*(rows[movie_id] for movie_id in ids), strict=True)
    return pa.table(
        {
            "movie_id": pa.array(ids, pa.string()),
            "movie_title": pa.array(titles, pa.string()),
            "movie_genres": pa.array(genres, pa.list_(pa.string())),
        }
    )


def _are_small_integers(ids: np.ndarray) -> bool:
    """Whether ids are what MovieLens has: whole numbers, without leading zeros, small enough to count up to."""
    return all(re.fullmatch(r"0|[1-9][0-9]{0,6}", text) for text in ids)


def _categories_of_integers(values: np.ndarray) -> pd.Categorical:
    """The categorical of str(values), categories in the integers' order, without sorting millions of rows."""
    present = np.flatnonzero(np.bincount(values))
    code_of = np.zeros(present[-1] + 1, dtype=np.int32)
    code_of[present] = np.arange(len(present), dtype=np.int32)
    return pd.Categorical.from_codes(code_of[values], categories=present.astype(str).astype(object))
