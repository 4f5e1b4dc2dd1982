"""Pages from tiny notebooks: what a cell becomes, what goes wrong with a clear word, and what a failed build leaves."""

from __future__ import annotations

import base64
import re
import textwrap
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from markdown import markdown
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from recsys_course.authoring import pages
from recsys_course.authoring.outputs import inline_svg, outputs_to_html
from recsys_course.authoring.project import CourseError, find_project
from recsys_course.authoring.rendering import render_notebook, solution_code, to_python_markdown

# The smallest PNG there is: one transparent pixel.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
EXTENSIONS = ["pymdownx.superfences", "pymdownx.details", "admonition", "attr_list", "md_in_html", "tables"]

EXERCISE = '''\
def double(x):
    """Twice x."""
    # BEGIN SOLUTION
    return 2 * x
    # END SOLUTION'''


def cell(source: str, *outputs: NotebookNode, tags: tuple[str, ...] = ()) -> NotebookNode:
    return new_code_cell(source, outputs=list(outputs), execution_count=1, metadata={"tags": list(tags)})


def shown(data: dict[str, str]) -> NotebookNode:
    return new_output("display_data", data=data)


def printed(text: str) -> NotebookNode:
    return new_output("stream", name="stdout", text=text)


def tiny_notebook(*cells: NotebookNode) -> NotebookNode:
    title = new_markdown_cell("# 1 · Tiny\n\n**Double a number.**")
    return new_notebook(cells=[title, cell("1", printed("1\n")), *cells])


def html_of(*cells: NotebookNode) -> BeautifulSoup:
    page = render_notebook(tiny_notebook(*cells), "01_tiny")
    return BeautifulSoup(markdown(page.markdown, extensions=EXTENSIONS), "html.parser")


def output(*outputs: NotebookNode) -> BeautifulSoup:
    return BeautifulSoup(outputs_to_html(list(outputs), "Loss", lambda _: "figure.png"), "html.parser")


# --- outputs


def test_text_stands_as_it_was_printed() -> None:
    assert output(printed("a  b\n<c> & `d`\n")).pre.get_text() == "a  b\n<c> & `d`"


def test_colour_codes_and_overwritten_progress_vanish() -> None:
    assert output(printed("\x1b[32mgreen\x1b[0m\n10%\r50%\r100%\n")).pre.get_text() == "green\n100%"


def test_neighbouring_texts_are_one_block() -> None:
    result = new_output("execute_result", data={"text/plain": "3"}, execution_count=1)
    assert [block.get_text() for block in output(printed("a\n"), printed("b\n"), result)("pre")] == ["a\nb\n3"]


def test_text_that_looks_like_a_code_fence_stays_text() -> None:
    soup = html_of(cell("show()", printed("```python\nx\n```\n\n~~~\n")))
    assert soup.select(".output pre")[-1].get_text() == "```python\nx\n```\n\n~~~"


def test_pandas_tables_lose_their_own_looks() -> None:
    table = output(
        shown(
            {
                "text/plain": "x",
                "text/html": '<div><style scoped>.dataframe {}</style>\n<table border="1" class="dataframe">\n\n'
                '<tr style="text-align: right;"><td id="a">4.5</td></tr></table></div>',
            }
        )
    )
    assert table.style is None and table.table.attrs == {} and table.td.attrs == {} and table.td.get_text() == "4.5"


def test_picture_becomes_a_file_with_alternative_text() -> None:
    picture = shown({"text/plain": "<Figure>", "image/png": base64.b64encode(PIXEL).decode()})
    page = render_notebook(tiny_notebook(new_markdown_cell("## How does `loss` fall?"), cell("plot()", picture)), "dir")
    assert page.pictures == [PIXEL]
    image = BeautifulSoup(page.markdown, "html.parser").img
    assert (image["src"], image["alt"]) == ("dir/figure-1.png", "How does loss fall?")


def test_drawing_stands_in_the_page_without_its_preamble() -> None:
    drawing = '<?xml version="1.0"?>\n<svg viewBox="0 0 1 1">\n\n<title>A dot</title></svg>'
    soup = html_of(cell("show()", shown({"image/svg+xml": drawing, "text/plain": "A dot"})))
    assert soup.select_one("figure.drawing > svg > title").get_text() == "A dot"
    assert "<?xml" not in str(soup)


def test_a_drawing_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected an <svg> element, got 'hello'"):
        inline_svg("hello")


def test_a_failed_cell_never_becomes_a_page() -> None:
    with pytest.raises(ValueError, match="failed with KeyError: 'x'"):
        output(new_output("error", ename="KeyError", evalue="'x'", traceback=[]))


def test_an_output_no_page_can_show_is_named() -> None:
    with pytest.raises(ValueError, match="application/json"):
        output(shown({"application/json": "{}"}))


# --- cells


def test_exercise_shows_the_stub_and_folds_the_solution() -> None:
    soup = html_of(new_markdown_cell("### Exercise 1.1 · Double it"), cell(EXERCISE, tags=("exercise",)))
    fold = soup.select_one("details.success").extract()
    assert fold.summary.get_text() == "Solution" and not fold.has_attr("open")
    assert "return 2 * x" in fold.get_text() and "SOLUTION" not in fold.get_text()
    rest = soup.get_text()
    assert 'raise NotImplementedError("Exercise 1.1: your turn")' in rest and "return 2 * x" not in rest


def test_solution_leaves_out_what_the_stub_says() -> None:
    source = "k = 3\n# BEGIN SOLUTION\nanswer = k\n# STUB\n# answer = ...\n# END SOLUTION\nprint(answer)"
    assert solution_code(source) == "k = 3\nanswer = k\nprint(answer)"


def test_set_up_is_folded_and_check_is_marked() -> None:
    soup = html_of(cell("import os", tags=("setup",)), cell('grading.check("1.1", x)', tags=("check",)))
    assert soup.select_one("details.abstract").summary.get_text() == "Set-up"
    assert "grading.check" in soup.select_one(".check").get_text()


def test_code_holding_backticks_keeps_them() -> None:
    assert 'x = "```"' in html_of(cell('x = "```"')).get_text()


def test_folds_become_admonitions_with_code_and_formulas_inside() -> None:
    hint = "<details><summary>Hint 1</summary>\n\nTry\n\n```python\nnp.diag(x)\n```\n\n</details>"
    fold = html_of(new_markdown_cell(hint)).select_one("details.tip")
    assert fold.summary.get_text() == "Hint 1" and "np.diag(x)" in fold.code.get_text()


def test_answers_folded_inside_a_list_stay_with_their_question() -> None:
    text = "1. Why?\n\n   <details><summary>Answer</summary>\n\n   Because.\n\n   </details>\n\n2. How?"
    items = html_of(new_markdown_cell(text)).select("ol > li")
    assert len(items) == 2 and "Because." in items[0].select_one("details.question").get_text()


@pytest.mark.parametrize(
    "text",
    ["Two things:\n- one\n- two", "Two things:\n1. one\n2. two", "- one\n  - deep\n- two", "1. one\n   - deep\n2. two"],
)
def test_lists_of_a_notebook_are_lists_on_the_page(text: str) -> None:
    soup = BeautifulSoup(markdown(to_python_markdown(text), extensions=EXTENSIONS), "html.parser")
    assert len(soup.find(["ul", "ol"]).find_all("li", recursive=False)) == 2
    assert len(soup("li")) == 2 + ("deep" in text)


def test_code_that_looks_like_a_list_is_left_alone() -> None:
    text = "```\nx\n- y\n  - z\n```"
    assert to_python_markdown(text) == text


def test_links_between_chapters_lead_to_pages() -> None:
    assert to_python_markdown("[a](03_retrieval.ipynb#towers)") == "[a](03_retrieval.md#towers)"


def test_effort_counts_reading_and_exercises() -> None:
    text = "### Exercise 1.1 · A\n\n*fill in · difficulty 2 of 5 · 10 minutes*\n\n" + "word " * 1000
    page = render_notebook(tiny_notebook(new_markdown_cell(text), new_markdown_cell(text)), "01_tiny")
    assert page.exercise_minutes == [10, 10]
    assert page.reading_minutes == 10
    assert page.promise == "Double a number."
    assert page.effort == "10 minutes to read · 2 exercises, 20 minutes"


def test_effort_says_how_long_a_measured_run_took() -> None:
    notebook = tiny_notebook()
    notebook.metadata["recsys_course"] = {"seconds": 41.3}
    assert render_notebook(notebook, "01_tiny").effort == "1 minutes to read · ran in 41 seconds here"


@pytest.mark.parametrize(
    ("notebook", "problem"),
    [
        (new_notebook(cells=[new_markdown_cell("# A"), new_code_cell("1")]), "never run"),
        (new_notebook(cells=[new_markdown_cell("A"), cell("1")]), "should be the title"),
    ],
)
def test_a_notebook_that_cannot_be_shown_says_why(notebook: NotebookNode, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        render_notebook(notebook, "x")


# --- the site


# The settings that decide what fails a build are the course's own.
VALIDATION = re.search(
    r"^validation:\n(?: .*\n)+",
    (find_project(Path(__file__).parent).root / "mkdocs.yml").read_text(encoding="utf-8"),
    re.M,
)[0]


def no_films(path: Path) -> dict[str, float]:
    path.write_text("// none\n")
    return {"five liked films": 0.5, "mean embedding": 0.125, "most popular": 0.25}


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of one tiny chapter."""
    notebook = tiny_notebook(cell("recommend()", printed("Fargo (1996)\n"), tags=("recommendations",)))
    for folder in ("solutions", "chapters", "docs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.recsys_course]\nrepository = "owner/course"\nbranch = "trunk"\n')
    (tmp_path / "solutions/01_tiny.py").write_text("")
    nbformat.write(notebook, tmp_path / "solutions/01_tiny.ipynb")
    nbformat.write(new_notebook(), tmp_path / "chapters/01_tiny.ipynb")
    (tmp_path / "docs/index.md").write_text('# Home\n\n--8<-- "docs/chapters/.snippets/recommendations.md"\n')
    (tmp_path / "mkdocs.yml").write_text(
        textwrap.dedent(
            """\
            site_name: Tiny
            theme: {name: material, font: false}
            plugins: []
            use_directory_urls: false
            markdown_extensions: [attr_list, admonition, pymdownx.details, pymdownx.superfences, pymdownx.snippets]
            """
        )
        + VALIDATION
    )
    return tmp_path


def test_site_is_built_with_notebook_buttons_and_home(course: Path) -> None:
    site = pages.build_site(course, no_films)
    home = (site / "index.html").read_text(encoding="utf-8")
    page = BeautifulSoup((site / "chapters/01_tiny.html").read_text(encoding="utf-8"), "html.parser")
    colab, download = page.select("a.md-button")
    assert "Fargo (1996)" in home
    assert colab["href"] == "https://colab.research.google.com/github/owner/course/blob/trunk/chapters/01_tiny.ipynb"
    assert download["href"] == "01_tiny.ipynb" and download.has_attr("download")
    assert (site / "chapters/01_tiny.ipynb").read_bytes() == (course / "chapters/01_tiny.ipynb").read_bytes()
    assert sorted(path.name for path in (course / ".course").iterdir() if path.is_dir()) == []


@pytest.mark.parametrize(
    "planted",
    [
        "[gone](nowhere.md)",
        "[gone](#nowhere)",
        "[gone](chapters/01_tiny.md#nowhere)",
        "![gone](nowhere.png)",
        '<a href="nowhere.html">gone</a>',
        '<a href="chapters/01_tiny.html#nowhere">gone</a>',
        '<img src="nowhere.png" alt="gone">',
        '<script src="nowhere.js"></script>',
    ],
)
def test_what_leads_nowhere_fails_and_leaves_the_old_site(course: Path, planted: str) -> None:
    (course / "site").mkdir()
    (course / "site/index.html").write_text("old")
    with (course / "docs/index.md").open("a") as home:
        home.write(f"\n{planted}\n")
    with pytest.raises(CourseError, match=r"nowhere"):
        pages.build_site(course, no_films)
    assert (course / "site/index.html").read_text() == "old"
    assert [path.name for path in (course / ".course").iterdir() if path.is_dir()] == []


def test_where_nothing_could_be_measured_the_site_says_so(course: Path) -> None:
    pages.build_site(course, lambda path: {})
    assert "cannot be said" in (course / "docs/chapters/.snippets/from_liked.md").read_text(encoding="utf-8")


def test_this_machines_run_is_shown_unless_it_is_of_something_else(course: Path) -> None:
    chapter = find_project(course).chapters[0]
    own = nbformat.read(chapter.solution, as_version=4)
    own.cells[-1].outputs[0].text = "Alien (1979)\n"
    chapter.run.parent.mkdir(parents=True)
    nbformat.write(own, chapter.run)
    pages.write_chapters(find_project(course), course / "first")
    assert "Alien" in (course / "first/01_tiny.md").read_text(encoding="utf-8")
    own.cells[-1].source = "recommend(user)"
    nbformat.write(own, chapter.run)
    pages.write_chapters(find_project(course), course / "second")
    assert "Fargo" in (course / "second/01_tiny.md").read_text(encoding="utf-8")


def test_a_chapter_that_was_never_run_is_named_with_the_command_that_helps(course: Path) -> None:
    nbformat.write(new_notebook(cells=[new_markdown_cell("# A")]), course / "solutions/01_tiny.ipynb")
    with pytest.raises(CourseError, match="01_tiny cannot be shown: .*never run.*`course run 1`"):
        pages.build_site(course, no_films)


def test_home_needs_recommendations(course: Path) -> None:
    nbformat.write(tiny_notebook(), course / "solutions/01_tiny.ipynb")
    with pytest.raises(CourseError, match="tagged 'recommendations'"):
        pages.build_site(course, no_films)


def test_the_navigation_shows_results_that_were_measured_and_any_other_missing_page_is_a_mistake(course: Path) -> None:
    (course / "docs/results").mkdir()
    (course / "docs/results/was.md").write_text("# Was\n")
    with (course / "mkdocs.yml").open("a") as file:
        file.write("nav:\n  - index.md\n  - chapters/01_tiny.md\n  - Was: results/was.md\n  - results/never.md\n")
    home = (pages.build_site(course, no_films) / "index.html").read_text(encoding="utf-8")
    assert "results/was.html" in home and "never" not in home
    with (course / "mkdocs.yml").open("a") as file:
        file.write("  - results.md\n")
    with pytest.raises(CourseError, match="results.md"):
        pages.build_site(course, no_films)
