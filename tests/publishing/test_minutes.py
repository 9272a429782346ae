"""The time that a chapter takes to read and to run."""

import nbformat
import pytest

from rulbook.publishing import conditions, minutes
from rulbook.publishing.chapters import choose
from rulbook.publishing.layout import Layout, of_checkout

from .conftest import FRONT_MATTER, PARAMETERS_CELL


@pytest.fixture
def chapter(tmp_path):
    layout = Layout(tmp_path)
    layout.book.mkdir(parents=True)
    prose = "word " * (3 * minutes.WORDS_A_MINUTE)
    formula = "$$\n" + "x " * 5000 + "\n$$"
    box = ":::{note}\n\nshort\n:::"
    opening = "**Before you start.** Nothing\nis needed.\n\nThen more."
    (layout.book / "01-tiny.md").write_text(
        f"{FRONT_MATTER}# Title\n\n{opening}\n\n{PARAMETERS_CELL}\n{box}\n\n{prose}\n\n{formula}\n",
        encoding="utf-8",
    )
    (found,) = choose(layout, [])
    return found


def executed(chapter, seconds):
    notebook = nbformat.v4.new_notebook()
    conditions.write(
        notebook, conditions.Conditions("2026-01-01", seconds, {}, False, {}, ("cpu",), {})
    )
    chapter.executed.parent.mkdir(parents=True)
    nbformat.write(notebook, chapter.executed)


def test_prose_is_counted_and_formulas_and_code_are_not(chapter):
    assert minutes.to_read(chapter) == 3


def test_the_time_to_run_is_that_of_the_last_execution_and_never_none_at_all(chapter):
    assert minutes.to_run(chapter) is None
    assert minutes.in_words(chapter) == "3 minutes to read"
    executed(chapter, 7.0)
    assert minutes.to_run(chapter) == 1
    assert minutes.in_words(chapter) == "3 minutes to read, 1 to run"


def test_it_is_said_below_what_is_needed_before(chapter):
    executed(chapter, 150.0)
    cells = [nbformat.v4.new_markdown_cell("# T\n\n**Before you start.** A\nB.\n\nC.")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    minutes.say(notebook, chapter)
    paragraphs = notebook.cells[0].source.split("\n\n")
    assert paragraphs[1] == "**Before you start.** A\nB."
    assert paragraphs[2].startswith("**Time.** 3 minutes to read, 2 to run")
    assert paragraphs[3] == "C."


def test_a_chapter_without_an_opening_is_left_alone(chapter):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T\n\nWords.")])
    minutes.say(notebook, chapter)
    assert notebook.cells[0].source == "# T\n\nWords."


@pytest.mark.parametrize("chapter", choose(of_checkout(), []), ids=lambda chapter: chapter.name)
def test_no_chapter_takes_more_than_a_quarter_of_an_hour_to_read(chapter):
    assert 3 <= minutes.to_read(chapter) <= 15
