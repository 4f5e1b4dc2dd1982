"""Run the learner's notebooks as Colab would: a fresh environment with Colab's packages, outside the repository.

    python -m recsys_course.authoring.colab_check [N ...]

The environment gets what Colab's image has of the packages that matter; each notebook's own set-up cell, forced,
installs the rest. It has to leave Colab's packages as they are: replacing one would ask the reader for a restart.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from rich.console import Console

from recsys_course.authoring.display import Display
from recsys_course.authoring.project import CourseError, Project, find_project
from recsys_course.authoring.run import execute

# What Colab's image of August 2026 has, and a kernel to run it in.
COLAB = (
    "tensorflow==2.20.0",
    "tf_keras==2.20.1",
    "tensorflow-datasets==4.9.10",
    "numpy==2.1.*",
    "protobuf==5.29.*",
    "ipykernel",
)


def copy_package(root: Path, folder: Path) -> Path:
    """Copy what pip needs of a checkout into a folder: building in place would leave files behind. Returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, folder)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "recsys_course", folder / "recsys_course", ignore=ignore, dirs_exist_ok=True)
    return folder


def check(project: Project, numbers: list[str], console: Console) -> None:
    """Run chapters in such an environment.

    Raises:
        CourseError: pip failed, a cell failed, or the set-up replaced one of Colab's packages.
    """
    with tempfile.TemporaryDirectory(prefix="colab-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        console.print(f"making an environment with {', '.join(COLAB)}")
        _run([sys.executable, "-m", "venv", str(folder / "venv")])
        python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "install", "--quiet", *COLAB])
        before = _versions(pip)

        kernel = folder / "jupyter" / "kernels" / "colab"
        kernel.mkdir(parents=True)
        command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": command, "display_name": "Colab", "language": "python"}
        (kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
        os.environ["JUPYTER_PATH"] = str(folder / "jupyter")
        environment = {
            "COURSE_FORCE_SETUP": "1",
            "COURSE_PACKAGE": str(copy_package(project.root, folder / "course")),
            "TFDS_DATA_DIR": str(folder / "data"),  # nothing prepared yet, as in Colab
        }
        with Display(console) as display:
            for chapter in project.selected(numbers):
                notebook = nbformat.read(chapter.notebook, as_version=4)
                execute(chapter, notebook, display, environment, folder=folder, kernel="colab")
        after = _versions(pip)
        pinned = {re.split("[=<>]", requirement)[0].replace("_", "-") for requirement in COLAB}
        replaced = [f"{name} {before[name]} -> {after.get(name)}" for name in pinned if after.get(name) != before[name]]
        if replaced:
            raise CourseError(f"the set-up cell replaced packages of Colab's: {', '.join(replaced)}")
        console.print(f"all ran; the set-up cell added {len(after) - len(before)} packages and left Colab's alone")


def _versions(pip: list[str]) -> dict[str, str]:
    return {
        package["name"].replace("_", "-").lower(): package["version"]
        for package in json.loads(_run([*pip, "list", "--format=json"]))
    }


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise CourseError(f"`{' '.join(command)}` failed:\n{done.stderr[-2000:]}")
    return done.stdout


def main() -> int:
    """Check the chapters named on the command line, or all of them. Returns the exit status."""
    try:
        check(find_project(), sys.argv[1:], Console(highlight=False))
    except CourseError as error:
        print(f"colab_check: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
