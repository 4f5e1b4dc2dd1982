"""The set-up cell where it matters: outside the repository, in an environment without the course."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from recsys_course.authoring.colab_check import copy_package
from recsys_course.authoring.project import Project, find_project
from recsys_course.authoring.setup_cell import setup_source

ROOT = Path(__file__).resolve().parents[2]
REPORT = "\nimport recsys_course\nprint(recsys_course.__file__, os.environ['TF_USE_LEGACY_KERAS'])\n"


@pytest.fixture(scope="module")
def outside(tmp_path_factory) -> Path:
    """A fresh environment, quick to make: it sees the packages installed here, but not the course itself."""
    folder = tmp_path_factory.mktemp("outside")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    lent = folder / "lent"
    lent.mkdir()
    for entry in Path(site.getsitepackages()[0]).iterdir():
        # Neither the course, nor the paths (.pth) that lead to it, nor a pip that would shadow the venv's own.
        if entry.suffix != ".pth" and not entry.name.lower().startswith(("recsys_course", "__editable__", "pip")):
            lent.joinpath(entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
    places = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    packages = Path(sysconfig.get_path("purelib", scheme="venv", vars=places))
    # In front, because an environment's own setuptools may be too old to build the course.
    (packages / "lent.pth").write_text(f"import sys; sys.path.insert(1, {str(lent)!r})\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """What pip needs of the repository."""
    return copy_package(ROOT, tmp_path_factory.mktemp("checkout"))


def run_cell(outside: Path, source: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a cell with the environment's Python, as a script, with nothing inherited that could help it."""
    python = outside / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    script = outside / "cell.py"
    script.write_text(source + REPORT, encoding="utf-8")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("COURSE_", "TF_", "PYTHON", "PIP_"))}
    return subprocess.run([python, script], env=clean | environment, cwd=outside, capture_output=True, encoding="utf-8")


@pytest.fixture
def cell() -> str:
    """The set-up cell of this repository."""
    return setup_source(find_project(ROOT))


def test_without_the_course_it_says_what_to_do_and_installs_nothing(outside, cell):
    done = run_cell(outside, cell)
    assert done.returncode == 1
    assert "ModuleNotFoundError: This kernel lacks the course's package" in done.stderr
    assert "-m pip install https://github.com/" in done.stderr


def test_an_installation_that_fails_shows_what_pip_said(outside, cell):
    done = run_cell(outside, cell, COURSE_FORCE_SETUP="1", COURSE_PACKAGE=str(outside / "nowhere.whl"))
    assert done.returncode == 1
    assert "RuntimeError: Installing the course failed. pip says:" in done.stderr
    assert "nowhere.whl" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="lends the packages by symbolic links")
def test_forced_it_installs_the_course_which_then_imports_outside_the_repository(outside, checkout, cell):
    # The course's own dependencies are lent, so that the test needs no network and a few seconds.
    offline = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"}
    done = run_cell(outside, cell, COURSE_FORCE_SETUP="1", COURSE_PACKAGE=str(checkout), **offline)
    assert done.returncode == 0, done.stderr
    assert "Installing the course's package" in done.stdout
    where, keras = done.stdout.split()[-2:]
    assert Path(where).is_relative_to(outside)
    assert keras == "1"

    again = run_cell(outside, cell)  # installed now: nothing to do, nothing said
    assert again.returncode == 0, again.stderr
    assert "Installing" not in again.stdout


def test_the_cell_is_python_and_carries_the_address():
    source = setup_source(Project(Path(), "some-long-organisation-name/some-long-repository-name", "main"))
    compile(source, "set-up", "exec")
    assert "https://github.com/some-long-organisation-name/some-long-repository-name/archive/" in source
    assert max(map(len, source.splitlines())) <= 120
    assert source.index("TF_USE_LEGACY_KERAS") < source.index("find_spec")
