"""What hand-written pages show of the terminal is what the commands print, and every command they name is there."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from recsys_course.authoring import cli
from recsys_course.authoring.exercises import read_exercises, record_progress
from recsys_course.authoring.notebooks import read_script
from recsys_course.authoring.project import find_project
from recsys_course.authoring.pytest_plugin import _print_report as print_report
from recsys_course.grading import grade

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *sorted(ROOT.glob("docs/*.md"))]
LEARNING = (ROOT / "docs" / "learning.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(cli.app).commands
SHELL = re.compile(r"^```(?:bash|console|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shown(command: str) -> str:
    """What the page on learning shows below a prompt with the command."""
    return LEARNING.split(f"```console\n$ {command}\n")[1].split("```")[0]


def test_where_am_i_is_what_course_prints(tmp_path, monkeypatch):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "solutions").mkdir()
    for path in ROOT.glob("solutions/*.py"):
        shutil.copy(path, tmp_path / "solutions")
    record_progress(tmp_path, {"3.1": {"outcome": "solved"}})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.out, "_width", 100)
    printed = CliRunner().invoke(cli.app, []).output.replace(sys.executable, ".venv/bin/python")
    assert [line.rstrip() for line in printed.splitlines()] == shown("course").splitlines(), (
        "docs/learning.md shows an older course under `Where am I?`"
    )


def test_a_wrong_answer_is_told_what_the_page_shows():
    def in_batch_softmax(affinities):
        exponentials = np.exp(affinities)
        return -np.log(np.diag(exponentials) / exponentials.sum(axis=1))

    with np.errstate(all="ignore"):
        verdict = grade("3.1", in_batch_softmax)
    source = find_project(ROOT).chapter(3).source.read_text(encoding="utf-8")
    exercise = read_exercises(read_script(source))[0]
    graded = {"id": "3.1", "title": exercise.title, "hint": exercise.hints[0], "trouble": ""}
    graded |= {"outcome": verdict.outcome, "message": verdict.message}
    printed: list[str] = []
    print_report([graded], lambda line, **_: printed.append(line))
    assert "\n".join(printed).splitlines() == shown("course check 3.1").splitlines()


def templates() -> list[re.Pattern]:
    """What the commands say, with room for what an f-string puts in; those that fix at least a word."""
    found = []
    for name in ("cli", "update"):
        source = (ROOT / "recsys_course" / "authoring" / f"{name}.py").read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node] if isinstance(node, ast.Constant) else []
            texts = [str(part.value) if isinstance(part, ast.Constant) else "" for part in parts]
            if len("".join(texts).strip()) >= 4:
                found.append(re.compile("".join(re.escape(text) if text else "(.*)" for text in texts)))
    return found


@pytest.mark.parametrize("command", ["course reset", "course update", "course grade"])
def test_other_lines_are_worded_as_the_commands_word_them(command):
    _, *lines = LEARNING.split(f"```console\n$ {command}")[1].split("```")[0].splitlines()
    assert lines and [line for line in lines if not any(each.fullmatch(line) for each in templates())] == []
    assert not any(each.fullmatch("refreshed  chapters/06_ranking.ipynb") for each in templates())


def test_the_table_of_commands_has_them_all():
    table = LEARNING.split("\n## All commands\n")[1]
    assert re.findall(r"^\| `course (\w+)", table, re.MULTILINE) == list(COMMANDS)


def command_lines(text: str) -> list[str]:
    """Calls of `course` on a page: in a terminal's block, and alone in a code span."""
    lines = [line for block in SHELL.findall(text) for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", SHELL.sub("", text))
    calls = (re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(course(?: .*)?)$", line) for line in lines)
    return [call[1] for call in calls if call]


def fault(line: str) -> str:
    """What is wrong with a call of `course`; nothing where the command and its options are there."""
    words = shlex.split(line, comments=True)[1:]
    if not words:
        return ""
    if words[0] not in COMMANDS:
        return "" if words[0] in ("--help", "-h", "COMMAND") else f"no command {words[0]}"
    known = {option for each in COMMANDS[words[0]].params for option in (*each.opts, *each.secondary_opts)}
    return ", ".join(word for word in words[1:] if re.match(r"--?[a-z]", word) and word not in known | {"--help"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_is_there(page):
    text = page.read_text(encoding="utf-8")
    assert {line: said for line in command_lines(text) if (said := fault(line))} == {}
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`|\$ )make ([a-z]+(?:-[a-z]+)*)(?![-\w])", text, re.MULTILINE)) <= targets


def test_a_command_that_is_gone_would_be_found():
    text = "Say `course chek 3`, or\n\n```bash\nX=1 .venv/bin/course grade here --job 4  # comment\ncourse\n```\n"
    assert {line: fault(line) for line in command_lines(text)} == {
        "course chek 3": "no command chek",
        "course grade here --job 4  # comment": "--job",
        "course": "",
    }
    assert sum(len(command_lines(page.read_text(encoding="utf-8"))) for page in PAGES) > 40
