"""What the pages make of a section that is marked as folded."""

import re

import pytest

pytestmark = pytest.mark.slow


def test_a_marked_section_is_closed_below_its_heading_and_keeps_its_anchor(built):
    page = (built.html / "01-tiny.html").read_text(encoding="utf-8")
    opening, heading, body = re.search(
        r'<section id="exercises">\s*(<details[^>]*>)<summary>(.*?)</summary>(.*)'
        r"</details></section>",
        page,
        flags=re.DOTALL,
    ).groups()
    assert opening == '<details class="rulbook-fold rulbook-section">'
    assert heading.startswith("<h2>Exercises")
    assert 'id="c01-zero"' in body
    assert 'id="c01-zero-solution"' in body


def test_other_sections_stay_as_they_are(built):
    page = (built.html / "01-tiny.html").read_text(encoding="utf-8")
    assert page.count("rulbook-section") == 1
