"""What a record must be to be believed: whole, finite, and about the engines that it names."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

from rulbook.data import cmapss
from rulbook.data.prepare import HEALTH_STATES
from rulbook.training.config import PROTOCOL
from rulbook.training.networks import Baseline

if TYPE_CHECKING:
    from rulbook.training.record import (
        EpochRecord,
        ProbeScores,
        RulHealthMetrics,
        RunRecord,
        TestPredictions,
    )

TEST_ENGINES_DIGEST = MappingProxyType(
    {
        "FD001": "7cceb975f7c127696ef2353b0eb5f2ebdbb39002936e6bed15893ccf34d04a25",
        "FD002": "b1af8d44bd300c3dc915bc19eb0c92c3cfbc5b518197f9df847984644c175025",
        "FD003": "77d967ea7dbb9483ab0347512ba9b53d3d42deb1977b50731ea9eeb4cca4c30f",
        "FD004": "17164b59694c22ffba20436e54a46dd5aa4d7d44f6228bc2c85ca627a43919b4",
    }
)
"""SHA-256 of the numbers and the true RUL of the test engines of the real files, by subset.

With it a record is held against the data where there is none.
"""


def test_engines_digest(units: Sequence[int], true_rul: Sequence[int]) -> str:
    """Return the SHA-256 of the numbers and the true RUL (cycles) of test engines."""
    pairs = json.dumps([list(units), list(true_rul)], separators=(",", ":"))
    return hashlib.sha256(pairs.encode()).hexdigest()


def faults_of(record: "RunRecord") -> Iterator[str]:
    """Yield what is wrong with a record, each as the end of a sentence; nothing if it is sound."""
    config = record.config
    if config.protocol != PROTOCOL:
        yield f"is of protocol {config.protocol}, and this package reads protocol {PROTOCOL}"
    if not (math.isfinite(record.wall_seconds) and record.wall_seconds >= 0):
        yield "has no duration"
    if record.status == "diverged":
        if record.test is not None:
            yield "is of a run that diverged, yet has predictions"
    elif record.test is None:
        yield "is of a completed run, yet has no predictions"
    else:
        yield from _faults_of_predictions(record.test)
        if config.subset in cmapss.SUBSETS and config.data_digest == cmapss.digest(config.subset):
            found = test_engines_digest(record.test.unit, record.test.true_rul)
            if found != TEST_ENGINES_DIGEST[config.subset]:
                yield f"has other test engines or other true RUL than {config.subset}"
    yield from _faults_of_epochs(record)
    for name, probe in (("probe_at_start", record.probe_at_start), ("probe", record.probe)):
        if probe is not None and not _are_probe_scores(probe):
            yield f"has scores in {name} that are no shares between 0 and 1"


def _faults_of_predictions(test: "TestPredictions") -> Iterator[str]:
    lengths = {
        len(test.unit),
        len(test.true_rul),
        len(test.predicted_rul),
        len(test.predicted_health),
    }
    if len(lengths) > 1:
        yield "has lists of predictions that differ in length"
    if not test.unit:
        yield "predicts no engine"
    if len(set(test.unit)) < len(test.unit):
        yield "predicts an engine twice"
    if min(test.true_rul, default=0) < 0:
        yield "has a true RUL below 0"
    if not _are_finite(test.predicted_rul):
        yield "has a predicted RUL that is not finite"
    if not set(test.predicted_health) <= set(range(len(HEALTH_STATES))):
        yield f"has a predicted health state that is none of 0 to {len(HEALTH_STATES) - 1}"


def _faults_of_epochs(record: "RunRecord") -> Iterator[str]:
    config, epochs = record.config, record.epochs
    completed = record.status == "completed"
    if config.network in get_args(Baseline):
        if epochs or record.selected_epoch is not None:
            yield f"is of {config.network}, which is not trained by epochs, yet has some"
        return
    if len(epochs) > config.max_epochs:
        yield f"has {len(epochs)} epochs where its configuration allows {config.max_epochs}"
    if completed and not epochs:
        yield "is of a completed run, yet has no epochs"
    # The last epoch of a run that diverged is where its numbers stopped being finite.
    for number, epoch in enumerate(epochs if completed else epochs[:-1], 1):
        if not _is_sound(epoch):
            yield f"has a number in epoch {number} that is not finite or not possible"
    for number, epoch in enumerate(epochs, 1):
        gradients = epoch.gradients  # a step whose health gradient is zero has no ratio
        if gradients is not None and sum(gradients.ratio_counts) > gradients.steps:
            yield f"counts more gradient ratios than steps in epoch {number}"
        if (epoch.test is None) == config.watch_test or (
            (epoch.test is None) != (epoch.test_every_window is None)
        ):
            watched = "not watched" if config.watch_test else "watched"
            yield f"has the test engines {watched} in epoch {number}, unlike its configuration"
    yield from _faults_of_selection(record)


def _faults_of_selection(record: "RunRecord") -> Iterator[str]:
    epochs, selected = record.epochs, record.selected_epoch
    completed = record.status == "completed"
    if selected is None:
        if completed:
            yield "is of a completed run, yet selects no epoch"
    elif not 0 <= selected < len(epochs):
        yield f"selects epoch {selected + 1} of {len(epochs)}"
    elif completed and epochs[selected].validation.rmse != min(e.validation.rmse for e in epochs):
        yield f"selects epoch {selected + 1}, which has not the lowest validation RMSE"
    raw = record.raw_validation_rmse
    if completed and (raw is None or not math.isfinite(raw)):
        yield "is of a completed run, yet has no validation RMSE of the raw weights"


def _is_sound(epoch: "EpochRecord") -> bool:
    return (
        _are_finite((epoch.rul_loss, epoch.health_loss, *epoch.weights.values()))
        and epoch.learning_rate >= 0
        and 0 <= epoch.clipped_share <= 1
        and all(
            _are_possible(metrics)
            for metrics in (epoch.validation, epoch.test, epoch.test_every_window)
            if metrics is not None
        )
    )


def _are_possible(metrics: "RulHealthMetrics") -> bool:
    return (
        _are_finite((metrics.rmse, metrics.mean_error, metrics.rul_loss, metrics.health_loss))
        and min(metrics.rmse, metrics.rul_loss, metrics.health_loss) >= 0
        and 0 <= metrics.health_accuracy <= 1
        and all(math.isnan(share) or 0 <= share <= 1 for share in metrics.health_recall)
    )


def _are_probe_scores(probe: "ProbeScores") -> bool:
    shares = (probe.accuracy, probe.balanced_accuracy, probe.majority_share)
    return all(0 <= share <= 1 for share in shares) and all(
        math.isnan(share) or 0 <= share <= 1 for share in probe.recall
    )


def _are_finite(values: Iterable[float]) -> bool:
    return all(map(math.isfinite, values))
