"""The finished pages, served and opened.

They are those of ``_build/html``, built first if they are not up to date, or those of the folder
that ``RULBOOK_SITE`` names, built elsewhere.
"""

import fcntl
import os
import re
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

ROOT = Path(__file__).parents[2]
NAMED_SITE = os.environ.get("RULBOOK_SITE")
NOT_IN_THE_CONTENTS = ("404", "genindex", "py-modindex", "search")
EXPLORER = re.compile(
    r"^ *(?:\w+ = )?(?:explorer\($|figures\.\w+_explorer\()|^\{\{ tug_of_war \}\}$", re.MULTILINE
)
"""What brings an explorer to a page, in a cell or in text."""


def explorers_called(name: str) -> int:
    """Return how many explorers the text of a page asks for; written pages have none."""
    text = ROOT / "book" / f"{name}.md"
    return len(EXPLORER.findall(text.read_text(encoding="utf-8"))) if text.is_file() else 0


_CONTENTS = (ROOT / "_toc.yml").read_text(encoding="utf-8")
NAMES = [*re.findall(r"(?:root|file): (\S+)", _CONTENTS), *NOT_IN_THE_CONTENTS]
CHAPTERS = [name for name in NAMES if re.match(r"\d\d-", name)]
WITH_EXPLORERS = [name for name in NAMES if explorers_called(name)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for every page, chapter or page with explorers that it asks for."""
    for fixture, names in (
        ("page_name", NAMES),
        ("chapter", CHAPTERS),
        ("with_explorers", WITH_EXPLORERS),
    ):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, names, scope="module")


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the finished pages."""
    if NAMED_SITE:
        named = Path(NAMED_SITE)
        assert (named / "index.html").is_file(), f"RULBOOK_SITE names no finished pages: {named}"
        return named
    from rulbook.publishing import recorded_values
    from rulbook.publishing.chapters import choose
    from rulbook.publishing.execute import Parameters, execute
    from rulbook.publishing.layout import of_checkout
    from rulbook.publishing.site import build_site

    layout = of_checkout()
    layout.build.mkdir(exist_ok=True)
    # Another worker may want the same pages; whoever comes second finds them up to date.
    with (layout.build / "tests.lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another machine's last digits are no news: tests leave the committed values alone.
        patch.setattr(recorded_values, "record", lambda *_: None)
        execute(layout, choose(layout, []), Parameters())
        build_site(layout)
    return layout.html


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


@pytest.fixture(scope="module")
def visit_of(open_page: Callable[[str], Visit], served: str) -> Iterator[Callable[[str], Visit]]:
    """Visit a page by its name; the one visited last stays open for the tests that follow.

    The name is an argument, not a parameter of the fixture: with several workers pytest has handed
    out the page of another parameter.
    """
    last: dict[str, Visit] = {}

    def leave() -> None:
        while last:
            last.popitem()[1].page.close()

    def visit(name: str) -> Visit:
        if name not in last:
            leave()
            last[name] = open_page(f"{served}/{name}.html")
        return last[name]

    yield visit
    leave()
