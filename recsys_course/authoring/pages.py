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
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from filelock import FileLock
from nbformat import NotebookNode

from recsys_course.authoring.notebooks import BEGIN, END, EXERCISE_HEADING, STUB, strip_solution
from recsys_course.authoring.outputs import inline_svg, outputs_to_html
from recsys_course.authoring.project import Chapter, CourseError, Project, find_project

DIAGRAMS = Path(__file__).parents[1] / "diagrams"
WORDS_A_MINUTE = 200
LINES_OF_CODE_A_MINUTE = 15

DETAILS = re.compile(
    r"^(?P<indent> *)<details>\s*<summary>(?P<title>.*?)</summary>(?P<body>.*?)</details>", re.MULTILINE | re.DOTALL
)
CARD = re.compile(r"^\*(?P<kind>[a-z ]+) · difficulty (?P<difficulty>\d) of 5 · (?P<minutes>\d+) minutes\*\s*$", re.M)
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
FENCE = re.compile(r"^ *(`{3,}|~{3,})")
LIST_ITEM = re.compile(r"^ *(?:[-*+]|\d+\.) ")


@dataclass
class Page:
    """One chapter as the site shows it."""

    markdown: str = ""
    promise: str = ""
    recommendations: str = ""
    pictures: list[bytes] = field(default_factory=list)
    exercise_minutes: list[int] = field(default_factory=list)
    reading_minutes: int = 0

    @property
    def effort(self) -> str:
        """Reading time, and the exercises' own time beside it."""
        effort = f"{self.reading_minutes} minutes to read"
        if self.exercise_minutes:
            effort += f" · {len(self.exercise_minutes)} exercises, {sum(self.exercise_minutes)} minutes"
        return effort


def render_notebook(notebook: NotebookNode, folder: str, buttons: str = "") -> Page:
    """Turn an executed solution notebook into a page.

    Args:
        notebook: The notebook with its outputs.
        folder: Address of the folder that will hold the page's pictures, as seen from the page.
        buttons: A line of Markdown to stand below the title.

    Returns:
        The page. ``pictures[0]`` belongs into ``folder`` as ``figure-1.png``, and so on.

    Raises:
        ValueError: The notebook has not been run, or a cell failed.
    """
    page = Page()
    if not any(cell.get("execution_count") for cell in notebook.cells if cell.cell_type == "code"):
        raise ValueError("the notebook holds no outputs, because it was never run")

    def save_picture(content: bytes) -> str:
        page.pictures.append(content)
        return f"{folder}/figure-{len(page.pictures)}.png"

    parts: list[str] = []
    heading, exercise = "", ""
    words, lines = 0, 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            if found := HEADING.findall(cell.source):
                heading = re.sub(r"[`*$\\]", "", found[-1])
            if number := EXERCISE_HEADING.findall(cell.source):
                exercise = number[-1][0]
            page.exercise_minutes += [int(card["minutes"]) for card in CARD.finditer(cell.source)]
            words += len(cell.source.split())
            parts.append(to_python_markdown(cell.source))
        elif cell.cell_type == "code" and cell.source.strip():
            tags = cell.metadata.get("tags", [])
            parts.append(_code(cell.source, tags, exercise))
            parts.append(outputs_to_html(cell.outputs, heading, save_picture))
            lines += 0 if "setup" in tags else len(cell.source.splitlines())
            if "recommendations" in tags:
                page.recommendations = parts[-1]
    page.reading_minutes = max(1, round(words / WORDS_A_MINUTE + lines / LINES_OF_CODE_A_MINUTE))
    text = "\n\n".join(part for part in parts if part)
    title, _, rest = text.partition("\n")
    if not title.startswith("# "):
        raise ValueError(f"the first line of the first cell should be the title, '# ...', got {title[:60]!r}")
    page.promise = next((part.strip() for part in rest.split("\n\n") if part.strip()), "")
    page.markdown = f"{title}\n\n{buttons}\n\n*{page.effort}*{{ .effort }}\n{rest}\n"
    return page


def _code(source: str, tags: list[str], exercise: str) -> str:
    """A code cell; an exercise shows what the learner gets, with the answer folded below it."""
    if "setup" in tags:
        return _fold("abstract", "Set-up", _fence(source))
    if "check" in tags:
        return _fence(source, "check")
    stub = strip_solution(source, exercise)
    if stub == source:
        return _fence(source)
    return _fence(stub, "exercise") + "\n\n" + _fold("success", "Solution", _fence(solution_code(source)))


def solution_code(source: str) -> str:
    """An exercise cell with its answer, without the marks that the author set around it."""
    kept, in_stub = [], False
    for line in source.split("\n"):
        mark = line.strip()
        in_stub = mark == STUB or (in_stub and mark != END)
        if not in_stub and mark not in {BEGIN, END}:
            kept.append(line)
    return "\n".join(kept)


def _fence(source: str, kind: str = "") -> str:
    longest = max((len(run) for run in re.findall("`+", source)), default=0)
    fence = "`" * max(3, longest + 1)
    language = f"{{ .python .{kind} }}" if kind else "python"
    return f"{fence} {language}\n{source.strip()}\n{fence}"


def _fold(kind: str, title: str, body: str, indent: str = "") -> str:
    """A closed Material admonition."""
    title = re.sub(r"<[^>]+>", "", title).strip().replace('"', "&quot;")
    return textwrap.indent(f'??? {kind} "{title}"\n\n', indent) + textwrap.indent(body, indent + "    ")


def to_python_markdown(text: str) -> str:
    """Say in Python-Markdown's dialect what a notebook's cell says in Jupyter's.

    Folds become admonitions; links to other notebooks become links to their pages; a list needs a blank line above it,
    and what belongs to an item must be indented by four.
    """
    text = DETAILS.sub(_fold_details, text)
    text = CARD.sub(lambda card: card[0].strip() + "{ .card }", text)
    text = re.sub(r"\]\((?:\./)?(\d\d_\w+)\.ipynb", r"](\1.md", text)
    return "\n".join(_lists(text.split("\n")))


def _fold_details(found: re.Match[str]) -> str:
    title, indent = found["title"], found["indent"]
    kind = "tip" if title.strip().lower().startswith("hint") else "question"
    return _fold(kind, title, textwrap.dedent(found["body"]).strip("\n"), indent)


def _lists(lines: list[str]) -> Iterator[str]:
    fence, shift, in_list, previous = "", 0, False, ""
    for line in lines:
        width = len(line) - len(line.lstrip())
        if fence:
            yield " " * shift + line if line.strip() else line
            if line.strip().startswith(fence):
                fence = ""
            continue
        if LIST_ITEM.match(line):
            if width == 0 and previous.strip() and not LIST_ITEM.match(previous) and not previous.startswith(" "):
                yield ""
            in_list = True
        elif line.strip() and width == 0:
            in_list = False
        shift = -width % 4 if in_list else 0
        if opened := FENCE.match(line):
            fence = opened[1]
        yield " " * shift + line if line.strip() else line
        previous = line


def write_chapters(project: Project, folder: Path) -> None:
    """Write every chapter's page, pictures and notebook, and what the home page shows of them, into a new folder.

    Raises:
        CourseError: A chapter has no run that could be shown; it names the chapter and the command that helps.
    """
    snippets = folder / ".snippets"  # MkDocs makes no pages of what a dot hides
    snippets.mkdir(parents=True)
    cards, recommendations = [], ""
    for chapter in project.chapters:
        notebook = folder / f"{chapter.stem}.ipynb"
        buttons = (
            f'[Open in Colab]({project.colab_url(chapter)}){{ .md-button .md-button--primary target="_blank" }} '
            f'[Download notebook]({notebook.name}){{ .md-button download="{notebook.name}" }}'
        )
        try:
            page = render_notebook(_shown_run(chapter), chapter.stem, buttons)
        except (OSError, ValueError) as error:
            problem = (
                f"chapter {chapter.stem} cannot be shown: {error}. Run `course run {chapter.number}`, then try again"
            )
            raise CourseError(problem) from error
        shutil.copyfile(chapter.notebook, notebook)
        (folder / f"{chapter.stem}.md").write_text(page.markdown, encoding="utf-8")
        (folder / chapter.stem).mkdir()
        for number, picture in enumerate(page.pictures, start=1):
            (folder / chapter.stem / f"figure-{number}.png").write_bytes(picture)
        title = page.markdown.partition("\n")[0].removeprefix("# ")
        body = f"**[{title}](chapters/{chapter.stem}.md)**\n\n{page.promise}\n\n*{page.effort}*{{ .effort }}"
        cards.append("-   " + textwrap.indent(body, "    ").lstrip())
        recommendations = page.recommendations or recommendations
    if not recommendations:
        raise CourseError("no chapter has a cell tagged 'recommendations' with an output: the home page shows it")
    (snippets / "chapters.md").write_text("\n\n".join(cards) + "\n", encoding="utf-8")
    (snippets / "recommendations.md").write_text(recommendations + "\n", encoding="utf-8")
    for drawing in DIAGRAMS.glob("*.svg"):
        svg = inline_svg(drawing.read_text(encoding="utf-8"), drawing.stem.replace("_", " "))
        (snippets / drawing.name).write_text(f'<figure class="drawing">{svg}</figure>\n', encoding="utf-8")


def _shown_run(chapter: Chapter) -> NotebookNode:
    """This machine's run where it is a run of what the author committed, else the committed one."""
    committed = nbformat.read(chapter.solution, as_version=4)
    if not chapter.run.is_file():
        return committed
    own = nbformat.read(chapter.run, as_version=4)
    same = [cell.source for cell in own.cells] == [cell.source for cell in committed.cells]
    return own if same else committed


def build_site(root: Path) -> Path:
    """Render the chapters and build the whole site; the old one stays until the new one is complete.

    Args:
        root: The checkout.

    Returns:
        The folder ``site``; open its ``index.html``.

    Raises:
        CourseError: A chapter cannot be shown, or MkDocs found something wrong; it carries MkDocs' own words.
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
        _replace(chapters, project.root / "docs" / "chapters")
        _mkdocs(project.root, built)
        _replace(built, site)
    return site


def _mkdocs(root: Path, target: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(target)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise CourseError(f"the site could not be built; MkDocs says:\n{(done.stderr + done.stdout).strip()}")


def _replace(new: Path, old: Path) -> None:
    """Put a finished folder in the place of another; what stood there is gone only when the new one is complete."""
    retired = new.with_name(new.name + "-before")
    with contextlib.suppress(FileNotFoundError):
        old.replace(retired)
    new.replace(old)
    shutil.rmtree(retired, ignore_errors=True)
