"""What one step is given, checked at the door: losses, lists of parameters and the scale."""

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor, distributed, nn

from rulbook.errors import UsageError
from rulbook.weighting.processes import is_distributed, mean_over_processes
from rulbook.weighting.steps import Parameters


def as_scalar(task: str, loss: Any) -> Tensor:
    """Return the loss as a 0-dim tensor.

    Raises:
        UsageError: it is no tensor of one real number.

    """
    if not isinstance(loss, Tensor):
        raise UsageError(
            f"The {task} loss is a {type(loss).__name__}; it must be a 0-dim tensor, "
            "torch.zeros(()) where a batch has no labels."
        )
    if loss.is_meta or loss.is_complex():
        kind = "on the meta device, without a value" if loss.is_meta else "a complex number"
        raise UsageError(f"The {task} loss is {kind}; it must be a real number.")
    if loss.shape not in ((), (1,)):
        raise UsageError(
            f"Losses must be 0-dim, and the {task} loss has shape {tuple(loss.shape)}: take its "
            "mean."
        )
    return (loss if loss.is_floating_point() else loss.float()).reshape(())


def on_one_device(losses: Sequence[Tensor]) -> list[Tensor]:
    """Return the losses on the device of the first that has a graph, or of the first.

    A constant in place of a loss, as of a batch without labels, is often made on the CPU and in
    single precision: it takes on the precision too, since processes can only add what is of one.
    Heads may be on devices of their own.
    """
    first = next((loss for loss in losses if loss.requires_grad), None)
    if first is None:
        return [loss.to(losses[0].device) for loss in losses]
    return [loss.to(first.device if loss.requires_grad else first) for loss in losses]


def check_graphs(losses: Sequence[Tensor]) -> None:
    """Raise where no loss has a graph, of this process or of another one.

    The others would wait for its gradients for ever.
    """
    has_graph = torch.is_grad_enabled() and any(loss.requires_grad for loss in losses)
    all_have = has_graph
    if is_distributed():
        flag = torch.full_like(losses[0].detach(), float(has_graph))
        all_have = bool(mean_over_processes([flag])[0] == 1)
    if not all_have:
        where = "in one of the processes " if has_graph else ""
        raise UsageError(
            f"backward needs gradients, and {where}no loss has a graph: compute the losses in this "
            "step from the network's output, outside torch.no_grad()."
        )


def counted(tensors: Sequence[Tensor]) -> str:
    """Return how many tensors there are, in words."""
    return f"{len(tensors)} {'tensor' if len(tensors) == 1 else 'tensors'}"


def shapes(tensors: Sequence[Tensor]) -> str:
    """Return the shapes of the first tensors, as a sentence names them."""
    first = ", ".join(str(tuple(tensor.shape)) for tensor in tensors[:3])
    return f"{first}{' …' if len(tensors) > 3 else ''}"


def listed_parameters(argument: str, parameters: Parameters) -> list[nn.Parameter]:
    """Return the parameters as a list, each checked to be a tensor.

    Those of a lazy module that has seen no input have no shape yet, and are left out.
    """
    if isinstance(parameters, nn.Module | Tensor) or not isinstance(parameters, Iterable):
        raise UsageError(
            f"{argument} must be a list of parameters, not a {type(parameters).__name__}"
            f"{': give its .parameters()' if isinstance(parameters, nn.Module) else ''}."
        )
    given = list(parameters)
    for parameter in given:
        if not isinstance(parameter, Tensor):
            raise UsageError(
                f"{argument} must hold parameters, and holds a {type(parameter).__name__}: give "
                "module.parameters()."
            )
        if not parameter.is_leaf:
            raise UsageError(
                f"{argument} holds a tensor of shape {tuple(parameter.shape)} that is computed: "
                "list the parameters it is computed from, as module.parameters() does."
            )
    return [p for p in given if not isinstance(p, nn.UninitializedParameter)]


def check_whole(parameters: Iterable[nn.Parameter]) -> None:
    """Raise where a parameter is split over processes, or was put away in the backward pass.

    ``fully_shard`` does both: the gradients of a step would reach the parameters one step late.

    Raises:
        UsageError: there is such a parameter.

    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    from torch.distributed.tensor import DTensor  # not in every build of PyTorch

    if any(
        isinstance(parameter, DTensor)
        or (parameter.numel() > 0 and parameter.untyped_storage().size() == 0)
        for parameter in parameters
    ):
        raise UsageError(
            "fully_shard splits the parameters over the processes, and the task gradients cannot "
            "be taken apart there: use DistributedDataParallel, or a method that looks at the "
            "losses alone, as method(…).backward()."
        )


def check_once(listed: Sequence[Sequence[int]]) -> None:
    """Raise where one of the ``id`` is in two of the lists, or in one of them twice."""
    count = sum(map(len, listed))
    if again := count - len(set().union(*listed)):
        raise UsageError(
            f"{again} of the parameters are listed twice: each belongs in shared_params or in one "
            "task's list of task_params, once."
        )


def checked_scale(scale: Tensor | float | None) -> Tensor | float | None:
    """Return the scale as a 0-dim tensor or a float, or ``None`` where there is none."""
    if scale is None:
        return None
    if isinstance(scale, Tensor) and scale.numel() != 1:
        raise UsageError(f"scale must be one number, and has shape {tuple(scale.shape)}.")
    if not isinstance(scale, Tensor | Real) or (
        isinstance(scale, Tensor) and (scale.is_meta or scale.is_complex())
    ):
        raise UsageError(f"scale must be a number or a 0-dim tensor, not {scale!r}.")
    number = scale.detach().reshape(()) if isinstance(scale, Tensor) else float(scale)
    if not 0 < float(number) < math.inf:
        raise UsageError(f"scale must be positive and finite, not {float(number):g}.")
    return number
