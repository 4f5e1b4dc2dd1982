"""One executed notebook as a page of Markdown, in the dialect that MkDocs reads."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field

from nbformat import NotebookNode

from recsys_course.authoring.figures import figure_text
from recsys_course.authoring.notebooks import BEGIN, END, EXERCISE_HEADING, STUB, strip_solution
from recsys_course.authoring.outputs import outputs_to_html

WORDS_A_MINUTE = 200
LINES_OF_CODE_A_MINUTE = 15

DETAILS = re.compile(
    r"^(?P<indent> *)<details>\s*<summary>(?P<title>.*?)</summary>(?P<body>.*?)</details>", re.MULTILINE | re.DOTALL
)
CARD = re.compile(r"^\*(?P<kind>[a-z ]+) · difficulty (?P<difficulty>\d) of 5 · (?P<minutes>\d+) minutes\*[ ]*$", re.M)
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
    run_seconds: float | None = None

    @property
    def effort(self) -> str:
        """Reading time, the exercises' own time beside it, and how long the run took where that was measured."""
        parts = [f"{self.reading_minutes} minutes to read"]
        if self.exercise_minutes:
            parts.append(f"{len(self.exercise_minutes)} exercises, {sum(self.exercise_minutes)} minutes")
        if self.run_seconds is not None:
            parts.append(f"ran in {self.run_seconds:.0f} seconds here")
        return " · ".join(parts)


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
    page = Page(run_seconds=notebook.metadata.get("recsys_course", {}).get("seconds"))
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
            parts.append(outputs_to_html(cell.outputs, figure_text(cell.source, heading), save_picture))
            lines += 0 if "setup" in tags else len(cell.source.splitlines())
            if "recommendations" in tags:
                page.recommendations = parts[-1]
    page.reading_minutes = max(1, round(words / WORDS_A_MINUTE + lines / LINES_OF_CODE_A_MINUTE))
    text = "\n\n".join(part for part in parts if part)
    title, _, rest = text.partition("\n")
    if not title.startswith("# "):
        raise ValueError(f"the first line of the first cell should be the title, '# ...', got {title[:60]!r}")
    page.promise = next((part.strip().strip("*") for part in rest.split("\n\n") if part.strip()), "")
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
