"""The two-by-two grid: the weighting, fixed or GABA, crossed with the inner loss."""

from collections.abc import Iterable, Mapping
from itertools import product

import pandas as pd

from rulbook.statistics import holm
from rulbook.studies.claim_rules import every_seed_in
from rulbook.studies.comparison import compare_groups
from rulbook.studies.methods import method
from rulbook.training.record import RunRecord
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING

GRID = (EQUAL_WEIGHTING, "amnl", "gaba", "grace")
"""The methods of the grid: without and with GABA, each without and with the weighted loss."""

GRID_ROWS: Mapping[str, tuple[str, str]] = {
    "fixed 0.5/0.5": (EQUAL_WEIGHTING, "amnl"),
    "GABA": ("gaba", "grace"),
}
"""Each weighting's two cells: under the plain and under the failure-weighted inner loss."""

MAIN_EFFECTS: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "GABA for fixed 0.5/0.5": (("gaba", "grace"), (EQUAL_WEIGHTING, "amnl")),
    "failure-weighted for plain MSE": (("amnl", "grace"), (EQUAL_WEIGHTING, "gaba")),
}
"""What is changed, by name: the two cells that have it, and the two that do not."""


def is_two_by_two() -> bool:
    """Return whether the grid's methods are two weightings crossed with two inner losses."""
    cells = {(row.weighting, row.inner_loss) for row in map(method, GRID)}
    return cells == set(product((EQUAL_WEIGHTING, "gaba"), ("mse", "failure_weighted_mse")))


def main_effects(records: Iterable[RunRecord], subsets: Iterable[str]) -> pd.DataFrame:
    """Return what each of the two changes does, taken over both values of the other.

    Returns:
        One row a subset whose grid has every seed, and change: ``subset``, ``change``; RMSE with
        it minus RMSE without it with engines and seeds resampled together, capped, cycles, as
        ``difference``, ``low``, ``high``, ``p_value``, and with a correction over the rows
        ``smallest_detectable`` and ``p_holm``.

    """
    records = list(records)
    cells = [
        (subset, change)
        for subset in subsets
        if every_seed_in(records, [subset], GRID)
        for change in MAIN_EFFECTS
    ]
    rows = []
    for subset, change in cells:
        compared = compare_groups(records, subset, *MAIN_EFFECTS[change], families=len(cells))
        rows.append({"subset": subset, "change": change, **vars(compared)})
    effects = pd.DataFrame(rows, columns=_COLUMNS)
    return effects.assign(p_holm=holm(effects["p_value"].tolist()))


_COLUMNS = ["subset", "change", "difference", "low", "high", "p_value", "smallest_detectable"]
