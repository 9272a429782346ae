import pytest

from rulbook.data.prepare import Prepared, prepare
from rulbook.data.simulate import simulate
from rulbook.training import RunConfig


@pytest.fixture(scope="session")
def simulated() -> Prepared:
    return prepare(simulate("FD001"))


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
