"""Fixed weights: two numbers chosen once, never touched (§24.1; legacy edition §9.1)."""

from typing import Any, Self

from torch import Tensor

from rulbook.weighting.base import BaseMTLLoss, as_weights

ABLATION_CONFIGS = {
    "fixed_70_30": {"rul_weight": 0.7, "health_weight": 0.3},
    "fixed_50_50": {"rul_weight": 0.5, "health_weight": 0.5},
    "fixed_90_10": {"rul_weight": 0.9, "health_weight": 0.1},
}
"""The legacy edition's three configurations, under its own keys (§9.1, usage listing)."""


class FixedWeightLoss(BaseMTLLoss):
    """Static weighted sum ``rul_weight * L_rul + health_weight * L_health`` (§24.1).

    The weights are Python floats: neither parameters nor buffers, absent from ``state_dict``, and
    not made to sum to 1. They are dimensionless; the RUL loss is in cycles², the health loss in
    nats, and the sum therefore has no unit of its own. Defaults 0.5/0.5 are the new edition's.
    """

    def __init__(self, rul_weight: float = 0.5, health_weight: float = 0.5) -> None:
        super().__init__()
        self.rul_weight = rul_weight
        self.health_weight = health_weight
        self._is_legacy = False

    @classmethod
    def legacy(cls, rul_weight: float = 0.7, health_weight: float = 0.3) -> Self:
        """Return the legacy edition's form: default 0.7/0.3, one decimal in its name (§9.1)."""
        loss = cls(rul_weight, health_weight)
        loss._is_legacy = True
        return loss

    def forward(self, rul_loss: Tensor, health_loss: Tensor, **kwargs: Any) -> Tensor:  # noqa: ARG002
        """Return the weighted sum, 0-dim."""
        return self.rul_weight * rul_loss + self.health_weight * health_loss

    def get_weights(self) -> dict[str, float]:
        """Return the two constants."""
        return as_weights((self.rul_weight, self.health_weight))

    def get_name(self) -> str:
        """Return ``Fixed(0.50/0.50)``, or ``Fixed(0.7/0.3)`` for the legacy form.

        Departure: the book prints two decimals always, so that 0.999/0.001 would read as
        single-task; weights that need more decimals get up to four.
        """
        weights = (self.rul_weight, self.health_weight)
        decimals = 1 if self._is_legacy else max(map(_decimals_needed, weights))
        return "Fixed({})".format("/".join(f"{weight:.{decimals}f}" for weight in weights))


def _decimals_needed(weight: float, least: int = 2, most: int = 4) -> int:
    enough = (n for n in range(least, most) if abs(round(weight, n) - weight) < 10**-most)
    return next(enough, most)
