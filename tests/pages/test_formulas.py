"""Explorers of formulas on the finished pages: computed there, served and from disk, and still."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from ..browsing import Visit, unfolded
from .contents import NAMES, ROOT

pytestmark = pytest.mark.slow

CALLED = re.compile(r"^formulas\.(\w+)_explorer\(", re.MULTILINE)
"""What brings an explorer of a formula to a page."""


def asked_for(name: str) -> list[str]:
    """Return the explorers of formulas that the text of a page asks for, in order."""
    text = ROOT / "book" / f"{name}.md"
    return CALLED.findall(text.read_text(encoding="utf-8")) if text.is_file() else []


PAGES = [name for name in NAMES if asked_for(name)]
DRAWN = ".rulbook-formula .formula-reading"


def explorers_on(page: Page, name: str) -> list[Locator]:
    found = page.locator(".rulbook-formula")
    expect(page.locator(DRAWN)).to_have_count(len(asked_for(name)))
    return found.all()


@pytest.fixture(params=PAGES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(visit_of: Callable[[str], Visit], name: str) -> Iterator[Page]:
    visit = visit_of(name)
    with unfolded(visit.page):
        yield visit.page
    assert visit.asked_elsewhere == []
    assert visit.complaints == []


def test_the_chapters_whose_pictures_are_formulas_have_them() -> None:
    assert asked_for("02-combining-losses") == ["contribution", "knobs", "frontier"]
    assert asked_for("04-what-it-costs") == ["trajectory"]
    assert "05-fixed-weight-loss" in PAGES


def test_every_slider_moves_by_key_and_what_is_said_follows(page: Page, name: str) -> None:
    for explorer in explorers_on(page, name):
        reading = explorer.locator(".formula-reading")
        for slider in explorer.get_by_role("slider").all():
            assert slider.get_attribute("aria-label")
            said, value = reading.inner_text(), slider.input_value()
            slider.focus()
            key = "ArrowLeft" if float(value) > 0 else "ArrowRight"
            for _ in range(5):
                page.keyboard.press(key)
            assert slider.input_value() != value
            expect(reading).not_to_have_text(said)


def test_every_panel_is_drawn_and_named(page: Page, name: str) -> None:
    for explorer in explorers_on(page, name):
        panels = explorer.locator(".formula-panels svg").all()
        assert panels
        for panel in panels:
            assert panel.get_attribute("aria-label")
            assert panel.locator("path").count() >= 1


def test_explorers_on_one_page_share_no_identifier(page: Page, name: str) -> None:
    explorers_on(page, name)
    found = page.locator("[id]").evaluate_all("all => all.map(({ id }) => id)")
    assert len(set(found)) == len(found)


def test_the_explorer_stands_in_the_place_of_its_still(page: Page, name: str) -> None:
    explorers_on(page, name)
    for still in page.locator(".rulbook-formula-still").all():
        expect(still.locator("svg").first).to_be_hidden()
        expect(still.locator(".rulbook-formula-caption")).to_be_visible()


def test_from_disk_it_moves_too(name: str, visit_from_disk: Callable[[str], Visit]) -> None:
    visit = visit_from_disk(name)
    with unfolded(visit.page):
        for explorer in explorers_on(visit.page, name):
            reading = explorer.locator(".formula-reading")
            said = reading.inner_text()
            explorer.get_by_role("slider").first.press("Home")
            expect(reading).not_to_have_text(said)
    assert visit.asked_elsewhere == []
    assert visit.complaints == []


def test_the_trajectory_opens_on_the_printed_setting_and_settles_below_the_limit(
    open_page: Callable[[str], Visit], served: str
) -> None:
    visit = open_page(f"{served}/04-what-it-costs.html")
    (explorer,) = explorers_on(visit.page, "04-what-it-costs")
    reading = explorer.locator(".formula-reading")
    assert "SGD has diverged" in reading.inner_text()
    explorer.get_by_role("slider", name="learning rate").press("Home")
    expect(reading).to_contain_text("below the limit of SGD")
    assert "diverged" not in reading.inner_text()
    visit.page.close()


@pytest.mark.parametrize(("rul", "health"), [("End", "Home"), ("Home", "End")])
def test_balance_balances_at_the_ends_of_the_sliders_too(
    open_page: Callable[[str], Visit], served: str, rul: str, health: str
) -> None:
    visit = open_page(f"{served}/02-combining-losses.html")
    explorer = explorers_on(visit.page, "02-combining-losses")[0]
    with unfolded(visit.page):
        explorer.get_by_role("slider", name="RUL loss").press(rul)
        explorer.get_by_role("slider", name="health loss").press(health)
        explorer.get_by_role("button", name="Balance").click()
        expect(explorer.locator(".formula-reading")).to_contain_text("50 % and 50 % of the sum")
    visit.page.close()


def test_without_scripts_and_on_paper_there_is_a_picture(
    browser: Browser, served: str, name: str
) -> None:
    options: dict[str, Any] = {"java_script_enabled": False}
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.goto(f"{served}/{name}.html")
        stills = page.locator(".rulbook-formula-still svg")
        assert stills.count() == len(asked_for(name))
        with unfolded(page):
            for still in stills.all():
                expect(still).to_be_visible()
