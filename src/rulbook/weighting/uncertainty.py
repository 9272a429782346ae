"""Learned task uncertainties (Kendall, Gal and Cipolla 2018; §4.3, §24.1)."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from rulbook.errors import unknown_name
from rulbook.weighting.base import BaseMTLLoss, as_weights

ClassificationFactor = Literal["half", "one"]


class UncertaintyLoss(BaseMTLLoss):
    r"""Weights from one learned log-variance a task, :math:`s_k = \log \sigma_k^2`.

    .. math:: L = \tfrac12 e^{-s_{rul}} L_{rul} + \tfrac12 s_{rul}
                + c\, e^{-s_{health}} L_{health} + \tfrac12 s_{health}

    which is :math:`L_k / (2\sigma_k^2) + \log \sigma_k` in the log-space that the book stores
    (§4.3; ``log_var_rul`` is a parameter, §24.1).

    Where sources disagree: the factor :math:`c` of the classification term. The book, and most
    public code, write 1/2 for every task (``classification_factor="half"``, default); equation 10
    of Kendall et al. has :math:`1/\sigma^2`, that is 1 (``"one"``), because a softmax likelihood
    scaled by :math:`1/\sigma^2` has no 1/2. Initial log-variances are 0 (the book does not state
    them; 0 is usual, −0.5 is also found), and ``initial_log_var`` changes them.

    State: the two parameters, to be learned without weight decay. The weights do not sum to a
    constant, and the sum may be negative.
    """

    def __init__(
        self,
        *,
        classification_factor: ClassificationFactor = "half",
        initial_log_var: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        super().__init__()
        if classification_factor not in get_args(ClassificationFactor):
            raise unknown_name(
                "classification factor", classification_factor, get_args(ClassificationFactor)
            )
        self.classification_factor = classification_factor
        self.log_var_rul = nn.Parameter(torch.tensor(float(initial_log_var[0])))
        self.log_var_health = nn.Parameter(torch.tensor(float(initial_log_var[1])))

    def forward(self, rul_loss: Tensor, health_loss: Tensor, **kwargs: Any) -> Tensor:  # noqa: ARG002
        """Return the weighted losses plus the two regularising terms, 0-dim."""
        weight_rul, weight_health = self._weights()
        regulariser = 0.5 * (self.log_var_rul + self.log_var_health)
        return weight_rul * rul_loss + weight_health * health_loss + regulariser

    def get_weights(self) -> dict[str, float]:
        """Return the factors of the two losses."""
        return as_weights([float(weight.detach()) for weight in self._weights()])

    def get_name(self) -> str:
        """Return ``Uncertainty``, marked where the classification factor is 1."""
        return "Uncertainty" if self.classification_factor == "half" else "Uncertainty(c=1)"

    def _weights(self) -> tuple[Tensor, Tensor]:
        factor = 0.5 if self.classification_factor == "half" else 1.0
        return 0.5 * torch.exp(-self.log_var_rul), factor * torch.exp(-self.log_var_health)
