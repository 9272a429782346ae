"""What the page on scale says, from a record of timings."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from rulbook.publishing import scale_page
from rulbook.publishing.layout import Layout, of_checkout

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    return scale_page.substitutions(of_checkout())


def test_every_name_on_the_page_has_a_value_and_every_value_is_named(found):
    page = (of_checkout().book / "scale.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\{\{ speed\.(\w+) \}\}", page)) == set(found)
    assert all(found.values())


def test_without_a_record_nothing_is_said(layout: Layout):
    assert scale_page.substitutions(layout) == {}


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("bench")


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    file = of_checkout().book / scale_page.RECORD
    return json.loads(file.read_text(encoding="utf-8"))


def test_the_record_is_of_every_table_that_the_command_measures(bench, record):
    assert list(record["tables"]) == list(bench.TABLES)
    assert of_checkout().book / scale_page.RECORD == bench.RECORD
    assert record["machine"].keys() == bench.machine().keys()


def test_the_tables_beside_the_benchmarks_are_those_of_the_record(bench, record):
    _, mark, tables = bench.README.read_text(encoding="utf-8").partition(bench.MEASURED)
    assert mark
    assert tables.strip() == bench.in_markdown(record).strip()


def test_half_the_time_is_twice_as_fast(layout: Layout):
    row = {"before": 0.2, "now": 0.1}
    shown = scale_page._ratios({"compact": row}, "before", "Steps.")
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", shown)
    assert [cell.strip() for cell in cells][-2:] == ["100.0", "2.00"]
