from dataclasses import replace

import pytest

from rulbook.data.prepare import Prepared, prepare
from rulbook.data.simulate import simulate
from rulbook.training import RunConfig, RunRecord, train

ENGINES = 15


@pytest.fixture(scope="session")
def simulated() -> Prepared:
    """The first engines of the simulated FD001: what is predicted takes longer than what trains."""
    fleet = simulate("FD001")
    first = [table[table["unit"] <= ENGINES] for table in (fleet.train, fleet.test)]
    return prepare(
        replace(fleet, train=first[0], test=first[1], test_rul=fleet.test_rul.loc[:ENGINES])
    )


@pytest.fixture(scope="session")
def short_run(simulated) -> RunConfig:
    """Twenty steps, all of them observed."""
    return RunConfig(
        subset="FD001",
        data_digest=simulated.digest,
        batch_size=32,
        batches_per_epoch=10,
        max_epochs=2,
        observe_every=1,
    )


@pytest.fixture(scope="session")
def trained(simulated, short_run) -> RunRecord:
    """The record of the short run, for those who compare another with it."""
    return train(short_run, simulated)
