"""Pages in a real browser that reaches this machine only, and what they ask for."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Route, expect

ELSEWHERE = re.compile(r"^(?!file:|data:|blob:|http://127\.0\.0\.1[:/])")
"""Every address that is neither a local file nor on this machine."""

PATIENCE = 30_000
"""Milliseconds to wait for what must come, on a machine that may be busy."""

expect.set_options(timeout=PATIENCE)


@dataclass
class Visit:
    """A page that was opened, and what it asked for and complained about so far."""

    page: Page
    requests: list[str] = field(default_factory=list)
    asked_elsewhere: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Wait until maths, fonts and explorers are in their places."""
        self.page.evaluate("window.MathJax?.startup?.promise")
        self.page.wait_for_function(
            """() => document.querySelectorAll(".rulbook-explorer svg").length
                  === document.querySelectorAll(".rulbook-explorer-static").length""",
            timeout=PATIENCE,
        )
        self.page.evaluate("document.fonts.ready.then(() => null)")


@contextmanager
def unfolded(page: Page) -> Iterator[None]:
    """Open every fold of a page for a while."""
    closed = page.evaluate_handle("[...document.querySelectorAll('details:not([open])')]")
    closed.evaluate("folds => folds.forEach((fold) => { fold.open = true; })")
    yield
    closed.evaluate("folds => folds.forEach((fold) => { fold.open = false; })")


def opener(context: BrowserContext) -> Callable[[str], Visit]:
    """Return a function that opens an address in ``context``, cut off from other machines."""
    context.set_default_timeout(PATIENCE)
    visits: dict[Page, Visit] = {}

    def refuse(route: Route) -> None:
        visits[route.request.frame.page].asked_elsewhere.append(route.request.url)
        route.abort()

    context.route(ELSEWHERE, refuse)

    def open_page(address: str) -> Visit:
        page = context.new_page()
        visit = visits[page] = Visit(page)

        def note_message(message: ConsoleMessage) -> None:
            if message.type == "error":
                visit.complaints.append(message.text)

        def note_answer(status: int, address: str) -> None:
            if status >= 400:
                visit.complaints.append(f"{status}: {address}")

        page.on("request", lambda request: visit.requests.append(request.url))
        page.on("response", lambda response: note_answer(response.status, response.url))
        page.on("requestfailed", lambda request: visit.complaints.append(request.url))
        page.on("console", note_message)
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.goto(address, wait_until="load")
        return visit

    return open_page
