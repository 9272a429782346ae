"""Weights from the size of the losses themselves: no gradient is looked at."""

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from rulbook.errors import unknown_name
from rulbook.weighting.base import BaseMTLLoss, as_weights


def inverse_shares(values: Tensor) -> Tensor:
    """Return ``(1/v_k) / sum_j (1/v_j)`` for ``values`` (K,), non-negative; the result sums to 1.

    Entries that are zero share the whole weight among themselves, which is the limit; with all
    entries zero the result is therefore 1/K each. Exact at any common scale of the values.
    """
    smallest = values.min()
    is_zero = values == 0
    inverse = torch.where(is_zero, (smallest == 0).to(values), smallest / values)
    return inverse / inverse.sum()


class InverseMagnitudeLoss(BaseMTLLoss):
    r"""Weights inversely proportional to the losses (§4.3, third strategy).

    .. math:: \lambda_k = \frac{1/L_k}{\sum_j 1/L_j}, \qquad
              L = \sum_k \lambda_k L_k = \frac{K}{\sum_j 1/L_j}

    The weights sum to 1 and make both terms equal in value, not in gradient. The book's NumPy
    listing does not say whether the weights carry a gradient; by default they are measured
    (``detach=True``), and with ``detach=False`` the gradient is that of the harmonic mean.
    """

    def __init__(self, *, detach: bool = True) -> None:
        super().__init__()
        self.detach = detach
        self._last_weights = torch.full((2,), torch.nan)

    def forward(self, rul_loss: Tensor, health_loss: Tensor, **kwargs: Any) -> Tensor:  # noqa: ARG002
        """Return the weighted sum, 0-dim."""
        losses = torch.stack([rul_loss, health_loss])
        weights = inverse_shares(losses.detach() if self.detach else losses)
        self._last_weights = weights.detach()
        return (weights * losses).sum()

    def get_weights(self) -> dict[str, float]:
        """Return the weights of the last step; they sum to 1."""
        return as_weights(self._last_weights)

    def get_name(self) -> str:
        """Return ``InverseMagnitude``, marked where the weights carry a gradient."""
        return "InverseMagnitude" if self.detach else "InverseMagnitude(attached)"


class AMNLFixedLoss(BaseMTLLoss):
    r"""Equal weights after dividing each loss by its own magnitude (§24.1, ``AMNLFixedLoss``).

    .. math:: L = \tfrac12 \frac{L_{rul}}{\max(\bar L_{rul}, s_{rul})}
                + \tfrac12 \frac{L_{health}}{\max(\bar L_{health}, s_{health})}

    with :math:`\bar L` the loss of the same batch, detached. The book prints the floors
    ``s_rul = 1.0`` (cycles²) and ``s_health = 0.1`` (nats) and the intent, but its formula is
    missing from the text; this is our reading of it. Above the floors the value is always 1 and
    the gradient is half the sum of the gradients of the two log-losses.
    """

    def __init__(self, s_rul: float = 1.0, s_health: float = 0.1) -> None:
        super().__init__()
        self.s_rul = s_rul
        self.s_health = s_health
        self._last_weights = torch.full((2,), torch.nan)

    def forward(self, rul_loss: Tensor, health_loss: Tensor, **kwargs: Any) -> Tensor:  # noqa: ARG002
        """Return the normalised sum, 0-dim and dimensionless."""
        losses = torch.stack([rul_loss, health_loss])
        floors = losses.new_tensor([self.s_rul, self.s_health])
        weights = 0.5 / torch.maximum(losses.detach(), floors)
        self._last_weights = weights
        return (weights * losses).sum()

    def get_weights(self) -> dict[str, float]:
        """Return 0.5 over each magnitude, the factors that the raw losses were multiplied with."""
        return as_weights(self._last_weights)

    def get_name(self) -> str:
        """Return the name with its two floors."""
        return f"AMNLFixed(s={self.s_rul:g}/{self.s_health:g})"


Normaliser = Literal["batch", "ema"]


class LegacyAMNLLoss(BaseMTLLoss):
    r"""The legacy edition's normaliser: equal weights over running magnitudes.

    .. math:: L = \tfrac12 \frac{L_{rul}}{\mu_{rul}} + \tfrac12 \frac{L_{health}}{\mu_{health}}

    Its two sections disagree about :math:`\mu`. ``normaliser="batch"`` (§10.2, default) takes the
    loss of the current batch, detached, so that the value is always 1. ``normaliser="ema"``
    (§10.6) takes the exponential moving average with ``beta = 0.99``, divided by
    :math:`1-\beta^t` so that its start at zero does not bias it; the current batch enters before
    it is used. Neither has a floor; a loss of exactly zero contributes zero.

    State: ``ema_losses`` (2,) and ``step_count``, buffers of the ``"ema"`` form. They move in
    training mode only.
    """

    ema_losses: Tensor
    step_count: Tensor

    def __init__(self, normaliser: Normaliser = "batch", beta: float = 0.99) -> None:
        super().__init__()
        if normaliser not in get_args(Normaliser):
            raise unknown_name("AMNL normaliser", normaliser, get_args(Normaliser))
        self.normaliser = normaliser
        self.beta = beta
        self._last_weights = torch.full((2,), torch.nan)
        if normaliser == "ema":
            self.register_buffer("ema_losses", torch.zeros(2))
            self.register_buffer("step_count", torch.zeros((), dtype=torch.long))

    def forward(self, rul_loss: Tensor, health_loss: Tensor, **kwargs: Any) -> Tensor:  # noqa: ARG002
        """Return the normalised sum, 0-dim and dimensionless."""
        losses = torch.stack([rul_loss, health_loss])
        magnitudes = self._magnitudes(losses.detach())
        weights = 0.5 / magnitudes.clamp_min(torch.finfo(magnitudes.dtype).tiny)
        self._last_weights = weights
        return (weights * losses).sum()

    def get_weights(self) -> dict[str, float]:
        """Return 0.5 over each magnitude, the factors that the raw losses were multiplied with."""
        return as_weights(self._last_weights)

    def get_name(self) -> str:
        """Return the name with the form of its normaliser."""
        return f"LegacyAMNL({self.normaliser})"

    def _magnitudes(self, losses: Tensor) -> Tensor:
        if self.normaliser == "batch":
            return losses
        if self.training:
            self.step_count += 1
            self.ema_losses.lerp_(losses.to(self.ema_losses), 1 - self.beta)
        # 1 - beta^t without cancellation, in the precision of the average.
        steps = self.step_count.to(self.ema_losses)
        return self.ema_losses / -torch.expm1(steps * math.log(self.beta))
