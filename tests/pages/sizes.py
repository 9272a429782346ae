"""How much of the pages goes over the wire."""

import gzip
from functools import cache
from pathlib import Path

BUDGET = 1_000_000
"""Bytes that a page may take on the way to its reader, compressed, beside what pages share."""

SHARED = ("_static/", "_vendor/", "searchindex.js")
"""Where the files are that pages share."""


@cache
def compressed(file: Path) -> int:
    """Return how many bytes a file takes, compressed."""
    return len(gzip.compress(file.read_bytes()))
