"""GABA: weights from inverse gradient norms, smoothed and floored (§17.1, §18.1-18.5)."""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from rulbook.errors import UsageError
from rulbook.weighting.base import TASKS, GradientWeightedLoss, MeasuredStep
from rulbook.weighting.method import WeightingMethod
from rulbook.weighting.options import checked_count, checked_option


def complement_weights(norms: Tensor) -> Tensor:
    r"""Return GABA's K-task weights :math:`(S - g_k) / ((K-1) S)`, (K,), summing to 1 (§17.1).

    ``norms`` (K,) are the non-negative gradient norms :math:`g_k`, :math:`S` their sum. At K = 2
    this is :math:`g_j / (g_i + g_j)`, where both weighted norms become equal; for K > 2 they do
    not, only ``inverse_shares`` does that (§13.4 prints that form under the same name). One zero
    norm among two gives its task the whole weight, as the formula says; with all norms zero there
    is nothing to balance and every weight is 1/K.
    """
    tasks = len(norms)
    # The sum of the others, not S - g_k: no digits are lost when one norm dwarfs the rest.
    # Element by element: under autocast a caller's matrix product would be in half precision.
    others = (norms.new_ones(tasks, tasks).fill_diagonal_(0) * norms).sum(1)
    total = others.sum()
    return torch.where(total == 0, 1 / tasks, others / total)


def floored(weights: Tensor, min_weight: float) -> Tensor:
    """Return ``max(weights, min_weight)`` divided by its sum once, (K,) (§18.3, equation 6).

    The division comes after the floor, so that a floored weight ends slightly below
    ``min_weight``: at two tasks not below ``min_weight / (1 + min_weight)``.
    """
    raised = weights.clamp_min(min_weight)
    return raised / raised.sum()


def floor_binding_step(ratio: float, *, beta: float = 0.99, min_weight: float = 0.05) -> int | None:
    r"""Return the step after warm-up at which GABA's floor first binds, or ``None`` if never.

    Let the gradient ratio :math:`\rho = g_{rul}/g_{health} > 1` be constant. The closed form gives
    :math:`\lambda = 1/(1+\rho)` for the larger gradient at every step, and the average starts at
    1/2 and has not moved during warm-up. After :math:`n` steps of
    :math:`\hat\lambda \leftarrow \beta\hat\lambda + (1-\beta)\lambda` it is

    .. math:: \hat\lambda_n = \lambda + (\tfrac12 - \lambda)\,\beta^n .

    The floor :math:`m` binds when :math:`\hat\lambda_n < m`, that is

    .. math:: \beta^n < \frac{m - \lambda}{\tfrac12 - \lambda}
              \iff n > \log\frac{m-\lambda}{\tfrac12-\lambda} \Big/ \log\beta ,

    which has a solution only where :math:`\lambda < m`, that is :math:`\rho > 1/m - 1` (19 for
    m = 0.05). From then on both averages keep moving but the weights are
    :math:`m/(m + 1 - \hat\lambda)` and its complement, which can only drift from
    :math:`m` to :math:`m/(m+1-\lambda)`: 0.0500 to 0.0477 at a ratio of 500.

    Args:
        ratio: the larger gradient norm over the smaller one, at least 1.
        beta: decay of the average, in (0, 1).
        min_weight: the floor, below 1/2.

    """
    closed_form = 1 / (1 + ratio)
    if closed_form >= min_weight:
        return None
    crossing = math.log((min_weight - closed_form) / (0.5 - closed_form)) / math.log(beta)
    return math.floor(crossing) + 1


class GABALoss(GradientWeightedLoss):
    r"""Balance the tasks by their gradient norms on the shared parameters (§17.1, §18.1-18.5).

    Every step, on the mini-batch of that step, with :math:`g_k` the L2 norm of the gradient of the
    loss over all shared parameters, before any weight of this method:

    1. :math:`\lambda_k = (S - g_k)/((K-1)S)`, at two tasks :math:`g_j/(g_i+g_j)`;
    2. :math:`\hat\lambda \leftarrow \beta\hat\lambda + (1-\beta)\lambda` (on the weights, not on
       the norms);
    3. :math:`\lambda^* = \max(\hat\lambda, m) / \sum_j \max(\hat\lambda_j, m)`;
    4. the first ``warmup_steps`` steps use 1/K instead.

    The weights sum to 1; heads are weighted like the trunk, since this is a weighted sum of losses.
    The weights carry no gradient.

    Not in the source, chosen here: the average starts at 1/K; it does not move during warm-up
    (the printed first-epoch weight of §22.4 fits that reading); where both gradients are zero,
    step 1 gives 1/K. One zero gradient is no special case: the formula gives that task all the
    weight, so that a dead RUL head starves the health task down to the floor.

    Args:
        beta: decay of the average, 0.99; ``None`` or 0 switches smoothing off.
        warmup_steps: 100; ``None`` or 0 switches warm-up off.
        min_weight: floor, 0.05; ``None`` or 0 switches it off. At two tasks, without all three,
            the trunk's update direction is that of IMTL-G.
        tasks: names of the K tasks; the source's fourth setting, ``n_tasks``, is their number. The
            floor may be at most 1/K. At three tasks or more step 1 no longer makes the weighted
            norms equal (see ``complement_weights``).

    State: buffers ``ema_weights`` (K,) and ``step_count``.

    >>> layers = {"trunk": (4, 8), "rul": (8, 1), "health": (8, 3)}
    >>> network = {name: torch.nn.Linear(*sizes) for name, sizes in layers.items()}
    >>> z = network["trunk"](torch.ones(2, 4))
    >>> method = GABALoss(warmup_steps=None)
    >>> _ = method.backward(
    ...     rul_loss=network["rul"](z).square().mean(),
    ...     health_loss=network["health"](z).square().mean(),
    ...     shared_params=network["trunk"].parameters(),
    ...     task_params={task: network[task].parameters() for task in ("rul", "health")},
    ... )
    >>> round(sum(method.get_weights().values()), 6)
    1.0
    """

    ema_weights: Tensor
    step_count: Tensor

    def __init__(
        self,
        *,
        beta: float | None = 0.99,
        warmup_steps: int | None = 100,
        min_weight: float | None = 0.05,
        tasks: Sequence[str] = TASKS,
    ) -> None:
        super().__init__(tasks)
        equal = 1 / len(self.tasks)
        self.beta = checked_option("GABA", "beta", _or_zero(beta), least=0, most=1)
        if self.beta == 1:
            raise UsageError("GABA takes a beta below 1: at 1 the weights would never move.")
        self.warmup_steps = checked_count("GABA", "warmup_steps", _or_zero(warmup_steps))
        self.min_weight = checked_option(
            "GABA", "min_weight", _or_zero(min_weight), least=0, most=equal
        )
        self.register_buffer("ema_weights", torch.full((len(self.tasks),), equal))
        self.register_buffer("step_count", torch.zeros((), dtype=torch.long))

    def weigh(self, step: MeasuredStep) -> Tensor:
        """Move the average unless in warm-up; return the weights of this step, (K,)."""
        closed_form = complement_weights(step.geometry.norms).to(self.ema_weights)
        # A tensor condition, not a Python one: no transfer from a GPU.
        moved = torch.lerp(closed_form, self.ema_weights, self.beta)
        self.ema_weights.copy_(
            torch.where(self.step_count < self.warmup_steps, self.ema_weights, moved)
        )
        self.step_count += 1
        return self.current_weights().clone()

    def current_weights(self) -> Tensor:
        """Return the weights of the last step, (K,).

        In warm-up they are 1/K without a case of its own: that is where the average still stands.
        """
        return floored(self.ema_weights, self.min_weight) if self.min_weight else self.ema_weights

    def get_name(self) -> str:
        """Return the name with the settings that are on."""
        settings = [
            f"{name}={value:g}"
            for name, value in (
                ("beta", self.beta),
                ("warmup", self.warmup_steps),
                ("floor", self.min_weight),
            )
            if value
        ]
        return f"GABA({', '.join(settings)})"


def _or_zero(setting: float | None) -> float:
    return 0 if setting is None else setting


_gaba = partial(
    WeightingMethod,
    source="§17.1, §18.1–18.5",
    needs="task gradients",
    state="average of the weights, step count",
    backward_passes=2,
    weight_sum="1",
)

GABA = _gaba(
    title="GABA",
    build=GABALoss,
    formula=r"\lambda_k \propto \max\bigl(\mathrm{EMA}\tfrac{S-g_k}{(K-1)S},\, 0.05\bigr)",
)

GABA_NO_FLOOR = _gaba(
    title="GABA without floor",
    build=partial(GABALoss, min_weight=None),
    formula=r"\lambda_k = \mathrm{EMA}\tfrac{S-g_k}{(K-1)S}",
)

GABA_CLOSED_FORM = _gaba(
    title="GABA without average, floor and warm-up",
    build=partial(GABALoss, beta=None, warmup_steps=None, min_weight=None),
    formula=r"\lambda_k = \frac{S-g_k}{(K-1)S}",
)
