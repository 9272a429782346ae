"""Claims that are cells of one printed table are found as that table, and others are not."""

from hypothesis import given
from hypothesis import strategies as st

from rulbook.claims import Claim, read_ledger
from rulbook.display.grids import grid_of, shared_beginning

from ..ledger_rows import make_row

name = st.text("abc", min_size=1, max_size=3)
names = st.lists(name, min_size=3, max_size=5, unique=True)


def cell(row: str, column: str) -> Claim:
    return Claim.model_validate(make_row(id=f"n24.1-t-{row}-{column}", where=f"table, row {row}"))


@given(rows=names, columns=names, data=st.data())
def test_a_whole_table_is_found_and_what_is_beside_it_is_not(
    rows: list[str], columns: list[str], data: st.DataObject
) -> None:
    cells = {(row, column): cell(row, column) for row in rows for column in columns}
    beside = [
        Claim.model_validate(make_row()),
        Claim.model_validate(make_row(id="n24.1-u-shape", printed=True)),
    ]
    grid = grid_of(data.draw(st.permutations([*cells.values(), *beside])))
    assert grid is not None
    assert set(grid.ids) == {claim.id for claim in cells.values()}
    assert set(grid.rows) == set(rows)
    assert set(grid.columns) == set(columns)
    for row, of_row in zip(grid.rows, grid.cells, strict=True):
        for column, found in zip(grid.columns, of_row, strict=True):
            assert found == cells[row, column].id
            assert grid.names[found] == f"{column}, {row}"


@given(rows=names, columns=names, data=st.data())
def test_no_table_lacks_a_cell(rows: list[str], columns: list[str], data: st.DataObject) -> None:
    lacking = data.draw(st.sampled_from([(row, column) for row in rows for column in columns]))
    claims = [cell(row, column) for row in rows for column in columns if (row, column) != lacking]
    grid = grid_of(claims)
    assert grid is not None
    assert set(grid.ids) < {claim.id for claim in claims}
    without_its_row = (len(rows) - 1) * len(columns)
    without_its_column = len(rows) * (len(columns) - 1)
    assert len(grid.ids) == max(without_its_row, without_its_column)


def test_a_few_figures_and_statements_in_words_are_no_table() -> None:
    assert grid_of([]) is None
    assert grid_of([cell(row, column) for row in "ab" for column in "cd"]) is None
    in_words = [
        Claim.model_validate(make_row(id=f"n24.1-t-{row}-{column}", printed=True))
        for row in "abc"
        for column in "abc"
    ]
    assert grid_of(in_words) is None


def test_the_printed_tables_of_the_book_are_found() -> None:
    ledger = read_ledger().values()
    fixed_points = grid_of([one for one in ledger if one.id.startswith("n12.4-table-")])
    assert fixed_points is not None
    assert fixed_points.rows == ("ρ = 1", "ρ = 10", "ρ = 100", "ρ = 500", "ρ = 2000")
    assert fixed_points.columns == ("θ", "RUL loss", "health loss")
    weights = grid_of([one for one in ledger if one.id.startswith("n24.1-")])
    assert weights is not None
    assert weights.rows[::4] == ("AMNL 0.5/0.5", "Single-task")
    assert weights.columns == ("FD002", "FD004", "mean")


def test_shared_beginning_counts_what_all_begin_with() -> None:
    assert shared_beginning([["a", "b"], ["a", "b", "c"], ["a", "d"]]) == 1
    assert shared_beginning([["a"]]) == 1
    assert shared_beginning([["a"], ["b"]]) == 0
