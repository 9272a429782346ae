"""Find the claims that are cells of one printed table, to be shown as the table that they form."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rulbook.claims.ledger import Claim

_LEAST_CELLS = 6
"""A smaller table says no more than its rows below each other."""

_COLUMNS: Mapping[str, str] = {
    "theta": "θ",
    "rul": "RUL loss",
    "hs": "health loss",
    "health": "health loss",
    "fd002": "FD002",
    "fd004": "FD004",
}
"""Last words of ids that are no words for a reader; others are shown as they are."""


@dataclass(frozen=True)
class Grid:
    """A table whose cells are claims, none missing.

    Attributes:
        rows: what each row is about.
        columns: what each column is about.
        cells: id of a claim by row and column.

    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]

    @property
    def ids(self) -> list[str]:
        """The ids of all cells, row by row."""
        return [name for row in self.cells for name in row]

    @property
    def names(self) -> dict[str, str]:
        """A short name of each cell by its id, column first."""
        return {
            name: f"{column}, {row}"
            for row, cells in zip(self.rows, self.cells, strict=True)
            for column, name in zip(self.columns, cells, strict=True)
        }


def grid_of(claims: Sequence[Claim]) -> Grid | None:
    """Return the largest whole table among the cells of ``claims``, if there is one.

    Claims are cells of one table where their ids are a common beginning, a name of a row and a name
    of a column, as in ``n12.4-table-rho10-theta``.
    """
    figures = {claim.id: claim for claim in claims if isinstance(claim.printed, str)}
    return max(_grids(figures), key=lambda grid: len(grid.ids), default=None)


def _grids(figures: Mapping[str, Claim]) -> Iterator[Grid]:
    by_beginning: dict[str, dict[tuple[str, str], str]] = {}
    for name in figures:
        words = name.split("-")
        for first in range(1, len(words) - 1):
            for second in range(first + 1, len(words)):
                beginning, row, column = (
                    "-".join(part) for part in (words[:first], words[first:second], words[second:])
                )
                by_beginning.setdefault(beginning, {})[row, column] = name
    # The longest beginning first: the names of rows are then the shortest.
    for beginning in sorted(by_beginning, key=len, reverse=True):
        cells = by_beginning[beginning]
        columns_of: dict[str, list[str]] = {}
        for row, column in cells:
            columns_of.setdefault(row, []).append(column)
        for columns in columns_of.values():
            rows = [row for row, its in columns_of.items() if set(its) >= set(columns)]
            if min(len(rows), len(columns)) > 1 and len(rows) * len(columns) >= _LEAST_CELLS:
                ids = tuple(tuple(cells[row, column] for column in columns) for row in rows)
                yield Grid(
                    _places([figures[of_row[0]] for of_row in ids]),
                    tuple(_COLUMNS.get(column, column.replace("-", " ")) for column in columns),
                    ids,
                )


def _places(firsts: Sequence[Claim]) -> tuple[str, ...]:
    """Return where each row stands in the source, without what all rows share."""
    split = [claim.where.split(", ") for claim in firsts]
    shared = shared_beginning(split)
    return tuple(", ".join(parts[shared:]).removeprefix("row ") or parts[-1] for parts in split)


def shared_beginning(split: Sequence[Sequence[str]]) -> int:
    """Return how many parts all sequences begin with alike."""
    count = 0
    for parts in zip(*split, strict=False):
        if len(set(parts)) > 1:
            break
        count += 1
    return count
