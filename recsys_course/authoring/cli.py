"""The command ``course``: make, run and grade the course from anywhere in the repository.

Every command is a few lines on a module that does the work and is imported only then: ``course --help`` answers at
once, and no command but those that need it waits for TensorFlow.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from recsys_course.authoring.project import Chapter, CourseError, UsageError, find_project

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from recsys_course.authoring.exercises import ExerciseText

OK, NOT_OK, USAGE, STOPPED = 0, 1, 2, 130

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Course(TyperGroup):
    """Turns what a person can put right into a message and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            status, message = USAGE, f"course: {error}"
        except CourseError as error:
            status, message = NOT_OK, f"course: {error}"
        except KeyboardInterrupt:
            status, message = STOPPED, "\nstopped; what was finished before is kept"
        err.print(message, markup=False, soft_wrap=True)
        raise typer.Exit(status)


app = typer.Typer(
    cls=Course,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Numbers = Annotated[list[str] | None, typer.Argument(metavar="[N]...", help="Chapters by number; all by default.")]


@app.callback()
def course(context: typer.Context) -> None:
    """From raw ratings to a running recommender: run the chapters, solve their exercises, have them graded.

    A first session:

    ```
    course               where you are, and what comes next
    course run 3         run chapter 3's solution here
    jupyter lab          open chapters/03_retrieval.ipynb, solve 3.1
    course hint 3.1      one hint; once more for the next
    course check 3.1     grade your answer
    ```

    Exit status: 0 solved or done, 1 not, 2 a command that cannot be understood.
    """
    if context.invoked_subcommand is None:
        start()


@app.command()
def start() -> None:
    """Show where you are and what comes next. The bare `course` does the same."""
    from rich.table import Table

    from recsys_course.authoring.start import badge, next_exercise, standings
    from recsys_course.authoring.update import is_unfinished

    project = find_project()
    found = standings(project)
    table = Table(box=None, pad_edge=False)
    table.add_column("chapter", min_width=40)
    for heading in ("solved", "wrong", "not attempted"):
        table.add_column(heading, justify="right")
    for standing in found:
        table.add_row(standing.title, *(str(standing.count(kind)) for kind in ("solved", "wrong", "not attempted")))
    out.print(badge(found), markup=False)
    out.print()
    out.print(table)
    out.print()
    if is_unfinished(project):
        _say("An update was interrupted: `course update` finishes it and brings your answers back.")
    if (coming := next_exercise(found)) is None:
        out.print("Everything is solved.")
        return
    standing, exercise = coming
    notebook = standing.chapter.notebook.relative_to(project.root).as_posix()
    for line in (
        f"Next     {exercise.id} {exercise.title} · {exercise.kind}, about {exercise.minutes} minutes",
        f"Open     {sys.executable} -m jupyter lab {notebook}",
        f"Grade    course check {exercise.id}",
        f"Stuck    course hint {exercise.id}",
    ):
        _say(line)


@app.command("list")
def list_() -> None:
    """Show the chapters and their exercises: kind, difficulty, minutes, and whether you have solved them."""
    from rich.table import Table

    from recsys_course.authoring.start import standings

    for standing in standings(find_project()):
        table = Table(title=standing.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for heading in ("", "exercise", "kind", "difficulty", "minutes", "yours"):
            table.add_column(heading, justify="right" if heading == "minutes" else "left")
        for text in standing.exercises:
            outcome = standing.outcomes.get(text.id, "")
            difficulty = "●" * text.difficulty + "○" * (5 - text.difficulty)
            colour = {"solved": "green", "": "dim", "not attempted": "dim"}.get(outcome, "red")
            state = f"[{colour}]{outcome or 'not graded yet'}[/]"
            table.add_row(text.id, text.title, text.kind, difficulty, str(text.minutes), state)
        out.print(table)
        out.print()


@app.command()
def check(
    what: Annotated[
        str | None, typer.Argument(metavar="[N[.M]]", help="A chapter, or one exercise of it; all by default.")
    ] = None,
) -> None:
    """Grade your answers: one, a chapter's, or all.

    ```
    course check 3.1     one
    course check 3       all exercises of chapter 3
    course check         every chapter that you have begun
    ```

    One takes seconds: of the cells above, only those that its check needs are run, and all of them where that cannot be
    read off your code. The verdict is the same.

    You may work in the notebook or in the script beside it; whichever you saved last is graded. It is the same as
    `pytest --nbval chapters/03_retrieval.ipynb -k 3.1`.
    """
    from recsys_course.authoring.learner import has_begun, sync_notebook

    project = find_project()
    chapters = [project.chapter(what.partition(".")[0])] if what else project.chapters
    only = ["-k", _exercise(chapters[0], what).id] if what and "." in what else []
    for chapter in chapters:
        if (what or chapter.notebook.is_file() or chapter.script.is_file()) and (
            done := sync_notebook(project, chapter)
        ):
            _say(done)
    waiting = ""
    if not what:
        chapters = [chapter for chapter in chapters if has_begun(chapter)]
        waiting = ", ".join(f"chapter {chapter.number}" for chapter in project.chapters if chapter not in chapters)
        if waiting:
            _say(f"not begun, so not graded: {waiting}")
        if not chapters:
            _say("there is nothing to grade yet; `course` says where to begin")
            raise typer.Exit(NOT_OK)
    files = [str(chapter.notebook) for chapter in chapters]
    status = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--nbval", *files, *only], cwd=project.root
    ).returncode
    if status == OK and waiting:
        status = NOT_OK
    raise typer.Exit(status if status in (OK, NOT_OK) else STOPPED if status == 2 else NOT_OK)


@app.command()
def hint(
    what: Annotated[str, typer.Argument(metavar="N.M", help="An exercise.")],
    again: Annotated[bool, typer.Option("--again", help="Show the last hint once more.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Show all hints.")] = False,
) -> None:
    """Show the next hint for an exercise. Each call tells a little more.

    ```
    course hint 3.1          the first hint, then the second, ...
    course hint 3.1 --again  the last one once more
    course hint 3.1 --all    all of them
    ```
    """
    from rich.markdown import Markdown

    from recsys_course.authoring.learner import hints_to_show

    project = find_project()
    text = _exercise(project.chapter(what.partition(".")[0]), what)
    shown = hints_to_show(project, text, again=again, every=every)
    for number in shown:
        out.print(f"[bold]{text.id} {text.title} · hint {number + 1} of {len(text.hints)}[/]")
        out.print(Markdown(text.hints[number]))
    if not text.hints:
        out.print(f"{text.id} has no hints.")
    elif not shown:
        out.print(f"There are no more hints for {text.id}: `course hint {text.id} --all` shows all {len(text.hints)}.")


@app.command()
def watch(
    what: Annotated[str | None, typer.Argument(metavar="[N]", help="A chapter; by default all of them.")] = None,
) -> None:
    """Grade answers as you save them, and name the next exercise. Ctrl-C ends it."""
    from recsys_course.authoring.exercises import read_progress
    from recsys_course.authoring.learner import sync_notebook
    from recsys_course.authoring.start import badge, standings
    from recsys_course.authoring.watching import watch as watch_chapters

    project = find_project()
    found = standings(project)
    if what:
        found = [one for one in found if one.chapter == project.chapter(what)]

    def grade(chapter: Chapter, ids: list[str]) -> set[str]:
        if done := sync_notebook(project, chapter):
            _say(done)
        names = [f"{chapter.notebook}::{id}" for id in ids]
        status = subprocess.run([sys.executable, "-m", "pytest", "-q", "--nbval", *names], cwd=project.root).returncode
        if status not in (OK, NOT_OK):  # it broke off: what is written down is of before
            return set()
        progress = read_progress(project.root)
        return {id for id in ids if progress.get(id, {}).get("outcome") == "solved"}

    watch_chapters(found, grade, _say)
    _say(badge(standings(project)))


@app.command()
def reset(what: Annotated[str, typer.Argument(metavar="N", help="A chapter.")]) -> None:
    """Bring a fresh chapter. What you wrote is kept beside it, under a name that says when."""
    from recsys_course.authoring.answers import reset_chapter

    project = find_project()
    chapter = project.chapter(what)
    copies = reset_chapter(project, chapter)
    for copy in copies:
        _say(f"kept     {copy.relative_to(project.root).as_posix()}")
    notebook = chapter.notebook.relative_to(project.root).as_posix()
    _say(f"fresh    {notebook}" if copies else f"{notebook} and its script are fresh: there was nothing to reset")


@app.command()
def solution(
    what: Annotated[str, typer.Argument(metavar="N.M", help="An exercise.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
) -> None:
    """Show the course's answer to an exercise, after asking whether you mean it."""
    from rich.syntax import Syntax

    from recsys_course.authoring.answers import answer_code

    project = find_project()
    chapter = project.chapter(what.partition(".")[0])
    text = _exercise(chapter, what)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"nobody is here to ask; `course solution {what} --yes` shows the answer without")
        if not typer.confirm(f"Show the answer to {what} · {text.title}? `course hint {what}` only gives a hint."):
            raise typer.Exit(NOT_OK)
    code = answer_code(chapter, what)
    if out.is_terminal:
        out.print(Syntax(code, "python", background_color="default", word_wrap=True))
    else:
        _say(code)
    _say(f"Why it is so: {chapter.solution.relative_to(project.root).as_posix()}, below exercise {what}.")


@app.command()
def update() -> None:
    """Take the newest version of the course, and carry your answers over into it.

    Answers go by the exercise's number; cells of your own and your notes come along. What finds no place any more is
    told, with the copy that holds it: every chapter that changes is copied to `kept/` first. Interrupted, it goes on
    with the next call.
    """
    from recsys_course.authoring.update import update as update_course

    update_course(find_project(), _say)


@app.command()
def grade(
    folder: Annotated[Path, typer.Argument(help="Of notebooks, such as anna/03_retrieval.ipynb.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="How many at a time; by default half the cores.")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Time for one notebook.")] = 900,
    memory: Annotated[float, typer.Option(min=1, help="Memory for one notebook, in MB.")] = 6000,
) -> None:
    """For teachers: grade a folder of notebooks that were handed in.

    Each is graded as `course check` does it, on a copy, in processes of its own. Writes `grades.csv` and `grades.xml`
    (JUnit) into the folder. Sub-folder, or what stands before the chapter's name, is the student.

    This is no sandbox: the notebooks' code runs with your rights. Grade strangers' work on a machine, in a container,
    or as a user, that has nothing to lose.

    Exit status: 0 every notebook was graded to its end, 1 some were not (their rows say why).
    """
    import os

    from recsys_course.authoring.gradebook import write_grades
    from recsys_course.authoring.submissions import Limits, Row, Submission, find_submissions, grade_submissions

    def tell(one: Submission, rows: list[Row]) -> None:
        solved, lost = (sum(row.outcome == outcome for row in rows) for outcome in ("solved", "not graded"))
        unfinished = f"; {lost} not graded: {rows[-1].message.splitlines()[0]}" if lost else ""
        _say(f"{one.student}  {one.path.name}  {solved} of {len(rows)} solved{unfinished}")

    project = find_project()
    submissions = find_submissions(project, folder)
    jobs = jobs or max(1, (os.cpu_count() or 1) // 2)
    rows = grade_submissions(project, folder, submissions, Limits(seconds, memory), jobs, tell)
    for path in write_grades(rows, folder):
        _say(f"wrote {path}")
    raise typer.Exit(NOT_OK if any(row.outcome == "not graded" for row in rows) else OK)


@app.command()
def run(
    numbers: Numbers = None,
    force: Annotated[bool, typer.Option("--force", help="Run even what is still valid.")] = False,
) -> None:
    """Run the chapters' solutions on this machine. What has not changed since its last run is reused.

    ```
    course run           every chapter
    course run 1 3       two of them
    COURSE_DATASET=latest-small course run 3
    ```
    """
    from recsys_course.authoring.build import derive
    from recsys_course.authoring.display import Display
    from recsys_course.authoring.run import run_chapter

    project = find_project()
    with Display(out) as display:
        for chapter in project.selected(numbers):
            run_chapter(chapter, derive(project, chapter).solution, display, force=force)


@app.command()
def build(
    numbers: Numbers = None,
    check: Annotated[bool, typer.Option("--check", help="Only list what is not up to date.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Execute the solutions even where nothing changed.")] = False,
) -> None:
    """For authors: make everything that is derived from `solutions/NN_name.py`.

    That is the executed solution notebook, and the learner's script and notebook with the answers taken out. Where
    nothing has changed, no byte changes.

    ```
    course build 3       after editing solutions/03_retrieval.py
    course build --check exit status 1 if any derived file is stale, with the reason
    ```
    """
    from recsys_course.authoring.build import build_chapter, orphans, stale
    from recsys_course.authoring.display import Display

    project = find_project()
    chapters = project.selected(numbers)
    if check:
        found = [line for chapter in chapters for line in stale(project, chapter)] + orphans(project)
        for line in found:
            out.print(line, markup=False, soft_wrap=True)
        out.print("stale; `course build` makes it fresh" if found else "everything derived is fresh")
        raise typer.Exit(NOT_OK if found else OK)
    with Display(out) as display:
        for chapter in chapters:
            written = build_chapter(project, chapter, display, force=force)
            names = ", ".join(path.relative_to(project.root).as_posix() for path in written)
            out.print(f"{chapter.stem:<18} {'wrote ' + names if written else 'is up to date'}", soft_wrap=True)


@app.command()
def data(
    name: Annotated[
        str | None, typer.Argument(help="100k, latest-small, 1m, 20m, 25m, or one of your own (see `course import`).")
    ] = None,
) -> None:
    """Make sure that a dataset is on this machine, and say where it came from.

    Without a name it is what `COURSE_DATASET` says, else 100k.
    """
    _quiet_tensorflow()
    from recsys_course import data as datasets

    try:
        datasets.ensure_dataset(name)
    except ValueError as error:
        raise UsageError(str(error)) from error
    except datasets.DatasetError as error:
        raise CourseError(str(error)) from error


@app.command("import")
def import_(
    ratings: Annotated[Path, typer.Argument(help="CSV, tabs, semicolons, `::` or Parquet: a row an interaction.")],
    name: Annotated[str, typer.Option("--name", help="What to call the dataset: small letters, digits, - and _.")],
    items: Annotated[Path | None, typer.Option("--items", help="A file of items: id, title, genres.")] = None,
    user: Annotated[str | None, typer.Option(help="Column of the user.")] = None,
    item: Annotated[
        str | None, typer.Option(help="Column of the item; of the items' file too, where it has it.")
    ] = None,
    rating: Annotated[str | None, typer.Option(help="Column of the rating.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of the time.")] = None,
    title: Annotated[str | None, typer.Option(help="Column of the title, in the file of items.")] = None,
    genres: Annotated[str | None, typer.Option(help="Column of the genres, in the file of items.")] = None,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Whether the first lines name the columns.")
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Go on without the rows in the report.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of a dataset of that name.")] = False,
) -> None:
    """Make a dataset of your own out of a file of ratings, for all chapters.

    What you do not name is guessed, and said. Rows that cannot be taken are listed, and nothing is imported until you
    have mended them or said `--skip-bad-rows`.

    ```
    course import ratings.csv --items books.csv --name books
    COURSE_DATASET=books course run 3
    ```
    """
    _quiet_tensorflow()
    from recsys_course.data import DatasetError, importing

    columns = importing.Columns(user, item, rating, time, title, genres)
    try:
        importing.import_dataset(
            ratings,
            name,
            items_file=items,
            columns=columns,
            header=header,
            skip_bad_rows=skip_bad_rows,
            replace=replace,
            say=_say,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    except DatasetError as error:
        raise CourseError(str(error)) from error


@app.command()
def export(
    to: Annotated[Path, typer.Option("--to", help="The folder of all models.")] = Path("models"),
) -> None:
    """Write the course's models as artefacts that a server loads: the next version of each.

    Trains them first where this machine has not done so yet: the retrieval model of chapter 3, and the two-stage
    recommender. `models/retrieval/N` and `models/recommender/N` need TensorFlow alone, `models/retrieval_scann/N`
    ScaNN's ops too. `COURSE_DATASET` says which MovieLens.
    """
    _quiet_tensorflow()
    from recsys_course import data as datasets
    from recsys_course.recommender import export_recommender, trained_recommender
    from recsys_course.serving import export_retrieval, trained_retrieval

    try:
        to.mkdir(parents=True, exist_ok=True)  # where that fails, it fails before the training
        export_retrieval(trained_retrieval(say=_say), to, say=_say)
        export_recommender(trained_recommender(say=_say), to, say=_say)
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise CourseError(
            f"cannot write to {to} ({error.strerror or error}): choose another folder with --to"
        ) from error
    except datasets.DatasetError as error:
        raise CourseError(str(error)) from error


@app.command()
def serve(
    models: Annotated[Path, typer.Option("--models", help="The folder of all models.")] = Path("models"),
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    rest_port: Annotated[int, typer.Option("--rest-port", min=0, max=65535, help="REST; 0 takes a free one.")] = 8501,
    grpc_port: Annotated[int, typer.Option("--grpc-port", min=0, max=65535, help="gRPC; 0 takes a free one.")] = 8500,
) -> None:
    """Serve the models of a folder as TensorFlow Serving does, and a page to try them.

    Where the folder has none, `course export` writes them first. Then, from another terminal or a browser:

    ```
    curl -d '{"instances": ["42"]}' localhost:8501/v1/models/retrieval:predict
    curl -d '{"instances": ["42"]}' localhost:8501/v1/models/recommender:predict
    http://localhost:8501/       a page: choose a user, see the films
    ```

    A version that appears under `models/NAME/` is loaded while the one before answers, and takes over; remove it, and
    the one before answers again. A broken one is reported and never served. Ctrl-C finishes what is in flight.

    It listens on this machine alone. With `--host 0.0.0.0` whoever is on the network can ask: there is no
    authentication, so put a proxy with a lock in front.
    """
    _quiet_tensorflow()
    from recsys_course.serving.server.errors import CannotStart
    from recsys_course.serving.server.run import listen, run
    from recsys_course.serving.server.settings import Settings
    from recsys_course.serving.versions import published

    try:
        if not any(published(folder) for folder in models.glob("*")):
            listen(host, rest_port, "REST").close()  # who cannot be heard need not train
            out.print(f"there is no model under {models} yet; writing one first", markup=False, soft_wrap=True)
            export(models)
        run(Settings(models, host, rest_port, grpc_port))
    except CannotStart as error:
        raise CourseError(str(error)) from error


@app.command()
def recommend(
    user: Annotated[str | None, typer.Option("--user", help="Somebody in the dataset, by id.")] = None,
    liked: Annotated[
        list[str] | None, typer.Option("--liked", help="A film that somebody new likes; again for the next.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many films; 300 at most.")] = 10,
) -> None:
    """Recommend films to a user of the dataset, or to somebody who names a few that they like.

    The two stages at work: the films of a history make a query, retrieval finds 300 candidates that were not seen, a
    ranker puts them in order, and the page is made varied. *Score* is how probable the ranker thinks each of the
    candidates to be the next; *because of* names the liked films that are nearest.

    ```
    course recommend --user 42
    course recommend --liked "Toy Story (1995)" --liked "The Lion King" -k 5
    ```

    Titles may be typed without the year and in small letters; name the film liked last first. The first time trains
    both stages, in a minute or two; after that it takes seconds. `COURSE_DATASET` says which dataset.
    """
    _quiet_tensorflow()
    from recsys_course import data as datasets
    from recsys_course import recommender

    if (user is None) == (not liked):
        raise UsageError("say either --user or --liked: whom shall it recommend to?")
    try:
        trained = recommender.trained_recommender(say=_say)
        if user is not None:
            page = recommender.recommend_to_user(trained, user, k)
        else:
            page = recommender.recommend_to_fan(trained, liked or [], k)
    except ValueError as error:
        raise UsageError(str(error)) from error
    except datasets.DatasetError as error:
        raise CourseError(str(error)) from error
    _say(page.about)
    out.print(recommender.table(page))


@app.command()
def site() -> None:
    """Build the course's site into `site/`, from what the notebooks really printed.

    The page that recommends needs the model of chapter 3: it comes from this machine's cache, or is trained now.
    """
    _quiet_tensorflow()
    from recsys_course import data as datasets
    from recsys_course.authoring.pages import build_site
    from recsys_course.serving.browser import write_films

    try:
        folder = build_site(find_project().root, lambda path: write_films(path, _say))
    except datasets.DatasetError as error:
        raise CourseError(str(error)) from error
    out.print(f"The site is in {folder / 'index.html'}", markup=False, soft_wrap=True)


@app.command()
def welcome() -> None:
    """Say what to open first, and show what this machine's own model recommends."""
    from recsys_course.authoring.learner import recommendations

    project = find_project()
    chapter, text = recommendations(project)
    out.print(f"\n{text}\n", markup=False, soft_wrap=True)
    page = project.root / "site" / "index.html"
    lines = [f"That is what the model of chapter {chapter.number} recommends, trained on this machine."]
    if page.is_file():
        lines.append(f"Read     {page.as_uri()}")
    first = project.chapters[0]
    lines += [
        f"Solve    {sys.executable} -m jupyter lab {first.notebook.relative_to(project.root).as_posix()}",
        "Grade    course check 1.1        (course --help shows the rest)",
    ]
    out.print("\n".join(lines), markup=False, soft_wrap=True)


def _quiet_tensorflow() -> None:
    """Before TensorFlow is imported: Keras 2, no accelerator, no announcements."""
    import os

    os.environ.update(TF_USE_LEGACY_KERAS="1", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")


def _say(line: str) -> None:
    out.print(line, markup=False, soft_wrap=True)


def _source(chapter: Chapter) -> NotebookNode:
    from recsys_course.authoring.notebooks import read_script

    return read_script(chapter.source.read_text(encoding="utf-8"))


def _exercises(chapter: Chapter) -> dict[str, ExerciseText]:
    """A chapter's exercises by id."""
    from recsys_course.authoring.exercises import read_exercises

    return {text.id: text for text in read_exercises(_source(chapter))}


def _exercise(chapter: Chapter, what: str) -> ExerciseText:
    """One exercise; UsageError lists the valid ones."""
    exercises = _exercises(chapter)
    if what not in exercises:
        have = ", ".join(f"{text.id} ({text.title})" for text in exercises.values()) or "none"
        raise UsageError(f"there is no exercise {what}; chapter {chapter.number} has: {have}")
    return exercises[what]


def main() -> None:
    """Run the command line."""
    # Notebooks are checked with jsonschema, which spends two seconds on a grammar of web addresses where the package
    # for it is installed. No notebook needs it; None makes jsonschema go on without.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # Python's own way to say "not here"
    app(prog_name="course")


if __name__ == "__main__":
    main()
