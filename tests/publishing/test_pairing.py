import os
import shutil
import subprocess
import sys
import uuid

import jupytext
import nbformat
import pytest

from rulbook.errors import RulbookError
from rulbook.publishing import pairing
from rulbook.publishing.chapters import chapters
from rulbook.publishing.layout import of_checkout
from rulbook.publishing.pairs import Pairs, pairs_now

from .conftest import FRONT_MATTER


def _rewrite(chapter, change):
    notebook = nbformat.read(chapter.notebook, as_version=4)
    change(notebook)
    nbformat.write(notebook, chapter.notebook)


IN_STEP = Pairs(behind=(), edited=(), without_text=())


def test_every_notebook_of_the_project_is_in_step_with_its_text():
    assert pairing.compare(of_checkout()) == IN_STEP


def test_no_notebook_of_the_project_has_outputs():
    for chapter in chapters(of_checkout()):
        cells = nbformat.read(chapter.notebook, as_version=4).cells
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def test_pairing_twice_gives_the_same_bytes(layout, tiny):
    pairing.pair(layout)
    first = tiny.notebook.read_bytes()
    tiny.notebook.unlink()
    pairing.pair(layout)
    assert tiny.notebook.read_bytes() == first


def test_paired_notebook_holds_the_cells_of_the_text(layout, tiny):
    pairing.pair(layout)
    notebook = nbformat.read(tiny.notebook, as_version=4)
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds == ["markdown", "code", "markdown", "code", "code"]
    assert notebook.cells[1].metadata.tags == [pairing.PARAMETERS_TAG]
    assert 'print("parameters seen:"' in notebook.cells[3].source
    assert notebook.metadata.kernelspec.name == "python3"


def test_only_what_is_out_of_step_is_written(layout, tiny, write):
    write("02-other", "x = 1")
    assert [chapter.name for chapter in pairing.pair(layout)] == ["01-tiny", "02-other"]
    write("02-other", "x = 2")
    assert [chapter.name for chapter in pairing.pair(layout)] == ["02-other"]
    assert pairing.pair(layout) == []


def test_equal_cells_have_different_ids(layout, write):
    chapter = write("01-same", "x = 1", "x = 1", "x = 1")
    ids = [cell.id for cell in pairing.to_notebook(chapter).cells]
    assert len(set(ids)) == len(ids)


def test_a_cell_keeps_its_id_when_another_is_put_before_it(write):
    def ids(*cells):
        return {cell.source: cell.id for cell in pairing.to_notebook(write("01-a", *cells)).cells}

    before, after = ids("x", "y"), ids("z", "x", "y")
    assert after["x"] == before["x"]
    assert after["y"] == before["y"]


def _new_ids(notebook):
    for cell in notebook.cells:
        cell.id = uuid.uuid4().hex


def _executed(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = 7
            cell.outputs = [nbformat.v4.new_output("stream", text="done")]
            cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00Z"}
            cell.metadata["papermill"] = {"duration": 1.5}


@pytest.mark.parametrize("change", [_new_ids, _executed])
def test_ids_times_and_outputs_do_not_matter(layout, tiny, change):
    pairing.pair(layout)
    _rewrite(tiny, change)
    assert pairing.compare(layout) == IN_STEP


def _other_source(notebook):
    notebook.cells[1].source += "\nextra = 1"


def _other_prose(notebook):
    notebook.cells[0].source = "# Another title"


def _other_tags(notebook):
    notebook.cells[3].metadata.tags = ["hide-input"]


def _fewer_cells(notebook):
    del notebook.cells[-1]


@pytest.mark.parametrize("change", [_other_source, _other_prose, _other_tags, _fewer_cells])
def test_what_an_author_wrote_in_a_notebook_is_not_overwritten(layout, tiny, change):
    pairing.pair(layout)
    _rewrite(tiny, change)
    edited = tiny.notebook.read_bytes()
    assert pairing.compare(layout).edited == ("01-tiny",)
    with pytest.raises(RulbookError, match=r"--to-text 01-tiny.*--overwrite 01-tiny"):
        pairing.pair(layout)
    assert tiny.notebook.read_bytes() == edited
    pairing.pair(layout, overwrite=["01-tiny"])
    assert pairing.compare(layout) == IN_STEP


@pytest.mark.parametrize("change", [_other_source, _other_prose, _other_tags, _fewer_cells])
def test_what_an_author_wrote_in_a_notebook_can_be_taken_into_the_text(layout, tiny, change):
    pairing.pair(layout)
    _rewrite(tiny, change)
    edited, text = tiny.notebook.read_bytes(), tiny.text.read_text()
    pairing.to_text(tiny)
    assert pairing.compare(layout) == IN_STEP
    assert tiny.notebook.read_bytes() == edited
    assert tiny.text.read_text() != text
    assert tiny.text.read_text().startswith(FRONT_MATTER)


def test_a_notebook_and_a_text_that_were_both_edited_are_left_alone(layout, tiny):
    pairing.pair(layout)
    _rewrite(tiny, _other_source)
    tiny.text.write_text(tiny.text.read_text() + "\nMore.\n")
    with pytest.raises(RulbookError, match="was edited"):
        pairing.pair(layout)


def test_a_notebook_that_would_be_no_chapter_leaves_the_text_as_it_is(layout, tiny):
    pairing.pair(layout)
    text = tiny.text.read_text()
    _rewrite(tiny, lambda notebook: notebook.cells.pop(1))
    with pytest.raises(RulbookError, match="no code cell tagged 'parameters'"):
        pairing.to_text(tiny)
    assert tiny.text.read_text() == text


def test_a_notebook_that_is_missing_is_behind_and_a_broken_one_is_kept(layout, tiny):
    assert pairing.compare(layout).behind == ("01-tiny",)
    tiny.notebook.write_text("<<<<<<< a conflict")
    with pytest.raises(RulbookError, match="was edited"):
        pairing.pair(layout)
    with pytest.raises(RulbookError, match="cannot be read as a notebook"):
        pairing.to_text(tiny)
    assert tiny.notebook.read_text() == "<<<<<<< a conflict"


def test_a_notebook_without_text_is_left_alone_and_named(layout, tiny):
    own = layout.notebooks / "my-experiment.ipynb"
    own.write_text("{}")
    pairing.pair(layout)
    assert pairing.compare(layout) == Pairs(behind=(), edited=(), without_text=("my-experiment",))
    assert own.read_text() == "{}"


def test_what_editors_and_systems_leave_behind_is_no_text_and_no_notebook(layout, tiny):
    (layout.book / ".#01-tiny.md").symlink_to("nobody@nowhere.1234")
    (layout.book / "._02-mac.md").write_bytes(b"\0\x05\x16\x07")
    (layout.book / "03-other.md~").write_text("# Backup\n")
    pairing.pair(layout)
    (layout.notebooks / ".ipynb_checkpoints").mkdir()
    (layout.notebooks / "._01-tiny.ipynb").write_bytes(b"\0\x05\x16\x07")
    assert pairing.compare(layout) == IN_STEP


def test_a_text_that_is_not_utf_8_is_an_error_that_names_it(tiny):
    tiny.text.write_bytes(tiny.text.read_bytes() + "\xe9".encode("latin-1"))
    with pytest.raises(RulbookError, match=r"01-tiny\.md' is not UTF-8"):
        pairing.to_notebook(tiny)


@pytest.mark.slow
def test_saving_in_jupyterlab_without_an_edit_changes_no_byte(layout, tiny):
    """JupyterLab's extension saves both sides as ``jupytext --sync`` does."""
    shutil.copy2(of_checkout().root / "jupytext.toml", layout.root)
    text = tiny.text.read_text().replace("    format_version: 0.13\n", "")
    tiny.text.write_text(text.replace("\n\n\n", "\n\n"))  # as jupytext spaces cells
    pairing.pair(layout)
    before = tiny.text.read_bytes(), tiny.notebook.read_bytes()
    later = tiny.text.stat().st_mtime + 60
    os.utime(tiny.notebook, (later, later))
    command = [sys.executable, "-m", "jupytext", "--sync", str(tiny.notebook)]
    subprocess.run(command, check=True, capture_output=True)
    assert (tiny.text.read_bytes(), tiny.notebook.read_bytes()) == before


def test_what_is_noted_of_pairs_follows_every_change(layout, tiny):
    layout.build.mkdir()
    assert pairs_now(layout).behind == ("01-tiny",)
    pairing.pair(layout)
    assert pairs_now(layout) == pairs_now(layout) == IN_STEP
    _rewrite(tiny, _other_source)
    assert pairs_now(layout).edited == ("01-tiny",)
    (layout.build / "pairs.json").write_text("{")
    assert pairs_now(layout).edited == ("01-tiny",)


def test_a_text_without_parameters_cell_is_an_error_that_names_it(tiny):
    text = tiny.text.read_text().replace(":tags: [parameters]", "")
    tiny.text.write_text(text)
    with pytest.raises(RulbookError, match=r"01-tiny\.md.*no code cell tagged 'parameters'"):
        pairing.to_notebook(tiny)


def test_a_text_that_cannot_be_parsed_is_an_error_that_names_it(tiny):
    text = tiny.text.read_text().replace(":tags: [parameters]", ":tags: [parameters")
    tiny.text.write_text(text)
    with pytest.raises(RulbookError, match=r"01-tiny\.md.*cannot be read as a MyST notebook"):
        pairing.to_notebook(tiny)


def test_notebooks_install_the_package_only_once_there_is_where_to_install_it_from(layout, tiny):
    pairing.pair(layout)
    assert "pip" not in tiny.notebook.read_text()
    config = layout.root / "_config.yml"
    url = "https://github.com/example/rulbook"
    config.write_text(config.read_text().replace('repository_url: ""', f"repository_url: {url}"))
    assert pairing.compare(layout).behind == ("01-tiny",)
    pairing.pair(layout)
    first, *others = nbformat.read(tiny.notebook, as_version=4).cells
    assert f'package = "rulbook[studies] @ git+{url}"' in first.source
    assert [cell.source for cell in others] == [c.source for c in pairing.to_notebook(tiny).cells]
    assert pairing.compare(layout) == IN_STEP


@pytest.mark.parametrize("on_colab", [False, True])
def test_the_first_cell_installs_on_colab_and_elsewhere_says_how(
    tiny, monkeypatch, capsys, on_colab
):
    first = pairing.to_public_notebook(tiny, "https://github.com/example/rulbook").cells[0].source
    wanted = "rulbook[studies] @ git+https://github.com/example/rulbook"
    installed = []
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("subprocess.run", lambda command, **_: installed.append(command[-1]))
    if on_colab:
        monkeypatch.setitem(sys.modules, "google.colab", sys)
    exec(first, {})
    said = capsys.readouterr().out
    assert installed == ([wanted] if on_colab else [])
    assert said == (
        "" if on_colab else f'This notebook needs its package: pip install "{wanted}"\n'
    )


@pytest.mark.parametrize("url", ["", "https://github.com/example/rulbook"])
def test_a_notebook_becomes_a_script_that_python_reads(tiny, url):
    script = jupytext.writes(pairing.to_public_notebook(tiny, url), fmt="py:percent")
    compile(script, "script", "exec")
