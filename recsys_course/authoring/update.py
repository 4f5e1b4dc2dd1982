"""``course update``: a newer version of the course under a learner's half-solved chapters.

The chapters that are in the way are copied to ``kept/``, the new version is taken, and the learner's work is carried
over into it. A file in ``.course`` says what stands aside, from before the first change to after the last: a run that
was interrupted is finished by the next.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import nbformat
from filelock import FileLock, Timeout
from nbformat import NotebookNode

from recsys_course.authoring import notebooks
from recsys_course.authoring.build import back_up
from recsys_course.authoring.carrying import carry_over
from recsys_course.authoring.files import write_if_changed
from recsys_course.authoring.project import CourseError, Project

PACKAGES = {"requirements.lock", "pyproject.toml"}


def update(project: Project, say: Callable[[str], object]) -> None:
    """Take the course's newest version and carry the learner's work over.

    Args:
        project: A git clone.
        say: Is told what happened to each chapter, in a line.

    Raises:
        CourseError: There is nothing to take the new version from, or git refuses. All is as it was then.
    """
    project.state.mkdir(exist_ok=True)
    try:
        with FileLock(project.state / "update.lock", timeout=0):
            _update(project, say)
    except Timeout as error:
        raise CourseError("another `course update` is at work here; wait until it is done") from error


def is_unfinished(project: Project) -> bool:
    """Whether an update was interrupted, and learner's files may still stand aside in ``kept/``."""
    return _journal(project).is_file()


def _update(project: Project, say: Callable[[str], object]) -> None:
    root = project.root
    if not (root / ".git").exists():
        raise CourseError(
            f"{root} is not a git clone, so there is nothing to pull from. Clone the course anew, copy your chapters/ "
            "into a folder of its own beside it, and take over your answers by hand"
        )
    if is_unfinished(project):
        say("an earlier update was interrupted; it is finished first")
        journal = json.loads(_journal(project).read_text(encoding="utf-8"))
        _move(project, journal["from"], journal["to"], journal["kept"], say)
    here = _git(root, "rev-parse", "HEAD")
    new = _newest(root, here)
    if here == new:
        say(f"this is the newest version ({here[:9]}); nothing was changed")
    else:
        _move(project, here, new, {}, say)


def _move(project: Project, base: str, new: str, aside: dict[str, str], say: Callable[[str], object]) -> None:
    """Bring the clone from one version to another, with the learner's work.

    Args:
        project: The clone, at ``base`` or, where an earlier call was interrupted, at ``new`` already.
        base: The commit that the learner's work was made on.
        new: The commit to move to.
        aside: Where an earlier call was interrupted: each file still to be carried over -> its copy.
        say: As in ``update``.
    """
    root = project.root
    changed = set(_git(root, "diff", "--name-only", "--relative", base, new).splitlines())
    edited = _git(root, "diff", "--name-only", "--relative", "HEAD", "--", "chapters").splitlines()
    waiting = {path: copy for path, copy in aside.items() if path not in edited}
    if _git(root, "rev-parse", "HEAD") != new:
        in_the_way = [path for path in edited if path in changed]
        mine = [root / path for path in in_the_way if (root / path).is_file()]
        waiting |= {_name(root, path): _name(root, back_up(project, path)) for path in mine}
        _remember(project, base, new, waiting)
        try:
            if in_the_way:
                _git(root, "checkout", "--quiet", "HEAD", "--", *in_the_way)
            _git(root, "merge", "--quiet", "--ff-only", new)
        except CourseError:
            for path, copy in waiting.items():
                shutil.copy2(root / copy, root / path)
            _journal(project).unlink()
            raise
    else:
        for path in aside.keys() & set(edited):
            say(f"left     {path}: you edited it after the interruption; your work from before is in {aside[path]}")
    say(f"updated  {base[:9]} to {new[:9]}: {len(changed)} files")
    # The one saved last is written last: of a script and its notebook, it stays the one that is graded.
    for path in sorted(waiting, key=lambda path: (root / waiting[path]).stat().st_mtime):
        _carry(project, base, path, waiting[path], say)
        waiting = {other: copy for other, copy in waiting.items() if other != path}
        _remember(project, base, new, waiting)
    _journal(project).unlink()
    if PACKAGES & changed:
        say("packages what the course needs may have changed: `make environment` sees to it")


def _newest(root: Path, here: str) -> str:
    """The commit to move to: what the branch follows, after fetching."""
    try:
        _git(root, "rev-parse", "--verify", "--quiet", "@{upstream}")
    except CourseError as error:
        raise CourseError(
            "this branch follows no other, so there is no newer version to take: "
            "`git branch --set-upstream-to=origin/main` says which"
        ) from error
    _git(root, "fetch", "--quiet")
    new = _git(root, "rev-parse", "@{upstream}")
    common = _git(root, "merge-base", here, new)
    if common == new:
        return here  # commits of the learner's own on top of the newest version
    if common != here:
        raise CourseError(
            "you have commits of your own that the course does not have, and it has some that you have not; "
            "`git merge` brings them together, and `course reset N` a chapter that comes out of it broken"
        )
    return new


def _carry(project: Project, base: str, path: str, aside: str, say: Callable[[str], object]) -> None:
    """Write the work in one file that stood aside into the new version's file."""
    root, target = project.root, project.root / path
    if not target.is_file():  # the chapter has another name now
        number = target.stem.split("_")[0]
        target = next(target.parent.glob(f"{number}_*{target.suffix}"), target)
    if not target.is_file():
        say(f"left     {path}: the course no longer has this chapter; your work is in {aside}")
        return
    name = _name(root, target)
    try:
        handed_out = _git(root, "show", f"{base}:./{path}", strip=False)
        versions = ((root / aside).read_text(encoding="utf-8"), handed_out, target.read_text(encoding="utf-8"))
        done = carry_over(*(_read(text, target.suffix) for text in versions))
    except (ValueError, CourseError) as error:
        say(f"left     {path}: it cannot be read ({error}); as you left it: {aside}")
        return
    write = notebooks.script_text if target.suffix == ".py" else notebooks.notebook_text
    write_if_changed(target, write(done.notebook))
    found = [f"your answers to {', '.join(done.answers)}"] if done.answers else []
    found += [f"{done.other_cells} more cells of yours"] if done.other_cells else []
    say(f"carried  {name}: {' and '.join(found) or 'nothing'} (as it was: {aside})")
    for reason in done.left:
        say(f"left     {name}, {reason}; yours is in {aside}")


def _read(text: str, suffix: str) -> NotebookNode:
    return notebooks.read_script(text) if suffix == ".py" else nbformat.reads(text, as_version=4)


def _journal(project: Project) -> Path:
    return project.state / "update.json"


def _remember(project: Project, base: str, new: str, kept: dict[str, str]) -> None:
    write_if_changed(_journal(project), json.dumps({"from": base, "to": new, "kept": kept}, indent=1) + "\n")


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _git(root: Path, *arguments: str, strip: bool = True) -> str:
    environment = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "-c", "core.quotepath=off", *arguments],
            capture_output=True,
            encoding="utf-8",
            env=environment,
        )
    except FileNotFoundError as error:
        raise CourseError("git was not found: install it, then try again") from error
    if done.returncode:
        raise CourseError(f"git {arguments[0]}: {done.stderr.strip() or 'failed'}")
    return done.stdout.strip() if strip else done.stdout
