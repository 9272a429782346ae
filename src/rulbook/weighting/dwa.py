"""Dynamic weight average (Liu, Johns and Davison 2019; legacy edition §9.4)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rulbook.weighting.base import TASKS, BaseMTLLoss, NonFiniteLossError, as_weights


def dwa_weights(last: Tensor, before: Tensor, temperature: float) -> Tensor:
    r"""Return :math:`K\,\mathrm{softmax}(r/T)` with :math:`r_k = L_k(t-1)/L_k(t-2)`, (K,).

    ``last`` and ``before`` are the mean losses of the last epoch and of the one before it, (K,).
    A task whose loss was zero before has no rate; it then counts as unchanged, rate 1.
    """
    rates = torch.where(before == 0, 1.0, last / before)
    return len(rates) * torch.softmax(rates / temperature, dim=0)


class DWALoss(BaseMTLLoss):
    r"""Weights from how fast each loss fell between the last two epochs.

    .. math:: \lambda_k = K \frac{e^{r_k/T}}{\sum_j e^{r_j/T}}, \qquad
              r_k = \frac{L_k(t-1)}{L_k(t-2)}

    The losses are epoch means, given by ``end_epoch``, not those of batches; the weights sum to
    K = 2 and are constant within an epoch. In the first two epochs there is no rate yet and both
    weights are 1 (the book does not state it; the paper sets it so). ``temperature = 2`` is the
    paper's; the book prints no value. Depends on the rates alone, so a difference of scale
    between the losses is left as it is.

    State: buffers ``weights`` (2,) and ``mean_losses`` (2, 2), the last epoch first, NaN where
    there was none.
    """

    weights: Tensor
    mean_losses: Tensor

    def __init__(self, temperature: float = 2.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.register_buffer("weights", torch.ones(2))
        self.register_buffer("mean_losses", torch.full((2, 2), torch.nan))

    def forward(self, rul_loss: Tensor, health_loss: Tensor, **kwargs: Any) -> Tensor:  # noqa: ARG002
        """Return the weighted sum, 0-dim."""
        return self.weights[0] * rul_loss + self.weights[1] * health_loss

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:
        """Move the weights by the epoch's mean training losses.

        Raises:
            NonFiniteLossError: a mean is NaN or infinite; the state stays as it was.

        """
        newest = self.mean_losses.new_tensor([mean_losses[task] for task in TASKS])
        if not torch.isfinite(newest).all():
            raise NonFiniteLossError(
                f"DWA was given mean losses {dict(mean_losses)}; they must be finite numbers."
            )
        self.mean_losses.copy_(torch.stack([newest, self.mean_losses[0]]))
        if not self.mean_losses.isnan().any():
            self.weights.copy_(
                dwa_weights(self.mean_losses[0], self.mean_losses[1], self.temperature)
            )

    def get_weights(self) -> dict[str, float]:
        """Return the weights of the current epoch; they sum to 2."""
        return as_weights(self.weights)

    def get_name(self) -> str:
        """Return the name with its temperature."""
        return f"DWA(T={self.temperature:g})"
