"""Fixed weights: two numbers chosen once, never touched (§24.1; legacy edition §9.1)."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Self, TypedDict

import numpy as np
from torch import Tensor

from rulbook.errors import UsageError
from rulbook.weighting.base import TASKS, BaseMTLLoss, as_weights, weighted_sum
from rulbook.weighting.inputs import as_scalar
from rulbook.weighting.method import WeightingMethod
from rulbook.weighting.options import checked_option, checked_tasks


class AblationConfig(TypedDict):
    """One configuration of the legacy edition's ablation."""

    name: str
    """Name as the source prints it."""
    description: str
    """What it stands for, in our words."""
    changes: dict[str, float]
    """Arguments of ``FixedWeightLoss.legacy``, by name."""


ABLATION_CONFIGS: Mapping[str, AblationConfig] = MappingProxyType(
    {
        "fixed_70_30": {
            "name": "Fixed 0.7/0.3",
            "description": "RUL before health",
            "changes": {"rul_weight": 0.7, "health_weight": 0.3},
        },
        "fixed_50_50": {
            "name": "Fixed 0.5/0.5",
            "description": "equal weights, losses as they are",
            "changes": {"rul_weight": 0.5, "health_weight": 0.5},
        },
        "fixed_90_10": {
            "name": "Fixed 0.9/0.1",
            "description": "RUL far before health",
            "changes": {"rul_weight": 0.9, "health_weight": 0.1},
        },
    }
)
"""The legacy edition's three configurations, under its own keys and fields (§9.1, usage listing).

:meta hide-value:
"""


class FixedWeightLoss(BaseMTLLoss):
    """Static weighted sum ``rul_weight * L_rul + health_weight * L_health`` (§24.1).

    The weights are Python floats: neither parameters nor buffers, absent from ``state_dict``, and
    not made to sum to 1. They are dimensionless; the RUL loss is in cycles², the health loss in
    nats, and the sum therefore has no unit of its own. Defaults 0.5/0.5 are the new edition's.

    Args:
        rul_weight: weight of the RUL loss, where ``weights`` is not given; a NumPy array where the
            losses are arrays too.
        health_weight: weight of the health loss, likewise.
        weights: one weight for each of K tasks, under its name. Each is then the attribute
            ``NAME_weight``, as ``rul_weight`` is.

    >>> import torch
    >>> method = FixedWeightLoss(weights={"depth": 0.2, "edges": 0.3, "normals": 0.5})
    >>> method(torch.tensor(1.0), torch.tensor(2.0), torch.tensor(4.0))
    tensor(2.8000)
    >>> FixedWeightLoss(0.6, 0.4).get_name()
    'Fixed(0.60/0.40)'
    """

    rul_weight: float
    health_weight: float

    def __init__(
        self,
        rul_weight: float = 0.5,
        health_weight: float = 0.5,
        *,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        by_task = {"rul": rul_weight, "health": health_weight} if weights is None else weights
        if not isinstance(by_task, Mapping) or len(by_task) < 2:
            raise UsageError(
                "Fixed takes for weights a mapping from two or more tasks to a number each, not "
                f"{weights!r}."
            )
        super().__init__(tuple(by_task))
        for task, weight in by_task.items():
            setattr(self, f"{task}_weight", _checked_weight(task, weight))
        self._is_legacy = False

    @classmethod
    def equal(cls, tasks: Sequence[str]) -> Self:
        """Return 1/K for each of the tasks."""
        names = checked_tasks(tasks)
        return cls(weights=dict.fromkeys(names, 1 / len(names)))

    @classmethod
    def first_only(cls, tasks: Sequence[str]) -> Self:
        """Return weight 1 for the first task and 0 for the others: its single-task training."""
        names = checked_tasks(tasks)
        return cls(weights=dict.fromkeys(names, 0.0) | {names[0]: 1.0})

    @classmethod
    def legacy(cls, rul_weight: float = 0.7, health_weight: float = 0.3) -> Self:
        """Return the legacy edition's form: default 0.7/0.3, one decimal in its name (§9.1)."""
        loss = cls(rul_weight, health_weight)
        loss._is_legacy = True
        return loss

    def forward(self, *losses: Any, **kwargs: Any) -> Any:
        """Return the weighted sum, 0-dim; of numbers and NumPy arrays too, as in the source."""
        values = self._in_order(losses, kwargs)
        if not all(isinstance(value, Tensor) for value in values):
            scalars = [
                as_scalar(task, value) if isinstance(value, Tensor) else value
                for task, value in zip(self.tasks, values, strict=True)
            ]
            return weighted_sum(self._constants(), scalars)
        return super().forward(*losses, **kwargs)

    def combine(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the weighted sum, 0-dim."""
        return weighted_sum(self._constants(), losses)

    def get_weights(self) -> dict[str, float]:
        """Return the constants."""
        return as_weights(self._constants(), self.tasks)

    def get_name(self) -> str:
        """Return ``Fixed(0.50/0.50)``, or ``Fixed(0.7/0.3)`` for the legacy form.

        Departure: the source prints two decimals always, so that 0.999/0.001 would read as
        single-task; weights that need more decimals get up to four, and more where one would be
        off by over a tenth. An array of weights is named by its lowest and its highest.
        """
        ends = [sorted({float(np.min(w)), float(np.max(w))}) for w in self._constants()]
        decimals = 1 if self._is_legacy else max(_decimals_needed(x) for pair in ends for x in pair)
        named = ["–".join(f"{end:.{decimals}f}" for end in pair) for pair in ends]
        return f"Fixed({'/'.join(named)})"

    def _constants(self) -> list[float]:
        return [getattr(self, f"{task}_weight") for task in self.tasks]


def _checked_weight(task: str, weight: Any) -> Any:
    """Return the weight as a float, or as the array of finite numbers that it is."""
    if not isinstance(weight, np.ndarray):
        return checked_option("Fixed", f"{task}_weight", weight)
    if weight.dtype.kind not in "iuf" or not np.isfinite(weight).all():
        raise UsageError(f"Fixed takes finite numbers for {task}_weight, not {weight!r}.")
    return weight


def _decimals_needed(weight: float) -> int:
    usual, most = 4, 12
    enough = (n for n in range(2, usual) if abs(round(weight, n) - weight) < 10**-usual)
    finer = range(next(enough, usual), most)
    return next((n for n in finer if math.isclose(round(weight, n), weight, rel_tol=0.1)), most)


def _single_task(*, tasks: Sequence[str] = TASKS) -> FixedWeightLoss:
    return FixedWeightLoss.first_only(tasks)


_fixed = partial(WeightingMethod, formula=r"\lambda_k = \text{const}", needs="nothing")

SINGLE_TASK = _fixed(
    title="Single task (RUL only)",
    build=_single_task,
    formula=r"\lambda_{rul} = 1,\ \lambda_{health} = 0",
    source="§4.1, §24.1",
    weight_sum="1",
)

FIXED = _fixed(title="Fixed weights", build=FixedWeightLoss, source="§24.1", weight_sum="any")

FIXED_LEGACY = _fixed(
    title="Fixed weights (legacy form)",
    build=FixedWeightLoss.legacy,
    source="legacy §9.1",
    weight_sum="any",
    two_tasks_only="it is the legacy edition's pair 0.7/0.3",
)
