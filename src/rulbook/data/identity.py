"""The digest of a fleet's tables, by which changed ones are told from those that were read."""

import hashlib

import pandas as pd

from rulbook.data.checks import FleetError, check_is_series, check_is_table


def tables_digest(train: pd.DataFrame, test: pd.DataFrame, test_rul: pd.Series) -> str:
    """Return the SHA-256 (64 hexadecimal digits) of what the three tables of a fleet hold.

    Args:
        train: run-to-failure engines, one row a cycle. Its index does not count.
        test: engines that stop before they fail, same columns. Its index does not count.
        test_rul: RUL in cycles of each test engine, indexed by unit. The index names the engines.

    Raises:
        FleetError: one of the three is no table or no series, or holds what has no hash.
    """
    check_is_table(train, "training engines")
    check_is_table(test, "test engines")
    check_is_series(test_rul, "test engines")
    identity = hashlib.sha256()
    for table, index in ((train, False), (test, False), (test_rul.to_frame("rul"), True)):
        identity.update("\n".join(map(str, table.columns)).encode())
        identity.update(_hashes(table, index=index))
    return identity.hexdigest()


def _hashes(table: pd.DataFrame, *, index: bool) -> bytes:
    """Return the hashes of the rows, in their order, with those of their index or without."""
    try:
        return pd.util.hash_pandas_object(table, index=index).to_numpy().tobytes()
    except TypeError as fault:
        raise FleetError(
            f"The tables hold what cannot be told apart ({fault}): leave out columns whose values "
            f"are neither numbers nor text."
        ) from fault
