"""The models folder as it changes: versions are loaded beside the one that answers, swapped, rolled back.

```
models/retrieval/1/     loaded, kept for `/versions/1` and for going back at once
models/retrieval/2/     loaded, answers
models/retrieval/.tmp-x/   no number: passed by
```

The highest version that can be loaded answers; the one below it stays in memory too. Whoever has begun to use a version
keeps it until the answer is out, even if its folder has gone meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from recsys_course.serving.server.batching import Batcher
from recsys_course.serving.server.errors import Code, RequestError
from recsys_course.serving.server.metrics import Metrics
from recsys_course.serving.server.servable import CannotLoad, Servable
from recsys_course.serving.server.settings import Settings

KEEP = 2  # versions of a model in memory: the one that answers, and the one to go back to
log = logging.getLogger(__name__)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
Files = tuple[tuple[str, int, int], ...]


class State(IntEnum):
    """Of a version; names and numbers are TensorFlow Serving's."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    END = 50


@dataclass(eq=False)
class Version:
    """One version of a model.

    Attributes:
        number: as its folder is called.
        state: whether it answers.
        error: why it does not, once loading it has failed.
        loaded: what answers, while it is available.
        batchers: for each signature, what runs it.
    """

    number: int
    state: State = State.START
    error: str = ""
    loaded: Servable | None = None
    batchers: dict[str, Batcher] = field(default_factory=dict)
    _files: Files = ()  # what the folder held when it was last looked at

    @property
    def servable(self) -> Servable:
        """What answers; of an available version only."""
        assert self.loaded is not None, f"version {self.number} is {self.state.name}"
        return self.loaded


class Repository:
    """All models and their versions.

    Everything runs on one event loop except the loading itself, so a request sees a version whole or not at all.

    Attributes:
        models: the versions of each model by number.
        looked: whether everything that was there at the start has been loaded, or has failed.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self.models: dict[str, dict[int, Version]] = {}
        self.looked = False

    @property
    def ready(self) -> bool:
        """Whether the first look is over and some model answers."""
        return self.looked and any(self._answering(name) for name in self.models)

    def versions(self, name: str, number: int | None = None) -> list[Version]:
        """The versions of a model, newest first, or just the one asked for. Raises a not-found error for none."""
        known = self.models.get(name, {})
        found = [known[key] for key in sorted(known, reverse=True) if number in (None, key)]
        if not found:
            which = f"version {number}" if number is not None and known else "any versions"
            raise RequestError(Code.NOT_FOUND, f"Could not find {which} of model {name}")
        return found

    def find(self, name: str, number: int | None = None) -> Version:
        """The version that answers: the highest there is, or the one asked for.

        Raises:
            RequestError: there is none (not found), or not yet (unavailable).
        """
        version = self._answering(name, number)
        if version is None:
            wanted = f"Latest({name})" if number is None else f"Specific({name}, {number})"
            coming = not self.looked or any(
                it.state < State.AVAILABLE for it in self.models.get(name, {}).values() if number in (None, it.number)
            )
            if coming and (name in self.models or not self.looked):
                raise RequestError(Code.UNAVAILABLE, f"Servable is still being loaded: {wanted}")
            raise RequestError(Code.NOT_FOUND, f"Servable not found for request: {wanted}")
        return version

    def _answering(self, name: str, number: int | None = None) -> Version | None:
        known = self.models.get(name, {})
        available = [key for key, it in known.items() if it.state == State.AVAILABLE and number in (None, key)]
        return known[max(available)] if available else None

    async def watch(self) -> None:
        """Follow the models folder until cancelled."""
        while True:
            try:
                await self.look()
            except FileNotFoundError:  # a folder went away while it was read; the next look sees what is there
                pass
            except Exception:  # what answers goes on answering
                log.exception("cannot follow %s", self._settings.models)
            self.looked = True
            await asyncio.sleep(self._settings.poll)

    async def look(self) -> None:
        """Bring memory in line with the folder, once."""
        found = await asyncio.to_thread(_scan, self._settings.models)
        for name in sorted(found.keys() | self.models.keys()):
            await self._follow(name, found.get(name, {}))

    async def _follow(self, name: str, found: dict[int, Files]) -> None:
        known = self.models.setdefault(name, {})
        wanted = set()
        for number in sorted(found, reverse=True):
            version = known.setdefault(number, Version(number))
            if version.state != State.AVAILABLE:
                await self._try(name, version, found[number])
            if version.state == State.AVAILABLE:
                wanted.add(number)
            if len(wanted) == KEEP:
                break
        # Only now, when what comes after it answers, does a version go.
        for version in list(known.values()):
            available = version.state == State.AVAILABLE
            if version.number not in (wanted if available else found):
                del known[version.number]
                if available:
                    self._metrics.available.remove(name, str(version.number))
                    log.info("%s/%d is no longer served", name, version.number)
        if not known:
            del self.models[name]

    async def _try(self, name: str, version: Version, files: Files) -> None:
        """Load a version, unless it is still being written or is as broken as it was."""
        settled = files == version._files
        version._files = files
        if not settled:
            version.state, version.error = State.START, ""
            if self.looked:
                return
        elif version.state == State.END:
            return
        version.state, started = State.LOADING, time.monotonic()
        folder = self._settings.models / name / str(version.number)
        try:
            servable = await asyncio.to_thread(Servable, folder)
            if _files(folder) != files:
                raise CannotLoad("its files changed while it was loaded; it is tried again once they stand still")
        except (CannotLoad, OSError) as error:
            version.state, version.error = State.END, str(error)
            self._metrics.broken.labels(name).inc()
            log.warning("%s/%d is broken and is not served: %s", name, version.number, error)
            return
        version.loaded = servable
        version.batchers = {
            key: Batcher(signature, self._settings.max_batch_rows, self._metrics)
            for key, signature in servable.signatures.items()
        }
        version.state, version.error = State.AVAILABLE, ""
        seconds = time.monotonic() - started
        self._metrics.available.labels(name, str(version.number)).set(1)
        self._metrics.load_seconds.observe(seconds)
        log.info("%s/%d answers (loaded in %.1f s)", name, version.number, seconds)


def _scan(models: Path) -> dict[str, dict[int, Files]]:
    """The version folders of each model with what is in them."""
    found = {}
    for model in models.iterdir() if models.is_dir() else ():
        if model.is_dir() and not model.name.startswith("."):
            numbers = [path for path in model.iterdir() if _NUMBER.fullmatch(path.name) and path.is_dir()]
            found[model.name] = {int(path.name): _files(path) for path in numbers}
    return {name: versions for name, versions in found.items() if versions}


def _files(folder: Path) -> Files:
    """Names, sizes and times of a folder's files. Two looks that agree mean that nobody is writing to it."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        found.append((path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns))
    return tuple(found)
