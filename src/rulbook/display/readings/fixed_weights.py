"""What is said of fixed weights: the printed progression, searches, and recorded courses.

The functions that end in ``_values`` return what chapter 05 quotes, by its name there without the
chapter; those that end in ``_claims`` return what decides claims, by the claim's id, and ``None``
for a claim that the text settles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
from IPython.display import HTML

from rulbook.claims.decision import Answer
from rulbook.claims.printed import PROGRESSION_EPOCHS
from rulbook.display.results import in_words, number_range, within
from rulbook.display.tables import table
from rulbook.experiments.fixed_weight_section import share_at_last_epoch
from rulbook.experiments.weight_search import Searches, search_gains
from rulbook.experiments.weight_trade_off import (
    balancing_weight,
    gradient_ratio_with_balanced_losses,
    share_by_seed,
)
from rulbook.statistics import MARGIN, Comparison, over_seeds
from rulbook.studies.condition_rules import decide_all
from rulbook.studies.evidence import Evidence
from rulbook.studies.fixed_weights import (
    EARLY_EPOCH,
    FIRST_COURSE,
    BestWeights,
    Courses,
    change_of_balance,
)
from rulbook.training.record import RunRecord
from rulbook.typing import Floats

CONTRIBUTION_CAPTION = (
    "The figure opens on the section's worked example, losses of 1000 and 1, with the default "
    "weights of its class, 0.7 and 0.3. Try: slide λ through the section's candidates, 0.1 to 0.9, "
    "and watch how little happens. Then press Balance."
)
"""What to try in the explorer of the contributions."""

_SETTLED_BY_THE_TEXT = (
    *("gpu-hours", "zero-hyperparameters", "amnl-per-batch", "fixed-inadequate"),
    "uncertainty-principled",
)

_ON_A_TRAINING = tuple(
    f"l9.1-{remark}"
    for remark in (
        *("mse-scale", "mse-scale-three-values", "ce-scale", "ce-near-one"),
        *("balance-drifts-measured", "domination-harms", "conflict-occurs"),
    )
)


def progression_table(progression: pd.DataFrame, courses: Courses, rests_on: str) -> HTML:
    """Return the printed losses beside the recorded ones of the same epochs.

    Args:
        progression: what ``printed_progression`` returns.
        courses: what ``courses_of`` returns.
        rests_on: what the caption says that the table rests on.

    """
    shown = progression.rename(columns={"rul": "source, RUL", "health": "source, health"})
    for name, course in courses.items():
        at_epochs = course.iloc[[epoch - 1 for epoch in progression.index]]
        shown[f"{name}, RUL"] = at_epochs["rul_loss"].to_numpy()
        shown[f"{name}, health"] = at_epochs["health_loss"].to_numpy()
    return table(
        shown.reset_index(),
        f"Mean training losses by epoch: the source's, and those recorded. {rests_on}",
        {column: ".0f" if column.endswith("RUL") else ".2f" for column in shown.columns},
    )


def progression_answers(progression: pd.DataFrame, courses: Courses) -> dict[str, Answer]:
    """Return what stands beside each printed loss: the recorded ones, which do not decide it.

    Args:
        progression: what ``printed_progression`` returns.
        courses: what ``courses_of`` returns.

    """
    answers = {}
    for task, decimals in (("rul", 0), ("health", 2)):
        for epoch in progression.index:
            recorded = ", ".join(
                f"{course[f'{task}_loss'].iloc[epoch - 1]:.{decimals}f} on {name.split()[-1]}"
                for name, course in courses.items()
            )
            note = f"recorded at 0.5/0.5: {recorded}" if recorded else ""
            answers[f"l9.1-progression-{epoch}-{task}"] = Answer(note=note)
    return answers


def start_values(rul: Floats) -> dict[str, float]:
    """Return the RUL loss, cycles², of a constant output before the first step.

    Args:
        rul: targets of the training rows, cycles, (rows,).

    Returns:
        ``start-at-mean``, of their mean, and ``start-at-zero``.

    """
    targets = rul.astype(np.float64)
    return {
        "start-at-mean": float(targets.var()),
        "start-at-zero": float(np.square(targets).mean()),
    }


def search_table(searches: Mapping[str, Searches], against_half: Mapping[str, Comparison]) -> HTML:
    """Return what each kind of search found, a row a kind, errors in cycles.

    Args:
        searches: by kind; their scores are validation RMSE.
        against_half: by kind, the test RMSE with the chosen weights minus that of 0.5/0.5.

    """
    rows = []
    for name, of_kind in searches.items():
        best, gap = over_seeds(of_kind.best_so_far[:, -1]), against_half[name]
        rows.append(
            {
                "search": name,
                "trainings": of_kind.rul_weights.shape[1],
                "chosen λ, lowest": of_kind.chosen.min(),
                "median": np.median(of_kind.chosen),
                "highest": of_kind.chosen.max(),
                "best validation RMSE": f"{best.value:.2f} [{best.low:.2f}, {best.high:.2f}]",
                "test RMSE against 0.5/0.5": f"{gap.difference:+.2f} "
                f"[{gap.low:+.2f}, {gap.high:+.2f}]",
            }
        )
    repeats = len(next(iter(searches.values())).chosen)
    return table(
        pd.DataFrame(rows),
        f"What each search found, RMSE in cycles: means over {repeats} searches with intervals",
        {"chosen λ, lowest": ".3f", "median": ".3f", "highest": ".4f"},
    )


def harm_table(by_weight: Mapping[float | str, pd.Series]) -> HTML:
    """Return how often a step raises the health loss, a row a weight.

    Args:
        by_weight: by RUL weight, what ``share_of_harmful_steps`` returns.

    """
    rows = []
    for weight, shares in by_weight.items():
        mean = over_seeds(shares)
        low, high = max(mean.low, 0), min(mean.high, 100)
        rows.append((str(weight), f"{mean.value:.0f} [{low:.0f}, {high:.0f}]"))
    return table(
        pd.DataFrame(rows, columns=["RUL weight λ", "steps that raise the health loss, %"]),
        "How often a step of the trunk along the weighted sum would raise the health loss of its "
        "own batch, with the heads held still, to first order",
    )


def best_weights_claims(records: Mapping[str, Sequence[RunRecord]]) -> dict[str, object]:
    """Return what decides whether the best weight moves, under every training condition.

    Args:
        records: records by the name of the training condition that they were made under.

    """
    moves = ("l9.1-optimal-weight-moves", "n4.3-optimal-weight-moves")
    return {**decide_all(moves, records), "l9.1-dataset-specific": None}


def best_weights_reading(found: Mapping[str, BestWeights | None]) -> str:
    """Say whether the best weight moves between the first epochs and the last, subset by subset.

    Args:
        found: what ``best_weights`` returns, by subset.

    """
    return "\n".join(
        f"* On {subset} {_moves(best)}"
        if best
        else f"* On {subset} a seed of a weight is missing; `rulbook sweep core` runs it."
        for subset, best in found.items()
    )


def _moves(best: BestWeights) -> str:
    early, last = f"{best.early:g}", f"{best.last:g}"
    told = (
        f"the weight with the lowest mean validation error over {in_words(best.seeds, 'seed')} is "
        f"{early} after {in_words(EARLY_EPOCH, 'epoch')} and {last} after the last epoch, number "
        f"{number_range(best.last_epochs)}. "
    )
    if best.early != best.last:
        gaps = [
            within(gap.difference, gap.low, gap.high) for gap in (best.early_gap, best.last_gap)
        ]
        told += (
            f"Early on, the error of {last} is {gaps[0]} cycles above that of {early}. In the end, "
            f"that of {early} is {gaps[1]} cycles above that of {last} (paired t intervals). "
        )
    if best.differ:
        return f"{told}So the best weight moves."
    if best.serves_throughout is not None:
        return (
            f"{told}At both moments {best.serves_throughout:g} is shown to be at most {MARGIN:g} "
            "cycles above every other weight, so the best weight need not move."
        )
    return (
        f"{told}No weight is shown to be at most {MARGIN:g} cycles above every other at both "
        "moments, and no move is shown either. So that is open."
    )


def courses_reading(courses: Courses, long: Evidence) -> str:
    """Say where the losses of the long study go, or what is missing of it.

    Args:
        courses: what ``courses_of`` returns of the records of the study.
        long: the study.

    """
    if FIRST_COURSE not in courses:
        return long.sentence()
    sentences = []
    for name, course in courses.items():
        at_epochs = course.iloc[[0, 9, -1]]
        rul = " to ".join(f"{loss:.0f}" for loss in at_epochs["rul_loss"])
        health = " to ".join(f"{loss:.2f}" for loss in at_epochs["health_loss"])
        sentences.append(
            f"On {name.split()[-1]} the RUL loss goes from {rul} cycles² at epochs 1, 10 and "
            f"{len(course)}, and the health loss from {health} nats."
        )
    drift = change_of_balance(courses[FIRST_COURSE])
    return " ".join(
        [
            *sentences,
            "Both are lower than printed at nearly every stage, and they are lowest long "
            "before the end. Once the validation error has stopped falling, the schedule halves "
            "the learning rate again and again, and little changes. On FD001 the balancing weight "
            f"of the losses is {drift:.1f} times as large at the end as at the first epoch.",
        ]
    )


def remarks_claims(records: Mapping[str, Sequence[RunRecord]]) -> dict[str, object]:
    """Return what decides the section's remarks on a whole training with equal weights.

    Args:
        records: records by the name of the training condition that they were made under.

    """
    return dict(decide_all(_ON_A_TRAINING, records))


def domination_claims(rul_loss: float, health_loss: float) -> dict[str, object]:
    """Return what decides whether a plain sum is nearly the RUL loss alone."""
    share = rul_loss / (rul_loss + health_loss)
    return {"l9.1-sum-dominated": share > 0.99}


def search_values(
    searches: Mapping[str, Searches], against_half: Mapping[str, Comparison], trainings: int
) -> dict[str, object]:
    """Return what the searches found and what it was worth.

    Args:
        searches: by kind; their scores are validation RMSE in cycles.
        against_half: by kind, the test RMSE with the chosen weights minus that of 0.5/0.5.
        trainings: how many were run for all of them.

    """
    gains = {
        name.replace("_", "-"): value
        for name, value in asdict(search_gains(searches, against_half)).items()
    }
    repeats = len(next(iter(searches.values())).chosen)
    told_apart = str(gains["told-apart"] or "none")
    return gains | {"repeats": repeats, "trainings": trainings, "told-apart": told_apart}


def progression_values(progression: pd.DataFrame) -> dict[str, float]:
    """Return the weights that balance the first and the last printed losses, and their change.

    Args:
        progression: what ``printed_progression`` returns.

    """
    balancing = progression["health"] / progression.sum(axis=1)
    ratio = progression["rul"] / progression["health"]
    return {
        "ratio-varies": ratio.max() / ratio.min(),
        "balance-1": balancing[PROGRESSION_EPOCHS[0]],
        "balance-100": balancing[PROGRESSION_EPOCHS[-1]],
        "share-at-100": 100 * share_at_last_epoch(progression),
    }


def course_values(traced: pd.DataFrame, typical: pd.DataFrame) -> dict[str, float]:
    """Return where the small network's ratios start and end, and the weights that balance them.

    Args:
        traced: what ``gradient_course`` returns.
        typical: what ``typical_course`` returns of it.

    """
    values: dict[str, float] = {"course-seeds": traced["seed"].nunique()}
    for name, moment in (("start", typical.iloc[0]), ("end", typical.iloc[-1])):
        values[f"loss-ratio-{name}"] = moment["rul_loss"] / moment["health_loss"]
        values[f"norm-ratio-{name}"] = moment["norm_ratio"]
    left_over = gradient_ratio_with_balanced_losses(traced)
    balanced_at = balancing_weight(typical, "gradients")
    return values | {
        "left-over-low": left_over.min(),
        "left-over-high": left_over.max(),
        "gradient-balance-min": balanced_at.min(),
        "gradient-balance-max": balanced_at.max(),
        "gradient-balance-factor": balanced_at.max() / balanced_at.min(),
    }


def conflict_values(
    traced: pd.DataFrame, by_weight: Mapping[float | str, pd.Series]
) -> dict[str, float]:
    """Return on how many steps the cosine is negative, and on how many the health loss rises, %.

    Args:
        traced: what ``gradient_course`` returns.
        by_weight: see ``harm_table``; 0.5 is among the weights, and the balancing one is last.

    """
    negative = over_seeds(share_by_seed(traced, traced["cosine"] < 0))
    balanced: pd.Series = list(by_weight.values())[-1]
    return {
        "negative": negative.value,
        "negative-low": negative.low,
        "negative-high": negative.high,
        "harm-half": by_weight[0.5].mean(),
        "harm-balanced": balanced.mean(),
    }


def closing_table_claims() -> dict[str, object]:
    """Name the cells of the closing table that the text settles, or nothing does."""
    return {f"l9.1-{claim}": None for claim in _SETTLED_BY_THE_TEXT}
