"""What chapter 06 reads off section 24.1's figures, its listings and the networks beside them.

The functions that end in ``_claims`` return the values that decide claims, by the claim's id;
``None`` stands for a claim that the text settles. Those that end in ``_values`` return what the
prose quotes, by its name there without the chapter.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

from rulbook.claims import printed
from rulbook.data.prepare import RUL_CAP
from rulbook.experiments import equal_weights as tried
from rulbook.experiments.batches import Batch
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import DualTaskMLP
from rulbook.statistics import Estimate, over_seeds
from rulbook.studies.claim_rules import BOOK_SUBSETS
from rulbook.studies.comparison import estimates_by_rul_weight
from rulbook.studies.evidence import Evidence
from rulbook.studies.grid import is_two_by_two
from rulbook.typing import Floats, Integers
from rulbook.weighting.fixed import FixedWeightLoss
from rulbook.weighting.registry import get_loss

SWEPT_WEIGHTS = (0.05, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
"""RUL weights at which the small network is trained."""

_CONTRADICTIONS = (
    *("too-much-health", "exhaustive-ablation", "heavy-rul-near-single"),
    *("headline-configuration", "amnl-fd002-two-values"),
    *("amnl-fd004-two-values", "amnl-mean-two-values"),
)
_UNMEASURED = (
    *("condition-invariant-features", "capacity-split", "self-supervised-analogy"),
    "kitchen-rule",
)
_FIELDS = ("detection", "speech", "segmentation", "recommender", "self-driving")


class Curves(NamedTuple):
    """The test RMSE, cycles, against the RUL weight, from three sides.

    * ``printed``: what ``ablation_table`` returns.
    * ``recorded``: what ``estimates_by_rul_weight`` returns, by subset.
    * ``live``: the small network on FD001, mean over seeds, by RUL weight.

    """

    printed: pd.DataFrame
    recorded: Mapping[str, pd.DataFrame]
    live: Mapping[float, Estimate]


def error_curves(core: Evidence, swept: pd.DataFrame) -> Curves:
    """Return the source's rows, the records and the small network's sweep as curves.

    Args:
        core: what is recorded of the core study.
        swept: what ``weight_sweep`` returns.

    """
    table = printed.ablation_table()
    return Curves(
        table,
        {subset: estimates_by_rul_weight(core, subset) for subset in BOOK_SUBSETS},
        {
            float(str(weight)): over_seeds(part)
            for weight, part in swept.groupby("rul_weight")["rmse"]
        },
    )


def curve_values(live: Mapping[float, Estimate], seeds: Sequence[int]) -> dict[str, float]:
    """Return the range of the small network's errors and the typical half-width of an interval."""
    levels = [estimate.value for estimate in live.values()]
    widths = [estimate.high - estimate.low for estimate in live.values()]
    return {
        "live-seeds": len(seeds),
        "live-lowest": min(levels),
        "live-highest": max(levels),
        "live-width": float(np.mean(widths)) / 2,
    }


def rule_claims(
    combined: Floats, rul: Floats, health: Floats, lam: Floats, gradients: tuple[Tensor, Tensor]
) -> dict[str, object]:
    """Return what decides the properties of the one-line rule.

    Args:
        combined: the class's sums of random losses, (n,).
        rul: their RUL losses, (n,).
        health: their health losses, (n,).
        lam: their RUL weights, (n,).
        gradients: the gradient of a weighted sum, and the weighted sum of the gradients.

    """
    only_rul, only_health = FixedWeightLoss(1.0, 0.0), FixedWeightLoss(0.0, 1.0)
    return {
        "n24.1-one-line": np.allclose(combined, health + lam * (rul - health)),
        "n24.1-convex-combination": tried.lies_between(combined, rul, health),
        "n24.1-pure-rul": np.array_equal(only_rul(rul, health), rul)
        and np.array_equal(only_health(rul, health), health),
        "n24.1-linearity": bool(gradients[0].allclose(gradients[1], rtol=1e-12)),
    }


def listing_claims(
    y_pred: Floats, y_rul: Floats, logits: Floats, health: Integers, totals: pd.DataFrame
) -> dict[str, object]:
    """Return what decides the figures of the first listing and what is said of their size.

    Args:
        y_pred: predicted RUL, cycles, (n,).
        y_rul: true RUL, cycles, (n,).
        logits: of the health states, (n, 3).
        health: true health states, (n,).
        totals: ``L_total`` by rising RUL weight, the first at 0.5.

    """
    claims = tried.first_listing_claims(y_pred, y_rul, logits, health)
    sizes = tried.size_claims(
        float(health_cross_entropy(logits, health)),
        tried.cross_entropy_in_bits(logits, health),
        totals["L_total"],
    )
    return claims | sizes


def listing_values(
    y_pred: Floats, y_rul: Floats, health_loss: float, totals: pd.DataFrame
) -> dict[str, float]:
    """Return the RUL term's share at equal weights, the loss in bits, and the ratios of the losses.

    Args:
        y_pred: predicted RUL, cycles, (n,).
        y_rul: true RUL, cycles, (n,).
        health_loss: nats.
        totals: ``RUL term, %`` by rising RUL weight, the first at 0.5.

    """
    return {
        "share-at-half": totals["RUL term, %"][0],
        "health-in-bits": health_loss / np.log(2),
        "listing-ratio": rul_mse(y_pred, y_rul) / health_loss,
        "listing-ratio-cap": _in_caps(y_pred, y_rul) / health_loss,
    }


def class_detail_claims(
    network: DualTaskMLP, batch: Batch, path: Floats, seed: int
) -> dict[str, object]:
    """Return what decides the remarks on learnable weights, on Python and on the listings' lines.

    Args:
        network: one that GABA weighs the losses of.
        batch: its inputs and targets.
        path: a learned RUL weight after each step, (steps,).
        seed: of the further batches.

    """
    gaba = tried.gaba_weights_by_batch(network, batch, seed)
    return {
        "n24.1-uncertainty-learnable": bool(list(get_loss("uncertainty").parameters())),
        "n24.1-gaba-sums-to-one": sum(gaba[-1].values()),
        "n24.1-gaba-updates-per-batch": len({w["rul_weight"] for w in gaba}) == len(gaba),
        "n24.1-learnable-weight-degenerates": bool(path[-1] < 0),
        "n24.1-ellipsis-is-abstract": tried.body_of_dots_is_abstract(),
        "n24.1-super-init-needed": tried.super_init_is_needed(),
        "n24.1-hooks": tried.hooks_run_on_call_alone(),
        "n24.1-item-needs-0-dim": tried.item_needs_0_dim(),
        "n24.1-listing1-unexplained-lines": printed.LISTING_1_LINES - printed.LISTING_1_EXPLAINED,
        "n24.1-listing1-thirty-lines": printed.LISTING_1_LINES,
        "n24.1-sixteen-lines": printed.LISTING_2_CLASS_LINES,
        "n24.1-verbatim": None,
    }


def amnl_fixed_claims(above_floors: pd.DataFrame) -> dict[str, object]:
    """Return what decides the weights, the floors and the sense of AMNL-fixed.

    Args:
        above_floors: what ``normalised_terms`` returns of losses above both floors.

    """
    floors = get_loss("amnl_fixed")
    terms = above_floors["RUL term"], above_floors["health term"]
    return {
        "n24.1-amnl-fixed-weights": tried.amnl_fixed_rul_weight(),
        "n24.1-amnl-fixed-rul-floor": floors.s_rul,
        "n24.1-amnl-fixed-health-floor": floors.s_health,
        "n24.1-amnl-fixed-formula": None,
        "n24.1-amnl-fixed-comparable": np.allclose(*terms),
        "n24.1-amnl-fixed-tiny-early": None,
    }


def table_claims(table: pd.DataFrame) -> dict[str, object]:
    """Return what decides the arithmetic of the printed ablation; ``table`` has its figures."""
    fd002, fd004 = table["FD002"], table["FD004"]
    means = ((fd002 + fd004) / 2).items()
    return {f"n24.1-table-{row}-mean": mean for row, mean in means} | {
        "n24.1-margin-fd002": fd002["075"] - fd002["050"],
        "n24.1-margin-fd004": fd004["075"] - fd004["050"],
        "n24.1-pitfall-climb": bool(fd002["050"] < fd002["090"])
        and (str(fd002["050"]), str(fd002["090"])) == ("6.33", "8.59"),
        "n24.1-cliff-printed": bool(fd002["single-task"] >= 3 * fd002["090"]),
        "n24.1-minimum-on-both": fd002.idxmin() == "050" == fd004.idxmin(),
    }


def shape_claims(table: pd.DataFrame) -> dict[str, object]:
    """Return what decides what the printed ablation is said to show; arguments as above."""
    shapes: dict[str, object] = {
        "n24.1-u-shape": all(printed.is_u_shaped(table[subset]) for subset in table),
        "n24.1-shape-robust": printed.rise_and_fall_alike(table),
        "n24.1-explorer-above-085": all(printed.shoots_up_above(table[s], 0.85) for s in table),
    }
    return shapes | {f"n24.1-{name}": None for name in _CONTRADICTIONS}


def unmeasured_claims() -> dict[str, object]:
    """Name the reasons for equal weights that the section does not measure."""
    return {f"n24.1-{name}": None for name in _UNMEASURED}


def larger_weights_claims(
    network: DualTaskMLP,
    batch: Batch,
    losses: tuple[float, float],
    distances: pd.DataFrame,
) -> dict[str, object]:
    """Return what decides whether (0.7, 0.7) is (0.5, 0.5) at a larger learning rate.

    Args:
        network: one whose gradients under both weights are compared.
        batch: its inputs and targets.
        losses: the RUL loss and the health loss of the listing.
        distances: what ``distances_of_ends`` returns of ``RULES``.

    """
    raw, scaled = FixedWeightLoss(0.5, 0.5), FixedWeightLoss(*tried.LARGER_WEIGHTS)
    gradients = [
        tried.flat_gradient(loss(*batch.losses(network)), network) for loss in (raw, scaled)
    ]
    by_sgd, by_clipped_sgd, _, by_adamw = (
        tried.is_larger_rate(distances, rule) for rule in tried.RULES
    )
    return {
        "n24.1-pitfall-scale": scaled(*losses) / raw(*losses),
        "n24.1-pitfall-same-direction": tried.same_direction(*gradients),
        "n24.1-pitfall-lr-sgd": by_sgd,
        "n24.1-pitfall-lr-clipped": by_clipped_sgd,
        "n24.1-pitfall-lr-adamw": by_adamw,
    }


def divergence_values(
    survival: Mapping[int, tried.Divergence], by_adamw: tuple[int, int], seeds: int
) -> dict[str, float]:
    """Return how many runs with (0.7, 0.7) diverge, and at which rates.

    Args:
        survival: runs of plain SGD by their number of steps.
        by_adamw: how many runs of AdamW diverge, of how many.
        seeds: runs of plain SGD at each rate.

    """
    over_the_decade = [one.percent_diverged for one in survival.values()]
    values: dict[str, float] = {
        "share-of-decade": 100 * np.log10(tried.LARGER_WEIGHTS[0] / 0.5),
        "divergence-seeds": seeds,
        "diverged-lowest": min(over_the_decade),
        "diverged-highest": max(over_the_decade),
        "adamw-diverged": by_adamw[0],
        "adamw-runs": by_adamw[1],
    }
    return values | {
        f"at-best-{steps}": one.percent_diverged_at_best for steps, one in survival.items()
    }


def share_claims(
    shares: pd.DataFrame, totals: pd.DataFrame, y_pred: Floats, y_rul: Floats, health_loss: float
) -> dict[str, object]:
    """Return what decides the pitfalls about shares and scales.

    Args:
        shares: what ``health_shares`` returns, the first row at 0.5/0.5, the last at 0.9/0.1.
        totals: as for ``listing_values``, and the arguments that follow.
        y_pred: see there.
        y_rul: see there.
        health_loss: see there.

    """
    in_cycles, in_caps = rul_mse(y_pred, y_rul), _in_caps(y_pred, y_rul)
    return {
        "n24.1-equal-contribution": tried.is_equal_contribution(shares.iloc[0]),
        "n4.3-equal-weights-dominate-gradient": tried.is_less_than_a_tenth(shares.iloc[0]),
        "n24.1-pitfall-ten-percent": tried.is_about_ten_percent(shares.iloc[-1]),
        "n24.1-pitfall-larger-dominates": bool(totals["RUL term, %"][0] > 90),
        "n24.1-pitfall-comparable-losses": None,
        "n24.1-pitfall-grid": is_two_by_two(),
        "n24.1-pitfall-scales-change": not np.isclose(
            in_caps / health_loss, in_cycles / health_loss
        ),
    }


def share_values(shares: pd.DataFrame) -> dict[str, float]:
    """Return the health task's share at 0.5/0.5 and at 0.9/0.1, per cent; ``shares`` as above."""
    values: dict[str, float] = {}
    for moment in ("start", "end"):
        equal, *_, heavy = shares[f"share at the {moment}"]
        values |= {f"share-090-{moment}": heavy, f"share-050-{moment}": equal}
    return values


def other_domain_claims() -> dict[str, object]:
    """Return what decides the remarks on splits in other fields."""
    evens_out = tried.split_evens_out(np.array([4, 100, 10_000]))
    undecided: dict[str, object] = {f"n24.1-domain-{field}": None for field in _FIELDS}
    return {"n24.1-domain-segmentation-normalises": evens_out} | undecided


def _in_caps(y_pred: Floats, y_rul: Floats) -> float:
    """Return the RUL loss where RUL is counted in units of its cap."""
    return float(rul_mse(y_pred / RUL_CAP, y_rul / RUL_CAP))
