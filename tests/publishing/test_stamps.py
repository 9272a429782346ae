import dataclasses
import json

import pytest

from rulbook import display
from rulbook.publishing import stamps
from rulbook.publishing.stamps import Inputs, Stamp

INPUTS = Inputs(shared={"package": "p", "parameters": "q", "data": "d", "ledger": "l"}, records="r")


@pytest.fixture
def executed(tiny):
    """A chapter that was executed with ``INPUTS`` and read no record."""
    _execute(tiny, reads_records=False)
    return tiny


def _execute(chapter, *, reads_records):
    chapter.executed.parent.mkdir(parents=True, exist_ok=True)
    chapter.executed.write_text("{}")
    inputs = INPUTS.of(chapter, reads_records=reads_records)
    stamps.write(chapter, Stamp(inputs=inputs, figures=["01-a.svg"]))


def test_a_chapter_is_up_to_date_while_nothing_changed(executed):
    assert stamps.changes(executed, INPUTS) == []


@pytest.mark.parametrize("name", list(INPUTS.shared))
def test_each_input_that_changes_is_named(executed, name):
    changed = dataclasses.replace(INPUTS, shared=INPUTS.shared | {name: "new"})
    assert stamps.changes(executed, changed) == [f"{name} changed"]


def test_styles_and_scripts_that_outputs_carry_belong_to_the_package(monkeypatch, tmp_path):
    def package():
        return Inputs.now({}, "simulated").shared["package"]

    monkeypatch.setattr(display, "__file__", str(tmp_path / "__init__.py"))
    digests = {package()}
    for name, content in (("a.css", "a"), ("a.css", "b"), ("b.js", "b")):
        (tmp_path / name).write_text(content)
        digests.add(package())
    (tmp_path / "other.txt").touch()
    assert package() in digests
    assert len(digests) == 4


def test_a_changed_text_is_named(executed):
    executed.text.write_text(executed.text.read_text() + "\nOne more line.\n")
    assert stamps.changes(executed, INPUTS) == ["text changed"]


def test_records_matter_only_to_a_chapter_that_read_some(tiny):
    more_records = dataclasses.replace(INPUTS, records="more")
    _execute(tiny, reads_records=False)
    assert stamps.changes(tiny, more_records) == []
    _execute(tiny, reads_records=True)
    assert stamps.changes(tiny, INPUTS) == []
    assert stamps.changes(tiny, more_records) == ["records changed"]


def test_a_chapter_without_stamp_or_notebook_was_not_executed(tiny, executed):
    executed.executed.unlink()
    assert stamps.changes(executed, INPUTS) == ["not executed yet"]
    executed.executed.write_text("{}")
    executed.stamp.unlink()
    assert stamps.changes(executed, INPUTS) == ["not executed yet"]


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"other": 1})])
def test_a_broken_stamp_is_no_stamp(executed, content):
    executed.stamp.write_text(content)
    assert stamps.changes(executed, INPUTS) == ["not executed yet"]


def test_inputs_follow_parameters_and_data():
    quick = Inputs.now({"profile": "quick"}, "simulated")
    assert Inputs.now({"profile": "quick"}, "simulated") == quick
    full = Inputs.now({"profile": "full"}, "simulated")
    assert _different(quick, full) == {"parameters"}


def test_inputs_tell_real_data_from_simulated(real_data):
    simulated, real = (Inputs.now({}, source) for source in ("simulated", "cmapss"))
    assert _different(simulated, real) == {"data"}


def _different(one, other):
    return {name for name in one.shared if one.shared[name] != other.shared[name]}


def test_a_folder_digest_sees_names_contents_and_places(tmp_path):
    (tmp_path / "a").write_text("1")
    seen = {stamps.folder_digest(tmp_path)}
    (tmp_path / "a").write_text("2")
    seen.add(stamps.folder_digest(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    seen.add(stamps.folder_digest(tmp_path))
    (tmp_path / "c").mkdir()
    (tmp_path / "b").rename(tmp_path / "c" / "b")
    seen.add(stamps.folder_digest(tmp_path))
    assert len(seen) == 4
