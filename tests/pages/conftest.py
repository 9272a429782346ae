"""The finished pages, served and opened.

They are those of ``_build/html``, built first if they are not up to date, or those of the folder
that ``RULBOOK_SITE`` names, built elsewhere.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from ..browsing import Visit, opener
from .contents import CHAPTERS, NAMES, WITH_EXPLORERS

NAMED_SITE = os.environ.get("RULBOOK_SITE")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for every page, chapter or page with explorers that it asks for."""
    for fixture, names in (
        ("page_name", NAMES),
        ("chapter", CHAPTERS),
        ("with_explorers", WITH_EXPLORERS),
    ):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, names, scope="module")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to build the pages, in a process of their own, while tests of other things run."""
    wanted = any("site" in getattr(item, "fixturenames", ()) for item in session.items)
    is_first_worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0"
    if wanted and is_first_worker and not NAMED_SITE and not session.config.option.collectonly:
        builder = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("build_book.py")], stderr=subprocess.DEVNULL
        )
        session.config.add_cleanup(builder.wait)  # called after the next one
        session.config.add_cleanup(builder.terminate)


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the finished pages."""
    if NAMED_SITE:
        named = Path(NAMED_SITE)
        assert (named / "index.html").is_file(), f"RULBOOK_SITE names no finished pages: {named}"
        return named
    from .build_book import build_book

    return build_book()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: Callable[..., SimpleHTTPRequestHandler]) -> Iterator[str]:
    """Run a web server on this machine, and yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def served(site: Path) -> Iterator[str]:
    """The address of a web server that has the pages."""
    with serving(partial(_Quiet, directory=site)) as address:
        yield address


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A reader with a light theme and a window of 1280 px, who does not want things to move."""
    with browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
    ) as opened:
        yield opened


@pytest.fixture(scope="session")
def open_page(context: BrowserContext) -> Callable[[str], Visit]:
    """Open an address and wait until everything on the page is in its place."""
    open_at_once = opener(context)

    def open_settled(address: str) -> Visit:
        visit = open_at_once(address)
        visit.settle()
        return visit

    return open_settled


def _one_at_a_time(
    open_page: Callable[[str], Visit], address_of: Callable[[str], str]
) -> Iterator[Callable[[str], Visit]]:
    """Yield what visits a page by its name and keeps the one visited last open.

    The name is an argument, not a parameter of a fixture: with several workers pytest has handed
    out the page of another parameter.
    """
    last: dict[str, Visit] = {}

    def leave() -> None:
        while last:
            last.popitem()[1].page.close()

    def visit(name: str) -> Visit:
        address = address_of(name)
        if name not in last or last[name].page.url.partition("#")[0] != address:
            leave()
            last[name] = open_page(address)
        last[name].page.bring_to_front()  # another may lie over it, and nothing moves behind
        return last[name]

    yield visit
    leave()


@pytest.fixture(scope="session")
def visit_of(open_page: Callable[[str], Visit], served: str) -> Iterator[Callable[[str], Visit]]:
    """Visit a page by its name; it stays open for all tests of it, in all files.

    What one test unfolds or moves, the next one finds so.
    """
    yield from _one_at_a_time(open_page, lambda name: f"{served}/{name}.html")


@pytest.fixture(scope="session")
def visit_from_disk(
    open_page: Callable[[str], Visit], site: Path
) -> Iterator[Callable[[str], Visit]]:
    """Visit a page by its name as ``visit_of`` does, from its file."""
    yield from _one_at_a_time(open_page, lambda name: (site / f"{name}.html").as_uri())
