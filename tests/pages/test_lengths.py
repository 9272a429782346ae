"""How long a chapter is on a screen while everything that is folded is closed."""

from collections.abc import Callable

import pytest

from ..browsing import Visit

pytestmark = pytest.mark.slow

SCREEN = 900
"""Height of the window in which the pages are visited, pixels."""

LONGEST = {"07-ablation-tables": 20}
"""Screens that a chapter may take, where it is not the usual fifteen."""

FIRST = """(pictures) => [...document.querySelectorAll(pictures)]
  .filter((picture) => picture.checkVisibility())
  .map((picture) => picture.getBoundingClientRect().top + scrollY)[0]"""


def test_a_chapter_is_read_in_fifteen_screens(
    visit_of: Callable[[str], Visit],
    chapter: str,
    record_property: Callable[[str, object], None],
) -> None:
    height = visit_of(chapter).page.evaluate("document.documentElement.scrollHeight")
    screens = height / SCREEN
    record_property(chapter, f"{screens:.1f} screens of 1280 x {SCREEN}")
    assert screens <= LONGEST.get(chapter, 15)


def test_the_first_picture_is_within_two_screens(
    visit_of: Callable[[str], Visit], chapter: str
) -> None:
    pictures = ".rulbook-explorer svg, .rulbook-formula svg"
    assert visit_of(chapter).page.evaluate(FIRST, pictures) <= 2 * SCREEN
