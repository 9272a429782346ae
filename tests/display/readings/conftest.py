from collections.abc import Callable

import pytest

from rulbook.studies.catalogue import SEEDS
from rulbook.studies.evidence import Evidence

from ...studies.conftest import EvidenceMaker, epoch


@pytest.fixture
def every_seed(make_record, make_evidence: EvidenceMaker) -> Callable[..., Evidence]:
    """Return a maker of evidence with every seed of these methods, by their spread."""

    def make(subset: str = "FD002", study: str = "core-a", **spreads: float) -> Evidence:
        return make_evidence(
            [
                make_record(name, subset, seed, noise=noise, epochs=(epoch(12.0, [3.0]),))
                for name, noise in spreads.items()
                for seed in SEEDS
            ],
            study,
        )

    return make


@pytest.fixture
def grid(every_seed: Callable[..., Evidence]) -> Evidence:
    """Return evidence of the two-by-two grid on FD002, GABA's rows with twice the spread."""
    return every_seed(fixed_050=10.0, amnl=10.0, gaba=20.0, grace=20.0)
