import dataclasses
import shutil

import pytest

from rulbook.publishing import imports, stamps
from rulbook.publishing.pairing import to_notebook
from rulbook.publishing.stamps import Code, Inputs, Stamp

INPUTS = Inputs(shared={"parameters": "q", "data": "d", "ledger": "l"}, records="r")


@pytest.fixture
def executed(tiny):
    """A chapter that was executed with ``INPUTS`` and read no record."""
    _execute(tiny, reads_records=False)
    return tiny


def _execute(chapter, *, reads_records):
    chapter.executed.parent.mkdir(parents=True, exist_ok=True)
    chapter.executed.write_text("{}")
    code = Code.of(to_notebook(chapter))
    stamp = Stamp(
        inputs=INPUTS.of(code, reads_records=reads_records),
        figures=["01-a.svg"],
        text=stamps.text_digest(chapter.text.read_text()),
        imports=code.imports,
        executed=stamps.file_digest(chapter.executed),
    )
    stamps.write(chapter, stamp)


def test_a_chapter_is_up_to_date_while_nothing_changed(executed):
    assert stamps.changes(executed, INPUTS) == []


@pytest.mark.parametrize("name", list(INPUTS.shared))
def test_each_input_that_changes_is_named(executed, name):
    changed = dataclasses.replace(INPUTS, shared=INPUTS.shared | {name: "new"})
    assert stamps.changes(executed, changed) == [f"{name} changed"]


def test_changed_code_is_named(executed):
    text = executed.text.read_text()
    executed.text.write_text(text.replace("max=1,", "max=1, step=1,"))
    assert stamps.changes(executed, INPUTS) == ["code changed"]


def _more_prose(text):
    return text + "\nOne more line.\n"


def _another_caption(text):
    return text.replace("import ipywidgets", ":tags: [hide-input]\n\nimport ipywidgets")


def _as_jupytext_saves_it(text):
    return text.replace("    format_version: 0.13\n", "    jupytext_version: 9.9.9\n")


@pytest.mark.parametrize("change", [_more_prose, _another_caption, _as_jupytext_saves_it])
def test_prose_and_what_is_for_the_page_only_execute_nothing(executed, change):
    text = executed.text.read_text()
    executed.text.write_text(change(text))
    assert executed.text.read_text() != text
    assert stamps.changes(executed, INPUTS) == []


def test_a_text_that_is_no_notebook_has_changed(executed):
    executed.text.write_text("# No code at all\n")
    assert stamps.changes(executed, INPUTS) == ["text changed"]


def test_a_module_matters_to_chapters_that_import_it_and_to_no_other(write, monkeypatch):
    importing = write("01-a", "from rulbook.weighting.registry import get_loss")
    other = write("02-b", "from rulbook import statistics")
    for chapter in (importing, other):
        _execute(chapter, reads_records=False)
    true_digest = imports._module_digest

    def edited(module):
        return "edited" if module == "rulbook.weighting.gaba" else true_digest(module)

    monkeypatch.setattr(imports, "_module_digest", edited)
    assert stamps.changes(importing, INPUTS) == ["package changed"]
    assert stamps.changes(other, INPUTS) == []


def test_styles_and_templates_count_with_the_modules_of_their_folder(tmp_path, monkeypatch):
    shutil.copytree(imports._FOLDER / "display", tmp_path / "display")
    monkeypatch.setattr(imports, "_FOLDER", tmp_path)

    def digests():
        modules = ("rulbook.display.badges", "rulbook.display.formulas")
        return [imports._module_digest.__wrapped__(module) for module in modules]

    before = digests()
    for file, changes in {
        "report.css": [True, False],
        "templates/badge.html": [True, False],
        "formulas/formulas.css": [False, True],
        "templates/.badge.html": [False, False],
    }.items():
        with (tmp_path / "display" / file).open("a") as edited:
            edited.write(" ")
        assert [old != new for old, new in zip(before, digests(), strict=True)] == changes, file
        before = digests()


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


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"other": 1}', '{"inputs": 5, "figures": [], "text": "", "imports": []}'],
)
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


@pytest.mark.parametrize("library", ["torch", "numpy", "matplotlib", "pandas"])
def test_inputs_tell_another_version_of_a_library(monkeypatch, library):
    before, real = Inputs.now({}, "simulated"), stamps.version
    monkeypatch.setattr(stamps, "version", lambda name: "99" if name == library else real(name))
    assert _different(before, Inputs.now({}, "simulated")) == {"libraries"}


def _different(one, other):
    return {name for name in one.shared if one.shared[name] != other.shared[name]}


@pytest.mark.parametrize("content", ["", '{"cells": [', '{"cells": []}'])
def test_an_executed_notebook_that_was_changed_is_executed_again(executed, content):
    """Emptied, cut off, or saved without its outputs."""
    executed.executed.write_text(content)
    assert stamps.changes(executed, INPUTS) == ["executed notebook changed"]


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
