"""Plain Markdown for notebooks, and edits of it taken back into a text."""

import nbformat
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from rulbook.errors import RulbookError
from rulbook.publishing.plain_markdown import (
    NO_VALUE,
    Piece,
    ProseChangeError,
    plain,
    plain_cells,
    solution_cells,
    take_back,
    without_solutions,
)
from rulbook.publishing.references import References

REFERENCES = References(
    numbers={"c04-factor": "4.1", "c04-rate": "4.1", "c04-other": "4.2"},
    pages={"06-equal": ("Equal weights", "06-equal.ipynb"), "notation": ("Notation", "")},
    papers={
        "holm": ("Holm, 1979", ""),
        "ban": ("Ban and Ji, 2024", "https://arxiv.org/abs/2402.15638"),
    },
    values={"04-costs": {"c04-limit:.2f": "3.99", "c04-data": "C-MAPSS"}},
)


def cells_of(*cells):
    """Return the pieces of every Markdown cell; a dictionary has the options of a code cell."""
    made = [
        new_code_cell("", metadata=cell) if isinstance(cell, dict) else new_markdown_cell(cell)
        for cell in cells
    ]
    return plain_cells(new_notebook(cells=made), "04-costs", REFERENCES)


def plain_of(*cells):
    return [plain(pieces) for pieces in cells_of(*cells)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a {term}`unit`", "a unit"),
        ("a {term}`few units <unit>`", "a few units"),
        ("a {term}`few\nunits <unit>`", "a few units"),
        ("at {glue:text}`c04-limit:.2f`, on {glue:text}`c04-data`", "at 3.99, on C-MAPSS"),
        ("at {glue:text}`c04-new:.2f`", f"at {NO_VALUE}"),
        ("by {eq}`c04-factor`", "by (4.1)"),
        ("see {ref}`c04-other`", "see Exercise 4.2"),
        ("see {ref}`the next <c04-other>`", "see the next"),
        ("see {doc}`06-equal`", "see [Equal weights](06-equal.ipynb)"),
        ("see {doc}`notation`", "see *Notation*"),
        ("see [that](06-equal.md) and [this](notation.md)", "see [that](06-equal.ipynb) and this"),
        (
            "so {cite:p}`holm,ban`",
            "so (Holm, 1979; [Ban and Ji, 2024](https://arxiv.org/abs/2402.15638))",
        ),
        ("as {cite:t}`holm` says", "as Holm, 1979 says"),
        ("% quotes: n4.1\nwords", "words"),
        ("(place)=\n## Words", "## Words"),
        ("$$\na = 1\n$$ (c04-factor)\n\nword", "$$\na = 1\n\\tag{4.1}\n$$\n\nword"),
        ("$$\na = 1\n$$\n\nword", "$$\na = 1\n$$\n\nword"),
        (
            "$a_{t}$ is `{term}` in ``{{x}}`` and $$b$$",
            "$a_{t}$ is `{term}` in ``{{x}}`` and $$b$$",
        ),
        ("```\n{term}`unit`\n:::{note}\n```", "```\n{term}`unit`\n:::{note}\n```"),
        (":::{note}\nOne.\n\nTwo.\n:::\n\nThree.", "> **Note**\n>\n> One.\n> \n> Two.\n\nThree."),
        (
            ":::{admonition} What {term}`holds <x>`\n:class: tip\n\nAt {glue:text}`c04-data`.\n:::",
            "> **What holds**\n>\n> At C-MAPSS.",
        ),
        (
            "::::{dropdown} More\n:::{tip}\nOne.\n:::\n::::",
            "<details>\n<summary><b>More</b></summary>\n\n> **Tip**\n>\n> One.\n\n</details>",
        ),
        (
            ":::{exercise}\n:label: c04-other\n\nAsk {eq}`c04-factor`.\n:::",
            "### Exercise 4.2\n\nAsk (4.1).",
        ),
    ],
)
def test_every_role_and_directive_has_a_plain_form(text, wanted):
    (pieces,) = cells_of(text)
    assert plain(pieces) == wanted
    assert "".join(piece.text for piece in pieces) == text


@pytest.mark.parametrize(
    "text",
    [
        "{unheard}`of`",
        ":::{card}\nWords.\n:::",
        "{{ count }}",
        "{eq}`c04-nowhere`",
        "{doc}`nowhere`",
        "{cite:p}`nobody`",
        "[Table](#nowhere)",
    ],
)
def test_what_has_no_plain_form_is_refused_by_name(text):
    with pytest.raises(RulbookError, match=r"04-costs has no plain form .* use one that has"):
        cells_of(text)


def test_tables_and_figures_are_referred_to_by_their_place():
    table, figure = {"label": "limits"}, {"label": "course"}
    cells = plain_of(
        "## First\n\n[Table](#limits) says it.",
        table,
        "So says [Table](#limits), and\n[Figure](#course) too.",
        "## $a$ second\n\n[Figure](#course) and [Table](#limits).",
        figure,
    )
    assert cells == [
        "## First\n\nThe table below says it.",
        "So says the table above, and\nthe figure under “$a$ second” too.",
        "## $a$ second\n\nThe figure below and the table under “First”.",
    ]


def test_a_solution_is_closed_and_its_code_is_known():
    start = ":::{solution-start} c04-rate\n:label: c04-rate-solution\n:class: dropdown\n:::"
    end = ":::{solution-end}\n:::"
    cells = [
        {},
        f":::{{exercise}}\n:label: c04-rate\n\nAsk.\n:::\n\n{start}\n\nSay.",
        {},
        "Say more.",
        {},
        f"{end}\n\n## Next",
        {},
        f"{start}\n\nSay.\n\n{end}\n\nMore.",
        {},
    ]
    title = "<details>\n<summary><b>Solution to Exercise 4.1{}</b></summary>\n\n"
    assert plain_of(*cells) == [
        f"### Exercise 4.1\n\nAsk.\n\n{title.format('')}Say.\n\n</details>",
        f"{title.format(', continued')}Say more.\n\n</details>",
        "## Next",
        f"{title.format('')}Say.\n\n</details>\n\nMore.",
    ]
    made = [
        new_code_cell() if isinstance(cell, dict) else new_markdown_cell(cell) for cell in cells
    ]
    assert solution_cells(nbformat.from_dict(new_notebook(cells=made))) == {2, 4}


TEXT = (
    "## What holds\n\nThe limit is {glue:text}`c04-limit:.2f`, by {eq}`c04-factor`.\n\n"
    ":::{note}\nTwo lines\nof {term}`words <word>`.\n:::\n% quotes: n4.1\n\nThe end."
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("The limit is", "Its limit is about"),
        ("What holds", "What does not hold"),
        (", by ", ", as in "),
        ("Two lines", "Two short lines"),
        ("words.", "words!"),
        ("The end.", "The end.\n\nAnd a paragraph more."),
        ("## What", "# What"),
        ("Two lines\n> ", ""),
    ],
)
def test_an_edit_of_prose_is_taken_back_and_roles_stay(old, new):
    (pieces,) = cells_of(TEXT)
    changed = plain(pieces).replace(old, new)
    assert changed != plain(pieces)
    text = take_back(pieces, changed)
    assert plain_of(text) == [changed]
    for kept in ("{glue:text}`c04-limit:.2f`", "{eq}`c04-factor`", "{term}`words <word>`"):
        assert kept in text


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("3.99", "4.00", r"\{glue:text\}`c04-limit:\.2f`"),
        ("(4.1)", "the equation", r"\{eq\}`c04-factor`"),
        ("The limit is 3.99, by (4.1).", "", r"“The limit is 3\.99, by .*\{glue"),
        ("**Note**", "**Nota bene**", r":::\{note\}"),
        ("of words", "of word", r"\{term\}"),
    ],
)
def test_an_edit_of_what_the_text_has_otherwise_is_refused_with_the_place(old, new, named):
    (pieces,) = cells_of(TEXT)
    with pytest.raises(ProseChangeError, match=named):
        take_back(pieces, plain(pieces).replace(old, new))


WORDS = st.text("ab .\n", max_size=8)
PIECES = st.lists(
    st.one_of(
        WORDS.map(lambda words: Piece(words, words)),
        st.tuples(st.sampled_from("XYZ"), st.sampled_from(["", "1", "2 3"])).map(
            lambda pair: Piece(*pair)
        ),
    ),
    max_size=6,
)


@given(PIECES, WORDS, st.integers(0, 40), st.integers(0, 8))
def test_any_edit_keeps_every_role_or_is_refused(pieces, words, start, length):
    before = plain(pieces)
    assume(start <= len(before))
    try:
        text = take_back(pieces, before[:start] + words + before[start + length :])
    except ProseChangeError:
        return
    roles = [piece.text for piece in pieces if not piece.is_kept]
    assert [letter for letter in text if letter in "XYZ"] == roles


@given(PIECES)
def test_no_edit_gives_the_same_text(pieces):
    assert take_back(pieces, plain(pieces)) == "".join(piece.text for piece in pieces)


def test_without_solutions_there_are_the_exercises_and_what_follows():
    cells = [
        new_markdown_cell(
            "Before.\n\n:::{exercise}\nAsk.\n:::\n\n"
            ":::{solution-start} a\n:class: dropdown\n:::\n\nSo."
        ),
        new_code_cell("answer"),
        new_markdown_cell("And so on."),
        new_code_cell("again"),
        new_markdown_cell(":::{solution-end}\n:::\n\n:::{exercise}\nAgain.\n:::"),
        new_code_cell("kept"),
    ]
    notebook = new_notebook(cells=cells)
    without_solutions(notebook)
    assert [cell.source for cell in notebook.cells] == [
        "Before.\n\n:::{exercise}\nAsk.\n:::",
        ":::{exercise}\nAgain.\n:::",
        "kept",
    ]


def test_a_solution_within_one_cell_goes_and_its_surroundings_stay():
    text = "A.\n\n::::{solution-start} a\n::::\n\nB.\n\n::::{solution-end}\n::::\n\nC."
    notebook = new_notebook(cells=[new_markdown_cell(text)])
    without_solutions(notebook)
    assert [cell.source for cell in notebook.cells] == ["A.\n\n\n\nC."]
