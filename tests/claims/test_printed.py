from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from rulbook.claims import printed
from rulbook.claims.ledger import find

ROWS = list(printed.ABLATION_ROWS)
WEIGHTS = list(printed.ABLATION_ROWS.values())


def errors(*values: str) -> pd.Series:
    return pd.Series([Decimal(value) for value in values], index=ROWS)


def test_the_table_holds_the_ledgers_figures_as_printed():
    table = printed.ablation_table()
    assert table.shape == (5, 2)
    assert str(table.loc["075", "FD004"]) == find("n24.1-table-075-fd004").printed


def test_the_curve_goes_through_its_rows_and_is_straight_in_the_logarithm_between_them():
    column = errors("6", "7", "8", "9", "27")
    np.testing.assert_allclose(printed.curve(column, WEIGHTS), [6, 7, 8, 9, 27])
    assert printed.curve(column, 0.95) == pytest.approx(np.sqrt(9 * 27))
    assert np.isnan(printed.curve(column, 0.49))


@pytest.mark.parametrize(
    ("values", "is_u"),
    [
        (("8", "7", "6", "7", "8"), True),
        (("8", "6", "7", "9", "27"), True),
        (("6", "7", "8", "9", "27"), False),  # begins at its minimum: one arm alone
        (("8", "6", "9", "7", "27"), False),  # falls again
        (("9", "8", "7", "6", "5"), False),  # ends at its minimum
        (("7", "9", "6", "7", "8"), False),  # rises before its minimum
    ],
)
def test_a_u_has_two_arms(values, is_u):
    assert printed.is_u_shaped(errors(*values)) is is_u


def test_two_columns_are_alike_if_they_rise_between_the_same_rows():
    rising, falling_once = errors("6", "7", "8", "9", "27"), errors("6", "7", "8", "7.5", "27")
    assert printed.rise_and_fall_alike(pd.DataFrame({"FD002": rising, "FD004": rising * 2}))
    assert not printed.rise_and_fall_alike(pd.DataFrame({"FD002": rising, "FD004": falling_once}))
    assert printed.shoots_up_above(falling_once, 0.85)
    assert not printed.shoots_up_above(errors("6", "7", "8", "9", "15"), 0.85)


@pytest.mark.parametrize("methods", [printed.PLAIN_METHODS, printed.LABELLED_METHODS])
def test_printed_errors_are_those_of_the_ledger(methods):
    found = printed.printed_errors("FD002", methods)
    assert list(found) == list(methods.values())
    assert [str(value) for value in found.values()] == [
        find(f"n24.1-table-{row}-fd002").printed for row in printed.ABLATION_ROWS
    ]


def test_a_printed_figure_is_a_number_or_refused():
    assert printed.printed_value("n12.4-batches-of-one-epoch") == 4120
    with pytest.raises(ValueError, match="no printed number"):
        printed.printed_value("n24.1-u-shape")
