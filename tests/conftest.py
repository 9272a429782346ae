"""Fixtures that every test folder shares."""

import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from rulbook import paths
from rulbook.build.doctor import find_browser
from rulbook.data import Fleet, cmapss
from rulbook.data.simulate import simulate

settings.register_profile("rulbook", derandomize=True, deadline=None)
settings.load_profile("rulbook")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for the real files or for a browser."""
    for item in items:
        for name in ("real_data", "browser"):
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(name)


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real C-MAPSS files; the test is skipped where there is none."""
    folder = cmapss.locate()
    if folder is None:
        pytest.skip("needs the twelve C-MAPSS files: set RULBOOK_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless browser; without one the test is skipped, or fails where one is required."""
    program = find_browser()
    if program is None:
        reason = "no browser here: install chromium, or let RULBOOK_BROWSER name one"
        if os.environ.get("RULBOOK_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start for root, as in a container.
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass
class Visit:
    """A page that was opened with the network off, and what it asked for and complained about."""

    page: Page
    asked_elsewhere: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[[str], Visit]]:
    """Open pages by address; whatever is not a local file or this machine is not reachable."""
    context = browser.new_context()
    context.set_offline(True)

    def open_page(address: str) -> Visit:
        visited = Visit(context.new_page())

        def note_request(request: Request) -> None:
            if not request.url.startswith(("file:", "data:", "blob:", "http://127.0.0.1")):
                visited.asked_elsewhere.append(request.url)

        def note_message(message: ConsoleMessage) -> None:
            if message.type == "error":
                visited.complaints.append(message.text)

        visited.page.on("request", note_request)
        visited.page.on("console", note_message)
        visited.page.on("pageerror", lambda error: visited.complaints.append(str(error)))
        visited.page.on("requestfailed", lambda request: visited.complaints.append(request.url))
        visited.page.goto(address, wait_until="load")
        return visited

    yield open_page
    context.close()


@pytest.fixture
def no_real_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hide the real data of this machine; returns the empty cache folder put in its place."""
    cache = tmp_path / "cache"
    monkeypatch.delenv(paths.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(paths, "cache", lambda: cache)
    return cache


@pytest.fixture(scope="session")
def simulated_fleet() -> Fleet:
    """The simulated FD002: six operating conditions, one fault mode."""
    return simulate("FD002")
