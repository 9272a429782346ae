"""Two engines beside Chromium's, each behind the same few calls: Firefox and WebKitGTK.

Firefox is driven over WebDriver BiDi, without a driver of its own between. WebKitGTK's driver knows
no BiDi: there a script of the page itself notes what goes wrong, so that its pages are copies.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from selenium import webdriver
from selenium.webdriver.common.bidi.browsing_context import BrowsingContext, ReadinessState
from selenium.webdriver.common.bidi.common import command_builder
from selenium.webdriver.common.bidi.script import Script
from selenium.webdriver.common.bidi.session import Session
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.websocket_connection import WebSocketConnection
from selenium.webdriver.webkitgtk.service import Service

PATIENCE = 60
"""Seconds to wait for what must come, on a machine that may be busy."""

NOTING = """
  window.complaints = [];
  const note = (kind, what) => window.complaints.push(`${kind}: ${what}`);
  const { error } = console;
  console.error = (...words) => { note("console", words.join(" ")); error(...words); };
  window.addEventListener("unhandledrejection", (event) => note("promise", event.reason));
  document.addEventListener("securitypolicyviolation", (event) =>
    note("policy", `${event.violatedDirective} ${event.blockedURI}`));
  // Firefox fetches the next page ahead, and may drop that at any time.
  const isAhead = ({ target }) => target.rel === "next";
  window.addEventListener("error", (event) => isAhead(event) ||
    note("error", event.message ?? event.target.src ?? event.target.href), true);
"""
"""Notes what goes wrong on a page; it must run before all other scripts."""

BAD_FONTS = """[...document.fonts].filter((font) => font.status === "error")
  .map((font) => `font: ${font.family}`)"""

_FIREFOX = "firefox-esr"
_WEBKIT_DRIVER = "WebKitWebDriver"
_MINI_BROWSERS = "/usr/lib/*/webkit2gtk-4.*/MiniBrowser"
_NOTING_FILE = "_static/noting.js"
_LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


class Engine(Protocol):
    """A browser with one page open at a time."""

    name: str

    def open(self, page: str) -> None:
        """Open a page by its path below the root of the site, and wait until it is loaded."""

    def evaluate(self, expression: str) -> Any:
        """Return what an expression of JavaScript is, or what it promises."""

    def press(self, key: str) -> None:
        """Press a key where the focus is, by its name in ``Keys``."""

    def complaints(self) -> list[str]:
        """Return what went wrong on the page since it was opened."""


def wait_for(engine: Engine, expression: str) -> Any:
    """Return what an expression is once it is true."""
    end = time.monotonic() + PATIENCE
    while not (value := engine.evaluate(expression)):
        assert time.monotonic() < end, f"{engine.name} waited in vain for {expression}"
        time.sleep(0.1)
    return value


class Firefox:
    """Firefox without a window, over its own BiDi socket."""

    name = "Firefox"

    def __init__(self, connection: WebSocketConnection, home: str) -> None:
        self._connection, self._home = connection, home
        self._pages, self._scripts = BrowsingContext(connection), Script(connection)
        session = Session(connection)
        session.new({"alwaysMatch": {}})
        self._send("script.addPreloadScript", functionDeclaration=f"() => {{ {NOTING} }}")
        self._seen: list[str] = []
        self._page = self._pages.create("tab")
        self._pages.set_viewport(self._page, {"width": 1280, "height": 900})
        session.subscribe(["log.entryAdded", "network.fetchError", "network.responseCompleted"])
        # What selenium calls back for is one of its classes an event; the frames are plainer.
        self._connection.callbacks |= {
            "log.entryAdded": [self._logged],
            "network.fetchError": [lambda event: self._seen.append(event["request"]["url"])],
            "network.responseCompleted": [self._answered],
        }

    def _send(self, method: str, **parameters: Any) -> Any:
        return self._connection.execute(command_builder(method, parameters))

    def _logged(self, event: dict[str, Any]) -> None:
        if event["level"] == "error":
            self._seen.append(f"{event['type']}: {event['text']}")

    def _answered(self, event: dict[str, Any]) -> None:
        status, address = event["response"]["status"], event["request"]["url"]
        if status >= 400 or not address.startswith((self._home, "data:", "blob:")):
            self._seen.append(f"{status}: {address}")

    def open(self, page: str) -> None:
        self._seen.clear()
        self._pages.navigate(self._page, f"{self._home}/{page}", ReadinessState.COMPLETE)

    def evaluate(self, expression: str) -> Any:
        answer = self._send(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then((value) => JSON.stringify(value))",
            target={"context": self._page},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"].get("value", "null"))

    def press(self, key: str) -> None:
        value = getattr(Keys, key)
        strokes = [{"type": kind, "value": value} for kind in ("keyDown", "keyUp")]
        keys = {"type": "key", "id": "keyboard", "actions": strokes}
        self._send("input.performActions", context=self._page, actions=[keys])

    def complaints(self) -> list[str]:
        return [*self._seen, *self.evaluate(f"[...window.complaints, ...{BAD_FONTS}]")]


class WebKit:
    """WebKitGTK's small browser, through its driver; pages note what goes wrong themselves."""

    name = "WebKit"

    def __init__(self, driver: webdriver.WebKitGTK, home: str) -> None:
        self._driver, self._home = driver, home
        driver.set_window_size(1280, 900)
        driver.set_script_timeout(PATIENCE)

    def open(self, page: str) -> None:
        self._driver.get(f"{self._home}/{page}")

    def evaluate(self, expression: str) -> Any:
        program = f"""const done = arguments[0];
          Promise.resolve({expression}).then((value) => done(JSON.stringify(value) ?? "null"))"""
        return json.loads(self._driver.execute_async_script(program))

    def press(self, key: str) -> None:
        self._driver.switch_to.active_element.send_keys(getattr(Keys, key))

    def complaints(self) -> list[str]:
        elsewhere = """performance.getEntriesByType("resource").map(({ name }) => name)
          .filter((name) => !/^(file|data|blob):/.test(name))
          .filter((name) => !name.startsWith(location.origin))"""
        return [
            str(one) for one in self.evaluate(f"[...complaints, ...{BAD_FONTS}, ...{elsewhere}]")
        ]


@contextmanager
def firefox(home: str) -> Iterator[Engine]:
    """Start Firefox for the pages below an address; the test is skipped where there is none."""
    program = _program(_FIREFOX, "firefox-esr")
    with ExitStack() as at_the_end:
        profile = at_the_end.enter_context(
            tempfile.TemporaryDirectory(prefix="rulbook-firefox-", ignore_cleanup_errors=True)
        )
        command = [program, "--headless", "--no-remote", "--profile", profile]
        command += ["--remote-debugging-port", "0"]
        process = at_the_end.enter_context(
            subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8"
            )
        )
        at_the_end.callback(process.kill)
        address = next(found[1] for line in process.stderr if (found := _LISTENING.search(line)))
        connection = WebSocketConnection(f"{address}/session", PATIENCE, 0.02)
        at_the_end.callback(connection.close)
        yield Firefox(connection, home)


@contextmanager
def webkit(home: str) -> Iterator[Engine]:
    """Start WebKitGTK's browser; the test is skipped where it, its driver or a display lacks."""
    driver_program = _program(_WEBKIT_DRIVER, "webkit2gtk-driver")
    browser = next(Path("/").glob(_MINI_BROWSERS.lstrip("/")), None)
    if browser is None:
        _lacking("MiniBrowser", "webkit2gtk-driver")
    with ExitStack() as at_the_end:
        display = os.environ.get("DISPLAY") or at_the_end.enter_context(_virtual_display())
        options = webdriver.WebKitGTKOptions()
        options.binary_location = str(browser)
        options.add_argument("--automation")
        service = Service(driver_program, env={**os.environ, "DISPLAY": display})
        driver = webdriver.WebKitGTK(options, service)
        at_the_end.callback(driver.quit)
        yield WebKit(driver, home)


@contextmanager
def _virtual_display() -> Iterator[str]:
    """Start a display that nobody sees, and yield its name."""
    program = _program("Xvfb", "xvfb")
    reader, writer = os.pipe()
    command = [
        program,
        "-displayfd",
        str(writer),
        "-screen",
        "0",
        "1400x1000x24",
        "-nolisten",
        "tcp",
    ]
    process = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        with os.fdopen(reader) as told:
            yield f":{told.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


def _program(name: str, package: str) -> str:
    return shutil.which(name) or _lacking(name, package)


def _lacking(name: str, package: str) -> Any:
    reason = f"no {name} here: apt-get install {package}"
    if os.environ.get("RULBOOK_REQUIRE_BROWSER"):
        pytest.fail(reason)
    pytest.skip(reason)


def copy_that_notes(site: Path, folder: Path) -> Path:
    """Return a copy of the site whose pages note what goes wrong; other files are linked to."""
    for path in site.iterdir():
        if path.suffix == ".html":
            noting = f'<script src="{_NOTING_FILE}"></script>'
            page = path.read_text(encoding="utf-8")
            noted, times = re.subn(
                r"(<head\b[^>]*>(?:<meta http-equiv[^>]*>)?)", rf"\1{noting}", page, count=1
            )
            assert times == 1
            (folder / path.name).write_text(noted, encoding="utf-8")
        elif path.name != "_static":
            (folder / path.name).symlink_to(path)
    shutil.copytree(site / "_static", folder / "_static")
    (folder / _NOTING_FILE).write_text(NOTING, encoding="utf-8")
    return folder
