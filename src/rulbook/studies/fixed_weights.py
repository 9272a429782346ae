"""Fixed weights through a training, read from records (§9.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rulbook.statistics import (
    CONFIDENCE,
    MARGIN,
    Comparison,
    compare_over_seeds,
    p_value_below,
)
from rulbook.studies.claim_rules import every_seed_in
from rulbook.studies.evidence import Evidence, completed_runs
from rulbook.training.record import RunRecord
from rulbook.weighting.fixed_names import FIXED_RUL_WEIGHTS, fixed_name

EARLY_EPOCH = 3
"""The epoch, counted from 1, after which the best weight of the first epochs is looked for."""

FIRST_COURSE = "compact network, FD001"
"""The recorded course that claims about a single one are decided on."""

Courses = Mapping[str, pd.DataFrame]
"""What ``courses_of`` returns."""


@dataclass(frozen=True)
class BestWeights:
    """The RUL weight with the lowest mean validation RMSE early in the trainings and at their end.

    Attributes:
        seeds: how many seeds all weights have.
        early: the best weight after ``EARLY_EPOCH`` epochs.
        last: the best weight after the last epoch of each training.
        last_epochs: the lowest and the highest number of that epoch, counted from 1.
        early_gap: early on, the validation RMSE with ``last`` minus that with ``early``, cycles.
        last_gap: after the last epoch, that with ``early`` minus that with ``last``, cycles.
        serves_throughout: a weight that is shown, at both moments, to be at most ``MARGIN`` above
            every other, by t tests at a level that is divided by the number of weights among which
            it is found; ``None`` where there is none. Of several, the one with the lowest p-value.

    """

    seeds: int
    early: float
    last: float
    last_epochs: tuple[int, int]
    early_gap: Comparison
    last_gap: Comparison
    serves_throughout: float | None

    @property
    def differ(self) -> bool:
        """Whether the best weight moves: another one, and both differences told from zero.

        Either of them was picked among all weights, so that the level is divided by their number.
        """
        p_value = max(self.early_gap.p_value, self.last_gap.p_value)
        return self.early != self.last and p_value * len(FIXED_RUL_WEIGHTS) < 1 - CONFIDENCE


def best_weights(records: Sequence[RunRecord], subset: str) -> BestWeights | None:
    """Compare the best weight of the first epochs with that of the last, by paired t tests.

    The last epoch is taken, and not the selected one, since the selected one is at times the third.

    Returns:
        ``None`` while a seed of one of ``FIXED_RUL_WEIGHTS`` is missing on ``subset``.

    """
    names = {weight: fixed_name(weight) for weight in FIXED_RUL_WEIGHTS}
    if not every_seed_in(records, [subset], names.values()):
        return None
    runs = completed_runs(records)
    by_weight = {weight: runs[subset, name] for weight, name in names.items()}
    common = sorted(set.intersection(*(set(by_seed) for by_seed in by_weight.values())))
    chosen = {weight: [of_seed[seed] for seed in common] for weight, of_seed in by_weight.items()}
    early, last = (
        pd.DataFrame(
            {
                weight: [run.epochs[epoch].validation.rmse for run in runs_of_weight]
                for weight, runs_of_weight in chosen.items()
            }
        )
        for epoch in (EARLY_EPOCH - 1, -1)
    )
    best_early, best_last = (
        FIXED_RUL_WEIGHTS[int(np.argmin(errors.mean()))] for errors in (early, last)
    )
    # A weight has to be near every other one at both moments, so that its largest p-value counts.
    p_values = {
        weight: max(
            p_value_below(errors[weight] - errors[other], MARGIN)
            for errors in (early, last)
            for other in names
            if other != weight
        )
        for weight in names
    }
    nearest = min(p_values, key=lambda weight: p_values[weight])
    lengths = [len(run.epochs) for runs_of_weight in chosen.values() for run in runs_of_weight]
    return BestWeights(
        seeds=len(common),
        early=best_early,
        last=best_last,
        last_epochs=(min(lengths), max(lengths)),
        early_gap=compare_over_seeds(early[best_last], early[best_early]),
        last_gap=compare_over_seeds(last[best_early], last[best_last]),
        serves_throughout=nearest if p_values[nearest] * len(names) < 1 - CONFIDENCE else None,
    )


def courses_of(long: Evidence) -> dict[str, pd.DataFrame]:
    """Return the losses and gradients of each run of the long study, by network and subset.

    Returns:
        Empty while the study is incomplete. One row an epoch: ``progress``, the share of the
        training done, %; ``rul_loss`` (cycles²) and ``health_loss`` (nats), means over the epoch;
        ``norm_ratio``, ``cosine_low``, ``cosine`` and ``cosine_high``, quantiles 50 %, and 5, 50
        and 95 % over its observed steps.

    """
    if not long.complete:
        return {}
    return {
        f"compact network, {record.config.subset}": course_of(record)
        for record in long.records
        if record.completed
    }


def change_of_balance(course: pd.DataFrame) -> float:
    """Return how many times as large the weight that balances the losses is at the end."""
    balancing = course["health_loss"] / (course["rul_loss"] + course["health_loss"])
    return float(balancing.iloc[-1] / balancing.iloc[0])


def course_of(record: RunRecord) -> pd.DataFrame:
    """Return the losses and gradients of a run, a row an epoch, as ``courses_of`` has them.

    What describes gradients is NaN in an epoch of which no step was observed.
    """
    return pd.DataFrame(
        {
            "progress": 100 * number / len(record.epochs),
            "rul_loss": epoch.rul_loss,
            "health_loss": epoch.health_loss,
            "norm_ratio": np.nan if seen is None else seen.ratio_quantiles[2],
            "cosine_low": np.nan if seen is None else seen.cosine_quantiles[0],
            "cosine": np.nan if seen is None else seen.cosine_quantiles[2],
            "cosine_high": np.nan if seen is None else seen.cosine_quantiles[4],
        }
        for number, epoch in enumerate(record.epochs, start=1)
        for seen in [epoch.gradients]
    )
