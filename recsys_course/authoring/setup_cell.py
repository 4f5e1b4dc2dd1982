"""The first code cell of every chapter, written from one template.

The cell has to work where this package is not yet installed, so it is text, and uses the standard library alone.
"""

from __future__ import annotations

from recsys_course.authoring.project import Project

TEMPLATE = """\
# @title Set-up
# In Colab this installs what is missing; anywhere else it only sets three switches. The same cell opens every chapter.
import importlib
import importlib.util
import os
import subprocess
import sys
import warnings

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # TensorFlow Recommenders speaks Keras 2; TensorFlow reads this once
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # warnings of TensorFlow's C++ side stay quiet
warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm asks for ipywidgets, which no chapter needs

package_address = "{package_url}"
package = os.environ.get("COURSE_PACKAGE", package_address)
missing = importlib.util.find_spec("recsys_course") is None
if os.environ.get("COURSE_FORCE_SETUP") == "1" or (missing and "google.colab" in sys.modules):
    print("Installing the course's package and what it needs: a minute or two ...", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
    installed = subprocess.run(pip, capture_output=True, text=True)
    if installed.returncode:
        raise RuntimeError("Installing the course failed. pip says:\\n" + installed.stderr[-1000:])
    importlib.invalidate_caches()
elif missing:
    raise ModuleNotFoundError(
        "This kernel lacks the course's package. In a clone of the course choose the kernel of its .venv, which "
        f"`make course` makes; elsewhere run once: {{sys.executable}} -m pip install {{package}}"
    )"""


def setup_source(project: Project) -> str:
    """The set-up cell's source, with the address that ``pyproject.toml`` names."""
    return TEMPLATE.format(package_url=project.package_url)
