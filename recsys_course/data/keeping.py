"""What took long to learn, kept on this machine under a fingerprint of everything that it follows from."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType

import numpy as np
import pandas as pd

from recsys_course.data.names import data_dir, own_folder

_LEARNED_FROM = ["user_id", "movie_id", "user_rating", "timestamp"]


class Kept:
    """A file of arrays, beside the prepared data, that is found again only if nothing has changed.

    Args:
        name: begins the file's name.
        settings: whatever else decides the result: recipe, versions. Anything that JSON can hold.
        modules: their source code counts.
        ratings, movies: their content counts.
    """

    def __init__(
        self,
        name: str,
        settings: object,
        modules: Iterable[ModuleType],
        ratings: pd.DataFrame,
        movies: pd.DataFrame,
    ) -> None:
        parts = [json.dumps(settings), np.__version__, *map(inspect.getsource, modules)]
        for frame in (ratings[_LEARNED_FROM], movies.astype(str)):
            parts.append(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes().hex())
        fingerprint = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        self.path = own_folder(data_dir()) / "trained" / f"{name}-{fingerprint}.npz"

    def read(self) -> dict[str, np.ndarray]:
        """What `write` has kept; nothing where there is no such file, or only a damaged one."""
        try:
            with np.load(self.path, allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
            return {}

    def keep(self, arrays: Mapping[str, np.ndarray], say: Callable[[str], None]) -> None:
        """Writes the arrays. Where the disk refuses, that is said and no more: what was learned is still at hand."""
        try:
            self.write(arrays)
        except OSError as error:
            say(f"the weights could not be kept ({error.strerror or error}), so the next time trains again")

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keeps the arrays, all or none. Raises OSError where the disk refuses."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=self.path.parent, suffix=".npz")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # no array of ours is named like NumPy's option
            os.replace(unfinished, self.path)
        except BaseException:
            os.unlink(unfinished)
            raise
