"""What the rules of claims share: what the source compares, what chance is, when all is recorded.

A printed figure is held against what ``rulbook.studies.printed_figures`` returns. A statement about
methods is decided under every training condition, by ``rulbook.studies.condition_rules``.
"""

from collections.abc import Iterable
from itertools import product

from rulbook.data.prepare import HEALTH_STATES
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.comparison import rmse_by_seed
from rulbook.studies.methods import method_of
from rulbook.training.record import RunRecord
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING, FIXED_RUL_WEIGHTS, fixed_name

BOOK_SUBSETS = ("FD002", "FD004")
"""The subsets of the source's ablation table."""

BOOK_SWEEP = (EQUAL_WEIGHTING, "fixed_060", "fixed_075", "fixed_090", "single_task")
"""The RUL weights of the source's ablation table, rising."""

AS_LABELLED = {
    EQUAL_WEIGHTING: "amnl",
    "fixed_060": "amnl_060",
    "fixed_075": "fixed_075",
    "fixed_090": "amnl_090",
    "single_task": "single_task",
}
"""The method that the table's label names in each of its rows: three of them are AMNL's."""

ADAPTIVE_METHODS = ("inverse_magnitude", "uncertainty", "dwa", "gradnorm", "gaba", "grace")
"""The methods that adapt their weights, as far as the sections name them."""

SMALL_RUL_WEIGHTS = tuple(fixed_name(weight) for weight in FIXED_RUL_WEIGHTS if weight < 0.45)
"""The fixed weights that give the RUL task clearly less than half."""

STATIC_METHODS = (EQUAL_WEIGHTING, "fixed_025")
DYNAMIC_METHODS = ("inverse_magnitude", "uncertainty", "gaba")
"""The strategies that section 4.3 compares."""

FD002_GAIN = {
    "single_task": "n4.1-fd002-single-task",
    EQUAL_WEIGHTING: "n4.1-fd002-naive",
    "gaba": "n4.1-fd002-gaba",
    "grace": "n4.1-fd002-grace",
}
"""The methods whose RMSE on FD002 §4.1 prints, and the claim of each."""


def every_seed_in(
    records: Iterable[RunRecord],
    subsets: Iterable[str],
    methods: Iterable[str],
) -> bool:
    """Return whether every seed of all of these methods has completed on all of these subsets.

    This is the rule by which a claim about methods is decided. A run that diverged leaves the claim
    open: on the seeds that are left, fewer than five, nothing would be decided.
    """
    completed = set()
    for record in records:
        method = method_of(record.config)
        if method is not None and record.completed:
            completed.add((record.config.subset, method.name, record.config.seed))
    return all(wanted in completed for wanted in product(subsets, methods, SEEDS))


CHANCE = 1 / len(HEALTH_STATES)
"""Balanced accuracy of a classifier of the health states that has learned nothing."""

CHANCE_MARGIN = 0.05
"""How far from chance an accuracy still counts as at chance."""

NEAR_CHANCE = CHANCE + CHANCE_MARGIN
"""A balanced accuracy up to this counts as chance."""


def is_near_chance(balanced_accuracy: float) -> bool:
    """Return whether a balanced accuracy of the health states is at most ``NEAR_CHANCE``."""
    return balanced_accuracy <= NEAR_CHANCE


def lowest_error(records: Iterable[RunRecord], subset: str, methods: Iterable[str]) -> str:
    """Return the method whose test RMSE, averaged over its seeds, is the lowest on a subset.

    Raises:
        ValueError: one of them has no completed run there.

    """
    records = list(records)
    return min(methods, key=lambda name: rmse_by_seed(records, subset, name).value)
