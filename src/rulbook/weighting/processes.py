"""One step over several processes of ``torch.distributed``: the joint batch in every one."""

from collections.abc import Sequence

from torch import Tensor, distributed


def is_distributed() -> bool:
    """Return whether this is one of several processes of an initialised group."""
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )


def mean_over_processes(values: Sequence[Tensor]) -> list[Tensor]:
    """Return the mean of each tensor over all processes; the tensors themselves where there is one.

    Every process must call it with the same shapes in the same order.
    """
    if not is_distributed():
        return list(values)
    means = [value.detach().clone() for value in values]
    pending = [distributed.all_reduce(value, async_op=True) for value in means]
    for work in pending:
        work.wait()
    return [value / distributed.get_world_size() for value in means]


def from_first_process(values: Sequence[Tensor]) -> list[Tensor]:
    """Return the first process's tensors, so that rounding and random draws are the same in all."""
    if not is_distributed():
        return list(values)
    shared = [value.detach().clone() for value in values]
    for value in shared:
        distributed.broadcast(value, src=0)
    return shared
