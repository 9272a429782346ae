"""Slides of a chapter: its findings and figures, and that they need no network."""

import unicodedata

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from rulbook.display import plots
from rulbook.errors import RulbookError
from rulbook.publishing import slides, web_assets
from rulbook.publishing.chapters import choose

ALT = "Two lines that <cross> & part."


def drawing(caption=""):
    figure, axes = plots.panels()
    axes.plot([0, 1], [0, 1])
    return plots.Drawing(plots.svg_of(figure, ALT, ids="01-lines"), ALT, caption)


def shown(*drawn):
    html = "".join(one._repr_html_() for one in drawn)
    return new_code_cell("x", outputs=[new_output("display_data", {"text/html": html})])


FINDINGS = """
:::{admonition} What this chapter finds
:class: tip

* **It holds** up to $\\rho$ = 39.
* See the {doc}`next one <01-tiny>`.
:::
"""

EXECUTED = new_notebook(
    cells=[
        new_markdown_cell("# A chapter\n\nWords.\n\n## First part"),
        shown(drawing("One & two.")),
        new_code_cell("print()", outputs=[new_output("stream", text="no figure")]),
        new_markdown_cell("More words.\n\n### Second part\n\nWords."),
        shown(drawing("Three."), drawing()),
    ]
)


def test_every_figure_is_a_slide_under_its_heading_with_its_sentences():
    title, *figures = [cell.source for cell in slides.notebook_of_slides(EXECUTED, "").cells]
    assert title == "# A chapter"
    assert [slide.splitlines()[0] for slide in figures] == [
        "## First part",
        "## Second part",
        "## Second part",
    ]
    assert all("<svg" in slide for slide in figures)
    assert all("Two lines that &lt;cross&gt; &amp; part." in slide for slide in figures)
    assert ["<p>One &amp; two.</p>" in slide for slide in figures] == [True, False, False]
    assert "<p>" not in figures[2]


def test_findings_stand_between_the_title_and_the_figures():
    slides_of = slides.notebook_of_slides(EXECUTED, "* One.\n* Two.").cells
    assert [cell.source.splitlines()[0] for cell in slides_of[:3]] == [
        "# A chapter",
        "## What this chapter finds",
        "## First part",
    ]
    assert slides_of[1].source.endswith("\n\n* One.\n* Two.")


def test_a_slide_is_one_block_of_html():
    for cell in slides.notebook_of_slides(EXECUTED, "").cells[1:]:
        _, html = cell.source.split("\n\n", 1)
        assert "\n\n" not in html


def test_a_chapter_that_was_not_executed_is_named(layout, tiny):
    with pytest.raises(RulbookError, match=f"Chapter {tiny.name} was not executed"):
        slides.write_slides(layout, [tiny])
    assert not layout.slides.exists()


@pytest.mark.slow
def test_the_slides_of_a_chapter_open_from_disk_and_ask_for_nothing_elsewhere(
    layout, tiny, visit, monkeypatch
):
    tiny.executed.parent.mkdir(parents=True)
    nbformat.write(EXECUTED, tiny.executed)
    tiny.text.write_text(tiny.text.read_text() + FINDINGS)
    (written,) = slides.write_slides(layout, choose(layout, []))
    monkeypatch.setattr(web_assets, "_download", lambda *_: pytest.fail("fetched again"))
    assert slides.write_slides(layout, choose(layout, [])) == [written]
    opened = visit(written.as_uri())
    page = opened.page
    page.wait_for_function("window.Reveal?.isReady()")
    assert page.evaluate("Reveal.getTotalSlides()") == 5
    page.keyboard.press("ArrowRight")
    found = page.locator(".slides .present .present")
    found.get_by_role("heading", name="What this chapter finds").wait_for()
    found_words = unicodedata.normalize("NFKC", found.locator("ul").inner_text())
    assert " ".join(found_words.split()) == "It holds up to ρ = 39. See the next one."
    assert found.locator("ul a").count() == 0
    for heading in ("First part", "Second part"):
        page.keyboard.press("ArrowRight")
        slide = page.locator(".slides .present .present")
        slide.get_by_role("heading", name=heading).wait_for()
        figure = slide.locator("svg").bounding_box()
        size = page.viewport_size
        assert figure["height"] > size["height"] / 2
        assert figure["y"] >= 0
        assert figure["y"] + figure["height"] <= size["height"]
    assert "Figure 1.1." in page.locator(".slides").inner_html()
    assert opened.asked_elsewhere == []
    assert opened.complaints == []
