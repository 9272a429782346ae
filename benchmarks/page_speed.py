"""Time the finished pages from disk: until a page is ready, and until a new frame is painted.

A page is ready when its maths is typeset and its explorers have taken their places. Every opening
has a browser context of its own, with nothing cached. README.md in this folder says more.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from rulbook.errors import RulbookError
from rulbook.publishing.doctor import find_browser
from rulbook.publishing.layout import of_checkout

READY = """async () => {
  await new Promise((done) => {
    if (document.readyState === "complete") done();
    else addEventListener("load", done, { once: true });
  });
  await window.MathJax?.startup?.promise;
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const places = document.querySelectorAll(".rulbook-explorer-static").length;
  while (document.querySelectorAll(".rulbook-explorer svg").length < places) await painted();
  await painted();
  return performance.now();
}"""
"""Milliseconds from the start of the navigation until a page is ready."""

WATCH_CHANGES = """(explorer) => {
  const frame = () => explorer.querySelector(".rulbook-explorer-frame")?.dataset.values;
  window.changes = [];
  let latest = 0;
  explorer.addEventListener("keydown", () => {
    const start = (latest = performance.now());
    const before = frame();
    const look = () => {
      if (start !== latest) return;
      if ([before, undefined].includes(frame())) requestAnimationFrame(look);
      else setTimeout(() => window.changes.push(performance.now() - start));
    };
    requestAnimationFrame(look);
  }, { capture: true });
}"""
"""Notes the milliseconds from each key to the paint of the frame that it leads to."""


def times_until_ready(browser: Browser, address: str, rounds: int) -> list[float]:
    """Open a page several times, and return the milliseconds until it was ready."""
    times = []
    for _ in range(rounds):
        with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
            page = context.new_page()
            page.goto(address, wait_until="commit")
            times.append(float(page.evaluate(READY)))
    return times


def times_of_changes(page: Page) -> Iterator[float]:
    """Move every slider and button of a page's explorers once; yield milliseconds by change."""
    for explorer in page.locator(".rulbook-explorer").all():
        explorer.evaluate(WATCH_CHANGES)
        for slider in explorer.get_by_role("slider").all():
            slider.press("Home")
            page.wait_for_timeout(200)
            page.evaluate("changes.length = 0")
            for made in range(1, int(float(slider.get_attribute("aria-valuemax") or 0)) + 1):
                slider.press("ArrowRight")
                page.wait_for_function("wanted => changes.length === wanted", arg=made)
            yield from page.evaluate("changes")
        for button in explorer.locator(".widget-toggle-button:not(.mod-active)").all():
            page.evaluate("changes.length = 0")
            button.press("Enter")
            page.wait_for_function("changes.length === 1")
            yield from page.evaluate("changes")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=of_checkout().html)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    program = find_browser()
    pages = sorted(options.site.glob("[0-9][0-9]-*.html"))
    if program is None or not pages:
        raise RulbookError("This needs a browser and the finished pages: see `rulbook doctor`.")
    table = Table("page", "ready, median ms", "slowest", "frame change, median ms", "slowest")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for path in (options.site / "index.html", *pages):
            ready = times_until_ready(browser, path.as_uri(), options.rounds)
            with browser.new_context() as context:
                page = context.new_page()
                page.goto(path.as_uri())
                page.evaluate(READY)
                changes = list(times_of_changes(page)) or [float("nan")]
            table.add_row(
                path.stem, *(f"{f(times):.0f}" for times in (ready, changes) for f in (median, max))
            )
        Console().print(table)
        Console().print(f"{options.rounds} openings of a page, Chromium {browser.version}")
        browser.close()


if __name__ == "__main__":
    main()
