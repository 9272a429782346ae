"""Figures typed into prose: which are found, and which have something behind them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulbook import paths
from rulbook.claims import Claim
from rulbook.publishing.typed_figures import lint_book, typed_figures

from ..ledger_rows import make_row

PAGE = "06-equal-weights"
ELSEWHERE = "index"


def ledger_of(**row: Any) -> dict[str, Claim]:
    claim = Claim.model_validate(make_row(**row))
    return {claim.id: claim}


LEDGER = ledger_of()


def complaints(text: str, page: str = ELSEWHERE) -> list[str]:
    return [str(finding) for finding in typed_figures(text, page, LEDGER)]


FIGURES = [
    "The error is 6.83.",
    "It rose by 12%.",
    "It rose by 12 %.",
    "It rose by 12 percent.",
    "It is at 12 per cent.",
    "It rose by 12 percentage points.",
    "It is 500× larger.",
    "<p>At p < 0.05 the error is larger than 2.</p>",
    "It is 1,389 × larger.",
    "A window of 30 cycles.",
    "A window of 30\ncycles.",
    "A 30-cycle window.",
    "It has 1,024 parameters.",
    "It has 3 M parameters.",
    "It takes 12 s.",
    "# An error of 6.83",
    "| a |\n|---|\n| 6.83 |",
    "- an item with 6.83",
    "[text](page.md) and 6.83",
    ":::{admonition} A title\n:class: tip\nan error of 6.83\n:::",
    ":::{admonition} A title with 6.83\nwords\n:::",
    "```{figure} a.svg\n:alt: a line at 6.83\n```",
    "```{figure} a.svg\na caption with 6.83\n```",
    "<p>It is 3.75 better</p>",
    "<table>\n<tr><td>it</td><td>3.75</td></tr>\n</table>",
    "words\n\n<div>\nIt is 500&nbsp;&times; larger.\n</div>",
    "::: {note}\n<p>It is 3.75 better</p>\n:::",
    "```{raw} html\n<p>It is 3.75 better</p>\n```",
    "::::{note}\n:::{tip}\nan error of 6.83\n:::\n::::",
]


@pytest.mark.parametrize("text", FIGURES)
def test_a_typed_figure_is_found(text: str) -> None:
    assert len(complaints(text)) == 1


ALLOWED = [
    "The error is {glue:text}`n24.1-mean:.2f` cycles.",
    "At `lr=0.05` nothing happens.",
    "With $\\rho = 0.5$ it holds.",
    "$$\nx = 0.5\n$$",
    "```{code-cell} ipython3\nx = 0.5\n```",
    "```python\nx = 0.5\n```",
    "```{raw} latex\n0.5\n```",
    "<!-- 0.5 -->",
    "<p style='width: 0.5em'>words</p>",
    "<style>\np { width: 0.5em }\n\nb { width: 0.5em }\n</style>",
    "<p>At <code>lr=0.05</code> nothing happens.</p>",
    "See §12.4, § 24.1 and sections 4.1.",
    "It needs Python 3.11.",
    "See [figure 0.5](page-1.5.md).",
    "---\ntitle: 0.5\n---\n\nwords",
    "% a comment with 0.5\n\nwords",
    "(label-0.5)=\n\nwords",
    "```{figure} figure-1.5.svg\n:width: 80%\n:alt: two lines\n```",
    "Five seeds, 260 engines, 14 sensors, chapter 4, FD002 and C-MAPSS.",
    "In 1998 and 2018.",
]


@pytest.mark.parametrize("text", ALLOWED)
def test_what_is_no_typed_figure_passes(text: str) -> None:
    assert complaints(text) == []


def test_a_complaint_names_page_line_and_words() -> None:
    [told] = complaints("# Title\n\nSome words.\n\nThe error is 6.83 at the end of the training.")
    assert told.startswith("index:5: the figure in “The error is 6.83 at the end")
    assert told.endswith("is neither glued nor in the ledger.")


def test_a_line_inside_a_directive_is_named() -> None:
    [told] = complaints("words\n\n:::{note}\nwords\n\nan error of 6.83\n:::")
    assert told.startswith("index:6: ")


def test_a_chapter_may_quote_the_claims_that_it_decides() -> None:
    assert complaints("The book prints 6.82.", PAGE) == []
    assert len(complaints("The book prints 6.82.", ELSEWHERE)) == 1


def test_another_page_may_quote_a_claim_that_it_names() -> None:
    assert complaints("% quotes: n24.1-mean\n\nThe mean of 6.33 and 7.30 is 6.82.") == []


def test_a_quotation_must_be_exact() -> None:
    assert len(complaints("% quotes: n24.1-mean\n\nThe book prints 6.83.")) == 1
    assert len(complaints("% quotes: n24.1-mean\n\nThe book prints 6.820.")) == 1


def test_a_quotation_of_no_claim_is_found() -> None:
    [told] = complaints("words\n\n% quotes: n24.1-mean, n24.1-none\n\nwords")
    assert told == ("index:3: the comment names 'n24.1-none', which is no claim of the ledger.")


def test_figures_of_the_contradicting_place_may_be_quoted() -> None:
    other = {"where": "there", "statement": "It is 708.5.", "printed": "708.5"}
    ledger = ledger_of(expected="inconsistent", reason="so", other=other)
    assert typed_figures("Another place prints 708.5.", PAGE, ledger) == []


@given(st.decimals(0, 10**4, places=3))
def test_any_number_with_a_decimal_point_is_found(number: object) -> None:
    assert len(complaints(f"It is {number} there.")) == 1
    assert complaints(f"It is `{number}` there.") == []


def test_the_pages_of_the_book_hold_no_typed_figure() -> None:
    root = paths.checkout()
    assert root is not None
    findings = lint_book(root / "book")
    assert not findings, "\n".join(map(str, findings))


def test_every_page_of_a_folder_is_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.md").write_text("An error of 6.83.", "utf-8")
    (tmp_path / "c.txt").write_text("An error of 6.83.", "utf-8")
    assert [finding.page for finding in lint_book(tmp_path)] == ["a", "b"]
