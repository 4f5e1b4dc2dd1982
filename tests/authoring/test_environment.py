"""The environment is made whole or not at all, and what goes wrong is said in one line that helps."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from recsys_course.authoring import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A project folder of its own whose packages are installed by writing one file; counts how often."""
    (tmp_path / "requirements.lock").write_text("six==1.17.0\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environment, "LOCK", tmp_path / "requirements.lock")
    calls = []

    def run(command, what):
        calls.append(what)
        if "venv" in what:
            environment.python().parent.mkdir(parents=True)
            environment.python().touch()

    monkeypatch.setattr(environment, "run_quietly", run)
    monkeypatch.setattr(environment, "install_packages", lambda: calls.append("packages"))
    return calls


MADE = ["python -m venv", "packages", "installing the course itself"]


def test_second_run_does_nothing(fake):
    assert environment.main() == 0
    assert environment.main() == 0
    assert fake == MADE


def test_changed_lock_makes_all_again_changed_metadata_only_the_course(fake):
    environment.main()
    environment.LOCK.write_text("six==1.16.0\n")
    environment.main()
    assert fake == MADE * 2
    (environment.ROOT / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    environment.main()
    assert fake == [*MADE * 2, MADE[-1]]


def test_interrupted_installation_starts_afresh(fake, monkeypatch, capsys):
    def interrupted():
        (environment.VENV / "half-installed").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environment, "install_packages", interrupted)
        assert environment.main() == 130
    assert "run the same command again" in capsys.readouterr().err
    assert environment.main() == 0
    assert not (environment.VENV / "half-installed").exists()


def test_an_environment_of_somebody_else_is_left_alone(fake, capsys):
    (environment.VENV / "bin").mkdir(parents=True)
    (environment.VENV / "bin" / "mine").touch()
    assert environment.main() == 1
    assert (environment.VENV / "bin" / "mine").exists()
    assert "was not made by this course: move it away" in capsys.readouterr().err


def test_too_little_disk_is_said_before_anything_is_made(fake, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**10, 10**10 - 2**30, 2**30))
    assert environment.main() == 1
    assert "about 6 GB of disk are needed" in capsys.readouterr().err
    assert fake == [] and not environment.VENV.exists()


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7)])
def test_other_pythons_are_refused_by_name(version):
    with pytest.raises(environment.SetupError, match=rf"3.11, 3.12 or 3.13 is needed, this is {version[0]}"):
        environment.check_python(version)


@pytest.mark.parametrize(
    "printed, told",
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "not the one in"),
        ("ERROR: No matching distribution found for tensorflow==2.20.0", "no build for this machine"),
        ("The virtual environment was not created because ensurepip is not available", "python3-venv"),
        ("something\nERROR: one of its own\n", "ERROR: one of its own"),
    ],
)
def test_what_failed_becomes_one_line(printed, told):
    line = environment.diagnose(printed)
    assert told in line and "\n" not in line


def test_pip_that_reaches_no_index_is_told_as_such(tmp_path):
    settings = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    settings |= {"PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(tmp_path), "six==1.17.0"],
        capture_output=True,
        text=True,
        env=os.environ | settings,
    )
    assert done.returncode
    assert "package index cannot be reached" in environment.diagnose(done.stdout + done.stderr)


@pytest.mark.skipif(shutil.which("make") is None, reason="the machine has no make")
def test_make_without_a_python_is_one_line():
    done = subprocess.run(["make", "environment", "PYTHON="], cwd=ROOT, capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert done.returncode and len(said) == 1 and "no Python 3.11, 3.12 or 3.13 was found" in said[0]


def test_lock_serves_everything_the_project_asks_for():
    """Every requirement of the installation is met by what the lock pins, and each pin carries hashes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements.lock").read_text()
    pins = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock, re.M):
        pins.setdefault(name, []).append(version)
    for text in [*project["dependencies"], *project["optional-dependencies"]["course"]]:
        wanted = Requirement(text)
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        assert name in pins, f"{text} is not in requirements.lock: run `make lock`"
        assert all(version in wanted.specifier for version in pins[name]), f"{text} against {pins[name]}: `make lock`"
    entries = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.M)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
