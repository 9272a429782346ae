"""What the Tab key stops at on a chapter.

No formula, tables only where they scroll, and folds and buttons by their own names.
"""

from collections import Counter
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from ..browsing import Visit

pytestmark = pytest.mark.slow

PLACES = """() => [...document.querySelectorAll(
  "a[href], button, input, summary, [tabindex='0'], [role=slider]")]
  .filter((stop) => stop.checkVisibility() && stop.closest(".bd-article"))
  .findIndex((stop) => stop.closest(".rulbook-explorer, .rulbook-formula"))"""
"""How many stops of the article come before its first explorer."""


@pytest.fixture
def visit(visit_of: Callable[[str], Visit], chapter: str) -> Visit:
    return visit_of(chapter)


def test_no_formula_is_a_stop(visit: Visit) -> None:
    assert visit.page.locator("mjx-container[tabindex='0']").count() == 0


def test_tables_are_stops_only_where_they_scroll(visit: Visit) -> None:
    visit.page.wait_for_function(
        """() => [...document.querySelectorAll(".rulbook-scrolling")].every(
          (box) => box.matches("[tabindex='0']") === box.scrollWidth > box.clientWidth)"""
    )


def test_folds_and_buttons_have_names_of_their_own(visit: Visit) -> None:
    article = visit.page.locator(".bd-article")
    expect(article.locator("button.copybtn:not([aria-label])")).to_have_count(0)
    copies = article.locator("button.copybtn").all()
    folded = article.locator("details.hide > summary, .rulbook-folded > summary").all()
    toggles = article.locator("button.toggle-button").all()
    names = [
        *((copy.get_attribute("aria-label") or "") for copy in copies),
        *((fold.text_content() or "").strip().split("\n")[0] for fold in folded),
        *((toggle.get_attribute("aria-label") or "") for toggle in toggles),
    ]
    assert folded
    assert all(names)
    assert [name for name, times in Counter(names).items() if times > 1] == []


def test_the_explorer_is_reached_in_few_keys(visit: Visit) -> None:
    assert 0 <= visit.page.evaluate(PLACES) <= 16
