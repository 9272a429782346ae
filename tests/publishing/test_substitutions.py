"""What pages that are no notebooks say that is computed: counts, status, citations."""

import re
from html.parser import HTMLParser

import jinja2
import nbformat
import pytest

from rulbook import __version__, paths
from rulbook.claims import Verdict, read_ledger
from rulbook.claims.collect import claims_table
from rulbook.publishing import conditions
from rulbook.publishing.chapters import choose
from rulbook.publishing.conditions import Conditions
from rulbook.publishing.layout import of_checkout
from rulbook.publishing.status import data_in_words, status_table, versions_in_words
from rulbook.publishing.substitutions import substitutions
from rulbook.weighting.registry import WEIGHTING_METHODS

from .conftest import make_checkout

PAGES = sorted(page for page in of_checkout().book.glob("*.md") if not page.name[0].isdigit())
CHAPTERS = [chapter.name for chapter in choose(of_checkout(), [])]
RUN = Conditions(
    finished="2026-01-02",
    seconds=125.4,
    parameters={"profile": "full"},
    records=True,
    data={"FD001": "cmapss", "FD002": "cmapss"},
    devices=("cpu",),
    versions={"python": "3.11.1", "torch": "2.8.0"},
)


class _Cells(HTMLParser):
    """Reads a table: one list of cells a row."""

    def __init__(self):
        super().__init__()
        self.rows = []

    def handle_starttag(self, tag, _attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


@pytest.fixture
def executed(layout, write):
    """Two chapters whose executed notebooks are written by hand: one of the book's, one ours."""
    for name, run in (("04-what-it-costs", RUN), ("99-bare", None)):
        chapter = write(name, "x = 1")
        notebook = nbformat.v4.new_notebook()
        if run:
            conditions.write(notebook, run)
        chapter.executed.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, chapter.executed)
    return layout


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The values of a checkout with no chapter; not to be changed."""
    return substitutions(make_checkout(tmp_path_factory.mktemp("bare") / "checkout"))


@pytest.fixture(scope="module")
def of_the_book():
    """The values of this checkout; not to be changed."""
    return substitutions(of_checkout())


def test_every_count_is_that_of_the_ledger(bare, tmp_path):
    count = bare["count"]
    rows = claims_table(tmp_path)
    assert count["claims"] == len(read_ledger()) == len(rows)
    assert sum(count[verdict] for verdict in Verdict) + count["open"] == count["claims"]
    assert count["exact_claims"] + count["statistical_claims"] == count["claims"]
    assert count["exact_reproduced"] + count["statistical_reproduced"] == count["reproduced"]
    assert count["undecidable"] == sum(row["verdict"] == "undecidable" for row in rows) > 0


def test_values_are_the_same_at_every_build(executed):
    assert substitutions(executed) == substitutions(executed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_use_only_values_that_there_are(bare, page):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    values = bare | {"minutes": dict.fromkeys(CHAPTERS, "")}
    environment.from_string(page.read_text(encoding="utf-8")).render(values)


def test_the_front_page_types_no_number_of_claims():
    text = (of_checkout().book / "index.md").read_text(encoding="utf-8")
    found = text.split("## What it found")[1].split("\n## ")[0]
    assert not re.findall(r"\d", re.sub(r"\{\{.*?\}\}|\{glue:text\}`.*?`|\]\(.*?\)", "", found))


def test_a_row_of_the_status_page_says_what_the_execution_kept(executed):
    parser = _Cells()
    parser.feed(status_table(executed).split("</table>")[0])
    head, ours, bare = parser.rows
    assert len(head) == len(ours) == len(bare)
    assert ours[:6] == [
        *("04-what-it-costs", "2 min 05 s", "full", "C-MAPSS: FD001, FD002", "yes", "cpu"),
    ]
    claims = [claim for claim in read_ledger().values() if claim.chapter == "04-what-it-costs"]
    assert sum(int(cell) for cell in ours[6:] if cell.isdigit()) == len(claims) > 0
    assert set(bare[1:]) == {"–"}


def test_data_and_versions_are_those_of_the_executions(executed, write):
    assert data_in_words(executed) == "NASA's C-MAPSS"
    assert versions_in_words(executed) == "- 2026-01-02: python 3.11.1, torch 2.8.0"
    for chapter in choose(executed, []):
        chapter.executed.unlink()
    assert data_in_words(executed) == "no engine data"


def test_the_book_is_cited_as_its_file_says(of_the_book):
    citation = of_the_book["citation"]
    assert f"Version {__version__}." in citation
    assert "The rulbook authors" in citation


def test_the_entry_for_bibtex_has_what_the_citation_has(of_the_book):
    entry = of_the_book["bibtex"]
    assert entry.startswith("```bibtex\n@software{rulbook,\n")
    assert f"  version = {{{__version__}}}," in entry
    assert "  author = {{The rulbook authors}}," in entry
    assert "  license = {MIT and CC-BY-4.0}," in entry
    assert "url" not in entry


def test_the_project_has_an_address_and_an_install_line_once_it_is_public(bare, layout):
    assert bare["repository"] == ""
    config = layout.root / "_config.yml"
    text = config.read_text(encoding="utf-8")
    public = text.replace('repository_url: ""', 'repository_url: "https://github.com/a/b"')
    config.write_text(public, encoding="utf-8")
    words = substitutions(layout)["repository"]
    assert "pip install git+https://github.com/a/b" in words


def test_cards_have_the_time_of_every_chapter(executed):
    minutes = substitutions(executed)["minutes"]
    assert minutes["04-what-it-costs"].endswith("to read, 2 to run")
    assert minutes["99-bare"].endswith("to read")


def test_every_method_with_a_paper_is_cited_to_an_entry_of_the_bibliography(bare):
    table = bare["method_sources"]
    bibliography = paths.ledger().with_name("references.bib").read_text(encoding="utf-8")
    keys = re.findall(r"\{cite:t\}`(\w+)`", table)
    assert len(keys) == sum(method.citation is not None for method in WEIGHTING_METHODS.values())
    for key in keys:
        assert re.search(rf"^@\w+\{{{key},", bibliography, re.MULTILINE), key
