"""Every page as its reader meets it: on its own, in both themes, on a phone and on paper."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from ..browsing import Visit, unfolded
from .contents import CHAPTERS
from .sizes import BUDGET, SHARED, compressed

pytestmark = pytest.mark.slow

CONTRAST = "color-contrast"

AXE = Axe(
    AXE_SCRIPT
    + f"\naxe.configure({{rules: [{{id: '{CONTRAST}', selector: '[data-kind-of-text]'}}]}});"
)
"""axe, but for the contrast of marked elements alone: that of all of them takes minutes."""

RAW_TEX = r"""() => {
  const written = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent;
    const parent = walker.currentNode.parentElement;
    const code = parent.closest("code, pre, script, style, mjx-container");
    if (!code && /\\[(\[a-zA-Z]|\$\$/.test(text)) written.push(text.trim());
  }
  return written;
}"""

MARK_KINDS_OF_TEXT = """() => {
  const paper = (element) => {
    for (let box = element; box; box = box.parentElement) {
      const { backgroundColor, backgroundImage, opacity } = getComputedStyle(box);
      if (!/, 0\\)$/.test(backgroundColor) || backgroundImage !== "none" || opacity !== "1") {
        return [backgroundColor, backgroundImage, opacity];
      }
    }
  };
  const seen = {};
  for (const element of document.querySelectorAll("body *")) {
    element.removeAttribute("data-kind-of-text");
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    if (!element.checkVisibility()) continue;
    const { color, fill, fontSize, fontWeight } = getComputedStyle(element);
    const kind = JSON.stringify([color, fill, fontSize, fontWeight, paper(element)]);
    seen[kind] = (seen[kind] ?? 0) + 1;
    if (seen[kind] <= 3) element.dataset.kindOfText = kind;
  }
}"""
"""Marks three elements for each pair of colours and size."""

TOO_WIDE = """() => [...document.querySelectorAll("article *")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
  .filter((element) => {
    for (let box = element.parentElement; box !== document.body; box = box.parentElement) {
      if (getComputedStyle(box).overflowX !== "visible") return false;
    }
    return true;
  })
  .map((element) => element.outerHTML.slice(0, 120))"""


CUT = """() => [...document.querySelectorAll("article :is(pre, div):not(.math)")]
  .filter((box) => box.checkVisibility() && getComputedStyle(box).overflowX !== "visible")
  .filter((box) => box.scrollWidth > box.clientWidth + 1)
  .map((box) => box.outerHTML.slice(0, 120))"""
"""Boxes that hold more than they show."""

UNBREAKABLE = """() => [...document.querySelectorAll(".cell_input :is(div, pre)")]
  .filter((box) => getComputedStyle(box).breakInside !== "auto")
  .map((box) => box.outerHTML.slice(0, 120))"""
"""What keeps code in one piece: its frame is then printed empty where the page ends."""

PALE = """() => [...document.querySelectorAll("article *")]
  .filter((element) => element.checkVisibility())
  .filter(({ childNodes }) => [...childNodes].some(({ data }) => /\\S/.test(data ?? "")))
  .filter((element) => {
    const { color, fill } = getComputedStyle(element);
    const ink = element instanceof SVGElement ? fill : color;
    const [red, green, blue] = ink.match(/[\\d.]+/g).map(Number);
    return 0.21 * red + 0.72 * green + 0.07 * blue > 140;
  })
  .map((element) => element.outerHTML.slice(0, 120))"""
"""Text in a colour that is meant for dark paper."""

CAPTIONS = """() => [...document.querySelectorAll(".rulbook-table")].flatMap((box) => {
  const caption = box.querySelector("caption");
  return [0, box.scrollWidth].map((left) => {
    box.scrollLeft = left;
    const [inner, outer] = [caption, box].map((part) => part.getBoundingClientRect());
    return inner.left >= outer.left - 1 && inner.right <= outer.right + 1;
  });
})"""
"""Whether each caption is in sight before and after its table is scrolled to the end."""

TEXT_PIXELS = """() => {
  const drawings = ".rulbook-figure svg, .rulbook-explorer-static svg, .rulbook-explorer svg";
  return [...document.querySelectorAll(drawings)]
    .filter((drawing) => drawing.checkVisibility())
    .map((drawing) => {
      const { left, right, width } = drawing.getBoundingClientRect();
      let whole = left >= 0 && right <= innerWidth;
      for (let box = drawing.parentElement; box !== document.body; box = box.parentElement) {
        const room = box.getBoundingClientRect();
        const clips = getComputedStyle(box).overflowX !== "visible";
        whole &&= !clips || (room.left <= left + 1 && room.right >= right - 1);
      }
      return [(10.5 * width) / drawing.viewBox.baseVal.width, whole];
    });
}"""
"""How high the text of each drawing is, at its full size of 10.5 points, and whether all of it is
in sight."""

DRAWN = """formulas => formulas.map((formula) => {
  const { width, height } = formula.getBoundingClientRect();
  return width > 2 && height > 2;
})"""

SEEN_TEX = r"""[...document.querySelectorAll(".math.notranslate")]
  .filter((box) => box.checkVisibility() && parseFloat(getComputedStyle(box).fontSize) > 0)
  .map((box) => box.textContent)"""
"""TeX of formulas that takes room on the page."""

TAB_STOPS_ARE_SET = """() => [...document.querySelectorAll("pre, .cell_output > .output")].every(
  (box) => box.tabIndex >= 0 || box.scrollWidth <= box.clientWidth || box.closest("[hidden]"))"""
"""The theme gives boxes that scroll a place in the order of tab stops, some time after a resize."""

FOLLOW_THE_SYSTEM = """(theme) => {
  const { dataset } = document.documentElement;
  if ("mode" in dataset) dataset.theme = theme;
}"""


@pytest.fixture
def visit(visit_of: Callable[[str], Visit], page_name: str) -> Visit:
    """The page, served and settled, with everything unfolded that was folded."""
    opened = visit_of(page_name)
    opened.page.mouse.move(0, 0)  # wherever another test left it, what it is over looks different
    opened.page.evaluate("document.querySelectorAll('details').forEach((part) => part.open = true)")
    return opened


@pytest.fixture
def page(visit: Visit) -> Iterator[Page]:
    """The page in a window of 1280 px and a light theme, and so again for the next test."""
    yield visit.page
    visit.page.emulate_media(media="screen", color_scheme="light")
    visit.page.set_viewport_size({"width": 1280, "height": 900})


def test_it_asks_for_nothing_elsewhere_and_nothing_fails(visit: Visit) -> None:
    assert visit.asked_elsewhere == []
    assert visit.complaints == []


def test_it_works_from_disk_too(page_name: str, visit_from_disk: Callable[[str], Visit]) -> None:
    from_disk = visit_from_disk(page_name)
    assert from_disk.page.locator(".math:not(:has(mjx-container))").count() == 0
    assert from_disk.asked_elsewhere == []
    assert from_disk.complaints == []


def test_all_maths_is_typeset(page: Page, page_name: str) -> None:
    assert page.locator(".math:not(:has(mjx-container))").count() == 0
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert page.evaluate(RAW_TEX) == []


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("dark", 360)])
def test_axe_finds_nothing_serious(page: Page, theme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    put_on(page, theme)
    page.wait_for_function(TAB_STOPS_ARE_SET)
    page.evaluate(MARK_KINDS_OF_TEXT)
    # A theme changes colours and nothing else: the other rules have seen that page already.
    violations = axe(page, runOnly=[CONTRAST]) if (theme, width) == ("dark", 1280) else axe(page)
    found = [
        "\n".join(
            [
                f"{rule['id']}: {' '.join(map(str, node['target']))}",
                node["html"][:200],
                *(check["message"] for kind in ("any", "all", "none") for check in node[kind]),
            ]
        )
        for rule in violations
        if rule["impact"] in {"serious", "critical"}
        for node in rule["nodes"]
    ]
    assert not found, "\n\n".join(found[:20])


def put_on(page: Page, theme: str) -> None:
    """Show the page as a reader sees it whose system has this theme.

    A page that was open before hears of the system's theme with the next picture that is drawn,
    and on a busy machine that one may not come for half a minute: so it is told at once.
    """
    page.emulate_media(color_scheme=theme)
    page.evaluate(FOLLOW_THE_SYSTEM, theme)


def axe(page: Page, **options: Any) -> list[dict[str, Any]]:
    options |= {"reporter": "no-passes", "preload": False}  # to preload is to ask for more files
    result: list[dict[str, Any]] = AXE.run(page, options=options).response["violations"]
    return result


def test_on_a_phone_only_tables_and_code_scroll_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_at_twice_the_size_only_tables_and_code_scroll_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 640, "height": 450})  # 1280 by 900 at 200 %
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_scripts_every_formula_is_drawn_and_no_tex_is_seen(
    browser: Browser, served: str, page_name: str
) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        bare = context.new_page()
        bare.goto(f"{served}/{page_name}.html")
        bare.locator("details").evaluate_all("folds => folds.forEach((fold) => fold.open = true)")
        formulas = bare.locator(".math.notranslate").count()
        drawn = bare.locator("math:visible").evaluate_all(DRAWN)
        assert len(drawn) == formulas
        assert all(drawn)
        assert bare.evaluate(SEEN_TEX) == []


def test_on_paper_solutions_are_left_out_but_for_those_that_are_open(
    page: Page, page_name: str
) -> None:
    solutions = page.locator("article .solution.admonition")
    if page_name in CHAPTERS:
        assert solutions.count() >= 3
    page.emulate_media(media="print")
    assert [one for one in solutions.all() if one.is_visible()] == []
    if solutions.count():
        page.emulate_media(media="screen")
        solutions.first.locator("button.toggle-button").click()
        page.emulate_media(media="print")
        assert solutions.first.is_visible()
        assert solutions.nth(1).is_hidden()
        page.emulate_media(media="screen")
        solutions.first.locator("button.toggle-button").click()


def test_on_a_phone_captions_stay_when_their_tables_scroll(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert all(page.evaluate(CAPTIONS))


def test_on_a_phone_drawings_fit_and_their_text_is_ten_pixels_high(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    with unfolded(page):
        drawings = page.evaluate(TEXT_PIXELS)
    for pixels, whole in drawings:
        assert pixels >= 10
        assert whole


def test_on_paper_nothing_is_cut_and_the_dark_theme_is_not_pale(page: Page) -> None:
    put_on(page, "dark")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 between Chromium's margins
    page.emulate_media(media="print")
    assert page.evaluate(CUT) == []
    assert page.evaluate(PALE) == []


def test_on_paper_code_may_run_on_to_the_next_page(page: Page) -> None:
    page.emulate_media(media="print")
    assert page.evaluate(UNBREAKABLE) == []


def test_on_paper_every_explorer_shows_its_default_state(page: Page) -> None:
    page.emulate_media(media="print")
    for widget in page.locator(".rulbook-explorer").all():
        assert widget.is_hidden()
    for still in page.locator(".rulbook-explorer-static").all():
        assert still.locator("svg").is_visible()
        assert still.locator(".rulbook-explorer-caption").is_visible()


def test_it_is_small(
    visit: Visit, site: Path, page_name: str, record_property: Callable[[str, object], None]
) -> None:
    files = {unquote(urlsplit(address).path).lstrip("/") for address in visit.requests}
    assert f"{page_name}.html" in files
    shared = {file for file in files if file.startswith(SHARED)}
    own = sum(compressed(site / file) for file in files - shared)
    beside = sum(compressed(site / file) for file in shared)
    size = f"{own / 1000:.0f} kB of its own, {beside / 1000:.0f} kB shared with other pages"
    record_property(page_name, size)
    assert own <= BUDGET
