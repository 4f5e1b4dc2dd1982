"""Where the course lives: its root, its chapters, and the addresses that its links are made from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


class CourseError(Exception):
    """Something a reader or an author can put right. The message says what was expected, what came, and what to do."""


class UsageError(CourseError):
    """A name that does not exist, or a command given in the wrong place."""


@dataclass(frozen=True)
class Chapter:
    """One chapter's files. Only ``source`` is edited by hand."""

    root: Path
    stem: str  # "03_retrieval"

    @property
    def number(self) -> int:
        """The number in front of the name."""
        return int(self.stem.split("_")[0])

    @property
    def source(self) -> Path:
        """The author's script."""
        return self.root / "solutions" / f"{self.stem}.py"

    @property
    def solution(self) -> Path:
        """The executed notebook whose outputs are the reference."""
        return self.root / "solutions" / f"{self.stem}.ipynb"

    @property
    def script(self) -> Path:
        """The learner's script."""
        return self.root / "chapters" / f"{self.stem}.py"

    @property
    def notebook(self) -> Path:
        """The learner's notebook."""
        return self.root / "chapters" / f"{self.stem}.ipynb"

    @property
    def run(self) -> Path:
        """This machine's own run of the solution."""
        return self.root / ".course" / "notebooks" / f"{self.stem}.ipynb"


@dataclass(frozen=True)
class Project:
    """A checkout of the course."""

    root: Path
    repository: str  # "owner/name" on GitHub
    branch: str

    @property
    def state(self) -> Path:
        """What the commands keep between calls; never committed."""
        return self.root / ".course"

    @property
    def kept(self) -> Path:
        """Copies of a learner's files from before a command changed them; never committed, never removed."""
        return self.root / "kept"

    @property
    def chapters(self) -> list[Chapter]:
        """Every chapter with a source, by number."""
        return [Chapter(self.root, path.stem) for path in sorted(self.root.glob("solutions/[0-9][0-9]_*.py"))]

    def chapter(self, number: str | int) -> Chapter:
        """The chapter with this number; UsageError lists the valid ones."""
        for chapter in self.chapters:
            if str(number).strip().lstrip("0") == str(chapter.number) or number == chapter.stem:
                return chapter
        have = ", ".join(f"{chapter.number} ({chapter.stem[3:]})" for chapter in self.chapters) or "none yet"
        raise UsageError(f"there is no chapter {number}; chapters: {have}")

    def selected(self, numbers: list[str] | None) -> list[Chapter]:
        """The chapters with these numbers, or all of them."""
        return [self.chapter(number) for number in numbers] if numbers else self.chapters

    @property
    def package_url(self) -> str:
        """What pip installs the course's package from, outside a checkout."""
        return f"https://github.com/{self.repository}/archive/refs/heads/{self.branch}.zip"

    def colab_url(self, chapter: Chapter) -> str:
        """Opens the learner's notebook in Colab."""
        path = chapter.notebook.relative_to(self.root).as_posix()
        return f"https://colab.research.google.com/github/{self.repository}/blob/{self.branch}/{path}"

    def download_url(self, chapter: Chapter) -> str:
        """The learner's notebook as a file."""
        path = chapter.notebook.relative_to(self.root).as_posix()
        return f"https://raw.githubusercontent.com/{self.repository}/{self.branch}/{path}"


def find_project(start: Path | None = None) -> Project:
    """The course around a folder: the nearest parent whose pyproject.toml has a table ``[tool.recsys_course]``.

    Args:
        start: A folder in the checkout; the current one by default.

    Raises:
        UsageError: There is no such parent.
        CourseError: The table lacks ``repository`` (as "owner/name") or ``branch``.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if not path.is_file():
            continue
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("recsys_course")
        if table is None:
            continue
        repository, branch = table.get("repository", ""), table.get("branch", "")
        if repository.count("/") != 1 or not branch:
            raise CourseError(
                f'{path}: [tool.recsys_course] needs repository = "owner/name" and branch, '
                f"got repository = {repository!r}, branch = {branch!r}"
            )
        return Project(folder, repository, branch)
    raise UsageError(f"{start} is not inside the course: change into the folder that you cloned, then try again")
