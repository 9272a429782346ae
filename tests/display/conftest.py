from collections.abc import Callable, Iterable

import pytest

from rulbook.studies.catalogue import SEEDS
from rulbook.studies.evidence import Evidence
from rulbook.studies.sweep import Status
from rulbook.training import RunRecord

from ..ledger_fixtures import make_claim, use_ledger, write_ledger
from ..studies.conftest import epoch, make_record

__all__ = ["epoch", "make_claim", "make_record", "use_ledger", "write_ledger"]

EvidenceMaker = Callable[..., Evidence]


@pytest.fixture(scope="session")
def make_evidence() -> EvidenceMaker:
    """Return a maker of what is recorded of a study: these records, of 300 runs."""

    def make(records: Iterable[RunRecord] = (), study: str = "core-a") -> Evidence:
        records = tuple(records)
        return Evidence(study, records, Status(len(records), 0, 300 - len(records)), (), SEEDS)

    return make
