"""Weights from the size of the losses themselves: no gradient is looked at."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Literal, get_args

import torch
from torch import Tensor

from rulbook.errors import UsageError, unknown_name
from rulbook.weighting.base import TASKS, LossWeightedLoss
from rulbook.weighting.method import WeightingMethod
from rulbook.weighting.options import checked_option, checked_switch


def inverse_shares(values: Tensor) -> Tensor:
    """Return ``(1/v_k) / sum_j (1/v_j)`` for ``values`` (K,), non-negative; the result sums to 1.

    Entries that are zero share the whole weight among themselves, which is the limit; with all
    entries zero the result is therefore 1/K each. Exact at any common scale of the values.
    """
    smallest = values.min()
    is_zero = values == 0
    # No zero in the branch that is not taken: its derivative would be NaN in both.
    inverse = torch.where(is_zero, (smallest == 0).to(values), smallest / values.where(~is_zero, 1))
    return inverse / inverse.sum()


def normalising_weights(magnitudes: Tensor) -> Tensor:
    """Return ``1/(K m_k)`` for ``magnitudes`` (K,), non-negative, and 0 where one is zero.

    A loss that rounds to zero may still have a gradient, as a cross-entropy has at a wide margin,
    and a weight without bound would blow it up. A magnitude below the smallest normal number counts
    as that one, so that its weight is finite.
    """
    least = torch.finfo(magnitudes.dtype).tiny
    return torch.where(magnitudes == 0, 0.0, 1 / len(magnitudes) / magnitudes.clamp_min(least))


class InverseMagnitudeLoss(LossWeightedLoss):
    r"""Weights inversely proportional to the losses (§4.3, third strategy).

    .. math:: \lambda_k = \frac{1/L_k}{\sum_j 1/L_j}, \qquad
              L = \sum_k \lambda_k L_k = \frac{K}{\sum_j 1/L_j}

    The weights sum to 1 and make both terms equal in value, not in gradient. The source's NumPy
    listing does not say whether the weights carry a gradient; by default they are measured
    (``detach=True``), and with ``detach=False`` the gradient is that of the harmonic mean. A loss
    of zero takes the whole weight, so that a batch without labels of one task trains nothing.

    >>> method = InverseMagnitudeLoss()
    >>> method(torch.tensor(300.0), torch.tensor(100.0))
    tensor(150.)
    >>> method.get_weights()
    {'rul_weight': 0.25, 'health_weight': 0.75}
    """

    needs_positive_losses = True

    def __init__(self, *, detach: bool = True, tasks: Sequence[str] = TASKS) -> None:
        super().__init__(tasks)
        self.detach = checked_switch("Inverse magnitude", "detach", detach)

    def combine(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the weighted sum, 0-dim."""
        stacked = torch.stack(list(losses))
        weights = inverse_shares(stacked.detach() if self.detach else stacked)
        self._keep(weights)
        return (weights * stacked).sum()

    def get_name(self) -> str:
        """Return ``InverseMagnitude``, marked where the weights carry a gradient."""
        return "InverseMagnitude" if self.detach else "InverseMagnitude(attached)"


PRINTED_FLOORS = MappingProxyType({"rul": 1.0, "health": 0.1})
"""The floors of §24.1's ``AMNLFixedLoss``: cycles² and nats."""


class AMNLFixedLoss(LossWeightedLoss):
    r"""Equal weights after dividing each loss by its own magnitude (§24.1, ``AMNLFixedLoss``).

    .. math:: L = \tfrac12 \frac{L_{rul}}{\max(\bar L_{rul}, s_{rul})}
                + \tfrac12 \frac{L_{health}}{\max(\bar L_{health}, s_{health})}

    with :math:`\bar L` the loss of the same batch, detached. The source prints the floors
    ``s_rul = 1.0`` (cycles²) and ``s_health = 0.1`` (nats) and the intent, but its formula is
    missing from the text; this is our reading of it. Above the floors the value is always 1 and
    the gradient is half the sum of the gradients of the two log-losses. At K tasks each part has
    the share 1/K.

    Args:
        s_rul: floor of the task ``rul``.
        s_health: floor of the task ``health``.
        floors: floors of tasks under other names, or in place of these two. A task without one has
            none, and its loss of zero or below contributes nothing, neither value nor gradient.
        tasks: names of the tasks.

    >>> AMNLFixedLoss()(torch.tensor(300.0), torch.tensor(0.05))
    tensor(0.7500)
    """

    def __init__(
        self,
        s_rul: float = PRINTED_FLOORS["rul"],
        s_health: float = PRINTED_FLOORS["health"],
        *,
        floors: Mapping[str, float] | None = None,
        tasks: Sequence[str] = TASKS,
    ) -> None:
        super().__init__(tasks)
        self.s_rul = checked_option("AMNL-fixed", "s_rul", s_rul, least=0)
        self.s_health = checked_option("AMNL-fixed", "s_health", s_health, least=0)
        own = {"rul": self.s_rul, "health": self.s_health}
        for task, floor in own.items():
            if task not in self.tasks and floor != PRINTED_FLOORS[task]:
                raise UsageError(
                    f"AMNL-fixed has no task {task} for s_{task}: name the floors of its tasks, "
                    f"floors={{'{self.tasks[0]}': {floor:g}}}."
                )
        floors = {} if floors is None else floors
        if not isinstance(floors, Mapping):
            raise UsageError(f"AMNL-fixed takes a mapping from tasks for floors, not {floors!r}.")
        unknown = set(floors) - set(self.tasks)
        if unknown:
            raise UsageError(
                f"AMNL-fixed was given floors for {', '.join(sorted(map(str, unknown)))}; its "
                f"tasks are {', '.join(self.tasks)}."
            )
        given = {**own, **floors}
        self.floors = tuple(
            checked_option("AMNL-fixed", f"the floor of {task}", given.get(task, 0.0), least=0)
            for task in self.tasks
        )

    def combine(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the normalised sum, 0-dim and dimensionless."""
        stacked = torch.stack(list(losses))
        floors = stacked.new_tensor(self.floors)
        weights = normalising_weights(torch.maximum(stacked.detach(), floors))
        self._keep(weights)
        return (weights * stacked).sum()

    def get_name(self) -> str:
        """Return the name with its two floors."""
        return f"AMNLFixed(s={'/'.join(f'{floor:g}' for floor in self.floors)})"


Normaliser = Literal["batch", "ema"]


class LegacyAMNLLoss(LossWeightedLoss):
    r"""The legacy edition's normaliser: equal weights over running magnitudes.

    .. math:: L = \tfrac12 \frac{L_{rul}}{\mu_{rul}} + \tfrac12 \frac{L_{health}}{\mu_{health}}

    Its two sections disagree about :math:`\mu`. ``normaliser="batch"`` (§10.2, default) takes the
    loss of the current batch, detached, so that the value is always 1. ``normaliser="ema"``
    (§10.6) takes the exponential moving average with ``beta = 0.99``, divided by
    :math:`1-\beta^t` so that its start at zero does not bias it; the current batch enters before
    it is used. Neither has a floor; a loss of exactly zero contributes nothing, neither value
    nor gradient, and enters the average like any other.

    At K tasks each part has the share 1/K.

    State: ``ema_losses`` (K,) and ``step_count``, buffers of the ``"ema"`` form. They move in
    training mode only; before the first step of training the losses are divided by themselves.

    >>> LegacyAMNLLoss()(torch.tensor(300.0), torch.tensor(0.05))
    tensor(1.)
    """

    needs_positive_losses = True

    ema_losses: Tensor
    step_count: Tensor

    def __init__(
        self,
        normaliser: Normaliser = "batch",
        beta: float = 0.99,
        *,
        tasks: Sequence[str] = TASKS,
    ) -> None:
        super().__init__(tasks)
        if normaliser not in get_args(Normaliser):
            raise unknown_name("AMNL normaliser", normaliser, get_args(Normaliser))
        self.normaliser = normaliser
        self.beta = checked_option("AMNL", "beta", beta, least=1e-9, most=1 - 1e-9)
        if normaliser == "ema":
            self.register_buffer("ema_losses", torch.zeros(len(self.tasks)))
            self.register_buffer("step_count", torch.zeros((), dtype=torch.long))

    def combine(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the normalised sum, 0-dim and dimensionless."""
        stacked = torch.stack(list(losses))
        weights = normalising_weights(self._magnitudes(stacked.detach()))
        self._keep(weights)
        return (weights * stacked).sum()

    def get_name(self) -> str:
        """Return the name with the form of its normaliser."""
        return f"LegacyAMNL({self.normaliser})"

    def _magnitudes(self, losses: Tensor) -> Tensor:
        if self.normaliser == "batch":
            return losses
        if self.training:
            # A batch with a NaN is none: one would stay in the average for good.
            values = losses.to(self.ema_losses)
            is_step = torch.isfinite(values).all()
            moved = self.ema_losses.lerp(values, 1 - self.beta)
            self.ema_losses.copy_(moved.where(is_step, self.ema_losses))
            self.step_count += is_step
        # 1 - beta^t without cancellation, in the precision of the average.
        steps = self.step_count.to(self.ema_losses)
        averages = self.ema_losses / -torch.expm1(steps * math.log(self.beta))
        averages = averages.where(steps > 0, losses.to(averages))
        # An average over many zeros is so small that its weight would blow up what rounding leaves.
        return averages.where(losses != 0, 0.0)


_from_losses = partial(WeightingMethod, needs="losses")

INVERSE_MAGNITUDE = _from_losses(
    title="Inverse magnitude",
    build=InverseMagnitudeLoss,
    formula=r"\lambda_k = \frac{1/L_k}{\sum_j 1/L_j}",
    source="§4.3",
    weight_sum="1",
)

AMNL_FIXED = _from_losses(
    title="AMNL-fixed",
    build=AMNLFixedLoss,
    formula=r"\lambda_k = \frac{1/2}{\max(L_k, s_k)}",
    source="§24.1",
    weight_sum="any",
)

AMNL_LEGACY = _from_losses(
    title="AMNL normaliser (legacy, batch)",
    build=LegacyAMNLLoss,
    formula=r"\lambda_k = \frac{1/2}{L_k}",
    source="legacy §10.2",
    weight_sum="any",
)

AMNL_LEGACY_EMA = _from_losses(
    title="AMNL normaliser (legacy, running average)",
    build=partial(LegacyAMNLLoss, "ema"),
    formula=r"\lambda_k = \frac{1/2}{\mathrm{EMA}(L_k)}",
    source="legacy §10.6",
    state="averages of the losses, step count",
    weight_sum="any",
)
