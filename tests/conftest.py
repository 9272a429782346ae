"""Fixtures that every test folder shares."""

import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from rulbook import paths
from rulbook.data import Fleet, cmapss
from rulbook.data.simulate import simulate
from rulbook.publishing.doctor import find_browser

from .browsing import Visit, opener
from .pages.contents import page_of, turn

settings.register_profile("rulbook", derandomize=True, deadline=None)
settings.load_profile("rulbook")


class ByFileOrPage(LoadFileScheduling):
    """Tests of one file go to one worker, and so do those of one page of the book, of any file."""

    def _split_scope(self, nodeid: str) -> str:
        return page_of(nodeid) or super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFileOrPage | None:
    """Give ``--dist loadfile`` our units of work."""
    return ByFileOrPage(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the real files or a browser; put tests of the book's pages last.

    The pages are built while the other tests run, and then those of one page follow each other.
    """
    for item in items:
        for name in ("real_data", "browser"):
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(name)
    items.sort(key=lambda item: turn(item.nodeid))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests measured beside what they asserted."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        # `torch.manual_seed` formats the stack once for each kind of device that is not in use.
        seed = (
            torch.manual_seed
            if torch.cuda.is_initialized()
            else torch.default_generator.manual_seed
        )
        seed(0)
        # Libraries with fast maths turn it on, and Hypothesis counts on subnormal numbers.
        torch.set_flush_denormal(False)


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


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[[str], Visit]]:
    """Open pages by address; whatever is not a local file or this machine is not reachable."""
    with browser.new_context() as context:
        yield opener(context)


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
