"""What the script of every page does to the stops of the Tab key."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from rulbook.display.tables import table

from ..browsing import Visit

STOPS = ".rulbook-scrolling[tabindex='0']"

WITHOUT_SIZES = "<style>details:not([open]) > div { display: none }</style>"
"""Lets what is folded have no size, as in other browsers than Chromium."""


def table_of(columns: int, caption: str) -> str:
    return str(table(pd.DataFrame({f"column {n}": ["1"] for n in range(columns)}), caption).data)


@pytest.fixture
def page(visit: Callable[[str], Visit], tmp_path: Path) -> Page:
    """A page with a table that is never wide, two that are on a phone, and one that always is."""
    script = files("rulbook.publishing").joinpath("page_actions.js").read_text(encoding="utf-8")
    address = tmp_path / "page.html"
    address.write_text(
        f"<meta charset='utf-8'>{WITHOUT_SIZES}{table_of(1, 'small')}{table_of(8, 'broad')}"
        f"<details><summary>More</summary>{table_of(8, 'folded')}{table_of(60, 'wide')}</details>"
        f"<script>{script}</script>",
        encoding="utf-8",
    )
    opened = visit(address.as_uri()).page
    opened.set_viewport_size({"width": 1280, "height": 900})
    return opened


def test_tables_are_stops_only_where_they_scroll(page: Page) -> None:
    expect(page.locator(f":not(details *){STOPS}")).to_have_count(0)
    page.locator("summary").click()
    expect(page.get_by_role("group", name="wide")).to_have_attribute("tabindex", "0")
    expect(page.locator(STOPS)).to_have_count(1)
    page.set_viewport_size({"width": 390, "height": 900})
    expect(page.locator(STOPS)).to_have_count(3)
    expect(page.get_by_role("group", name="small")).not_to_have_attribute("tabindex", "0")
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(page.locator(STOPS)).to_have_count(1)
    wide = page.get_by_role("group", name="wide").locator("tr").first
    for hidden, count in ((True, 0), (False, 1)):
        wide.evaluate("(row, hidden) => { row.hidden = hidden; }", hidden)
        expect(page.locator(STOPS)).to_have_count(count)
