"""Data: real C-MAPSS or the simulated fleet, and the windows that experiments train on.

``load(subset)`` gives a ``Fleet``, and ``own_fleet`` one of tables of one's own;
``prepare.prepare(fleet)`` turns it into ``Prepared`` windows.
``prepare``, ``simulate`` and ``fetch`` are modules here, each with a function of its own name.

What a command line needs: ``status()`` returns a ``DataStatus`` (``folder``, ``named_by``,
``complete`` and one ``FileStatus`` for each of the twelve files: ``name``, ``path``, ``verified``,
``problem``); ``fetch.fetch(progress=True)`` returns the folder with the twelve verified files, and
raises ``RulbookError`` with one sentence if it cannot. ``resolve_source("auto")`` says which data
``load`` would use, and ``digest(subset)`` identifies it without reading it.
"""

from rulbook.data.checks import FleetError
from rulbook.data.cmapss import (
    COLUMNS,
    SOURCE_NAMES,
    SUBSETS,
    DataStatus,
    FileStatus,
    Fleet,
    status,
)
from rulbook.data.loading import digest, load, own_fleet, resolve_source
from rulbook.data.prepare import (
    HEALTH_STATES,
    Prepared,
    Recipe,
    Windows,
    health_state,
)
from rulbook.options import RequestedSource

__all__ = [
    "COLUMNS",
    "HEALTH_STATES",
    "SOURCE_NAMES",
    "SUBSETS",
    "DataStatus",
    "FileStatus",
    "Fleet",
    "FleetError",
    "Prepared",
    "Recipe",
    "RequestedSource",
    "Windows",
    "digest",
    "health_state",
    "load",
    "own_fleet",
    "resolve_source",
    "status",
]
