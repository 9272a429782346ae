"""What section 4.3 computes and says of adding up two losses, claim by claim.

Losses stand in the order RUL (cycles²), health (nats); weights and learned spreads are
dimensionless. The functions that end in ``_claims`` return the values that decide claims, by the
claim's id; a value of ``None`` stands for a claim that the text settles.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, brentq, minimize
from torch import Tensor, nn

from rulbook import toy
from rulbook.experiments.batches import FEATURES, Batch
from rulbook.gradients import PRINTED_IMBALANCE, task_gradients
from rulbook.losses import health_cross_entropy
from rulbook.models import DualTaskMLP, shared_parameters
from rulbook.randomness import seeded
from rulbook.typing import Floats
from rulbook.weighting.gaba import complement_weights
from rulbook.weighting.magnitude import inverse_shares
from rulbook.weighting.registry import get_loss

ClaimValue = float | bool | str | None

SECTION_LOSSES = np.array([12.5, 0.8])
"""The pair of losses that the section combines in five ways."""

SECTION_LOG_SIGMAS = np.array([1.5, 0.3])
"""The logarithms of the spreads that the section gives its uncertainty sum."""

BATCH_SIZE = 64
"""Rows of the section's random inputs."""

# Lines of the two printed listings, and of these those that have an explanation.
_LISTING_LINES = (42, 41)
_EXPLAINED_LINES = (
    (1, 4, 5, 9, 12, 15, 16, 17, 20, 21, 22, 23, 24, 30, 32),
    (1, 2, 3, 5, 16, 17, 18, 20, 21, 22, 23, 25, 26, 28, 30, 31, 32, 34, 35, 37),
)
# Where the code really stands that they quote, in the same order.
_STANDS_ON = (
    (1, 4, 5, 9, 12, 15, 16, 17, 20, 21, 22, 23, 24, 29, 30),
    (1, 2, 3, 5, 17, 18, 19, 21, 22, 23, 24, 26, 27, 29, 31, 32, 33, 35, 36, 38),
)

_EQUAL, _UNEQUAL, _INVERSE, _UNCERTAINTY, _GABA = (
    "equal",
    "unequal",
    "inverse magnitude",
    "uncertainty",
    "GABA",
)


class PrintedLoop(NamedTuple):
    """What the section's training loop gives.

    * ``losses``: RUL loss, health loss and their weighted sum, shape ``(steps, 3)``.
    * ``last_total``: the sum at the last step.
    * ``health``: the health states that it trained on.

    """

    losses: Floats
    last_total: Tensor
    health: Tensor


def weighted_sum_claims(network: nn.Module, batch: Batch) -> dict[str, ClaimValue]:
    """Decide what the section says of a weighted sum: one number, and a gradient everywhere."""
    total = torch.stack(batch.losses(network)).mean()
    gradients = task_gradients(total, shared_parameters(network))
    return {
        "n4.3-sum-one-scalar": total.ndim == 0,
        "n4.3-sum-differentiable": all(bool(gradient.any()) for gradient in gradients),
    }


def sums_table(weights: Mapping[str, Floats]) -> pd.DataFrame:
    """Return the section's two losses under each pair of weights.

    Args:
        weights: shape ``(2,)`` by strategy; ``uncertainty`` adds the two log-spreads.

    Returns:
        One row a strategy, in that order: both weights, both weighted losses, and their sum J.

    """
    rows = []
    for name, pair in weights.items():
        terms = pair * SECTION_LOSSES
        extra = float(SECTION_LOG_SIGMAS.sum()) if name == _UNCERTAINTY else 0.0
        rows.append((name, *pair, *terms, float(terms.sum()) + extra))
    return pd.DataFrame(
        rows,
        columns=["strategy", "weight of RUL", "weight of health", "from RUL", "from health", "sum"],
    )


def sums_claims(sums: pd.DataFrame) -> dict[str, ClaimValue]:
    """Decide the printed totals and weights; ``sums`` is what ``sums_table`` returns."""
    row = sums.set_index("strategy")
    total = row["sum"]
    inverse = row.loc[_INVERSE, ["weight of RUL", "weight of health"]].to_numpy(float)
    raw = 1 / SECTION_LOSSES
    return {
        "n4.3-fixed-equal-total": total[_EQUAL],
        "n4.3-fixed-quarter-total": total[_UNEQUAL],
        "n4.3-inverse-total": total[_INVERSE],
        "n4.3-uncertainty-total": total[_UNCERTAINTY],
        "n4.3-gaba-total": total[_GABA],
        "n4.3-inverse-raw-rul": raw[0],
        "n4.3-inverse-raw-health": raw[1],
        "n4.3-inverse-weight-rul": inverse[0],
        "n4.3-inverse-weight-health": inverse[1],
        "n4.3-inverse-weights-sum": inverse.sum(),
        "n4.3-uncertainty-variance-rul-words": np.exp(3.0),
        "n4.3-uncertainty-variance-rul": np.exp(2 * SECTION_LOG_SIGMAS[0]),
        "n4.3-uncertainty-variance-health": np.exp(2 * SECTION_LOG_SIGMAS[1]),
        "n4.3-five-strategies": len(sums),
    }


def uncertainty_sum(log_sigmas: Floats) -> float:
    """Return the uncertainty sum of the section's losses at log-spreads of shape ``(2,)``."""
    return float(np.sum(SECTION_LOSSES / (2 * np.exp(2 * log_sigmas)) + log_sigmas))


def lowest_uncertainty_sum() -> float:
    r"""Return the least uncertainty sum, :math:`1 + \tfrac12\log(L_{rul} L_{health})`."""
    return float(1 + np.log(SECTION_LOSSES.prod()) / 2)


def search_spreads() -> OptimizeResult:
    """Minimise ``uncertainty_sum`` from the section's spreads; ``x`` holds the log-spreads."""
    return minimize(uncertainty_sum, x0=SECTION_LOG_SIGMAS)


def log_variance_gradients(steepness: float) -> list[float]:
    """Return the gradients on both log-variances for losses that rise with ``steepness``."""
    point = torch.tensor(2.0, requires_grad=True)
    rise = steepness * (point - 2.0)
    method = get_loss("uncertainty")
    method(SECTION_LOSSES[0] + rise, SECTION_LOSSES[1] + rise).backward()
    return [round(float(_gradient(p)), 6) for p in method.parameters()]


def uncertainty_claims() -> dict[str, ClaimValue]:
    """Decide what the section says of learned uncertainty."""
    searched = search_spreads()
    return {
        "n4.3-uncertainty-regulariser": bool(
            np.allclose(np.exp(2 * searched.x), SECTION_LOSSES, rtol=1e-3)
            and np.isclose(searched.fun, lowest_uncertainty_sum())
        ),
        "n4.3-uncertainty-learns-from-gradients": log_variance_gradients(1.0)
        != log_variance_gradients(1000.0),
        "n4.3-uncertainty-kendall-form": None,
        "n4.3-kendall-source": None,
    }


def contribution_claims(sums: pd.DataFrame) -> dict[str, ClaimValue]:
    """Decide which task provides how much of a sum; ``sums`` is what ``sums_table`` returns."""
    terms = sums.set_index("strategy")[["from RUL", "from health"]]
    equal, quarter, inverse = (
        terms.loc[name].to_numpy(float) for name in (_EQUAL, _UNEQUAL, _INVERSE)
    )
    shares = equal / equal.sum()
    loss_ratio = SECTION_LOSSES[0] / SECTION_LOSSES[1]
    return {
        "n4.3-loss-ratio": loss_ratio,
        "n4.3-fixed-equal-rul-contribution": equal[0],
        "n4.3-fixed-equal-health-contribution": equal[1],
        "n4.3-fixed-equal-rul-share": 100 * shares[0],
        "n4.3-fixed-equal-health-share": 100 * shares[1],
        "n4.3-equal-weight-regression-dominates": bool(shares[0] > 0.9),
        "n4.3-equal-weights-unequal-contributions": not np.isclose(*equal),
        "n4.3-fixed-quarter-imbalance": bool(
            not np.isclose(*quarter) and quarter[0] / quarter[1] < loss_ratio
        ),
        "n4.3-inverse-equalises": bool(np.isclose(*inverse)),
        "n4.3-balancing-lambda": SECTION_LOSSES[1] / SECTION_LOSSES.sum(),
    }


def wrong_class_losses(ahead: Floats) -> list[float]:
    """Return the cross-entropy, nats, where a wrong class of three leads by ``ahead`` logits."""
    logits = np.stack([ahead, np.zeros_like(ahead), np.zeros_like(ahead)], axis=1)
    return [float(health_cross_entropy(row[None], np.array([1]))) for row in logits]


def cross_entropy_claims(wrong: Sequence[float]) -> dict[str, ClaimValue]:
    """Decide whether cross-entropy is bounded; ``wrong`` holds losses of wrong answers, nats."""
    return {
        "n4.3-log3": np.log(3),
        "n4.3-ce-bounded": bool(max(wrong) <= np.log(3) + 1e-9),
        "n4.3-ce-bound-against-own-output": None,
    }


def pulls_at_gaba_ratio(weights: Floats) -> Floats:
    """Return the weighted gradient norms, shape ``(2,)``, at the source's ratio of norms."""
    pulls: Floats = weights * np.array([PRINTED_IMBALANCE, 1.0])
    return pulls


def gaba_claims(weights: Floats, seed: int) -> dict[str, ClaimValue]:
    """Decide what the section says of GABA.

    Args:
        weights: the weights that it calls typical, shape ``(2,)``.
        seed: of the thousand pairs of norms on which two forms of the rule are compared.

    """
    norms = torch.tensor(np.random.default_rng(seed).lognormal(size=(1000, 2)))
    at_ratio = torch.tensor([PRINTED_IMBALANCE, 1.0], dtype=torch.float64)
    return {
        "n4.3-gaba-is-inverse-norm": all(
            torch.allclose(complement_weights(pair), inverse_shares(pair)) for pair in norms
        ),
        "n4.3-gaba-inverse-of-500": float(inverse_shares(at_ratio)[0]),
        "n4.3-gaba-balances-perfectly": bool(np.isclose(*pulls_at_gaba_ratio(weights))),
        "n4.3-gaba-weights-and-floor": None,
        "n4.3-amnl-fixed-unequal": None,
    }


def gradient_norms_tell(rul_pull: Tensor, health_pull: Tensor) -> bool:
    """Say whether weighted gradient norms differ by over a tenth, where loss terms are equal."""
    return not torch.isclose(rul_pull, health_pull, rtol=0.1)


def printed_loop(
    lr: float = 1e-3, steps: int = 3, weights: tuple[float, float] = (0.5, 0.5)
) -> PrintedLoop:
    """Run the section's training loop: AdamW on made-up rows, from seed 0.

    Args:
        lr: learning rate.
        steps: how many.
        weights: of the RUL and of the health state.

    """
    with seeded(0):
        network = DualTaskMLP()
        batch = Batch(*(draw() for draw in _DRAWS.values()))
    optimiser = torch.optim.AdamW(network.parameters(), lr=lr)
    method = get_loss("fixed", rul_weight=weights[0], health_weight=weights[1])
    losses_by_step = []
    for _ in range(steps):
        rul_loss, health_loss = batch.losses(network)
        total = method(rul_loss, health_loss)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses_by_step.append([rul_loss.item(), health_loss.item(), total.item()])
    return PrintedLoop(np.array(losses_by_step), total, batch.health)


_DRAWS: Mapping[str, Callable[[], Tensor]] = {
    "x": lambda: torch.randn(BATCH_SIZE, FEATURES),
    "rul": lambda: torch.randn(BATCH_SIZE) * 30 + 60,
    "health": lambda: torch.randint(0, 3, (BATCH_SIZE,)),
}


def percent_falls(losses: Floats) -> Floats:
    """Return by how much losses of shape ``(steps, ...)`` fall from step to step, in per cent."""
    return 100 * (1 - losses[1:] / losses[:-1])


def loop_claims(loop: PrintedLoop, printed: Floats) -> dict[str, ClaimValue]:
    """Decide the printed lines of the loop and what the section says of them.

    Args:
        loop: what ``printed_loop`` returns.
        printed: RUL and health loss and their sum as printed, shape ``(3, 3)``.

    """
    values: dict[str, ClaimValue] = {}
    for step in range(3):
        for column, task in enumerate(("rul", "health", "total")):
            values[f"n4.3-loop-step{step}-{task}"] = loop.losses[step, column]
        values[f"n4.3-loop-step{step}-sum"] = (printed[step, 0] + printed[step, 1]) / 2
    return values | {
        "n4.3-loop-first-drop": percent_falls(loop.losses)[0, 0],
        "n4.3-loop-rul-initial": loop.losses[0, 0],
        "n4.3-loop-health-initial": loop.losses[0, 1],
        "n4.3-loop-share": 100 * (printed[0, 0] / (printed[0, 0] + printed[0, 1])),
        "n4.3-loop-label-type": str(loop.health.dtype),
        "n4.3-loop-requires-grad": loop.last_total.requires_grad,
    }


def falls_against_controls(steps: Sequence[int] = (3, 100, 300, 1000)) -> pd.DataFrame:
    """Return how far each loss falls in the loop, and in a control that trains on it alone.

    Returns:
        One row a number of steps: ``steps``, and in per cent ``RUL, both`` and ``RUL, alone``,
        ``health, both`` and ``health, alone``.

    """
    both, rul_alone, health_alone = (
        printed_loop(steps=max(steps) + 1, weights=weights).losses
        for weights in ((0.5, 0.5), (1.0, 0.0), (0.0, 1.0))
    )
    columns = {
        "RUL, both": both[:, 0],
        "RUL, alone": rul_alone[:, 0],
        "health, both": both[:, 1],
        "health, alone": health_alone[:, 1],
    }
    falls = {name: 100 * (1 - losses[list(steps)] / losses[0]) for name, losses in columns.items()}
    return pd.DataFrame({"steps": steps} | falls)


def control_claims(falls: pd.DataFrame) -> dict[str, ClaimValue]:
    """Decide whether the loop trains the RUL alone; ``falls``: of ``falls_against_controls``."""
    return {"n4.3-loop-only-regression": bool((health_kept(falls) < 0.1).all())}


def health_kept(falls: pd.DataFrame) -> pd.Series:
    """Return the share of its own fall that the health loss keeps beside the RUL, by length."""
    return falls["health, both"] / falls["health, alone"]


def first_losses(seeds: Sequence[int]) -> Floats:
    """Return the losses before the first step for every way to draw what the loop draws.

    For each seed: the six orders of inputs, RUL and health states, and the network made before or
    after them.

    Returns:
        RUL and health loss, shape ``(12 * seeds, 2)``.

    """
    orders = itertools.permutations(_DRAWS)
    return np.array(
        [_first_losses(*way) for way in itertools.product(seeds, orders, (True, False))]
    )


def _first_losses(seed: int, order: Sequence[str], network_first: bool) -> tuple[float, float]:
    with seeded(seed):
        network = DualTaskMLP() if network_first else None
        drawn = {name: _DRAWS[name]() for name in order}
        network = network or DualTaskMLP()
    with torch.no_grad():
        rul_loss, health_loss = Batch(**drawn).losses(network)
    return float(rul_loss), float(health_loss)


def learning_rate_for(percent_fall: float) -> float:
    """Return the learning rate at which the loop's RUL loss falls so in its first step."""
    return float(
        brentq(
            lambda lr: percent_falls(printed_loop(lr).losses[:, 0])[0] - percent_fall,
            0.01,
            1,
            xtol=1e-4,
        )
    )


def loop_gradient_claims(network: nn.Module, batch: Batch) -> dict[str, ClaimValue]:
    """Decide whether gradients add up over calls, and are the weighted sum on the trunk."""
    shared = shared_parameters(network)
    network.zero_grad()
    batch.losses(network)[0].backward()  # type: ignore[no-untyped-call]
    once = _gradient(shared[0]).clone()
    batch.losses(network)[0].backward()  # type: ignore[no-untyped-call]
    twice = _gradient(shared[0]).clone()
    network.zero_grad()
    rul_loss, health_loss = batch.losses(network)
    (0.5 * rul_loss + 0.5 * health_loss).backward()  # type: ignore[no-untyped-call]
    apart = [task_gradients(batch.losses(network)[task], shared) for task in (0, 1)]
    return {
        "n4.3-loop-gradients-accumulate": torch.allclose(twice, 2 * once),
        "n4.3-loop-gradient-is-weighted-sum": all(
            torch.allclose(_gradient(p), 0.5 * rul + 0.5 * health, rtol=1e-4, atol=1e-6)
            for p, rul, health in zip(shared, *apart, strict=True)
        ),
        "n4.3-loop-adamw-decoupled": None,
        "n4.3-loop-universal": None,
        "n4.3-lambda-only-knob": None,
    }


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def target_claims(rul: Floats) -> dict[str, ClaimValue]:
    """Decide the range and the mean of capped training targets, cycles."""
    return {
        "n4.3-target-range": bool(rul.min() == 0 and rul.max() == 125),
        "n4.3-target-mean": rul.mean(),
    }


def listing_claims() -> dict[str, ClaimValue]:
    """Decide how many lines of the two listings lack an explanation, and which it names."""
    first, second = (
        lines - len(explained)
        for lines, explained in zip(_LISTING_LINES, _EXPLAINED_LINES, strict=True)
    )
    return {
        "n4.3-listing1-unexplained-lines": first,
        "n4.3-listing1-line-numbers": _EXPLAINED_LINES[0] == _STANDS_ON[0],
        "n4.3-listing2-unexplained-lines": second,
        "n4.3-listing2-line-numbers": _EXPLAINED_LINES[1] == _STANDS_ON[1],
    }


def _with_worse_points(front: Floats) -> Floats:
    """Return a front and points that it dominates, among which a weight has to find the front."""
    return np.vstack([front, *(front + worse for worse in ([0.1, 0.0], [0.0, 0.1], [0.1, 0.1]))])


def _all_minimisers(points: Floats, rul_weight: float) -> NDArray[np.bool_]:
    """Return which points have the lowest weighted sum, ties included, shape ``(points,)``."""
    sums = points @ np.array([rul_weight, 1 - rul_weight])
    lowest: NDArray[np.bool_] = np.isclose(sums, sums.min())
    return lowest


def frontier_claims(
    fronts: Mapping[str, Floats], chosen: Mapping[str, Sequence[int]], rul_weights: Floats
) -> dict[str, ClaimValue]:
    """Decide what the section says of the frontier.

    Args:
        fronts: pairs of losses, shape ``(points, 2)``, by shape; ``convex`` among them.
        chosen: the rows that ``rul_weights`` select, by shape.
        rul_weights: inner weights of the RUL, shape ``(weights,)``.

    """
    convex = fronts["convex"]
    by_rul = convex[np.argsort(convex[:, 0])]
    slopes = np.abs(np.diff(by_rul[:, 1]) / np.diff(by_rul[:, 0]))
    theta = np.linspace(-1, 1, len(convex))[chosen["convex"]]
    judged = [
        (points, toy.non_dominated(points)) for points in map(_with_worse_points, fronts.values())
    ]
    return {
        "n4.3-sum-pareto": all(
            bool(is_optimal[toy.weighted_sum_minimisers(points, rul_weights)].all())
            for points, is_optimal in judged
        ),
        "n4.3-sum-pareto-at-zero": all(
            bool(is_optimal[_all_minimisers(points, rul_weight)].all())
            for points, is_optimal in judged
            for rul_weight in (0.0, 1.0)
        ),
        "n4.3-tradeoff-curve": bool((np.diff(by_rul[:, 1]) < 0).all()),
        "n4.3-slide-moves-optimum": bool(np.allclose(theta, 2 * rul_weights - 1, atol=0.011)),
        "n4.3-extreme-ends-cost": bool(slopes[0] > 10 and slopes[-1] < 0.1),
    }


def inner_points(chosen: Sequence[int], points: int) -> int:
    """Count the distinct selected rows of a front of ``points`` rows other than its two ends."""
    return len(set(chosen) - {0, points - 1})


def free_weights(tasks: int) -> int:
    """Return the dimension of the set of weights that add up to one."""
    corners = np.eye(tasks)
    return int(np.linalg.matrix_rank(corners[1:] - corners[0]))


def sweep_size_claims(trainings: Mapping[int, int]) -> dict[str, ClaimValue]:
    """Decide how many weights are free and how a grid grows; ``trainings`` by number of tasks."""
    growth = np.diff(np.log(list(trainings.values())))
    return {
        "n4.3-sweep-two-tasks": free_weights(2),
        "n4.3-sweep-five-tasks": free_weights(5),
        "n4.3-sweep-exponential": bool(np.allclose(growth, growth[0]) and growth[0] > 0),
    }


def other_domain_claims() -> dict[str, ClaimValue]:
    """Name the remarks on other fields, which a cited primary source settles, or nothing does."""
    return dict.fromkeys(
        (
            "n4.3-dominant-approach",
            "n4.3-dynamic-beats-static",
            "n4.3-domain-self-driving",
            "n4.3-domain-multimodal",
            "n4.3-domain-speech",
            "n4.3-domain-detection",
            "n4.3-domain-generative",
            "n4.3-domain-rl",
            "n4.3-voices-differ",
            "n4.3-equal-faders",
        )
    )
