"""What section 24.1 says about a fixed weighting, tried out: sums, losses, classes, learning rates.

The small networks are those of ``rulbook.experiments.ensemble``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from rulbook.data.prepare import Prepared, Windows, health_state
from rulbook.errors import UsageError
from rulbook.experiments.batches import Batch
from rulbook.experiments.ensemble import (
    EQUAL_WEIGHTS,
    STEPS,
    UpdateRule,
    Weights,
    train_networks,
)
from rulbook.experiments.weight_trade_off import gradient_course
from rulbook.gradients import task_gradients
from rulbook.losses import rul_mse
from rulbook.models import DualTaskMLP, shared_parameters
from rulbook.typing import Floats, Integers
from rulbook.weighting.base import BaseMTLLoss
from rulbook.weighting.fixed import FixedWeightLoss
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING
from rulbook.weighting.magnitude import AMNLFixedLoss
from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss

LARGER_WEIGHTS: Weights = (0.7, 0.7)
"""The section's weights that do not sum to one."""

DIVERGENCE_STEPS = (STEPS // 4, STEPS // 2, STEPS)
"""Lengths of the trainings by plain SGD that may diverge, in steps."""

RULES: Mapping[str, UpdateRule] = MappingProxyType(
    {
        "SGD": UpdateRule("sgd", 1e-3, weight_decay=0.0),
        "SGD, clipped at 1, decay 0.0001": UpdateRule("sgd", 1e-3, clip_norm=1.0),
        "Adam": UpdateRule("adam", 1e-3, weight_decay=0.0),
        "AdamW, decay 0.0001": UpdateRule("adamw", 1e-3),
    }
)
"""The update rules under which the larger weights are compared with a larger learning rate."""


# Sums of two losses -------------------------------------------------------------------------


def lies_between(combined: Floats, first: Floats, second: Floats) -> bool:
    """Return whether every value lies between the two others, up to rounding."""
    lower = np.minimum(first, second) * (1 - 1e-12)
    upper = np.maximum(first, second) * (1 + 1e-12)
    return bool(((lower <= combined) & (combined <= upper)).all())


def flat_gradient(loss: Tensor, network: nn.Module) -> Tensor:
    """Return the gradient of a loss by all parameters of a network, (parameters,)."""
    parts = task_gradients(loss, list(network.parameters()), retain_graph=True)
    return torch.cat([part.flatten() for part in parts])


def same_direction(first: Tensor, second: Tensor) -> bool:
    """Return whether two vectors point the same way, up to rounding in double precision."""
    return bool(nn.functional.cosine_similarity(first, second, dim=0) > 1 - 1e-12)


# The two losses of the first listing --------------------------------------------------------


def signed(residuals: Floats) -> str:
    """Return residuals as the section prints them, ``+5, −5, +7``."""
    return ", ".join(f"{'−' if one < 0 else '+'}{abs(one):.0f}" for one in residuals)


_FLOOR = 1e-12
"""What the listing adds inside the logarithm."""


def cross_entropy_with_floor(logits: Floats, target: Integers) -> float:
    """Return the mean cross-entropy as the section's listing computes it, in NumPy, nats."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = exponentials / exponentials.sum(axis=1, keepdims=True)
    return float(-np.log(shares[np.arange(len(target)), target] + _FLOOR).mean())


def agrees_with_torch(logits: Floats, target: Integers) -> bool:
    """Return whether the listing's cross-entropy is PyTorch's, but for its floor."""
    by_torch = nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(target))
    return abs(float(by_torch) - cross_entropy_with_floor(logits, target)) < 1e3 * _FLOOR


def softmax_needs_the_maximum() -> bool:
    """Return whether a plain softmax of a large logit fails, and our cross-entropy does not."""
    logits = np.array([[2000.0, 0.0, 0.0]])
    with np.errstate(over="ignore", invalid="ignore"):
        plain = np.exp(logits) / np.exp(logits).sum()
    shifted = cross_entropy_with_floor(logits, np.array([1]))
    return bool(np.isnan(plain).any() and np.isfinite(shifted))


def logarithm_needs_a_floor() -> bool:
    """Return whether minus the logarithm of zero is infinite, and that of 1e-12 finite."""
    with np.errstate(divide="ignore"):
        return bool(np.isinf(-np.log(0.0)) and np.isfinite(-np.log(1e-12)))


def cross_entropy_when_certain() -> float:
    """Return the cross-entropy of a prediction that is certain and right, nats."""
    return abs(cross_entropy_with_floor(np.array([[2000.0, 0.0, 0.0]]), np.array([0])))


def cross_entropy_in_bits(logits: Floats, target: Integers) -> float:
    """Return the mean cross-entropy with the binary logarithm."""
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return float(-np.log2(shares[np.arange(len(target)), target]).mean())


def first_listing_claims(
    predicted: Floats, rul: Floats, logits: Floats, health: Integers
) -> dict[str, object]:
    """Return what section 24.1 says of the two losses of its first listing, by claim id.

    Args:
        predicted: predicted RUL, cycles, (n,).
        rul: true RUL, cycles, (n,).
        logits: of the health states, (n, 3).
        health: true health states, (n,).

    """
    residuals = predicted - rul
    rul_loss = rul_mse(predicted, rul)
    doubled = rul_mse(2 * predicted, 2 * rul)
    health_loss = cross_entropy_with_floor(logits, health)
    return {
        "n24.1-residuals": signed(residuals),
        "n24.1-late-bias": bool(residuals.mean() > 0),
        "n24.1-health-targets": bool((health_state(rul) == health).all()),
        "n24.1-rul-loss": rul_loss,
        "n24.1-health-loss": health_loss,
        "n24.1-cross-entropy-as-torch": agrees_with_torch(logits, health),
        "n24.1-log-sum-exp": softmax_needs_the_maximum(),
        "n24.1-cross-entropy-floor": logarithm_needs_a_floor(),
        "n24.1-perfect-is-zero": cross_entropy_when_certain(),
        "n24.1-units-cycles": bool(np.isclose(doubled, 2**2 * rul_loss)),
        "n24.1-losses-on-one-scale": are_on_one_scale(float(rul_loss), float(health_loss)),
    }


def are_on_one_scale(loss: float, other: float) -> bool:
    """Return whether the larger of two losses is at most ten times the smaller."""
    return max(loss, other) <= 10 * min(loss, other)


def size_claims(health_loss: float, in_bits: float, totals: pd.Series) -> dict[str, object]:
    """Return what section 24.1 says of the size of its losses and of their sums, by claim id.

    Args:
        health_loss: nats.
        in_bits: the health loss with the binary logarithm.
        totals: weighted sums by rising RUL weight, the first of them at 0.5, (weights,).

    """
    at_half = totals.iloc[0]
    return {
        "n24.1-units-bits": bool(np.isclose(health_loss, in_bits)),
        "n24.1-equal-contribution-against-4-3": None,
        "n24.1-larger-lambda-larger-total": totals.is_monotonic_increasing,
        "n24.1-total-largest-at-half": bool(at_half == totals.max()),
        "n24.1-total-lowest-at-half": bool(at_half == totals.min()),
        "n24.1-total-largest-and-lowest": None,
        "n24.1-two-minima": None,
        "n24.1-validation-errors": None,
    }


def split_evens_out(pixels: Floats, weights: Weights = (0.8, 0.2)) -> bool:
    """Return whether a split brings a pixel loss nearer to a class loss than it was.

    Args:
        pixels: how many times as large the pixel loss is, (n,).
        weights: of the pixel loss and of the class loss.

    """
    before, after = np.log(pixels), np.log(weights[0] * pixels / weights[1])
    return bool((abs(after) < abs(before)).all())


# The class ----------------------------------------------------------------------------------

INTERFACE = ("forward", "get_weights", "get_name")
"""The methods that section 24.1 counts."""


def weights_in_words(name: str) -> str:
    """Return the weights of a registered method as the section writes them, ``0.5/0.5``."""
    return "/".join(f"{weight:g}" for weight in get_loss(name).get_weights().values())


def every_method_has_the_interface() -> bool:
    """Return whether every registered method has what ``INTERFACE`` names."""
    return all(
        callable(getattr(get_loss(name), part)) for name in WEIGHTING_METHODS for part in INTERFACE
    )


def weights_are_plain_floats(loss: BaseMTLLoss) -> bool:
    """Return whether a weighting's weights are Python floats and none of its parameters."""
    return not list(loss.parameters()) and all(
        type(weight) is float for weight in loss.get_weights().values()
    )


def is_alias_of(name: str, loss: BaseMTLLoss) -> bool:
    """Return whether a registered name makes a weighting of the same class and weights."""
    alias = get_loss(name)
    return type(alias) is type(loss) and alias.get_weights() == loss.get_weights()


def weights_can_be_logged(loss: BaseMTLLoss) -> bool:
    """Return whether a weighting's weights survive JSON and have the keys that GABA's have."""
    weights = loss.get_weights()
    return bool(
        json.loads(json.dumps(weights)) == weights
        and weights.keys() == get_loss("gaba").get_weights().keys()
    )


def class_claims(loss: FixedWeightLoss, rul_loss: Tensor, health_loss: Tensor) -> dict[str, object]:
    """Return what section 24.1 says of its class for fixed weights, by claim id.

    Args:
        loss: with equal weights.
        rul_loss: a leaf, 0-dim, after ``loss(rul_loss, health_loss).backward()``.
        health_loss: the other leaf, 0-dim.

    """
    total = loss(rul_loss, health_loss)
    return {
        "n24.1-gradient-rul": rul_loss.grad,
        "n24.1-gradient-health": health_loss.grad,
        "n24.1-name": loss.get_name(),
        "n24.1-default-weights": weights_in_words("fixed"),
        "n24.1-alias-050": is_alias_of(EQUAL_WEIGHTING, loss),
        "n24.1-alias-075": weights_in_words("fixed_075"),
        "n24.1-weights-not-parameters": weights_are_plain_floats(loss),
        "n24.1-weights-not-in-state": not loss.state_dict(),
        "n24.1-no-learnable-parameters": sum(p.numel() for p in loss.parameters()),
        "n24.1-three-methods": len(vars(type(loss)).keys() & set(INTERFACE)),
        "n24.1-abstract-methods": every_method_has_the_interface(),
        "n24.1-kwargs-accepted": bool(loss(rul_loss, health_loss, shared_params=[]) == total),
        "n24.1-weights-in-get-weights": weights_can_be_logged(loss),
        "n24.1-sum-not-enforced": sum(FixedWeightLoss(0.7, 0.7).get_weights().values()) != 1,
    }


def gaba_weights_by_batch(
    network: DualTaskMLP, batch: Batch, seed: int, batches: int = 5
) -> list[dict[str, float]]:
    """Return GABA's weights, without warm-up, after each of several batches of other inputs."""
    generator = torch.Generator().manual_seed(seed)
    gaba = get_loss("gaba", warmup_steps=0)
    weights = []
    for _ in range(batches):
        x = torch.randn(batch.x.shape, dtype=batch.x.dtype, generator=generator)
        gaba(*batch._replace(x=x).losses(network), shared_params=shared_parameters(network))
        weights.append(gaba.get_weights())
    return weights


def learned_weight(
    rul_loss: float, health_loss: float, rate: float = 1e-3, steps: int = 100
) -> Floats:
    """Return a RUL weight that is trained by plain SGD on the sum of two given losses, (steps,).

    It starts at 0.5; the health weight stays there.
    """
    weight = nn.Parameter(torch.tensor(0.5))
    optimiser = torch.optim.SGD([weight], lr=rate)
    path = []
    for _ in range(steps):
        optimiser.zero_grad()
        torch.autograd.backward(weight * rul_loss + 0.5 * health_loss)
        optimiser.step()
        path.append(weight.item())
    return np.array(path)


class _Unfinished(nn.Module):
    """The base class as the section lists it: a body of three dots."""

    def forward(self, rul_loss: Tensor, health_loss: Tensor) -> None: ...


def body_of_dots_is_abstract() -> bool:
    """Return whether a class whose method has a body of three dots cannot be built and called."""
    return _fails(lambda: _Unfinished()(torch.tensor(1.0), torch.tensor(1.0)))


def super_init_is_needed() -> bool:
    """Return whether a module whose initialiser never ran cannot be moved or saved."""
    bare = FixedWeightLoss.__new__(FixedWeightLoss)
    return _fails(lambda: bare.to("cpu")) and _fails(bare.state_dict)


def hooks_run_on_call_alone() -> bool:
    """Return whether a forward hook runs when a module is called, and not on ``forward``."""
    loss, calls = FixedWeightLoss(), []
    loss.register_forward_hook(lambda *_: calls.append("hook"))
    loss.forward(torch.tensor(1.0), torch.tensor(1.0))
    after_forward = len(calls)
    loss(torch.tensor(1.0), torch.tensor(1.0))
    return after_forward == 0 and len(calls) == 1


def item_needs_0_dim() -> bool:
    """Return whether ``item`` refuses a tensor of one element that is not 0-dim."""
    return _fails(torch.ones(1, 1).item)


def normalised_terms(losses: Sequence[tuple[float, float]]) -> pd.DataFrame:
    """Return both terms and the value of AMNL-fixed for pairs of losses.

    Returns:
        One row a pair: ``L_rul`` (cycles²), ``L_health`` (nats), ``RUL term``, ``health term`` and
        their sum ``L``.

    """
    normalised = AMNLFixedLoss()
    rows = []
    for rul_loss, health_loss in torch.tensor(losses, dtype=torch.float64):
        value = normalised(rul_loss, health_loss)
        rul_weight, health_weight = normalised.get_weights().values()
        row = (rul_loss, health_loss, rul_weight * rul_loss, health_weight * health_loss, value)
        rows.append([*map(float, row)])
    return pd.DataFrame(rows, columns=["L_rul", "L_health", "RUL term", "health term", "L"])


def amnl_fixed_rul_weight() -> float:
    """Return the RUL weight of AMNL-fixed before its loss is divided: that below its floor."""
    normalised = AMNLFixedLoss()
    normalised(torch.tensor(0.0), torch.tensor(0.0))
    return normalised.get_weights()["rul_weight"] * normalised.s_rul


# Weights that do not sum to one -------------------------------------------------------------


def end_points(
    train: Windows,
    weights: Sequence[Weights],
    rule: UpdateRule,
    seeds: Sequence[int],
    steps: int = 100,
) -> Floats:
    """Return all parameters after a training of the small networks, (seeds, weights, numbers)."""
    return train_networks(train, weights, seeds, steps=steps, rule=rule).flat()


def distances_of_ends(
    train: Windows, rules: Mapping[str, UpdateRule], seeds: Sequence[int]
) -> pd.DataFrame:
    """Return how far (0.7, 0.7) ends from (0.5, 0.5), and from it at 1.4 times the rate.

    Returns:
        One row a rule: ``update rule``; mean and largest over the seeds of the distance to the end
        of the larger rate, ``from 1.4× the rate`` and ``from 1.4× the rate, at most``, and to the
        end of (0.5, 0.5), likewise, in units of the way that the latter has come.

    """
    start = train_networks(train, [EQUAL_WEIGHTS], seeds, steps=0).flat()[:, 0]
    rows = []
    for name, rule in rules.items():
        both = end_points(train, [LARGER_WEIGHTS, EQUAL_WEIGHTS], rule, seeds)
        larger_loss, reference = both[:, 0], both[:, 1]
        faster = rule.with_rate(LARGER_WEIGHTS[0] / EQUAL_WEIGHTS[0] * rule.learning_rate)
        larger_rate = end_points(train, [EQUAL_WEIGHTS], faster, seeds)[:, 0]
        way = np.linalg.norm(reference - start, axis=-1)
        from_rate, from_reference = (
            np.linalg.norm(larger_loss - other, axis=-1) / way for other in (larger_rate, reference)
        )
        rows.append(
            {
                "update rule": name,
                "from 1.4× the rate": from_rate.mean(),
                "from 1.4× the rate, at most": from_rate.max(),
                "from (0.5, 0.5)": from_reference.mean(),
                "from (0.5, 0.5), at most": from_reference.max(),
            }
        )
    return pd.DataFrame(rows)


def is_larger_rate(distances: pd.DataFrame, rule: str) -> bool:
    """Return whether under a rule (0.7, 0.7) ends where 1.4 times the learning rate does."""
    of_rule = distances["update rule"] == rule
    (at_most,) = distances.loc[of_rule, "from 1.4× the rate, at most"]
    return bool(at_most < 1e-4)


def distance_by_factor(
    train: Windows, rule: UpdateRule, factors: Sequence[float], seeds: Sequence[int]
) -> Floats:
    """Return how far trainings end from the first one if their equal weights have a factor.

    Returns:
        One value a factor: the mean over seeds, in units of the way of the first, (factors,).

    """
    weights = [(0.5 * factor, 0.5 * factor) for factor in factors]
    start = end_points(train, weights, rule, seeds, steps=0)
    ends = end_points(train, weights, rule, seeds)
    way = np.linalg.norm(ends[:, 0] - start[:, 0], axis=-1)
    distances = np.linalg.norm(ends - ends[:, :1], axis=-1) / way[:, None]
    means: Floats = distances.mean(axis=0)
    return means


@dataclass(frozen=True)
class Divergence:
    """How many runs of plain SGD stay finite, by learning rate.

    Attributes:
        rates: learning rates, rising, (rates,).
        finite: share of the runs that stay finite, (2, rates): with (0.5, 0.5), with (0.7, 0.7).
        best: index of the rate at which (0.5, 0.5) has its lowest validation error.

    """

    rates: Floats
    finite: Floats
    best: int

    @property
    def limit(self) -> float:
        """The largest rate at which every (0.5, 0.5) run stays finite."""
        return float(self.rates[self.finite[0] == 1].max())

    @property
    def best_rate(self) -> float:
        """The rate at which (0.5, 0.5) has its lowest validation error."""
        return float(self.rates[self.best])

    @property
    def percent_diverged(self) -> float:
        """How many (0.7, 0.7) runs diverge over the decade of rates below the limit.

        Raises:
            UsageError: the rates do not reach down that decade.

        """
        if self.rates[0] > self.limit / 10:
            raise UsageError(
                f"The rates start at {self.rates[0]:g}, within the decade below the largest stable "
                f"one, {self.limit:g}: start them lower."
            )
        decade = (self.rates <= self.limit) & (self.rates > self.limit / 10)
        return float(100 * (1 - self.finite[1][decade].mean()))

    @property
    def percent_diverged_at_best(self) -> float:
        """How many (0.7, 0.7) runs diverge at the best rate of (0.5, 0.5)."""
        return float(100 * (1 - self.finite[1, self.best]))


def divergence(prepared: Prepared, seeds: Sequence[int], rates: Floats, steps: int) -> Divergence:
    """Train by plain SGD at every rate with (0.5, 0.5) and with (0.7, 0.7), all at once.

    Under SGD only the product of rate and weight counts, so that the rate can go into the weights.
    """
    products = [
        (weight * rate, weight * rate)
        for weight in (EQUAL_WEIGHTS[0], LARGER_WEIGHTS[0])
        for rate in rates
    ]
    unit_rate = UpdateRule("sgd", 1.0, weight_decay=0.0)
    trained = train_networks(prepared.train, products, seeds, steps=steps, rule=unit_rate)
    shape = (len(seeds), 2, len(rates))
    finite = np.isfinite(trained.flat()).all(axis=-1).reshape(shape).mean(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        errors = np.sqrt(trained.losses(prepared.validation).rul.astype(float))
    errors = np.nan_to_num(errors, nan=np.inf).reshape(shape)
    return Divergence(rates, finite, int(errors.mean(axis=0)[0].argmin()))


def diverged_by_adamw(
    train: Windows, seeds: Sequence[int], rates: Sequence[float] = (1e-3, 1e-2, 1e-1)
) -> tuple[int, int]:
    """Return how many runs of AdamW diverge, and of how many: both weights at each of the rates."""
    ends = [
        end_points(train, [EQUAL_WEIGHTS, LARGER_WEIGHTS], UpdateRule("adamw", rate), seeds)
        for rate in rates
    ]
    diverged = sum(int((~np.isfinite(one)).any(axis=-1).sum()) for one in ends)
    return diverged, sum(one[..., 0].size for one in ends)


# The health task's share of the gradient ----------------------------------------------------


def health_shares(
    train: Windows, seeds: Sequence[int], rul_weights: Sequence[float]
) -> pd.DataFrame:
    """Return the health task's share of the gradient on the trunk, before and after training.

    The small networks are trained with equal weights; the share is that of the two weighted norms,
    at the median ratio over the seeds.

    Returns:
        One row a RUL weight: ``λ``, and in percent ``its weight`` (the health weight), ``share at
        the start`` and ``share at the end``.

    """
    course = gradient_course(train, [EQUAL_WEIGHTS], seeds)
    course["ratio"] = course["norm_rul"] / course["norm_health"]
    ratio_at = course.groupby("step")["ratio"].median()
    shares = pd.DataFrame({"λ": rul_weights})
    health_weight = 1 - shares["λ"]
    shares["its weight"] = 100 * health_weight
    for moment, ratio in (("start", ratio_at.iloc[0]), ("end", ratio_at.iloc[-1])):
        total = shares["λ"] * ratio + health_weight
        shares[f"share at the {moment}"] = 100 * health_weight / total
    return shares


def is_about_ten_percent(shares: pd.Series) -> bool:
    """Return whether a row of ``health_shares`` has about a tenth of the gradient throughout."""
    return _is_about(shares, 10)


def is_less_than_a_tenth(shares: pd.Series) -> bool:
    """Return whether a row of ``health_shares`` is below a tenth of the gradient throughout."""
    return bool((shares.filter(like="share") < 10).all())


def is_equal_contribution(shares: pd.Series) -> bool:
    """Return whether a row of ``health_shares`` has about half of the gradient throughout."""
    return _is_about(shares, 50)


def _is_about(shares: pd.Series, percent: float) -> bool:
    """Return whether every share of a row is less than five points from ``percent``."""
    measured = shares.filter(like="share")
    return bool(((measured > percent - 5) & (measured < percent + 5)).all())


def _fails(action: Callable[[], object]) -> bool:
    with suppress(Exception):
        action()
        return False
    return True
