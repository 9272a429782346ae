"""The gradients of one step: taken apart by task, and written back combined."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rulbook.gradients import Gradients, norm, reached_gradients
from rulbook.weighting.processes import is_distributed, mean_over_processes

Parameters = Iterable[nn.Parameter]


@dataclass(frozen=True)
class TaskGradients:
    """The gradient of one task's loss: on the shared parameters and on its own head.

    Attributes:
        shared: one tensor a shared parameter, zeros where the loss does not reach it.
        head: likewise for the head.
        reached: whether the loss reaches each of the shared parameters, then of the head's.

    """

    shared: Gradients
    head: Gradients
    reached: tuple[bool, ...]


def split_gradients(
    losses: Sequence[Tensor],
    shared: Sequence[nn.Parameter],
    heads: Sequence[Sequence[nn.Parameter]],
    scale: Tensor | float | None = None,
    *,
    keep_graph: bool = False,
) -> tuple[TaskGradients, ...]:
    """Return the gradient of each loss times ``scale``, from K backward passes over one graph.

    Where more than one process runs, it is the mean over them. The graph is freed unless it is to
    be kept.
    """
    last = max(task for task, loss in enumerate(losses) if loss.requires_grad)
    return tuple(
        _of_task(
            loss if scale is None else loss * scale,
            shared,
            head,
            retain_graph=keep_graph or task != last,
        )
        for task, (loss, head) in enumerate(zip(losses, heads, strict=True))
    )


def _of_task(
    loss: Tensor,
    shared: Sequence[nn.Parameter],
    head: Sequence[nn.Parameter],
    *,
    retain_graph: bool,
) -> TaskGradients:
    parameters = [*shared, *head]
    gradients = reached_gradients(loss, parameters, retain_graph=retain_graph)
    reached = [gradient is not None for gradient in gradients]
    if is_distributed():
        # What one process does not reach, another may.
        share = mean_over_processes(
            [torch.tensor(reached, dtype=torch.float32, device=loss.device)]
        )
        reached = (share[0] > 0).tolist()
    filled = mean_over_processes(
        [
            torch.zeros_like(parameter) if gradient is None else gradient
            for parameter, gradient in zip(parameters, gradients, strict=True)
        ]
    )
    return TaskGradients(tuple(filled[: len(shared)]), tuple(filled[len(shared) :]), tuple(reached))


def write_gradients(
    shared: Sequence[nn.Parameter],
    heads: Sequence[Sequence[nn.Parameter]],
    gradients: Sequence[TaskGradients],
    weights: Sequence[Tensor] | Tensor,
    head_weights: Sequence[Tensor] | Tensor,
    *,
    largest_norm: float | None = None,
    scale: Tensor | float | None = None,
) -> None:
    """Add ``weights`` times the task gradients to ``.grad`` of the shared parameters.

    Each head gets its own gradient times its entry of ``head_weights``. A parameter that no loss
    reaches keeps its ``.grad``.

    Args:
        shared: the shared parameters.
        heads: the parameters of each head.
        gradients: of each task, as ``split_gradients`` returns them.
        weights: (K,).
        head_weights: (K,).
        largest_norm: norm to which the gradient of the trunk, and that of each head, is cut down.
        scale: what the gradients were multiplied with; the norm is of the gradient without it.

    """
    parts = [_weighted_sum(weights, [task.shared for task in gradients])]
    parts += [_times(w, task.head) for w, task in zip(head_weights, gradients, strict=True)]
    reached = [[any(r) for r in zip(*(g.reached[: len(shared)] for g in gradients), strict=True)]]
    reached += [list(task.reached[len(shared) :]) for task in gradients]
    for parameters, part, reach in zip((shared, *heads), parts, reached, strict=True):
        cut = _cut(part, largest_norm, scale)
        for parameter, gradient, is_reached in zip(parameters, cut, reach, strict=True):
            if is_reached:
                add_to_grad(parameter, gradient)


def add_to_grad(parameter: nn.Parameter, gradient: Tensor) -> None:
    """Add ``gradient`` to ``parameter.grad``, as autograd's own backward would, and call its hooks.

    A ``.grad`` that is there is added to in place, since it may be a view of a buffer of all
    gradients; a sparse one makes room for a dense one. The hooks are those of
    ``register_post_accumulate_grad_hook``, as of an optimiser in the backward.
    """
    if parameter.grad is None:
        parameter.grad = gradient
    elif parameter.grad.is_sparse:
        parameter.grad = gradient + parameter.grad
    else:
        with torch.no_grad():
            parameter.grad += gradient
    for hook in (getattr(parameter, "_post_accumulate_grad_hooks", None) or {}).values():
        hook(parameter)


def trained_leaves(loss: Tensor) -> dict[int, Tensor]:
    """Return the leaves of the loss's graph that are trained, by ``id``.

    A loss that is a leaf itself, as of a batch without labels, has none.
    """
    found: dict[int, Tensor] = {}
    origin = loss if loss._base is None else loss._base
    pending = [] if loss.grad_fn is None or origin.is_leaf else [loss.grad_fn]
    seen = set(pending)
    while pending:
        node = pending.pop()
        # An AccumulateGrad node, the end of a branch, holds its leaf.
        leaf = getattr(node, "variable", None)
        if leaf is not None and leaf.requires_grad:
            found[id(leaf)] = leaf
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                pending.append(following)
    return found


def moved_by(loss: Tensor, parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """Return those of the parameters on which the loss has a gradient that is not zero.

    One that is NaN or infinite comes of a loss that diverges, which is said elsewhere. A graph that
    runs once alone, as of ``torch.compile``, is not looked at.
    """
    try:
        gradients = reached_gradients(loss, parameters, retain_graph=True)
    except RuntimeError:
        return []
    pairs = zip(parameters, gradients, strict=True)
    return [
        parameter
        for parameter, gradient in pairs
        if gradient is not None and gradient.isfinite().all() and gradient.any()
    ]


def _weighted_sum(
    weights: Sequence[Tensor] | Tensor, gradients: Sequence[Gradients]
) -> Sequence[Tensor]:
    total, *rest = [_times(w, part) for w, part in zip(weights, gradients, strict=True)]
    for part in rest:
        if part:
            torch._foreach_add_(total, part)
    return total


def _times(weight: Tensor, gradient: Sequence[Tensor]) -> list[Tensor]:
    # All parameters in one call: one by one, K tasks cost milliseconds in calls alone.
    products = torch._foreach_mul(list(gradient), weight) if gradient else ()
    # A 0-dim gradient, as of a learned temperature, takes on the precision of a finer weight.
    return [product.to(part.dtype) for product, part in zip(products, gradient, strict=True)]


def _cut(
    gradient: Sequence[Tensor], largest_norm: float | None, scale: Tensor | float | None
) -> Sequence[Tensor]:
    if largest_norm is None or not gradient:
        return gradient
    size = norm(gradient) / (1.0 if scale is None else scale)
    factor = (largest_norm / size).clamp_max(1.0).nan_to_num(nan=1.0, posinf=1.0)
    return _times(factor, gradient)
