"""What the pages make of exercises and solutions."""

import re

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def pages(built):
    return {page.stem: page.read_text(encoding="utf-8") for page in built.html.glob("0*.html")}


def test_exercises_are_numbered_anew_in_every_chapter(pages):
    for number, name in ((1, "01-tiny"), (2, "02-second")):
        numbers = re.findall(
            r'<span class="caption-number">Exercise ([\d.]+) ?</span>', pages[name]
        )
        assert numbers == [f"{number}.1", f"{number}.2"]


def test_equations_are_numbered_as_exercises_are(pages):
    for number, name in ((1, "01-tiny"), (2, "02-second")):
        assert re.findall(r'<span class="eqno">\(([\d.]+)\)', pages[name]) == [f"{number}.1"]
        assert f'href="#equation-c0{number}-sum">({number}.1)</a>' in pages[name]


def test_references_have_the_numbers_of_what_they_lead_to(pages):
    shown = r'<a class="reference internal" href="([^"]+)"><span class="std std-numref">([^<]+)<'
    assert re.findall(shown, pages["02-second"]) == [
        ("#c02-one", "Exercise 2.2"),
        ("01-tiny.html#c01-one", "Exercise 1.2"),
    ]


def test_a_solution_is_closed_and_holds_its_code_under_a_title_without_a_link(pages):
    title, body = re.search(
        r'<div class="solution dropdown admonition" id="c01-zero-solution">\s*'
        r'<p class="admonition-title">(.*?)</p>(.*?)<div class="exercise',
        pages["01-tiny"],
        flags=re.DOTALL,
    ).groups()
    assert title == "Solution to Exercise 1.1"
    assert ">solved\n<" in body


def test_no_anchor_stands_twice_on_a_page(pages):
    for page in pages.values():
        anchors = re.findall(r'\bid="([^"]+)"', page)
        assert len(anchors) == len(set(anchors))
