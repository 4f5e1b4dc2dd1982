"""The site, built once for all tests and processes, and a real browser to look at it."""

from __future__ import annotations

import functools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from filelock import FileLock
from support.site_requests import foreign

from recsys_course.authoring.browsers import find_chromium
from recsys_course.authoring.pages import build_site
from recsys_course.authoring.project import CourseError, Project, find_project

ROOT = Path(__file__).parents[2]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
SUBFOLDER = "/some/where"  # the site must not think that it stands at a server's root


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of what the site is made from with the site in it, so that the checkout's own site stays as it is."""
    from recsys_course.serving.browser import write_films

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # one for all workers
    root = shared / "course"
    with FileLock(shared / "course.lock"):
        if not (root / "site").exists():
            shutil.rmtree(root, ignore_errors=True)
            for name in ("docs", "solutions", "chapters", "recsys_course", "benchmarks"):
                shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "chapters*-*"))
            shutil.rmtree(root / "docs" / "chapters", ignore_errors=True)
            for name in ("mkdocs.yml", "pyproject.toml", "CONTRIBUTING.md"):
                shutil.copyfile(ROOT / name, root / name)
            build_site(root, lambda path: write_films(path, lambda line: None))
    return find_project(root)


@pytest.fixture(scope="session")
def site(project: Project) -> Path:
    return project.root / "site"


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, BeautifulSoup]:
    return {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in site.rglob("*.html")}


# --- a browser


# Of a module, not of the session: while Playwright is at work its event loop runs in this thread, and tests elsewhere
# that start a loop of their own could not.
@pytest.fixture(scope="module")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="these tests drive a browser with Playwright")
    try:
        path = find_chromium()
    except CourseError as error:
        pytest.skip(str(error))
    with playwright.sync_playwright() as running:
        # As root, which containers often are, Chromium starts only without its sandbox; the pages are our own.
        chromium = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class _InSubfolder(SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        inside = path.removeprefix(SUBFOLDER)
        return super().translate_path(inside if inside != path else "/nothing/outside")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """The site behind a plain file server, in a subfolder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_InSubfolder, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{SUBFOLDER}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def opened(browser, address: str, site: Path) -> Iterator[Callable]:
    """Opens a page of the site; at the end, nothing but the site has been asked for and no script has failed."""
    contexts, asked, failures = [], [], []

    def open_page(path: str, *, from_disk: bool = False, phone: bool = False, **options: object):
        context = browser.new_context(**(PHONE if phone else DESKTOP), **options)
        context.set_default_timeout(30_000)  # other tests may have the processor
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(f"{page.url}: {error}"))
        # What a page was still loading when it was left is no failure.
        page.on(
            "requestfailed",
            lambda request: "ERR_ABORTED" in request.failure or failures.append(f"{request.url}: {request.failure}"),
        )
        page.on("response", lambda answer: answer.status < 400 or failures.append(f"{answer.url}: {answer.status}"))
        page.goto((site.as_uri() + "/" if from_disk else address) + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert foreign(asked, address, site) == []
    assert failures == []
