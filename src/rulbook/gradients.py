"""Per-task gradients on the shared parameters: computed once per step, measured and reused."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Gradients = tuple[Tensor, ...]

PRINTED_IMBALANCE = 500.0
"""Norm of the RUL gradient over that of the health gradient by the source (§4.1, §12.4)."""


@dataclass(frozen=True)
class GradientGeometry:
    """Norms and angles of the task gradients on the shared parameters.

    All fields are detached tensors on the parameters' device, so that reading them does not force
    a transfer; ``tolist()`` or ``float()`` them where numbers are needed. Tasks stand in the order
    in which their gradients were given: RUL, then health, for the source's two.

    Attributes:
        norms: L2 norm of the gradient of each task, (K,), in its loss unit per parameter unit.
        cosines: cosine of the angle between each two, (K, K), symmetric, with 1 on the diagonal;
            NaN where the norm of one is zero or infinite.

    """

    norms: Tensor
    cosines: Tensor

    @property
    def norm_rul(self) -> Tensor:
        """Return the norm of the first task's gradient, 0-dim."""
        return self.norms[0]

    @property
    def norm_health(self) -> Tensor:
        """Return the norm of the second task's gradient, 0-dim."""
        return self.norms[1]

    @property
    def cosine(self) -> Tensor:
        """Return the cosine between the first two tasks' gradients, 0-dim."""
        return self.cosines[0, 1]

    @property
    def ratio(self) -> Tensor:
        """Return ``norm_rul / norm_health``; infinite or NaN where the health gradient is zero."""
        return self.norm_rul / self.norm_health

    def tolist(self) -> list[float]:
        """Return norm of RUL, norm of health and cosine as floats, in one transfer."""
        values: list[float] = torch.stack([self.norm_rul, self.norm_health, self.cosine]).tolist()
        return values


def task_gradients(
    loss: Tensor, parameters: Sequence[nn.Parameter], *, retain_graph: bool = False
) -> Gradients:
    """Return the gradient of one scalar ``loss`` on each of ``parameters``.

    A sparse gradient, as of ``nn.Embedding(sparse=True)``, is made dense.
    A parameter that the loss does not reach gets zeros of its shape, never ``None``; so does one
    that is frozen (``requires_grad=False``), and every parameter where the loss has no graph.
    """
    gradients = reached_gradients(loss, parameters, retain_graph=retain_graph)
    return tuple(
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, gradients, strict=True)
    )


def reached_gradients(
    loss: Tensor, parameters: Sequence[nn.Parameter], *, retain_graph: bool = False
) -> tuple[Tensor | None, ...]:
    """Return what ``task_gradients`` returns, with ``None`` where the loss reaches nothing."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not loss.requires_grad or not trained:
        return (None,) * len(parameters)
    gradients = iter(
        torch.autograd.grad(loss, trained, retain_graph=retain_graph, allow_unused=True)
    )
    return tuple(
        _dense(next(gradients)) if parameter.requires_grad else None for parameter in parameters
    )


def _dense(gradient: Tensor | None) -> Tensor | None:
    # Sparse tensors have neither norm nor inner product.
    return gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient


def norm(gradient: Sequence[Tensor]) -> Tensor:
    """Return the L2 norm over all parameters, 0-dim; in single precision where they are in half."""
    return torch.nn.utils.get_total_norm([_single(part) for part in gradient])


def geometry(*gradients: Sequence[Tensor]) -> GradientGeometry:
    """Return norms and cosines of the task gradients, each one tensor a shared parameter.

    The cosine is NaN where a gradient is zero: there is no angle to speak of. Norms are square
    roots of sums of squares in the precision of the gradients, single where they are in half.
    In single precision they keep their digits from about 1e-16 to 1e19; a gradient whose entries
    are all below about 1e-23 counts as zero, and one above 1e19 as infinite.
    """
    norms = torch.stack([norm(gradient).detach() for gradient in gradients])
    # One vector a task: the inner products of all pairs of K tasks are many small ones otherwise.
    flat = [_flat(gradient) for gradient in gradients]
    cosines = torch.diag(norms / norms)
    pairs = [(first, second) for first in range(len(flat)) for second in range(first)]
    if pairs:
        products = torch.stack([torch.dot(flat[second], flat[first]) for first, second in pairs])
        first, second = torch.tensor(pairs, device=norms.device).T
        between = (products / norms[second] / norms[first]).clamp(-1.0, 1.0)
        # The squares of small entries round to zero before their products with larger ones do.
        has_angle = (norms > 0) & norms.isfinite()
        between = between.where(has_angle[first] & has_angle[second], torch.nan)
        cosines[first, second] = cosines[second, first] = between
    return GradientGeometry(norms, cosines)


def _flat(gradient: Sequence[Tensor]) -> Tensor:
    parts = [_single(part).reshape(-1) for part in gradient]
    return torch.cat(parts).detach() if parts else torch.zeros(0)


def _single(values: Tensor) -> Tensor:
    if values.is_complex():
        # A complex number is two real ones: the angle is that of the real vectors.
        return torch.view_as_real(values.resolve_conj())
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
