import json
import re
import shutil
import subprocess
import sys
import uuid

import jupytext
import nbformat
import papermill
import pytest
from ipykernel.kernelspec import get_kernel_dict

from rulbook.errors import RulbookError
from rulbook.publishing import pairing, recorded_values
from rulbook.publishing.chapters import chapters
from rulbook.publishing.layout import of_checkout
from rulbook.publishing.pairs import Pairs, pairs_now
from rulbook.publishing.references import References

from .conftest import EXERCISES, FRONT_MATTER


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


@pytest.fixture(scope="module")
def notebooks():
    """Every chapter of the project as its text has it, and the notebook that readers open."""
    return {
        chapter.name: (
            pairing.to_notebook(chapter),
            nbformat.read(chapter.notebook, as_version=4),
        )
        for chapter in chapters(of_checkout())
    }


RAW = re.compile(
    r"\{[\w:.-]+\}`|^\s*(?:> )?(?::{3,}|`{3,}\{)|\{\{|^%|^\([\w-]+\)=|\]\(#", re.MULTILINE
)


def test_no_notebook_has_a_role_a_directive_or_a_substitution(notebooks):
    for of_text, notebook in notebooks.values():
        prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        assert [found for source in prose for found in RAW.findall(source)] == []
        assert RAW.search("\n".join(cell.source for cell in of_text.cells))


def test_every_value_that_a_text_quotes_is_recorded():
    layout = of_checkout()
    values = recorded_values.read(layout)
    for chapter in chapters(layout):
        assert recorded_values.unrecorded(chapter, values) == []


def test_a_notebook_has_the_code_cells_of_its_text_in_their_order(notebooks):
    def code(notebook):
        return [
            (cell.source, cell.metadata.get("tags"))
            for cell in notebook.cells
            if cell.cell_type == "code"
        ]

    for of_text, notebook in notebooks.values():
        assert code(notebook) == code(of_text)
        assert [tags for _, tags in code(notebook)].count([pairing.PARAMETERS_TAG]) == 1


def test_what_a_page_hides_is_folded_and_so_is_the_code_of_solutions(notebooks):
    for of_text, notebook in notebooks.values():
        solutions = 0
        inside = False
        for shown, cell in zip(notebook.cells, of_text.cells, strict=True):
            if cell.cell_type == "markdown":
                inside = cell.source.rfind("{solution-start}") > cell.source.rfind("{solution-end}")
                solutions += shown.source.count("<summary><b>Solution to Exercise")
                assert shown.source.count("<details>") == shown.source.count("</details>")
                continue
            tags = cell.metadata.get("tags", [])
            folded = shown.metadata.get("jupyter", {})
            hides = any(tag in tags for tag in ("hide-input", "hide-cell", "remove-cell"))
            assert folded.get("source_hidden", False) == (inside or hides)
            both = inside or "hide-cell" in tags or "remove-cell" in tags
            assert folded.get("outputs_hidden", False) == both
        assert solutions >= 3


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


def _opened_elsewhere(notebook):
    """As Colab, VS Code, PyCharm, the classic notebook and JupyterLab 4 leave it."""
    for cell in notebook.cells:
        cell.metadata |= {
            "id": "aX3", "colab": {"base_uri": "https://x"}, "outputId": "1",
            "vscode": {"languageId": "python"}, "pycharm": {"name": "#%%"}, "hidden": True,
            "heading_collapsed": True, "editable": True, "slideshow": {"slide_type": ""},
            "ExecuteTime": {"end_time": "2026-01-01"}, "trusted": True,
        }  # fmt: skip
        cell.metadata.setdefault("tags", [])


@pytest.mark.parametrize("change", [_new_ids, _executed, _opened_elsewhere])
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
    edited, text = nbformat.read(tiny.notebook, as_version=4), tiny.text.read_text()
    pairing.to_text(layout, tiny)
    assert pairing.compare(layout) == IN_STEP
    assert nbformat.read(tiny.notebook, as_version=4).cells == edited.cells
    assert tiny.text.read_text() != text
    assert tiny.text.read_text().startswith(FRONT_MATTER)


def test_a_text_can_be_edited_again_after_it_took_its_notebook(layout, tiny):
    pairing.pair(layout)
    _rewrite(tiny, _other_source)
    pairing.to_text(layout, tiny)
    tiny.text.write_text(tiny.text.read_text() + "\nMore.\n")
    assert pairing.compare(layout).behind == ("01-tiny",)
    pairing.pair(layout)
    assert pairing.compare(layout) == IN_STEP


def test_taking_a_notebook_changes_no_line_that_was_not_edited(layout, tiny):
    """A notebook that ``pair`` wrote names no lexer; every code cell of the text does."""
    pairing.pair(layout)
    before = tiny.text.read_text()
    assert "{code-cell} ipython3" in before
    pairing.to_text(layout, tiny)
    assert tiny.text.read_text().split() == before.split()


def test_blank_lines_at_the_ends_of_cells_are_no_edit_that_a_text_refuses(layout, tiny):
    pairing.pair(layout)
    before = tiny.text.read_text()

    def blank_lines(notebook):
        for cell in notebook.cells:
            cell.source += "\n\n"
        notebook.cells.append(nbformat.v4.new_markdown_cell("\n\nNew words.\n"))

    _rewrite(tiny, blank_lines)
    pairing.to_text(layout, tiny)
    assert tiny.text.read_text().split() == [*before.split(), "New", "words."]
    assert pairing.compare(layout) == IN_STEP


@pytest.mark.parametrize("spoil", ["form feed", "tags that are no list"])
def test_a_notebook_that_would_spoil_its_text_is_blamed_itself(layout, tiny, spoil):
    pairing.pair(layout)

    def edit(notebook):
        (cell, *_) = (cell for cell in notebook.cells if cell.cell_type == "code")
        if spoil == "form feed":
            cell.source = "a = 1\f\nb = 2"
        else:
            cell.metadata["tags"] = "abc"

    _rewrite(tiny, edit)
    text = tiny.text.read_bytes()
    with pytest.raises(RulbookError, match=r"notebook of 01-tiny cannot be taken.*tiny\.ipynb"):
        pairing.to_text(layout, tiny)
    assert tiny.text.read_bytes() == text


def test_copied_cells_that_share_an_id_are_read_without_a_warning(layout, tiny):
    pairing.pair(layout)
    content = json.loads(tiny.notebook.read_text())
    content["cells"].append(dict(content["cells"][-1]))
    tiny.notebook.write_text(json.dumps(content))
    assert pairing.compare(layout).edited == ("01-tiny",)


def _pasted_image(notebook):
    notebook.cells[0].attachments = {"image.png": {"image/png": "aGVsbG8="}}


def test_a_pasted_image_is_an_edit_that_a_text_cannot_take(layout, tiny):
    pairing.pair(layout)
    _rewrite(tiny, _pasted_image)
    text = tiny.text.read_bytes()
    with pytest.raises(RulbookError, match="was edited"):
        pairing.pair(layout)
    with pytest.raises(RulbookError, match="pasted image"):
        pairing.to_text(layout, tiny)
    assert tiny.text.read_bytes() == text
    assert "aGVsbG8=" in tiny.notebook.read_text()


def test_a_notebook_and_a_text_that_were_both_edited_are_left_alone(layout, tiny):
    pairing.pair(layout)
    _rewrite(tiny, _other_source)
    text = tiny.text.read_text() + "\nMore.\n"
    tiny.text.write_text(text)
    with pytest.raises(RulbookError, match="was edited"):
        pairing.pair(layout)
    with pytest.raises(RulbookError, match=r"The text of 01-tiny was edited too.*--overwrite"):
        pairing.to_text(layout, tiny)
    assert tiny.text.read_text() == text


@pytest.fixture
def quoting(layout, tiny):
    """The small chapter with a value in its prose, and exercises."""
    tiny.text.write_text(tiny.text.read_text() + EXERCISES + "\nIt is {glue:text}`x:.1f` long.\n")
    (layout.book / "values.json").write_text('{"01-tiny": {"x:.1f": "2.5"}}')
    pairing.pair(layout)
    return tiny


def _prose(notebook, words):
    (cell,) = (cell for cell in notebook.cells if words in cell.source)
    return cell


def test_values_in_prose_are_those_recorded_and_follow_them(layout, quoting):
    assert _prose(nbformat.read(quoting.notebook, as_version=4), "It is 2.5 long.")
    (layout.book / "values.json").write_text('{"01-tiny": {"x:.1f": "3.5"}}')
    assert pairing.compare(layout).behind == ("01-tiny",)
    pairing.pair(layout)
    assert _prose(nbformat.read(quoting.notebook, as_version=4), "It is 3.5 long.")
    (layout.book / "values.json").write_text("{")
    with pytest.raises(RulbookError, match=r"values\.json' does not hold the values"):
        pairing.compare(layout)


def test_an_edit_of_prose_and_of_code_returns_to_the_text_and_roles_stay(layout, quoting):
    before = quoting.text.read_text()

    def change(notebook):
        cell = _prose(notebook, "It is 2.5 long.")
        cell.source = cell.source.replace("It is 2.5 long", "It is only 2.5 long, as seen")
        _prose(notebook, 'print("solved")').source += "\nprint(1)"
        notebook.cells.append(nbformat.v4.new_markdown_cell("New words."))

    _rewrite(quoting, change)
    pairing.to_text(layout, quoting)
    after = quoting.text.read_text()
    assert "It is only {glue:text}`x:.1f` long, as seen." in after
    assert 'print("solved")\nprint(1)\n' in after
    assert after.rstrip().endswith("New words.")
    assert after.count(":::{") == before.count(":::{")
    assert pairing.compare(layout) == IN_STEP


def _other_value(notebook):
    cell = _prose(notebook, "It is 2.5 long.")
    cell.source = cell.source.replace("2.5", "2.6")


def _role_in_a_notebook(notebook):
    _prose(notebook, "It is 2.5 long.").source += "\n\nSee {ref}`c01-one`."


def _cell_gone(notebook):
    notebook.cells.remove(_prose(notebook, "It is 2.5 long."))


def _cells_joined(notebook):
    last = _prose(notebook, "It is 2.5 long.")
    notebook.cells[0].source += "\n\n" + last.source
    notebook.cells.remove(last)


def _made_raw(notebook):
    _prose(notebook, "It is 2.5 long.").cell_type = "raw"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (_made_raw, r"no longer has the cell that begins “"),
        (_other_value, r"Cell \d+ of the notebook .*“It is 2\.5 long\.”.*\{glue:text\}`x:\.1f`"),
        (_role_in_a_notebook, r"Cell \d+ of the notebook .* it would look different afterwards"),
        (_cell_gone, r"no longer has the cell that begins “"),
        (_cells_joined, r"no longer has the cell that begins “"),
    ],
)
def test_an_edit_that_would_lose_a_role_is_refused_with_its_place(layout, quoting, change, place):
    text = quoting.text.read_text()
    _rewrite(quoting, change)
    edited = quoting.notebook.read_bytes()
    with pytest.raises(RulbookError, match=place):
        pairing.to_text(layout, quoting)
    assert quoting.text.read_text() == text
    assert quoting.notebook.read_bytes() == edited


@pytest.mark.slow
def test_a_notebook_runs_under_papermill_with_other_parameters(layout, quoting, tmp_path):
    out = tmp_path / "out.ipynb"
    papermill.execute_notebook(
        quoting.notebook, out, parameters={"seed": 7}, progress_bar=False, cwd=tmp_path
    )
    outputs = json.dumps([cell.get("outputs") for cell in nbformat.read(out, 4).cells])
    assert "parameters seen: quick auto auto 7" in outputs
    assert "solved" in outputs


def test_a_notebook_that_would_be_no_chapter_leaves_the_text_as_it_is(layout, tiny):
    pairing.pair(layout)
    text = tiny.text.read_text()
    _rewrite(tiny, lambda notebook: notebook.cells.pop(1))
    with pytest.raises(RulbookError, match="no code cell tagged 'parameters'"):
        pairing.to_text(layout, tiny)
    assert tiny.text.read_text() == text


def test_a_notebook_that_is_missing_is_behind_and_a_broken_one_is_kept(layout, tiny):
    assert pairing.compare(layout).behind == ("01-tiny",)
    tiny.notebook.write_text("<<<<<<< a conflict")
    with pytest.raises(RulbookError, match="was edited"):
        pairing.pair(layout)
    with pytest.raises(RulbookError, match="cannot be read as a notebook"):
        pairing.to_text(layout, tiny)
    assert tiny.notebook.read_text() == "<<<<<<< a conflict"


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "null",
        "3",
        '{"cells": 5, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        '{"cells": [1], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        '{"cells": [], "metadata": [], "nbformat": 4, "nbformat_minor": 5}',
        *(
            f'{{"cells": [], "metadata": {{}}, "nbformat": {major}, "nbformat_minor": {minor}}}'
            for major, minor in [(5, 5), ('"4"', 5), (0, 5), ("null", 5), (4, '"x"'), (4, "null")]
        ),
        '{"cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": 5}],'
        ' "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        '{"cells": [{"cell_type": "figure", "id": "a", "metadata": {}, "source": ""}],'
        ' "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        pytest.param("[" * 9999, id="deep lists"),
        pytest.param('{"cells":' * 9999, id="deep cells"),
    ],
)
def test_json_that_is_no_notebook_is_kept_and_named(layout, tiny, content):
    tiny.notebook.write_text(content)
    assert pairing.compare(layout).edited == ("01-tiny",)
    with pytest.raises(RulbookError, match="cannot be read as a notebook"):
        pairing.to_text(layout, tiny)
    assert tiny.notebook.read_text() == content
    assert pairing.pair(layout, ["01-tiny"]) == [tiny]


def test_what_nobody_takes_from_a_notebook_may_be_out_of_order(layout, tiny):
    pairing.pair(layout)
    notebook = json.loads(tiny.notebook.read_text())
    code = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    code["outputs"] = [{"output_type": "stream", "text": "no name"}]
    del code["execution_count"]
    code["metadata"]["scrolled"] = "perhaps"
    tiny.notebook.write_text(json.dumps(notebook | {"nbformat_minor": 4}))
    assert pairing.compare(layout) == IN_STEP
    code["source"] = [*code["source"], "\n", "edited = True"]
    tiny.notebook.write_text(json.dumps(notebook))
    pairing.to_text(layout, tiny)
    assert "edited = True" in tiny.text.read_text()


def test_a_byte_order_mark_is_no_part_of_a_text(layout, tiny):
    pairing.pair(layout)
    tiny.text.write_bytes(b"\xef\xbb\xbf" + tiny.text.read_bytes())
    assert pairing.compare(layout) == IN_STEP


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
def test_jupytext_saves_a_text_as_it_is_and_takes_no_notebook_for_its_pair(layout, tiny):
    """JupyterLab's extension opens and saves a text as ``jupytext --to md:myst`` does."""
    shutil.copy2(of_checkout().root / "jupytext.toml", layout.root)
    text = tiny.text.read_text().replace("    format_version: 0.13\n", "")
    tiny.text.write_text(text.replace("\n\n\n", "\n\n"))  # as jupytext spaces cells
    pairing.pair(layout)
    before = tiny.text.read_bytes(), tiny.notebook.read_bytes()

    def jupytext_cli(*arguments):
        command = [sys.executable, "-m", "jupytext", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, check=False, text=True)

    saved = jupytext_cli("--to", "md:myst", "--output", tiny.text, tiny.text)
    assert saved.returncode == 0
    refused = jupytext_cli("--sync", tiny.notebook)
    assert "not a paired notebook" in refused.stdout + refused.stderr
    assert (tiny.text.read_bytes(), tiny.notebook.read_bytes()) == before


def test_texts_and_notebooks_name_the_kernel_as_jupyterlab_does():
    """What JupyterLab saves without an edit then makes no difference."""
    saved = get_kernel_dict()["display_name"]
    checkout = of_checkout()
    for chapter in chapters(checkout):
        text = pairing.to_notebook(chapter).metadata["kernelspec"]["display_name"]
        notebook = nbformat.read(chapter.notebook, 4).metadata["kernelspec"]["display_name"]
        assert (text, notebook) == (saved, saved), chapter.name


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
    layout, tiny, monkeypatch, capsys, on_colab
):
    first = (
        pairing.to_public_notebook(
            tiny, References.of(layout), "https://github.com/example/rulbook"
        )
        .cells[0]
        .source
    )
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
def test_a_notebook_becomes_a_script_that_python_reads(layout, tiny, url):
    notebook = pairing.to_public_notebook(tiny, References.of(layout), url)
    script = jupytext.writes(notebook, fmt="py:percent")
    compile(script, "script", "exec")


def test_what_programs_left_in_cells_outlives_an_edit_of_the_text(layout, tiny):
    """The kind of a slide and the points of a grader are somebody's work."""
    pairing.pair(layout)

    def mark(notebook):
        for number, cell in enumerate(notebook.cells):
            cell.metadata["nbgrader"] = {"points": number}
            cell.metadata["slideshow"] = {"slide_type": "slide"}
            cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00Z"}

    _rewrite(tiny, mark)
    tiny.text.write_text(tiny.text.read_text().replace("# A tiny", "# Another"))
    assert pairing.compare(layout).behind == ("01-tiny",)
    pairing.pair(layout)
    cells = nbformat.read(tiny.notebook, as_version=4).cells
    assert [cell.metadata["nbgrader"]["points"] for cell in cells] == list(range(len(cells)))
    assert all(cell.metadata["slideshow"] == {"slide_type": "slide"} for cell in cells)
    assert not any("execution" in cell.metadata for cell in cells)
    assert pairing.compare(layout) == IN_STEP


def test_what_programs_left_in_a_cell_goes_to_no_other_cell(layout, write):
    def points(*cells):
        chapter = write("01-a", *cells)
        pairing.pair(layout)
        read = nbformat.read(chapter.notebook, as_version=4).cells[-len(cells) :]
        return chapter, [cell.metadata.get("nbgrader", {}).get("points") for cell in read]

    chapter, _ = points("a = 1", "b = 1", "c = 1")

    def mark(notebook):
        for number, cell in enumerate(notebook.cells[-3:]):
            cell.metadata["nbgrader"] = {"points": number}

    _rewrite(chapter, mark)
    assert points("a = 1", "b = 2", "c = 1")[1] == [0, 1, 2]
    assert points("a = 1", "b = 3", "c = 1", "d = 1")[1] == [0, 1, 2, None]
    assert points("a = 1", "c = 1", "d = 1", "e = 1")[1] == [0, 2, None, None]


def test_a_notebook_that_colab_saved_is_taken_into_its_text(layout, tiny):
    """Colab keeps no ids, and there the first cell installs the package."""
    config = layout.root / "_config.yml"
    url = "https://github.com/example/rulbook"
    config.write_text(config.read_text().replace('repository_url: ""', f"repository_url: {url}"))
    pairing.pair(layout)

    def as_colab(notebook):
        notebook.nbformat_minor = 0
        for cell in notebook.cells:
            cell.metadata["id"] = cell.pop("id")
        notebook.cells[2].source += "\nextra = 1"

    _rewrite(tiny, as_colab)
    pairing.to_text(layout, tiny)
    assert "extra = 1" in tiny.text.read_text()
    assert "google.colab" not in tiny.text.read_text()
    assert pairing.compare(layout) == IN_STEP
