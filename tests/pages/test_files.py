"""What can be said of the finished pages without a browser."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from rulbook.publishing.chapters import choose
from rulbook.publishing.execute import figures_saved
from rulbook.publishing.layout import of_checkout

from .conftest import NAMED_SITE
from .contents import NAMES
from .sizes import compressed

pytestmark = pytest.mark.slow

LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


@dataclass
class Page:
    """The addresses and identifiers on a page, and the words in each of its drawings."""

    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    ids: Counter[str] = field(default_factory=Counter)
    drawings: list[list[str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self.in_drawing = False

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if identifier := attributes.get("id"):
            self.page.ids[identifier] += 1
        if address := attributes.get(LOADING.get(tag, "")):
            self.page.loads.append(address)
        if tag == "a" and (address := attributes.get("href")):
            self.page.links.append(address)
        if tag == "svg":
            self.page.drawings.append([])
            self.in_drawing = True

    def handle_endtag(self, tag):
        if tag == "svg":
            self.in_drawing = False

    def handle_data(self, data):
        if self.in_drawing and data.strip():
            self.page.drawings[-1].append(data.strip())


def _read(html: str) -> Page:
    reader = _Reader()
    reader.feed(html)
    return reader.page


@cache
def read(path: Path) -> Page:
    return _read(path.read_text(encoding="utf-8"))


def outputs_of(notebook: Path) -> str:
    """Return what the cells of an executed notebook show, as far as it is HTML."""
    cells = nbformat.read(notebook, as_version=4).cells
    return "".join(
        output.get("data", {}).get("text/html", "")
        for cell in cells
        for output in cell.get("outputs", ())
    )


def test_all_pages_and_no_others_are_there(site):
    assert sorted(page.stem for page in site.glob("*.html")) == sorted(NAMES)


def test_every_link_within_the_book_leads_somewhere(site, page_name):
    path = site / f"{page_name}.html"
    dead = []
    for address in read(path).links:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = path.parent / unquote(parts.path) if parts.path else path
        anchor = unquote(parts.fragment)
        if not target.is_file() or (
            anchor and target.suffix == ".html" and anchor not in read(target).ids
        ):
            dead.append(address)
    assert dead == []


def test_everything_that_a_page_names_is_beside_it(site, page_name):
    path = site / f"{page_name}.html"
    for address in read(path).loads:
        if address.startswith(("data:", "#")):
            continue
        parts = urlsplit(address)
        assert not parts.netloc, address
        assert (path.parent / unquote(parts.path)).is_file(), address


@pytest.mark.skipif(NAMED_SITE is not None, reason="pages built elsewhere have no saved figures")
def test_every_figure_that_a_chapter_saves_is_in_its_notebook_and_on_its_page(site, chapter):
    """A figure is told by its words: title, labels, ticks; an explorer's frame may stand for it."""
    executed = choose(of_checkout(), [chapter])[0]
    saved = {
        path.stem: _read(path.read_text(encoding="utf-8")).drawings[0]
        for path in figures_saved(of_checkout(), executed)
        if path.suffix == ".svg"
    }
    assert saved
    in_notebook = _read(outputs_of(executed.executed)).drawings
    on_page = read(site / f"{chapter}.html").drawings
    for drawings in (in_notebook, on_page):
        assert [name for name, words in saved.items() if words not in drawings] == []


def test_no_identifier_is_there_twice(site, page_name):
    ids = read(site / f"{page_name}.html").ids
    assert [name for name, count in ids.items() if count > 1] == []


def test_what_pages_share_is_not_much_more_than_maths_widgets_and_theme(site, record_property):
    loads = [address for name in NAMES for address in read(site / f"{name}.html").loads]
    files = {(site / urlsplit(address).path).resolve() for address in loads}
    shared = [file for file in files if file.is_file() and file.suffix in {".css", ".js"}]
    size = sum(map(compressed, shared))
    record_property("all pages", f"{size / 1000:.0f} kB of shared scripts and styles, counted once")
    assert size <= 3_000_000
