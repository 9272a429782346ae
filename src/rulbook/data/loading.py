"""Choose between the real files and the simulated fleet, or take tables of one's own."""

from typing import get_args

import pandas as pd

from rulbook import reads
from rulbook.data import cmapss
from rulbook.data.cmapss import Fleet, Source
from rulbook.data.identity import tables_digest
from rulbook.data.simulate import digest as simulated_digest
from rulbook.data.simulate import simulate
from rulbook.errors import unknown_name
from rulbook.options import RequestedSource


def resolve_source(source: RequestedSource = "auto") -> Source:
    """Return the data that ``source`` stands for on this machine.

    ``"auto"`` is the real data if ``RULBOOK_DATA`` or the cache holds some, else the simulated
    fleet. A ``RULBOOK_DATA`` that is set but wrong is an error, never a reason to simulate.

    Raises:
        UsageError: ``source`` is unknown.
        RulbookError: ``RULBOOK_DATA`` names something that is not a folder.
    """
    if source not in get_args(RequestedSource):
        raise unknown_name("data source", source, get_args(RequestedSource))
    if source == "auto":
        return "simulated" if cmapss.locate() is None else "cmapss"
    return source


def load(subset: str, source: RequestedSource = "auto") -> Fleet:
    """Return one subset, real or simulated.

    Subset and source are noted, so that the status page knows what a chapter loaded.

    Args:
        subset: one of ``cmapss.SUBSETS``.
        source: ``"auto"`` (see ``resolve_source``), ``"cmapss"`` or ``"simulated"``.

    Raises:
        UsageError: ``subset`` or ``source`` is unknown.
        RulbookError: real data is asked for or found, and is absent, incomplete or altered.
    """
    cmapss.check_subset(subset)
    resolved = resolve_source(source)
    reads.note("data", subset, resolved)
    return cmapss.read(subset) if resolved == "cmapss" else simulate(subset)


def digest(subset: str, source: RequestedSource = "auto") -> str:
    """Return the digest that ``load(subset, source)`` would carry, without reading any data.

    Raises:
        UsageError: ``subset`` or ``source`` is unknown.
        RulbookError: ``RULBOOK_DATA`` names something that is not a folder.
    """
    real = resolve_source(source) == "cmapss"
    return cmapss.digest(subset) if real else simulated_digest(subset)


def own_fleet(
    train: pd.DataFrame, test: pd.DataFrame, test_rul: pd.Series, *, name: str = "own"
) -> Fleet:
    """Return a fleet of one's own, named by the SHA-256 of what its tables hold.

    What the tables hold is not checked here: ``prepare`` does, for the columns that its recipe
    names.

    Args:
        train: run-to-failure engines, one row a cycle: ``unit``, ``cycle`` and any other columns.
        test: engines that stop before they fail, same columns.
        test_rul: RUL in cycles of each test engine at its last row, indexed by unit.
        name: what the fleet is called; a name of C-MAPSS promises its operating conditions.

    Raises:
        FleetError: one of the three is no table or no series, or holds what has no hash.
    """
    digest_of_tables = tables_digest(train, test, test_rul)
    # Copied, so that what is named does not change under its name.
    tables = train.copy(), test.copy(), test_rul.copy()
    return Fleet(name, "own", digest_of_tables, *tables, tables_digest=digest_of_tables)
