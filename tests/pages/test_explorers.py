"""Explorers on the finished pages: moved by keyboard and by pointer, read by their controls."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from ..browsing import Visit
from .contents import WITH_EXPLORERS, explorers_called
from .test_formulas import PAGES as WITH_FORMULAS

pytestmark = pytest.mark.slow

STATE = """(explorer) => {
  const read = (control) => {
    const handle = control.querySelector("[role=slider]");
    const buttons = [...control.querySelectorAll("button")];
    const pressed = buttons.filter((button) => button.ariaPressed === "true");
    const chosen = [...control.querySelectorAll(".mod-active")];
    return {
      label: control.querySelector(".widget-label").textContent,
      index: handle ? +handle.ariaValueNow : buttons.indexOf(pressed[0]),
      told: handle ? [handle.ariaValueText] : pressed.map((button) => button.textContent),
      seen: handle
        ? [control.querySelector(".widget-readout").textContent]
        : chosen.map((button) => button.textContent),
    };
  };
  const controls = [...explorer.querySelectorAll(".rulbook-explorer-controls > *")].map(read);
  const shown = [...explorer.querySelectorAll(".rulbook-explorer-frame")]
    .filter((frame) => frame.checkVisibility())
    .filter((frame) => frame.querySelector("svg").getBoundingClientRect().height);
  return {
    controls,
    frames: shown.map((frame) => JSON.parse(frame.dataset.values)),
    drawn: shown.map((frame) => frame.querySelector("svg").getAttribute("aria-label")),
    announced: shown
      .filter((frame) => frame.closest("[aria-live=polite]"))
      .map((frame) => frame.querySelector(".rulbook-explorer-reading > span").textContent),
    height: explorer.getBoundingClientRect().height,
  };
}"""
"""What each control shows and tells assistive technology, and of the frames that are to be seen the
values, what is drawn and what is announced."""

ARRIVED = f"""([explorer, place]) => {{
  const state = ({STATE})(explorer);
  const shown = Object.fromEntries(state.controls.map(({{ label, seen }}) => [label, seen[0]]));
  return (
    JSON.stringify(state.controls.map((control) => control.index)) === JSON.stringify(place) &&
    JSON.stringify(state.frames) === JSON.stringify([shown]) &&
    state
  );
}}"""
"""The state of an explorer once it has come to a place of its grid and shows that frame alone."""


LAID_OUT = """() => innerWidth === 360 && new Promise(
  (done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"""
"""Whether the page has taken the width of a phone: a click at an older place would be lost."""


HURRY = """async (explorer) => {
  const press = (handle, key) =>
    handle.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const steps = [];
  for (const handle of explorer.querySelectorAll("[role=slider]")) {
    for (const key of ["ArrowRight", "ArrowLeft", "ArrowRight"]) {
      steps.push(...Array(8).fill(() => press(handle, key)));
    }
  }
  for (const button of explorer.querySelectorAll("button")) steps.push(() => button.click());
  for (const pause of [0, 2, 8]) {
    for (const step of steps) {
      step();
      await new Promise((done) => setTimeout(done, pause));
    }
  }
}"""
"""Moves every control of an explorer faster than its frames are drawn."""


class Control:
    """A control as its reader uses it."""

    def __init__(self, locator: Locator) -> None:
        self.label = locator.locator(".widget-label").text_content() or ""
        self.handle = locator.get_by_role("slider")
        self.track = locator.locator(".noUi-base")
        self.buttons = locator.get_by_role("button")
        self.is_slider = self.handle.count() == 1

    @property
    def size(self) -> int:
        """How many values it has."""
        if self.is_slider:
            return int(float(self.handle.get_attribute("aria-valuemax") or "")) + 1
        return self.buttons.count()

    def by_key(self, old: int, target: int) -> None:
        """Go from one value to its neighbour, or from one kind to any other, with keys alone."""
        if self.is_slider:
            self.handle.press("ArrowRight" if target > old else "ArrowLeft")
        else:
            self.buttons.nth(target).press("Enter")

    def by_pointer(self, target: int) -> None:
        """Go to a value with the mouse alone."""
        if not self.is_slider:
            self.buttons.nth(target).click()
            return
        # A click while the page is still being laid out misses the track; a reader repeats it.
        for _ in range(3):
            self._click_track(target / (self.size - 1))
            with suppress(PlaywrightTimeoutError):
                self.handle.page.wait_for_function(
                    "([handle, target]) => +handle.ariaValueNow === target",
                    arg=[self.handle.element_handle(), target],
                    timeout=3000,
                )
                return

    def _click_track(self, share: float) -> None:
        box = self.track.bounding_box()
        assert box
        # Clicks at the very ends of the track may fall beside it. The track itself is clicked, not
        # a place on the screen: where the page still moves, that place may hold a link by then.
        x = min(max(share * box["width"], 1), box["width"] - 1)
        self.track.click(position={"x": x, "y": box["height"] / 2})


def controls_of(explorer: Locator) -> list[Control]:
    found = explorer.locator(".rulbook-explorer-controls > *")
    return [Control(found.nth(position)) for position in range(found.count())]


def snake(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Return all places of a grid in an order in which only neighbours follow each other."""
    if not sizes:
        return [()]
    rest = snake(sizes[1:])
    return [
        (first, *place)
        for first in range(sizes[0])
        for place in (rest if first % 2 == 0 else rest[::-1])
    ]


@pytest.fixture
def page(visit_of: Callable[[str], Visit], with_explorers: str) -> Iterator[Page]:
    visit = visit_of(with_explorers)
    yield visit.page
    assert visit.asked_elsewhere == []
    assert visit.complaints == []


@pytest.fixture
def explorers(page: Page) -> list[Locator]:
    return page.locator(".rulbook-explorer").all()


def test_the_chapters_that_should_have_one_have_one() -> None:
    chapters = {f"{number:02}" for number in range(1, 9)}
    assert {name[:2] for name in {*WITH_EXPLORERS, *WITH_FORMULAS}} >= chapters


def test_every_explorer_of_the_text_is_on_its_page(
    explorers: list[Locator], with_explorers: str
) -> None:
    assert len(explorers) == explorers_called(with_explorers)


def test_the_keyboard_reaches_every_control_and_nothing_is_a_trap(
    explorers: list[Locator], page: Page
) -> None:
    for explorer in explorers:
        controls = controls_of(explorer)
        stops = [
            stop for control in controls for stop in (*control.handle.all(), *control.buttons.all())
        ]
        stops[0].focus()
        for stop in stops:
            assert stop.evaluate("(stop) => stop === document.activeElement")
            page.keyboard.press("Tab")
        assert not explorer.evaluate("(box) => box.contains(document.activeElement)")


def test_keys_lead_through_the_whole_grid_and_every_frame_is_the_right_one(
    explorers: list[Locator],
) -> None:
    for explorer in explorers:
        controls = controls_of(explorer)
        for control in controls:
            if control.is_slider:
                control.handle.press("Home")
            else:
                control.buttons.first.press("Enter")
        seen = set()
        places = snake([control.size for control in controls])
        for before, place in itertools.pairwise([places[0], *places]):
            for control, old, target in zip(controls, before, place, strict=True):
                if old != target:
                    control.by_key(old, target)
            seen.add(json.dumps(arrived(explorer, place)["frames"]))
        assert len(seen) == len(places)


def test_on_a_phone_the_pointer_leads_to_every_value_and_nothing_below_moves(
    explorers: list[Locator], page: Page
) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_function(LAID_OUT)
    for explorer in explorers:
        controls = controls_of(explorer)
        place = [control["index"] for control in explorer.evaluate(STATE)["controls"]]
        heights = set()
        for position, control in enumerate(controls):
            for target in range(control.size):
                control.by_pointer(target)
                place[position] = target
                heights.add(round(arrived(explorer, place)["height"]))
        assert max(heights) - min(heights) <= 1
    page.set_viewport_size({"width": 1280, "height": 900})


def test_from_disk_every_control_moves_to_the_right_frame_too(
    with_explorers: str, visit_from_disk: Callable[[str], Visit]
) -> None:
    visit = visit_from_disk(with_explorers)
    for explorer in visit.page.locator(".rulbook-explorer").all():
        place = [control["index"] for control in explorer.evaluate(STATE)["controls"]]
        for position, control in enumerate(controls_of(explorer)):
            old = place[position]
            place[position] = old + 1 if old + 1 < control.size else old - 1
            control.by_key(old, place[position])
            arrived(explorer, place)
    assert visit.asked_elsewhere == []
    assert visit.complaints == []


def test_moved_in_a_hurry_it_shows_the_right_frame_and_nothing_fails(
    explorers: list[Locator],
) -> None:
    for explorer in explorers:
        explorer.evaluate(HURRY)
        place = [control["index"] for control in explorer.evaluate(STATE)["controls"]]
        arrived(explorer, place)


def arrived(explorer: Locator, place: Sequence[int]) -> dict[str, Any]:
    """Return the state of an explorer at a place, where all that it says must agree."""
    handle = explorer.element_handle()
    try:
        found = explorer.page.wait_for_function(ARRIVED, arg=[handle, place]).json_value()
    except PlaywrightTimeoutError:
        pytest.fail(f"not at {place}: {explorer.evaluate(STATE)}")
    for control in found["controls"]:
        assert control["told"] == control["seen"]
    assert found["announced"] == found["drawn"]
    assert all(found["announced"])
    return dict(found)


def test_changes_are_announced_with_their_reading(explorers: list[Locator]) -> None:
    for explorer in explorers:
        announced = explorer.locator("[aria-live=polite] .rulbook-explorer-reading")
        assert announced.count() == 1
        assert announced.text_content()
        for control in controls_of(explorer):
            group = explorer.get_by_role("slider" if control.is_slider else "group")
            assert group.and_(explorer.get_by_label(control.label, exact=True)).count() == 1


@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_jumps_when_the_explorer_comes(
    browser: Browser, with_explorers: str, site: Any, page: Page, width: int
) -> None:
    cells = ".cell_output:has(.rulbook-explorer-static)"
    address = (site / f"{with_explorers}.html").as_uri()
    with browser.new_context(
        java_script_enabled=False, viewport={"width": width, "height": 900}
    ) as without_scripts:
        bare = without_scripts.new_page()
        bare.goto(address)
        before = [cell.bounding_box() for cell in bare.locator(cells).all()]
    page.set_viewport_size({"width": width, "height": 900})
    after = [cell.bounding_box() for cell in page.locator(cells).all()]
    page.set_viewport_size({"width": 1280, "height": 900})
    for one, other in zip(before, after, strict=True):
        assert one
        assert other
        assert other["height"] == pytest.approx(one["height"], abs=1)
