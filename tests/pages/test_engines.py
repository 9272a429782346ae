"""Every page and every explorer in Firefox and in WebKit, served and from disk."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from .conftest import serving
from .contents import NAMES, explorers_called
from .engines import Engine, copy_that_notes, firefox, wait_for, webkit
from .test_formulas import asked_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.other_browser,
    # Selenium's own driver of WebKitGTK calls what Selenium has deprecated.
    pytest.mark.filterwarnings("ignore:setting remote_server_addr:DeprecationWarning"),
]

READY = """document.readyState === "complete" && (window.MathJax?.startup?.promise ?? true)
  && document.querySelectorAll(".math:not(:has(mjx-container))").length === 0"""

EXPLORERS = """[...document.querySelectorAll(".rulbook-explorer")]
  .filter((explorer) => explorer.querySelector("svg")).length"""
FORMULAS = """[...document.querySelectorAll(".rulbook-formula")]
  .filter((explorer) => explorer.querySelector(".formula-reading")?.textContent).length"""

HANDLES = ".rulbook-explorer [role=slider], .rulbook-formula input[type=range]"
CONTROL = f"""document.querySelectorAll("{HANDLES}")[%d]"""
READ = """((handle) => {
  const box = handle.closest(".rulbook-explorer, .rulbook-formula");
  const shown = [...box.querySelectorAll(".rulbook-explorer-reading, .formula-reading")];
  return shown.filter((one) => one.checkVisibility()).map((one) => one.textContent).join();
})(%s)"""
AT_THE_END = """((handle) => (handle.value ?? handle.ariaValueNow ?? handle.getAttribute(
  "aria-valuenow")) === (handle.max ?? handle.getAttribute("aria-valuemax")))(%s)"""


class _Logging(SimpleHTTPRequestHandler):
    """A handler that lists the addresses for which it has nothing."""

    refused: list[str]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def log_error(self, *_: object) -> None:
        self.refused.append(self.path)


@pytest.fixture(scope="module", params=[firefox, webkit], ids=["firefox", "webkit"])
def start(request: pytest.FixtureRequest):
    return request.param


@pytest.fixture(scope="module", params=["served", "from disk"])
def engine(
    start, request: pytest.FixtureRequest, site: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A browser, and the pages as it gets them."""
    folder = site
    if start is webkit:
        folder = copy_that_notes(site, tmp_path_factory.mktemp("noting"))
    if request.param == "from disk":
        with start(folder.as_uri()) as opened:
            yield opened
        return
    handler = type("_Handler", (_Logging,), {"refused": []})
    with serving(partial(handler, directory=folder)) as home, start(home) as opened:
        yield opened
    assert handler.refused == []


FAULTY = """<!doctype html><html><head>
<meta http-equiv="Content-Security-Policy" content="default-src 'self'"><title>quiet</title></head>
<body><img src="nothing.png"><script>document.title = "loud"</script>
<script src="_static/faulty.js"></script></body></html>"""


def test_what_goes_wrong_on_a_page_is_noted(start, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "_static").mkdir(parents=True)
    (site / "faulty.html").write_text(FAULTY)
    script = "console.error('said'); Promise.reject('broken'); window.ran = true; null.thing"
    (site / "_static" / "faulty.js").write_text(script)
    if start is webkit:
        (tmp_path / "noting").mkdir()
        site = copy_that_notes(site, tmp_path / "noting")
    with start(site.as_uri()) as engine:
        engine.open("faulty.html")
        wait_for(engine, "window.ran")
        assert engine.evaluate("document.title") == "quiet"
        noted = "\n".join(engine.complaints())
    for kind in ("policy: ", "said", "broken", "nothing.png", "error: "):
        assert kind in noted


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_whole_and_its_explorers_move(engine: Engine, name: str) -> None:
    engine.open(f"{name}.html")
    wait_for(engine, READY)
    wait_for(engine, f"({EXPLORERS}) === {explorers_called(name)}")
    wait_for(engine, f"({FORMULAS}) === {len(asked_for(name))}")
    engine.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    for position in range(engine.evaluate(f"""document.querySelectorAll("{HANDLES}").length""")):
        control = CONTROL % position
        before = engine.evaluate(READ % control)
        assert before
        engine.evaluate(f"{control}.focus()")
        engine.press("ARROW_LEFT" if engine.evaluate(AT_THE_END % control) else "ARROW_RIGHT")
        wait_for(engine, f"{READ % control} !== {before!r}")
    assert engine.complaints() == []
