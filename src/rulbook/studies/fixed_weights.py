"""Fixed weights through a training, read from records (§9.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rulbook.statistics import MARGIN, Comparison, compare_over_seeds
from rulbook.studies.claim_rules import every_seed_in
from rulbook.studies.evidence import Evidence, completed_runs
from rulbook.studies.methods import FIXED_RUL_WEIGHTS, fixed_name
from rulbook.training.record import RunRecord

EARLY_EPOCH = 3
"""The epoch, counted from 1, after which the best weight of the first epochs is looked for."""

FIRST_COURSE = "compact network, FD001"
"""The recorded course that claims about a single one are decided on."""

Courses = Mapping[str, pd.DataFrame]
"""What ``courses_of`` returns."""


@dataclass(frozen=True)
class BestWeights:
    """The RUL weight with the lowest mean validation RMSE early in the trainings and in the end.

    Attributes:
        seeds: how many seeds all weights have.
        early: the best weight after ``EARLY_EPOCH`` epochs.
        final: the best weight at the selected epochs.
        early_gap: early on, the validation RMSE with ``final`` minus that with ``early``, cycles.
        final_gap: in the end, the validation RMSE with ``early`` minus that with ``final``, cycles.

    """

    seeds: int
    early: float
    final: float
    early_gap: Comparison
    final_gap: Comparison

    @property
    def differ(self) -> bool:
        """Whether the best weight moves: another one, and both differences told from zero."""
        return self.early != self.final and not (self.early_gap.is_tie or self.final_gap.is_tie)

    @property
    def serves_throughout(self) -> float | None:
        """The weight that is the best at one moment and shown to be near the best at the other.

        ``None`` where there is none. Near is within ``MARGIN``.
        """
        if self.early == self.final or self.final_gap.high <= MARGIN:
            return self.early
        return self.final if self.early_gap.high <= MARGIN else None


def best_weights(records: Sequence[RunRecord], subset: str = "FD002") -> BestWeights | None:
    """Compare the best weight of the first epochs with that of the end, by paired t tests.

    Returns:
        ``None`` while a seed of one of ``FIXED_RUL_WEIGHTS`` is missing on ``subset``.

    """
    names = {weight: fixed_name(weight) for weight in FIXED_RUL_WEIGHTS}
    if not every_seed_in(records, [subset], names.values()):
        return None
    runs = completed_runs(records)
    by_weight = {weight: runs[subset, name] for weight, name in names.items()}
    common = sorted(set.intersection(*(set(by_seed) for by_seed in by_weight.values())))

    def errors(weight: float, *, early: bool) -> list[float]:
        chosen = [by_weight[weight][seed] for seed in common]
        epochs = [EARLY_EPOCH - 1 if early else run.selected_epoch for run in chosen]
        return [
            run.epochs[epoch].validation.rmse
            for run, epoch in zip(chosen, epochs, strict=True)
            if epoch is not None
        ]

    early, final = (
        min(by_weight, key=lambda weight: float(np.mean(errors(weight, early=is_early))))
        for is_early in (True, False)
    )
    return BestWeights(
        seeds=len(common),
        early=early,
        final=final,
        early_gap=compare_over_seeds(errors(final, early=True), errors(early, early=True)),
        final_gap=compare_over_seeds(errors(early, early=False), errors(final, early=False)),
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
        if record.status == "completed"
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
