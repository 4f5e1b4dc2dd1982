"""How far a run is: a bar that moves on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from recsys_course.authoring.project import Chapter


class Display:
    """A ``run.Watcher`` for people. Used in a ``with`` block."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.fields[chapter]:<18}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._section: tuple[str, str] | None = None
        self._started = 0.0

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def reused(self, chapter: Chapter, seconds: float) -> None:
        """An earlier run of the chapter is still valid; it took so long."""
        self._say(f"{chapter.stem:<18} still valid (its run took {seconds:.0f} s)")

    def cell(self, chapter: Chapter, number: int, total: int, about: str) -> None:
        """Cell ``number`` of ``total`` starts; ``about`` is the heading above it."""
        if self._section is None or self._section[0] != chapter.stem:
            self._started = time.monotonic()
            self._task = self._bar.add_task("", total=total, chapter=chapter.stem)
        if self._task is not None:
            self._bar.update(self._task, completed=number - 1, description=about)
        if self._section != (chapter.stem, about) and not self._console.is_terminal:
            seconds = time.monotonic() - self._started
            self._say(f"{chapter.stem:<18} cell {number:>3}/{total}  {seconds:5.1f} s  {about}")
        self._section = (chapter.stem, about)

    def finished(self, chapter: Chapter, total: int, seconds: float) -> None:
        """All cells have run."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._section = None
        self._say(f"{chapter.stem:<18} {total} cells in {seconds:.1f} s")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
