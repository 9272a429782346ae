"""The report page: counts, rows, links and filters."""

import csv
import errno
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rulbook import paths
from rulbook.claims import Claim
from rulbook.claims.collect import Decided
from rulbook.claims.decision import Decision
from rulbook.display.report import MEANINGS, claim_files, report_text, write_report

from ..ledger_rows import make_row

CHAPTER = "06-equal-weights"
CLAIMS = [
    Claim.model_validate(row)
    for row in (
        make_row(),
        make_row(id="n24.1-far", reason="It is 3 < 4.", expected="refuted"),
        make_row(
            id="n4.1-two",
            section="004",
            chapter="01-why-multi-task",
            expected="inconsistent",
            reason="Two totals.",
            other={"where": "line 34", "statement": "It is 708."},
        ),
        make_row(
            id="n24.1-open", expected=None, waiting="records", needs="records", tier="statistical"
        ),
        make_row(id="n24.1-cited", kind="literature", reference="kendall2018"),
    )
]
DECIDED = [
    Decided(CHAPTER, Decision("n24.1-mean", "reproduced", 6.815, "6.815", note="by hand")),
    Decided(CHAPTER, Decision("n24.1-far", "refuted", recorded=True)),
]


class Rows(HTMLParser):
    """Reads the rows of the tables of a page: attributes, cells and links."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self.in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append({"attributes": dict(attrs), "cells": [], "links": []})
        elif tag in ("td", "th"):
            self.rows[-1]["cells"].append("")
            self.in_cell = True
        elif tag == "br":
            self.rows[-1]["cells"][-1] += " |"
        elif tag == "a" and self.rows:
            self.rows[-1]["links"].append(dict(attrs)["href"])

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            self.rows[-1]["cells"][-1] += data


def rows_of(text: str) -> list[dict[str, Any]]:
    parser = Rows()
    parser.feed(text)
    return parser.rows


@pytest.fixture(scope="module")
def text() -> str:
    return report_text(CLAIMS, DECIDED)


@pytest.fixture(scope="module")
def rows(text: str) -> dict[str, dict[str, Any]]:
    return {row["attributes"].get("id"): row for row in rows_of(text)}


def test_every_claim_has_a_row(rows: dict[str, Any]) -> None:
    assert {f"claim-{claim.id}" for claim in CLAIMS} == set(rows) - {None}


def test_a_row_shows_both_figures_the_verdict_and_the_deciding_cell(rows: dict[str, Any]) -> None:
    row = rows["claim-n24.1-mean"]
    assert row["cells"] == [
        f"n24.1-mean | decided in {CHAPTER}",
        "The mean of 6.33 and 7.30 is 6.82. | new edition §24.1, table, first row",
        "6.82",
        "6.815",
        "✓ reproduced. Note: by hand.",
    ]
    assert row["links"] == [f"{CHAPTER}.html#claim-n24.1-mean"]
    assert row["attributes"]["data-section"] == "002"
    assert row["attributes"]["data-verdict"] == "reproduced"


def test_a_row_says_why(rows: dict[str, Any]) -> None:
    assert rows["claim-n24.1-far"]["cells"][4] == "✗ refuted (recorded on C-MAPSS). It is 3 < 4."
    assert (
        rows["claim-n4.1-two"]["cells"][4]
        == "⇄ inconsistent. Two totals. Against it, line 34: It is 708."
    )


def test_a_row_without_a_cell_says_what_decides_it(rows: dict[str, Any]) -> None:
    assert rows["claim-n4.1-two"]["cells"][0].endswith("decided by the text itself")
    assert rows["claim-n24.1-cited"]["cells"][0].endswith("decided by the literature")
    assert rows["claim-n24.1-open"]["cells"][0].endswith("not decided yet")
    assert rows["claim-n24.1-open"]["cells"][4].startswith("… waiting for records")


def test_a_claim_whose_chapter_did_not_run_is_not_called_reproduced() -> None:
    [row] = [row for row in rows_of(report_text(CLAIMS[:1], [])) if row["attributes"]]
    assert row["attributes"]["data-verdict"] == "not decided in this build"
    assert row["cells"][4].startswith("… not decided in this build")


def test_the_counts_add_up(text: str) -> None:
    head, *body = [row["cells"] for row in rows_of(text) if not row["attributes"]][:7]
    assert head == [
        *("section", "reproduced", "refuted", "inconsistent", "waiting for records", "all"),
    ]
    numbers = {row[0]: list(map(int, row[1:])) for row in body}
    total = numbers.pop("all")
    assert total == [2, 1, 1, 1, 5]
    assert [sum(column) for column in zip(*numbers.values(), strict=True)] == total


def test_the_filters_offer_what_the_rows_hold(text: str, rows: dict[str, Any]) -> None:
    options = set(re.findall(r"<option>([^<]+)</option>", text))
    assert options == {row["attributes"]["data-verdict"] for name, row in rows.items() if name}
    sections = set(re.findall(r'<option value="(\d+)">', text))
    assert sections == {"000", "001", "002", "003", "004"}


def test_the_page_asks_nothing_of_the_network(text: str) -> None:
    assert not re.findall(r"(?:src|href)=\"https?:", text)


def test_a_settled_claim_about_the_literature_cites_its_source(text: str) -> None:
    assert "- `n24.1-cited`: {cite:t}`claims-kendall2018`" in text


def test_every_verdict_is_explained(text: str) -> None:
    for verdict in MEANINGS:
        assert f"- **{verdict.words}**" in text


def test_nothing_is_said_of_waiting_when_no_claim_waits() -> None:
    decided = [claim for claim in CLAIMS if not claim.waiting]
    assert "waiting for records" not in report_text(decided, DECIDED)


def test_the_files_for_programs_have_every_claim(
    use_ledger: Callable[..., Any], tmp_path: Path
) -> None:
    use_ledger(make_row(), make_row(id="n24.1-far", statement='So, "they" say,\nit is 3 < 4.'))
    files = claim_files(tmp_path)
    rows = list(csv.DictReader(io.StringIO(files["claims.csv"])))
    assert rows == json.loads(files["claims.json"])
    assert [row["id"] for row in rows] == ["n24.1-mean", "n24.1-far"]
    assert rows[1]["statement"] == 'So, "they" say,\nit is 3 < 4.'
    assert rows[0]["printed"] == "6.82"
    assert rows[0]["verdict"] == "not decided in this build"


def test_the_page_is_written_whole(
    use_ledger: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_ledger(make_row())
    page = tmp_path / "report.md"
    page.write_text("old", "utf-8")

    def fail(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="no space left"):
            write_report(tmp_path, page)
    assert page.read_text("utf-8") == "old"
    write_report(tmp_path, page)
    assert page.read_text("utf-8").startswith("# What holds")


CONF = """
project = "report"
extensions = ["myst_nb", "sphinxcontrib.bibtex"]
bibtex_bibfiles = ["references.bib"]
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "dollarmath"]
"""
CHAPTER_CELLS = [
    (
        "markdown",
        "# Combining\n\nPrinted {glue:text}`n4.3-fixed-equal-total-printed`, "
        "ours {glue:text}`n4.3-fixed-equal-total:.4f`.",
    ),
    ("code", "from rulbook.display import check, check_all, claims_of"),
    ("code", "claims_of('001')"),
    ("code", "check('n4.3-fixed-equal-total', 0.5 * 12.5 + 0.5 * 0.8)"),
    ("code", "check_all({'n4.3-log3': __import__('math').log(3), 'n4.3-gaba-total': 0.8585})"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book of one executed chapter and the report, built with every warning an error."""
    nbformat = pytest.importorskip("nbformat")
    source = tmp_path_factory.mktemp("site")
    executed = source / "executed"
    executed.mkdir()
    makers = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[makers[kind](words) for kind, words in CHAPTER_CELLS],
        metadata={"kernelspec": kernel},
    )
    chapter = executed / "02-combining-losses.ipynb"
    nbformat.write(notebook, chapter)
    run(sys.executable, "-m", "jupyter", "execute", "--inplace", str(chapter))
    write_report(executed, source / "report.md")
    shutil.copy(chapter, source)
    root = paths.checkout()
    assert root is not None
    shutil.copy(root / "book" / "references.bib", source)
    (source / "conf.py").write_text(CONF, "utf-8")
    (source / "index.md").write_text(
        "# Index\n\n```{toctree}\n02-combining-losses\nreport\n```\n", "utf-8"
    )
    shutil.rmtree(executed)
    built = source / "_build"
    run(sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", str(source), str(built))
    return built


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_badges_and_report_pass_a_strict_build_and_link_to_each_other(site: Path) -> None:
    chapter = (site / "02-combining-losses.html").read_text("utf-8")
    report = (site / "report.html").read_text("utf-8")
    assert 'Printed <span class="pasted-text">6.650</span>' in chapter
    assert 'ours <span class="pasted-text">6.6500</span>' in chapter
    decided = re.findall(r'href="02-combining-losses\.html#([^"]+)"', report)
    assert {"claim-n4.3-fixed-equal-total", "claim-n4.3-log3"} <= set(decided)
    for anchor in decided:
        if anchor.startswith("claim-"):
            assert f'id="{anchor}"' in chapter
    for anchor in re.findall(r'href="report\.html#([^"]+)"', chapter):
        assert f'id="{anchor}"' in report


@pytest.mark.slow
def test_the_filters_work_without_a_kernel_or_a_network(site: Path, visit: Any) -> None:
    visited = visit((site / "report.html").as_uri())
    page = visited.page
    shown = "#claims-report tbody tr:not([hidden])"
    everything = page.locator(shown).count()
    page.locator("select[name=verdict]").focus()
    page.keyboard.press("ArrowDown")
    verdict = page.locator("select[name=verdict]").input_value()
    found = page.locator(shown)
    assert 0 < found.count() < everything
    assert {row.get_attribute("data-verdict") for row in found.all()} == {verdict}
    page.locator("select[name=section]").select_option("003")
    assert {row.get_attribute("data-section") for row in page.locator(shown).all()} <= {"003"}
    assert page.locator("#claims-shown").inner_text().endswith(f"of {everything} claims shown")
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("Find").fill("1.310")
    assert [row.get_attribute("id") for row in page.locator(shown).all()] == [
        "claim-n4.3-uncertainty-total"
    ]
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function(
        f"document.querySelectorAll('{shown}').length === {everything}", timeout=5000
    )
    assert visited.asked_elsewhere == []
