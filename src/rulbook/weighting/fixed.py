"""Fixed weights: two numbers chosen once, never touched (§24.1; legacy edition §9.1)."""

from typing import Any, Self

from torch import Tensor

from rulbook.weighting.base import BaseMTLLoss


class FixedWeightLoss(BaseMTLLoss):
    """Static weighted sum ``rul_weight * L_rul + health_weight * L_health`` (§24.1).

    The weights are Python floats: neither parameters nor buffers, absent from ``state_dict``, and
    not made to sum to 1. They are dimensionless; the RUL loss is in cycles², the health loss in
    nats, and the sum therefore has no unit of its own.
    """

    def __init__(self, rul_weight: float = 0.5, health_weight: float = 0.5) -> None:
        super().__init__()
        self.rul_weight = rul_weight
        self.health_weight = health_weight
        self._decimals = 2

    @classmethod
    def legacy(cls, rul_weight: float = 0.7, health_weight: float = 0.3) -> Self:
        """Return the legacy edition's form: default 0.7/0.3, one decimal in its name (§9.1)."""
        loss = cls(rul_weight, health_weight)
        loss._decimals = 1
        return loss

    def forward(self, rul_loss: Tensor, health_loss: Tensor, **kwargs: Any) -> Tensor:  # noqa: ARG002
        """Return the weighted sum, 0-dim."""
        return self.rul_weight * rul_loss + self.health_weight * health_loss

    def get_weights(self) -> dict[str, float]:
        """Return the two constants."""
        return {"rul_weight": self.rul_weight, "health_weight": self.health_weight}

    def get_name(self) -> str:
        """Return ``Fixed(0.50/0.50)``, or ``Fixed(0.7/0.3)`` for the legacy form."""
        weights = (self.rul_weight, self.health_weight)
        return "Fixed({})".format("/".join(f"{weight:.{self._decimals}f}" for weight in weights))
