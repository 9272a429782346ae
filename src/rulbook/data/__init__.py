"""Data: real C-MAPSS or the simulated fleet, and the windows that experiments train on.

``load`` gives a ``Fleet``; ``prepare.prepare`` turns it into ``Prepared`` windows. ``prepare`` and
``simulate`` are modules here, each with a function of its own name. ``status`` says which of the
twelve real files are here and whether their hashes hold.
"""

from rulbook.data.cmapss import (
    COLUMNS,
    SUBSETS,
    DataStatus,
    FileStatus,
    Fleet,
    status,
)
from rulbook.data.loading import RequestedSource, digest, load, resolve_source
from rulbook.data.prepare import (
    HEALTH_STATES,
    Prepared,
    Recipe,
    Windows,
    health_state,
)

__all__ = [
    "COLUMNS",
    "HEALTH_STATES",
    "SUBSETS",
    "DataStatus",
    "FileStatus",
    "Fleet",
    "Prepared",
    "Recipe",
    "RequestedSource",
    "Windows",
    "digest",
    "health_state",
    "load",
    "resolve_source",
    "status",
]
