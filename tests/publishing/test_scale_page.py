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


def test_without_a_record_it_is_said_that_nothing_was_measured(layout: Layout):
    said = scale_page.substitutions(layout)
    assert {name for name, value in said.items() if value != "not measured yet"} == {
        *("experiments", "epochs", "gpu_minutes"),
    }


def test_a_table_that_was_not_measured_leaves_the_others_standing(layout: Layout):
    row = {"bare": 0.05, "train": 0.06}
    record = {"tables": {"loop": {"compact, batch 256": row}}}
    (layout.book / scale_page.RECORD).write_text(json.dumps(record), encoding="utf-8")
    said = scale_page.substitutions(layout)
    assert "4267" in said["loop"]
    assert said["step"] == said["programme"] == "not measured yet"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("bench")


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    file = of_checkout().book / scale_page.RECORD
    if not file.is_file():
        pytest.skip("nothing was measured yet: `make bench` does")
    return json.loads(file.read_text(encoding="utf-8"))


def test_the_record_is_of_every_table_that_the_command_measures(bench, record):
    assert list(record["tables"]) == list(bench.TABLES)
    assert of_checkout().book / scale_page.RECORD == bench.RECORD
    assert record["machine"].keys() == bench.machine().keys()


def test_the_tables_beside_the_benchmarks_are_those_of_the_record(bench, record):
    _, mark, tables = bench.README.read_text(encoding="utf-8").partition(bench.MEASURED)
    assert mark
    assert tables.strip() == bench.in_markdown(record).strip()


@pytest.mark.parametrize(("times_as", "ratio"), [("fast", "2.00"), ("long", "0.50")])
def test_half_the_time_is_twice_as_fast_and_half_as_long(times_as, ratio):
    row = {"before": 0.2, "now": 0.1}
    shown = scale_page._against({"compact": row}, "before", "Steps.", times_as=times_as)
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", shown)
    assert [cell.strip() for cell in cells][-2:] == ["100.0", ratio]
