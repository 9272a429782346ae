"""What methods are compared by: losses of single test engines, lower being better."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rulbook.data.prepare import HEALTH_STATES, health_state
from rulbook.metrics import nasa_penalties
from rulbook.statistics import MARGIN, Statistic
from rulbook.studies.evidence import classifies_health, errors_by_engine
from rulbook.training.record import RunRecord
from rulbook.typing import Floats


@dataclass(frozen=True)
class Measure:
    """A loss of single test engines, and what is made of it.

    Attributes:
        name: name in code.
        label: name that readers see.
        unit: unit of the statistic, empty for a share or a score.
        statistic: what is made of the losses.
        losses: the losses of completed runs on one subset, one row a run, one column an engine.
        margin: largest difference that does not matter, in ``unit``; ``None`` where none is stated.
        of_health: whether the measure is of the health head, and so not for a network without one.

    """

    name: str
    label: str
    unit: str
    statistic: Statistic
    losses: Callable[[Sequence[RunRecord]], Floats]
    margin: float | None = None
    of_health: bool = False

    def applies_to(self, record: RunRecord) -> bool:
        """Return whether a run has what is measured."""
        return record.completed and (classifies_health(record.config) or not self.of_health)


def _squared_errors(runs: Sequence[RunRecord]) -> Floats:
    return np.square(errors_by_engine(runs))


def _penalties(runs: Sequence[RunRecord]) -> Floats:
    return nasa_penalties(errors_by_engine(runs))


def _late(runs: Sequence[RunRecord]) -> Floats:
    return (errors_by_engine(runs) > 0).astype(np.float64)


def _missed(state: int) -> Callable[[Sequence[RunRecord]], Floats]:
    """Return the losses of one health state: 1 where an engine of that state is called another."""

    def missed(runs: Sequence[RunRecord]) -> Floats:
        tests = [run.predictions() for run in runs]
        true = health_state(tests[0].true_rul, runs[0].config.recipe.health_thresholds)
        predicted = np.stack([test.predicted_health for test in tests])
        wrong: Floats = (predicted[:, true == state] != state).astype(np.float64)
        return wrong

    return missed


_ALL = (
    Measure("rmse", "RMSE", "cycles", "root_mean", _squared_errors, margin=MARGIN),
    Measure("nasa_score", "NASA score", "", "sum", _penalties),
    Measure("late_share", "share of late predictions", "", "mean", _late),
    *(
        Measure(
            f"missed_{state}",
            f"share of engines in state {state} that are missed",
            "",
            "mean",
            _missed(number),
            of_health=True,
        )
        for number, state in enumerate(HEALTH_STATES)
    ),
)

MEASURES = {measure.name: measure for measure in _ALL}
"""What methods are compared by; errors are against the capped RUL.

What is missed of a state is one minus its recall. Calibration is not among them: a record holds the
predicted health class of a test engine, not its probabilities, so neither a Brier score nor a
calibration error can be computed from it. What it does hold is the mean cross-entropy of every
epoch on the validation windows, one number a run, which ``health_loss_table`` compares over seeds.

:meta hide-value:
"""
