"""The PDF of every chapter, without solutions."""

import shutil
import subprocess

import pytest

from rulbook.errors import RulbookError
from rulbook.publishing import print_edition
from rulbook.publishing.chapters import choose


def test_without_a_browser_the_error_says_what_to_install(layout, tiny, monkeypatch):
    monkeypatch.setattr(print_edition, "find_browser", lambda: None)
    with pytest.raises(RulbookError, match="install chromium"):
        list(print_edition.print_chapters(layout, [tiny]))


def test_a_page_that_was_not_built_is_named_before_anything_is_printed(layout, tiny):
    with pytest.raises(RulbookError, match=f"page of {tiny.name} was not built"):
        list(print_edition.print_chapters(layout, [tiny]))
    assert not layout.printed.exists()


def test_a_browser_that_prints_nothing_is_named(layout, tiny, monkeypatch):
    layout.html.mkdir(parents=True)
    (layout.html / f"{tiny.name}.html").write_text("<p>words</p>")
    monkeypatch.setattr(print_edition, "find_browser", lambda: shutil.which("true"))
    with pytest.raises(RulbookError, match=r"did not print file://.*in a browser"):
        list(print_edition.print_chapters(layout, [tiny]))
    assert not list(layout.printed.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("browser")
def test_every_chapter_becomes_a_pdf_in_which_its_solutions_are_not(built, tmp_path):
    chapters = choose(built, [])
    for chapter, pdf in zip(chapters, print_edition.print_chapters(built, chapters), strict=True):
        assert pdf.name == f"{chapter.name}.pdf"
        content = pdf.read_bytes()
        assert content.startswith(b"%PDF-")
        assert content.rstrip().endswith(b"%%EOF")
        if shutil.which("pdftotext"):
            words = subprocess.run(
                ["pdftotext", pdf, "-"], capture_output=True, text=True, check=True
            ).stdout
            assert "Exercise" in words
            assert "Solution" not in words
            assert "solved" not in words
