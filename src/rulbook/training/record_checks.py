"""What a record must be to be believed: whole, finite, and about the engines that it names."""

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args

from rulbook.data import cmapss
from rulbook.data.prepare import HEALTH_STATES
from rulbook.training.config import PROTOCOL, OptionValue, RunConfig
from rulbook.training.gradient_bins import QUANTILES, RATIO_BIN_EDGES
from rulbook.training.networks import Baseline
from rulbook.weighting.base import TASKS
from rulbook.weighting.fixed import FixedWeightLoss
from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss

if TYPE_CHECKING:
    from rulbook.training.record import (
        EpochRecord,
        GradientSummary,
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

_MOST_WINDOWS = 2**63 - 1
"""More windows than any array of another fleet holds."""

_SUMS = MappingProxyType({"1": 1.0, "2": 2.0})
"""What two weights add up to, by how ``WeightingMethod.weight_sum`` says it."""

_ROUNDING = 1e-4
"""Relative difference that six significant digits leave between numbers that follow from others."""


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
        yield from _faults_of_the_divergence(record)
    elif record.message:
        yield "is of a completed run, yet says what went wrong"
    elif record.test is None:
        yield "is of a completed run, yet has no predictions"
    else:
        yield from _faults_of_predictions(record.test)
        if _is_of_real_files(config):
            found = test_engines_digest(record.test.unit, record.test.true_rul)
            if found != TEST_ENGINES_DIGEST[config.subset]:
                yield f"has other test engines or other true RUL than {config.subset}"
    yield from _faults_of_epochs(record)
    yield from _faults_of_probes(record)


def _is_of_real_files(config: RunConfig) -> bool:
    return config.subset in cmapss.SUBSETS and config.data_digest == cmapss.digest(config.subset)


def _faults_of_the_divergence(record: "RunRecord") -> Iterator[str]:
    """Yield why a run that is said to have diverged did not end as one that does."""
    diverged = "is of a run that diverged, yet"
    epochs = record.epochs
    if not record.message:
        yield f"{diverged} does not say what went wrong"
    if record.test is not None:
        yield f"{diverged} has predictions"
    if record.raw_validation_rmse is not None or record.probe is not None:
        yield f"{diverged} was measured after its last epoch"
    if record.config.network in get_args(Baseline):
        yield f"{diverged} of {record.config.network}, which is not trained by epochs"
    elif len(epochs) == record.config.max_epochs and math.isfinite(epochs[-1].validation.rmse):
        yield f"{diverged} has all of its epochs, with a finite RMSE after the last"


def _faults_of_predictions(test: "TestPredictions") -> Iterator[str]:
    if not test.unit:
        yield "predicts no engine"
    if _differ_in_length(test):
        yield "has lists of predictions that differ in length"
    if len(set(test.unit)) < len(test.unit):
        yield "predicts an engine twice"
    if min(test.true_rul, default=0) < 0:
        yield "has a true RUL below 0"
    if not _are_finite(test.predicted_rul):
        yield "has a predicted RUL that is not finite"
    if not set(test.predicted_health) <= set(range(len(HEALTH_STATES))):
        yield f"has a predicted health state that is none of 0 to {len(HEALTH_STATES) - 1}"


def _differ_in_length(test: "TestPredictions") -> bool:
    lists = (test.unit, test.true_rul, test.predicted_rul, test.predicted_health)
    return len({len(values) for values in lists}) > 1


def _faults_of_epochs(record: "RunRecord") -> Iterator[str]:
    config, epochs = record.config, record.epochs
    completed = record.status == "completed"
    if config.network in get_args(Baseline):
        if epochs or record.selected_epoch is not None:
            yield f"is of {config.network}, which is not trained by epochs, yet has some"
        if record.raw_validation_rmse is not None:
            yield f"is of {config.network}, yet has a validation RMSE of raw weights"
        return
    if len(epochs) > config.max_epochs:
        yield f"has {len(epochs)} epochs where its configuration allows {config.max_epochs}"
    if completed and not epochs:
        yield "is of a completed run, yet has no epochs"
    # The last epoch of a run that diverged is where its numbers stopped being finite.
    for number, epoch in enumerate(epochs if completed else epochs[:-1], 1):
        if not _is_sound(epoch, config.learning_rate):
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
    yield from _faults_of_weights(record)
    yield from _faults_of_steps(record)
    yield from _faults_of_selection(record)


def _faults_of_weights(record: "RunRecord") -> Iterator[str]:
    """Yield where weights are not those that the method has, or do not add up to what it says."""
    name = record.config.weighting
    constants = _constant_weights(name, record.config.weighting_options)
    total = _SUMS.get(WEIGHTING_METHODS[name].weight_sum) if name in WEIGHTING_METHODS else None
    for number, epoch in enumerate(record.epochs, 1):
        if constants and not _are_near(epoch.weights, constants):
            yield f"has other weights in epoch {number} than {name}"
        if total and not _agree(sum(epoch.weights.values()), total):
            yield f"has weights in epoch {number} that do not add up to {total:g}, as {name}'s do"


@cache
def _constant_weights(
    name: str, options: tuple[tuple[str, OptionValue], ...]
) -> Mapping[str, float]:
    """Return the weights of a method that never moves them; none for another method."""
    arguments: dict[str, Any] = dict(options)
    method = get_loss(name, **arguments)
    # A class of one's own that is made from it may move them.
    return method.get_weights() if type(method) is FixedWeightLoss else {}


def _are_near(weights: Mapping[str, float], others: Mapping[str, float]) -> bool:
    return weights.keys() == others.keys() and all(
        _agree(weight, others[task]) for task, weight in weights.items()
    )


def _faults_of_steps(record: "RunRecord") -> Iterator[str]:
    """Yield where more steps were observed than an epoch has, or epochs had different numbers."""
    config = record.config
    is_of_real_files = _is_of_real_files(config)
    # A window ends at each cycle at most.
    windows = cmapss.FACTS[config.subset].training_cycles if is_of_real_files else _MOST_WINDOWS
    most = min(windows // config.batch_size, config.batches_per_epoch or _MOST_WINDOWS)
    observed = [epoch.gradients.steps for epoch in record.epochs if epoch.gradients is not None]
    if max(observed, default=0) > most:
        yield f"has {max(observed):g} observed steps in an epoch, which has {most} at most"
    elif observed and max(observed) - min(observed) > 1:
        yield f"has {min(observed)} observed steps in one epoch and {max(observed)} in another"


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
    elif completed:
        yield from _faults_of_the_end(record, selected)
    raw = record.raw_validation_rmse
    if completed and (raw is None or not 0 <= raw < math.inf):
        yield "is of a completed run, yet has no validation RMSE of the raw weights"


def _faults_of_the_end(record: "RunRecord", selected: int) -> Iterator[str]:
    """Yield where the last epoch, or the predictions, do not follow from the selected epoch."""
    config, n_epochs = record.config, len(record.epochs)
    out_of_patience = config.patience is not None and n_epochs == selected + 1 + config.patience
    if n_epochs < config.max_epochs and not out_of_patience:
        yield f"ends after epoch {n_epochs}, where its configuration goes on"
    watched = record.epochs[selected].test
    if watched is not None and record.test is not None and not _differ_in_length(record.test):
        cap = config.recipe.rul_cap or math.inf
        errors = [
            predicted - min(true, cap)
            for predicted, true in zip(record.test.predicted_rul, record.test.true_rul, strict=True)
        ]
        if not _agree(watched.rmse, math.hypot(*errors) / math.sqrt(len(errors))):
            yield f"has other predictions than the RMSE of epoch {selected + 1} on the test engines"


def _faults_of_probes(record: "RunRecord") -> Iterator[str]:
    of_network = record.config.network not in get_args(Baseline)
    probes = {"probe_at_start": record.probe_at_start, "probe": record.probe}
    for name, probe in probes.items():
        if probe is None:
            if of_network and record.status == "completed":
                yield f"is of a completed run, yet has no {name}"
        elif not of_network:
            yield f"is of {record.config.network}, yet has {name}"
        elif not _are_probe_scores(probe):
            yield f"has scores in {name} that are no shares between 0 and 1, or do not agree"
    shares = {probe.majority_share for probe in probes.values() if probe is not None}
    if len(shares) > 1:
        yield "has two shares of the most frequent state, probe_at_start's and probe's"


def _is_sound(epoch: "EpochRecord", peak: float) -> bool:
    return (
        _are_finite((epoch.rul_loss, epoch.health_loss, *epoch.weights.values()))
        and min(epoch.rul_loss, epoch.health_loss) >= 0
        and set(epoch.weights) == {f"{task}_weight" for task in TASKS}
        and 0 <= epoch.learning_rate <= peak * (1 + _ROUNDING)
        and 0 <= epoch.clipped_share <= 1
        and (epoch.gradients is None or _is_possible_summary(epoch.gradients))
        and all(
            _are_possible(metrics)
            for metrics in (epoch.validation, epoch.test, epoch.test_every_window)
            if metrics is not None
        )
    )


def _is_possible_summary(gradients: "GradientSummary") -> bool:
    ratios, cosines = gradients.ratio_quantiles, gradients.cosine_quantiles
    norms = (gradients.median_norm_rul, gradients.median_norm_health)
    return (
        gradients.steps >= 1
        and _are_finite(norms)
        and min(norms) >= 0
        and _are_quantiles(ratios, 0, math.inf)
        and _are_quantiles(cosines, -1, 1)
        # Steps without a health gradient have no ratio.
        and any(map(math.isnan, ratios)) == (not any(gradients.ratio_counts))
        and _are_quantiles_of(ratios, gradients.ratio_counts)
    )


_OPEN_EDGES = (0.0, *RATIO_BIN_EDGES[1:-1].tolist(), math.inf)
"""Between which ratios each bin counts: the end ones take whatever lies beyond."""


def _are_quantiles_of(ratios: Sequence[float], counts: Sequence[int]) -> bool:
    """Whether ratios may be quantiles of numbers that are counted so in ``RATIO_BIN_EDGES``.

    A quantile lies between the two numbers of neighbouring ranks that it is interpolated from, and
    the bins of these are known. The end bins are open.
    """
    total, up_to = sum(counts), list(accumulate(counts))
    if not total:
        return True
    for quantile, ratio in zip(QUANTILES, ratios, strict=True):
        rank = quantile * (total - 1)
        below, above = (bisect_right(up_to, r) for r in (int(rank), math.ceil(rank)))
        least, most = _OPEN_EDGES[below], _OPEN_EDGES[above + 1]
        if not least * (1 - _ROUNDING) <= ratio <= most * (1 + _ROUNDING):
            return False
    return True


def _are_quantiles(values: Sequence[float], least: float, most: float) -> bool:
    """Whether values may be quantiles of numbers within bounds; all NaN where there were none."""
    if all(map(math.isnan, values)):
        return True
    return _are_finite(values) and list(values) == sorted([least, *values, most])[1:-1]


def _are_possible(metrics: "RulHealthMetrics") -> bool:
    return (
        _are_finite((metrics.rmse, metrics.mean_error, metrics.rul_loss, metrics.health_loss))
        and min(metrics.rmse, metrics.rul_loss, metrics.health_loss) >= 0
        and _agree(metrics.rul_loss, metrics.rmse * metrics.rmse)
        and abs(metrics.mean_error) <= metrics.rmse * (1 + _ROUNDING)
        and _is_share_of(metrics.health_accuracy, metrics.health_recall)
    )


def _are_probe_scores(probe: "ProbeScores") -> bool:
    recalls = [recall for recall in probe.recall if not math.isnan(recall)]
    return (
        1 / len(HEALTH_STATES) - _ROUNDING <= probe.majority_share <= 1
        and _is_share_of(probe.accuracy, probe.recall)
        and _agree(probe.balanced_accuracy, sum(recalls) / len(recalls))
    )


def _is_share_of(accuracy: float, recalls: Sequence[float]) -> bool:
    """Whether an accuracy is a mean of these recalls; one is NaN where its state has no window."""
    there = [recall for recall in recalls if not math.isnan(recall)]
    return (
        bool(there)
        and all(0 <= recall <= 1 for recall in there)
        and min(there) - _ROUNDING <= accuracy <= max(there) + _ROUNDING
    )


def _agree(value: float, other: float) -> bool:
    return math.isclose(value, other, rel_tol=_ROUNDING, abs_tol=_ROUNDING**2)


def _are_finite(values: Iterable[float]) -> bool:
    return all(map(math.isfinite, values))
