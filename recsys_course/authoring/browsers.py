"""Chromium on this machine, wherever its makers have put it."""

from __future__ import annotations

import shutil
from pathlib import Path

from recsys_course.authoring.project import CourseError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PATHS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)


def find_chromium() -> str:
    """The program's path.

    Raises:
        CourseError: None of the usual names is there.
    """
    for path in [*(shutil.which(name) for name in NAMES), *PATHS]:
        if path and Path(path).exists():
            return path
    raise CourseError(f"no Chromium is on this machine (looked for {', '.join(NAMES)}): install one")
