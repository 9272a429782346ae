"""What holds of the texts of all chapters and pages: glossary, exercises, boxes, numbers."""

import re

import pytest
import yaml

from rulbook.publishing.chapters import chapters
from rulbook.publishing.layout import of_checkout

LAYOUT = of_checkout()
CHAPTERS = {chapter.name: chapter.text.read_text(encoding="utf-8") for chapter in chapters(LAYOUT)}
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in LAYOUT.book.glob("*.md")}
TERM = re.compile(r"\{term\}`(?:[^<`]*<)?([^<>`]+)>?`")
FINDINGS = ":::{admonition} What this chapter finds\n:class: tip\n"
OPENING = re.compile(
    r"# (?P<title>[^\n]+)\n\n(?P<introduction>.+?)\n\n\*\*You will\*\*\n\n(?P<aims>\* .+?)\n\n"
    r"\*\*Before you start\.\*\* (?P<needs>.+?)\n\n"
    rf"{re.escape(FINDINGS)}\n(?P<findings>\* .+?)\n:::\n\n```{{code-cell}}",
    re.DOTALL,
)
"""How a chapter opens: what it is about, three aims, what it needs, and what it finds."""
each_chapter = pytest.mark.parametrize("text", CHAPTERS.values(), ids=CHAPTERS)


def glossary_words():
    blocks = re.findall(r":::\{glossary\}\n(.*?)\n:::", PAGES["glossary"], flags=re.DOTALL)
    return {line for block in blocks for line in block.splitlines() if line[:1].strip()}


def test_most_words_of_the_glossary_are_used_by_a_page_other_than_the_glossary():
    used = {
        word for name, text in PAGES.items() if name != "glossary" for word in TERM.findall(text)
    }
    assert used <= glossary_words()
    assert len(used) >= 0.7 * len(glossary_words())


@each_chapter
def test_a_chapter_sends_to_the_glossary_once_a_word(text):
    words = TERM.findall(text)
    assert len(words) >= 5
    assert len(words) == len(set(words))


@each_chapter
def test_every_exercise_is_followed_by_its_closed_solution_and_other_boxes_are_findings(text):
    asked = r":::\{exercise\}\n:label: (?P<label>[a-z0-9-]+)\n\n.+?\n:::\n\n"
    closed = (
        r":::\{solution-start\} (?P=label)\n:label: (?P=label)-solution\n:class: dropdown\n:::\n"
    )
    pairs = re.findall(asked + closed + r".*?\n:::\{solution-end\}\n:::\n", text, flags=re.DOTALL)
    boxes = re.findall(r"^:{3,}\{.*", text.split(FINDINGS, 1)[1], flags=re.MULTILINE)
    assert len(pairs) >= 3
    assert len(boxes) == 3 * len(pairs)


CELL = re.compile(r"^```\{code-cell\}[^\n]*\n((?::[^\n]*\n)*)(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_lines(text):
    """Return the lines of all code cells, those of cells that hide something apart."""
    lines = {True: [], False: []}
    for options, code in CELL.findall(text):
        hides = re.search(r"\b(hide|remove)-", options) is not None
        lines[hides] += [line for line in code.splitlines() if line.strip()]
    return lines[True], lines[False]


@pytest.mark.parametrize("name", CHAPTERS)
def test_code_is_short_narrow_and_mostly_seen(name, record_property):
    most, share = (300, 0.5) if name.startswith("07") else (250, 0.4)
    hidden, seen = code_lines(CHAPTERS[name])
    lines = hidden + seen
    record_property(name, f"{len(lines)} lines, {len(hidden) / len(lines):.0%} hidden")
    assert len(lines) <= most
    assert len(hidden) < share * len(lines)
    assert [line for line in lines if len(line) > 100] == []


@each_chapter
def test_only_whole_sections_are_folded(text):
    """The comment of the Sphinx extension ``folded_sections`` is the line below a heading."""
    marks = re.findall(r"^% fold$", text, flags=re.MULTILINE)
    assert len(re.findall(r"^#{2,3} .+\n% fold\n\n", text, flags=re.MULTILINE)) == len(marks)
    assert "## Exercises\n% fold\n" in text


@each_chapter
def test_what_is_numbered_is_referred_to(text):
    equations = re.findall(r"^\$\$ \(([a-z0-9-]+)\)$", text, flags=re.MULTILINE)
    labels = re.findall(r"^```\{code-cell\}.*\n(?::.+\n)*?:label: (.+)$", text, flags=re.MULTILINE)
    assert set(equations) == set(re.findall(r"\{eq\}`([^`]+)`", text))
    assert set(labels) == set(re.findall(r"\[(?:Table|Figure)\]\(#([a-z0-9-]+)\)", text))


@pytest.mark.parametrize("text", PAGES.values(), ids=PAGES)
def test_a_value_of_another_page_is_quoted_with_its_format(text):
    """MyST-NB takes what stands behind the last colon for the format."""
    assert re.findall(r"\{glue:text\}`[^`]*::[^`:]*`", text) == []


@each_chapter
def test_a_chapter_opens_with_three_aims_what_it_needs_and_what_it_finds(text):
    opening = OPENING.match(text.split("\n---\n\n", 1)[1])
    assert opening
    assert len(re.findall(r"^\* ", opening["aims"], flags=re.MULTILINE)) == 3
    assert 2 <= len(re.findall(r"^\* \*\*", opening["findings"], flags=re.MULTILINE)) <= 4
    assert " * " not in opening["findings"]
    assert "{glue:text}`" in opening["findings"]
    assert len(opening["introduction"].split()) < 120


@each_chapter
def test_something_to_try_comes_before_anything_else(text):
    first_heading = re.search(r"^## (.+)$", text, flags=re.MULTILINE)
    assert first_heading
    assert first_heading[1].endswith(": try it")


def test_the_front_page_leads_to_every_other_page():
    contents = yaml.safe_load((LAYOUT.root / "_toc.yml").read_text(encoding="utf-8"))
    pages = {page["file"] for part in contents["parts"] for page in part["chapters"]}
    links = re.findall(r"\]\(([\w-]+)(?:\.md)?\)|^:link: (\S+)$", PAGES["index"], re.MULTILINE)
    assert "for-lecturers" in pages
    assert pages - {link or card for link, card in links} == set()
