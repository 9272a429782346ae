"""Per-task gradients on the shared parameters: computed once per step, measured and reused."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Gradients = tuple[Tensor, ...]


@dataclass(frozen=True)
class GradientGeometry:
    """Norms, ratio and angle of two task gradients on the shared parameters.

    All fields are detached 0-dim tensors on the parameters' device, so that reading them does not
    force a transfer; ``float()`` them where a number is needed.

    Attributes:
        norm_rul: L2 norm of the gradient of the RUL loss (loss unit per parameter unit).
        norm_health: L2 norm of the gradient of the health loss.
        cosine: cosine of the angle between them; NaN where one of them is zero.

    """

    norm_rul: Tensor
    norm_health: Tensor
    cosine: Tensor

    @property
    def ratio(self) -> Tensor:
        """Return ``norm_rul / norm_health``; infinite or NaN where the health gradient is zero."""
        return self.norm_rul / self.norm_health

    def tolist(self) -> list[float]:
        """Return norm of RUL, norm of health and cosine as floats, in one transfer."""
        found: list[float] = torch.stack([self.norm_rul, self.norm_health, self.cosine]).tolist()
        return found


def task_gradients(
    loss: Tensor, parameters: Sequence[nn.Parameter], *, retain_graph: bool = False
) -> Gradients:
    """Return the gradient of one scalar ``loss`` on each of ``parameters``.

    A parameter the loss does not reach gets zeros of its shape, never ``None``.
    """
    found = torch.autograd.grad(
        loss, parameters, retain_graph=retain_graph, allow_unused=True, materialize_grads=True
    )
    return tuple(found)


def inner_product(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """Return the inner product of two gradients, each one tensor a parameter; 0-dim."""
    parts = [torch.dot(a.reshape(-1), b.reshape(-1)) for a, b in zip(first, second, strict=True)]
    return torch.stack(parts).sum()


def norm(gradient: Sequence[Tensor]) -> Tensor:
    """Return the L2 norm over all parameters, 0-dim."""
    return torch.nn.utils.get_total_norm(gradient)


def geometry(rul: Sequence[Tensor], health: Sequence[Tensor]) -> GradientGeometry:
    """Return norms and cosine of the two task gradients, one tensor a shared parameter each.

    The cosine is NaN where a gradient is zero: there is no angle to speak of.
    """
    norm_rul, norm_health = norm(rul).detach(), norm(health).detach()
    cosine = inner_product(rul, health).detach() / norm_rul / norm_health
    return GradientGeometry(norm_rul, norm_health, cosine.clamp(-1.0, 1.0))
