"""A batch with both targets, and the two losses of a network on it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rulbook.data.prepare import HEALTH_STATES, RUL_CAP, Recipe
from rulbook.losses import health_cross_entropy, rul_mse

FEATURES = len(Recipe().feature_names)
"""The source's inputs: three settings and 14 sensors."""


class Batch(NamedTuple):
    """Inputs with a target for each task.

    * ``x``: inputs, shape ``(rows, features)``, or ``(rows, cycles, features)`` for windows.
    * ``rul``: targets in cycles, shape ``(rows,)``.
    * ``health``: health states, int64, shape ``(rows,)``.

    """

    x: Tensor
    rul: Tensor
    health: Tensor

    def losses(self, network: nn.Module) -> tuple[Tensor, Tensor]:
        """Return the RUL loss in cycles² and the health loss in nats, 0-dim, from one pass."""
        predicted, logits = network(self.x)
        return rul_mse(predicted, self.rul), health_cross_entropy(logits, self.health)


def random_batch(rows: int = 64, dtype: torch.dtype = torch.float32) -> Batch:
    """Draw normal inputs, RUL from 0 to the cap and health states from PyTorch's generator."""
    return Batch(
        torch.randn(rows, FEATURES, dtype=dtype),
        RUL_CAP * torch.rand(rows, dtype=dtype),
        torch.randint(len(HEALTH_STATES), (rows,)),
    )
