"""Twenty steps of every weighting, pinned: goes red when numerics move and PROTOCOL does not.

``python tests/training/test_golden.py`` pins the runs of new methods and leaves the others as they
are. When a change is meant to move numbers, raise ``PROTOCOL`` first: then it pins all anew.
"""

import json
from pathlib import Path
from unittest import mock

import pytest

from rulbook.data.prepare import Prepared, prepare
from rulbook.data.simulate import simulate
from rulbook.training import PROTOCOL, RunConfig, train
from rulbook.training.evaluation import Evaluator
from rulbook.weighting.registry import WEIGHTING_METHODS

GOLDEN = Path(__file__).with_name("golden_runs.json")
RELATIVE_TOLERANCE = 1e-3
"""Room for another processor's rounding over twenty steps in float32."""

RATIO_TOLERANCE = 5e-3
"""The same for the gradient ratio, which jumps where rounding shuts or opens a ReLU.

One and two threads of one machine give ``amnl_legacy_ema`` ratios that are 1e-3 apart, with losses
equal to seven digits.
"""


def twenty_steps(weighting: str, inner_loss: str, prepared: Prepared) -> dict[str, float]:
    """Return the numbers by which two trainings are told apart."""
    config = RunConfig(
        subset=prepared.subset,
        data_digest=prepared.digest,
        weighting=weighting,
        inner_loss=inner_loss,
        batch_size=32,
        batches_per_epoch=5,
        max_epochs=4,
        observe_every=1,
    )
    # Nothing of the linear probe is pinned, and it takes as long as all the rest.
    with mock.patch.object(Evaluator, "probe", return_value=None):
        last = train(config, prepared).epochs[-1]
    return {
        "rul_loss": last.rul_loss,
        "health_loss": last.health_loss,
        "ratio": last.gradients.ratio_quantiles[2],
        "validation_rmse": last.validation.rmse,
        **last.weights,
    }


RUNS = [(name, "mse") for name in WEIGHTING_METHODS] + [("fixed", "failure_weighted_mse")]


def data() -> Prepared:
    return prepare(simulate("FD002"))


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return data()


@pytest.fixture(scope="module")
def golden() -> dict:
    return json.loads(GOLDEN.read_text())


def test_the_pinned_runs_are_of_this_protocol(golden):
    assert golden["protocol"] == PROTOCOL
    assert set(golden["runs"]) == {"/".join(run) for run in RUNS}, f"run python {__file__}"


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS, ids="/".join)
def test_twenty_steps_give_the_pinned_numbers(run, prepared, golden):
    expected = dict(golden["runs"]["/".join(run)])
    measured = twenty_steps(*run, prepared)
    assert measured.pop("ratio") == pytest.approx(expected.pop("ratio"), rel=RATIO_TOLERANCE)
    assert measured == pytest.approx(expected, rel=RELATIVE_TOLERANCE)


if __name__ == "__main__":
    pinned = json.loads(GOLDEN.read_text())
    kept = pinned["runs"] if pinned["protocol"] == PROTOCOL else {}
    fleet = data()
    runs = {(name := "/".join(run)): kept.get(name) or twenty_steps(*run, fleet) for run in RUNS}
    GOLDEN.write_text(json.dumps({"protocol": PROTOCOL, "runs": runs}, indent=1) + "\n")
