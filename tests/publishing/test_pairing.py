import sys
import uuid

import jupytext
import nbformat
import pytest

from rulbook.errors import RulbookError
from rulbook.publishing import pairing
from rulbook.publishing.chapters import chapters
from rulbook.publishing.layout import of_checkout


def _rewrite(chapter, change):
    notebook = nbformat.read(chapter.notebook, as_version=4)
    change(notebook)
    nbformat.write(notebook, chapter.notebook)


def test_every_notebook_of_the_project_is_in_step_with_its_text():
    assert pairing.out_of_step(of_checkout()) == []


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
    assert pairing.out_of_step(layout) == []


def _other_source(notebook):
    notebook.cells[1].source += "\nextra = 1"


def _other_prose(notebook):
    notebook.cells[0].source = "# Another title"


def _other_tags(notebook):
    notebook.cells[1].metadata.tags = ["hide-input"]


def _fewer_cells(notebook):
    del notebook.cells[-1]


@pytest.mark.parametrize("change", [_other_source, _other_prose, _other_tags, _fewer_cells])
def test_what_an_author_wrote_matters(layout, tiny, change):
    pairing.pair(layout)
    _rewrite(tiny, change)
    assert pairing.out_of_step(layout) == ["01-tiny"]
    pairing.pair(layout)
    assert pairing.out_of_step(layout) == []


def test_a_notebook_that_is_missing_or_broken_is_out_of_step(layout, tiny):
    assert pairing.out_of_step(layout) == ["01-tiny"]
    tiny.notebook.write_text("{ not json")
    assert pairing.out_of_step(layout) == ["01-tiny"]


def test_a_notebook_without_text_is_removed(layout, tiny):
    orphan = layout.notebooks / "02-gone.ipynb"
    orphan.write_text("{}")
    assert "02-gone" in pairing.out_of_step(layout)
    pairing.pair(layout)
    assert not orphan.exists()
    assert tiny.notebook.exists()


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
    assert pairing.out_of_step(layout) == ["01-tiny"]
    pairing.pair(layout)
    first, *others = nbformat.read(tiny.notebook, as_version=4).cells
    assert f'package = "rulbook[studies] @ git+{url}"' in first.source
    assert [cell.source for cell in others] == [c.source for c in pairing.to_notebook(tiny).cells]
    assert pairing.out_of_step(layout) == []


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
