import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from rulbook.errors import RulbookError
from rulbook.publishing.numbering import number

TABLE = "<table><caption>Losses</caption></table>"
FIGURE = "<figure><figcaption>Weights</figcaption></figure>"


def _shows(*htmls, label=None):
    outputs = [new_output("display_data", data={"text/html": html}) for html in htmls]
    return new_code_cell(outputs=outputs, metadata={"label": label} if label else {})


def _html(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [output.data["text/html"] for cell in cells for output in cell.outputs]


def test_tables_and_figures_are_counted_apart_in_the_order_of_the_page():
    notebook = new_notebook(cells=[_shows(TABLE, FIGURE), _shows("<p>none</p>"), _shows(TABLE)])
    number(notebook, "04")
    words = ("Table 4.1.", "Figure 4.1.", None, "Table 4.2.")
    for html, expected in zip(_html(notebook), words, strict=True):
        assert (f">{expected}</span>" in html) if expected else "span" not in html


def test_a_reference_has_the_number_and_leads_to_the_caption():
    text = "See [Figure](#weights), [Table](#losses) and [elsewhere](#weights)."
    cells = [new_markdown_cell(text), _shows(TABLE), _shows(TABLE, FIGURE, label="losses")]
    cells.append(_shows(FIGURE, label="weights"))
    notebook = new_notebook(cells=cells)
    number(notebook, "11")
    assert notebook.cells[0].source == (
        'See <a class="reference internal" href="#weights">Figure 11.2</a>, '
        '<a class="reference internal" href="#losses">Table 11.2</a> and [elsewhere](#weights).'
    )
    for label in ("losses", "weights"):
        assert sum(f'caption id="{label}"' in html for html in _html(notebook)) >= 1
    nbformat.validate(notebook)


@pytest.mark.parametrize("cell", [_shows(TABLE), _shows(FIGURE, label="losses")])
def test_a_reference_to_nothing_is_an_error_that_names_it(cell):
    notebook = new_notebook(cells=[new_markdown_cell("[Table](#losses)"), cell])
    with pytest.raises(RulbookError, match="Chapter 02 refers to a table 'losses'"):
        number(notebook, "02")
