"""The site: executed notebooks become Material pages, and MkDocs makes the rest of it.

A page shows what a run really printed. Where this machine has run a chapter, its own run is shown; else the run that
the author committed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import nbformat
from filelock import FileLock
from nbformat import NotebookNode

from recsys_course.authoring.links import dead_links
from recsys_course.authoring.outputs import inline_svg
from recsys_course.authoring.project import Chapter, CourseError, Project, find_project
from recsys_course.authoring.rendering import Page, render_notebook

DIAGRAMS = Path(__file__).parents[1] / "diagrams"
RESULTS_ENTRY = re.compile(r"\s*- (?:.*: )?(results/\S+\.md)\s*")  # in the navigation

WriteFilms = Callable[[Path], dict[str, float]]  # writes films.js; hit rates at 100 of lists made from liked films


def write_chapters(project: Project, folder: Path) -> None:
    """Write every chapter's page, pictures and notebook, and what the home page shows of them, into a new folder.

    Raises:
        CourseError: A chapter has no run that could be shown; it names the chapter and the command that helps.
    """
    folder.mkdir(parents=True)
    pages: dict[Chapter, Page] = {}
    for chapter in project.chapters:
        try:
            page = render_notebook(_shown_run(chapter), chapter.stem, _buttons(project, chapter))
        except (OSError, ValueError) as error:
            raise CourseError(
                f"chapter {chapter.stem} cannot be shown: {error}. Try again after `course run {chapter.number}`"
            ) from error
        shutil.copyfile(chapter.notebook, folder / chapter.notebook.name)
        (folder / f"{chapter.stem}.md").write_text(page.markdown, encoding="utf-8")
        (folder / chapter.stem).mkdir()
        for number, picture in enumerate(page.pictures, start=1):
            (folder / chapter.stem / f"figure-{number}.png").write_bytes(picture)
        pages[chapter] = page
    snippets = folder / ".snippets"  # MkDocs makes no pages of what a dot hides
    snippets.mkdir()
    for name, text in (_snippets(project, pages) | _drawings()).items():
        (snippets / name).write_text(text + "\n", encoding="utf-8")


def _buttons(project: Project, chapter: Chapter) -> str:
    name = chapter.notebook.name
    return (
        f'[Open in Colab]({project.colab_url(chapter)}){{ .md-button .md-button--primary target="_blank" }} '
        f'[Download notebook]({name}){{ .md-button download="{name}" }}'
    )


def _snippets(project: Project, pages: dict[Chapter, Page]) -> dict[str, str]:
    """What hand-written pages include: everything about the chapters that would go stale if it were typed there."""
    recommendations = [page.recommendations for page in pages.values() if page.recommendations]
    if not recommendations:
        raise CourseError("no chapter has a cell tagged 'recommendations' with an output: the home page shows it")
    cards = []
    for chapter, page in pages.items():
        title = page.markdown.partition("\n")[0].removeprefix("# ")
        card = f"**[{title}](chapters/{chapter.stem}.md)**\n\n{page.promise}\n\n*{page.effort}*{{ .effort }}"
        cards.append("-   " + textwrap.indent(card, "    ").lstrip())
    first = next(iter(pages))
    reading = sum(page.reading_minutes for page in pages.values())
    solving = [minutes for page in pages.values() for minutes in page.exercise_minutes]
    address = f"https://github.com/{project.repository}"
    clone = f"``` bash\ngit clone {address}\ncd {project.repository.split('/')[1]}\nmake course\n```"
    start = f"""{clone}

[Read chapter {first.number}](chapters/{first.stem}.md){{ .md-button .md-button--primary }}
[Open it in Colab]({project.colab_url(first)}){{ .md-button target="_blank" }}

*{len(pages)} chapters · {_hours(reading)} to read · {len(solving)} exercises, {_hours(sum(solving))} \
· a laptop without a graphics card*{{ .effort }}"""
    return {
        "recommendations.md": recommendations[-1],
        "chapters.md": "\n\n".join(cards),
        "clone.md": clone,
        "start.md": start,
    }


def _hit_rates(measured: dict[str, float]) -> str:
    if not measured:
        return (
            "How good such lists are cannot be said: no user of this dataset has five liked films and a held-out one."
        )
    return (
        f"What is that worth? For users of whom the model is told no more than five films that they liked, the hundred "
        f"films at the top hold **{measured['five liked films']:.1%}** of what else they chose in the test split. The "
        f"hundred most popular films hold {measured['most popular']:.1%}, and by affinity with the mean of the five "
        f"embeddings, with nothing taken off, it would be {measured['mean embedding']:.1%} (hit rate at 100, seen "
        "films out; measured when this site was built)."
    )


def _drawings() -> dict[str, str]:
    return {path.name: inline_svg(path.read_text(encoding="utf-8")) for path in DIAGRAMS.glob("*.svg")}


def _hours(minutes: int) -> str:
    """A length of time to the nearest half hour, or minutes where it is shorter than one."""
    halves = round(minutes / 30)
    if halves < 2:
        return f"{minutes} minutes"
    return f"{halves // 2}{' ½' if halves % 2 else ''} hour{'s' if halves > 2 else ''}"


def _shown_run(chapter: Chapter) -> NotebookNode:
    """This machine's run where it is a run of what the author committed, else the committed one."""
    committed = nbformat.read(chapter.solution, as_version=4)
    if not chapter.run.is_file():
        return committed
    own = nbformat.read(chapter.run, as_version=4)
    same = [cell.source for cell in own.cells] == [cell.source for cell in committed.cells]
    return own if same else committed


def build_site(root: Path, write_films: WriteFilms) -> Path:
    """Render the chapters and build the whole site; the old one stays until the new one is complete.

    Args:
        root: The checkout.
        write_films: Writes the film embeddings that a page computes with, as ``serving.browser.write_films`` does.

    Returns:
        The folder ``site``; open its ``index.html``.

    Raises:
        CourseError: A chapter cannot be shown; MkDocs found something wrong (it carries MkDocs' own words); or a link,
            an anchor or a picture leads nowhere.
    """
    project = find_project(root)
    project.state.mkdir(exist_ok=True)
    site = project.root / "site"
    with (
        FileLock(project.state / "site.lock"),
        tempfile.TemporaryDirectory(dir=project.state, prefix="site-", ignore_cleanup_errors=True) as scratch,
    ):
        chapters, built = Path(scratch, "chapters"), Path(scratch, "site")
        write_chapters(project, chapters)
        measured = _hit_rates(write_films(chapters / "films.js"))
        (chapters / ".snippets" / "from_liked.md").write_text(measured + "\n", encoding="utf-8")
        _replace(chapters, project.root / "docs" / "chapters")
        _mkdocs(project.root, built)
        if dead := dead_links(built):
            raise CourseError("the site was not replaced, because the new one has dead links:\n" + "\n".join(dead))
        _replace(built, site)
    return site


def _mkdocs(root: Path, target: Path) -> None:
    # Not --quiet: MkDocs would then not count the warnings that --strict is there for.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", "-", "--site-dir", str(target)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command,
        cwd=root,
        env=environment,
        input=_configuration(root),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        raise CourseError(f"the site could not be built; MkDocs says:\n{(done.stderr + done.stdout).strip()}")


def _configuration(root: Path) -> str:
    """The text of mkdocs.yml; its navigation without pages of results that have not been measured, as MkDocs would
    take them for mistakes."""
    lines = (root / "mkdocs.yml").read_text(encoding="utf-8").splitlines()
    entries = [RESULTS_ENTRY.fullmatch(line) for line in lines]
    kept = [entry is None or (root / "docs" / entry[1]).is_file() for entry in entries]
    return "\n".join(line for line, is_kept in zip(lines, kept, strict=True) if is_kept) + "\n"


def _replace(new: Path, old: Path) -> None:
    """Put a finished folder in the place of another; what stood there is gone only when the new one is complete."""
    retired = new.with_name(new.name + "-before")
    with contextlib.suppress(FileNotFoundError):
        old.replace(retired)
    new.replace(old)
    shutil.rmtree(retired, ignore_errors=True)
