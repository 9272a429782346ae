import io
import json
import platform
import re
import sys

import nbformat
import pytest
from rich.console import Console

from rulbook import reads
from rulbook.errors import RulbookError
from rulbook.publishing import conditions, hardware
from rulbook.publishing.execute import execute
from rulbook.publishing.parameters import ChapterParameters


@pytest.mark.slow
def test_an_execution_keeps_what_was_read_and_where_it_computed(layout, write):
    loads = write(
        "01-loads",
        "from rulbook.data import load",
        "for subset in ('FD003', 'FD001', 'FD001'):\n    load(subset, data)",
        "from rulbook.training.device import choose_device\nchoose_device(device)",
    )
    idle = write("02-idle", "x = 1")
    parameters = ChapterParameters(data="simulated", device="cpu", seed=7)
    execute(layout, [loads, idle], parameters, jobs=2, console=Console(file=io.StringIO()))
    found = conditions.read(loads)
    assert found is not None
    assert found.data == {"FD001": "simulated", "FD003": "simulated"}
    assert found.devices == ("cpu",)
    assert not found.records
    assert found.parameters["seed"] == 7
    assert found.seconds > 0
    assert found.hardware == hardware.names(("cpu",))
    assert found.versions["python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    nothing_read = conditions.read(idle)
    assert nothing_read is not None
    assert nothing_read.data == {}
    assert not list(layout.unfinished.glob("*"))
    metadata = nbformat.read(loads.executed, as_version=4).metadata
    assert str(layout.root) not in json.dumps(metadata)


def test_a_chapter_without_an_execution_or_without_conditions_has_none(tiny):
    assert conditions.read(tiny) is None
    tiny.executed.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(), tiny.executed)
    assert conditions.read(tiny) is None


@pytest.mark.parametrize("content", ["", '{"cells": [', "{}", "[]", "\x00" * 9])
def test_an_executed_notebook_that_cannot_be_read_is_named(tiny, content):
    tiny.executed.parent.mkdir(parents=True)
    tiny.executed.write_text(content)
    with pytest.raises(RulbookError, match=r"01-tiny.ipynb' cannot be read \(.*rulbook execute 01"):
        conditions.read(tiny)


def test_a_note_that_is_not_there_says_that_nothing_was_read(tmp_path):
    assert reads.read_note(tmp_path / "none") == reads.Reads(
        records=False, data=(), devices=(), versions={}
    )


def test_a_note_holds_what_came_in_by_each_door_once(tmp_path, monkeypatch):
    file = tmp_path / "note"
    reads.note("records")
    monkeypatch.setenv(reads.NOTE_VARIABLE, str(file))
    assert not file.exists()
    for subset in ("FD002", "FD001", "FD002"):
        reads.note("data", subset, "simulated")
    reads.note("device", "cpu")
    reads.note("version", "torch", "9.9")
    assert file.read_text().count("FD002") == 1
    assert reads.read_note(file) == reads.Reads(
        records=False,
        data=(("FD001", "simulated"), ("FD002", "simulated")),
        devices=("cpu",),
        versions={"torch": "9.9"},
    )


def test_an_execution_from_before_hardware_was_recorded_names_none(tiny):
    notebook = nbformat.v4.new_notebook()
    conditions.write(
        notebook, conditions.Conditions("2026-01-01", 1.0, {}, False, {}, ("cpu",), {})
    )
    del notebook.metadata["rulbook"]["hardware"]
    tiny.executed.parent.mkdir(parents=True)
    nbformat.write(notebook, tiny.executed)
    found = conditions.read(tiny)
    assert found is not None
    assert found.hardware == ()


def test_the_processor_has_a_name_without_the_name_of_the_machine():
    (name,) = hardware.names(("cpu",))
    assert re.fullmatch(r"\S.*\S, \d+ cores?", name)
    assert platform.node() not in name


def test_where_the_maker_gives_no_name_the_kind_of_processor_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "_LINUX", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: \n")
    assert hardware.processor() == platform.machine()
    (tmp_path / "cpuinfo").write_text("model name\t: A  Maker's  Best\nmodel name\t: other\n")
    assert hardware.processor() == "A Maker's Best"
