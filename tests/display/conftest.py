import re
from collections.abc import Callable, Iterable

import pytest
from IPython.display import HTML

from rulbook.studies.catalogue import SEEDS
from rulbook.studies.evidence import Evidence
from rulbook.studies.sweep import Status
from rulbook.training import RunRecord

from ..ledger_fixtures import make_claim, use_ledger, write_ledger
from ..studies.conftest import epoch, make_record

__all__ = ["epoch", "make_claim", "make_record", "use_ledger", "write_ledger"]

EvidenceMaker = Callable[..., Evidence]


def cells_of(html: HTML) -> list[list[str]]:
    """Return the text of each cell, row by row, the head first."""
    rows = re.findall(r"<tr.*?</tr>", html.data, re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", c) for c in re.findall(r"<t[dh].*?</t[dh]>", r)] for r in rows]


@pytest.fixture(scope="session")
def make_evidence() -> EvidenceMaker:
    """Return a maker of what is recorded of a study: these records, of 300 runs."""

    def make(records: Iterable[RunRecord] = (), study: str = "core-a") -> Evidence:
        records = tuple(records)
        return Evidence(study, records, Status(len(records), 0, 300 - len(records)), (), SEEDS)

    return make
