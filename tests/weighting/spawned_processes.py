"""One step of every method in a spawned process, and in a spawned worker of a ``DataLoader``.

``python spawned_processes.py RESULT`` writes to RESULT the gradients of both and of this process,
by method. A spawned process has nothing but what was pickled for it. PyTorch sends tensors to it in
shared memory, so that each steps a copy of its own.
"""

import copy
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from rulbook.weighting.base import BaseMTLLoss
from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss


def gradient_of_a_step(method: BaseMTLLoss) -> Tensor:
    """Return all that one step of a copy writes, as one vector."""
    return _step(copy.deepcopy(method))


def _step(method: BaseMTLLoss) -> Tensor:
    torch.manual_seed(0)
    trunk, rul, health = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 3)
    z = torch.tanh(trunk(torch.randn(16, 4)))
    method.backward(
        rul(z).square().mean(),
        nn.functional.cross_entropy(health(z), torch.arange(16) % 3),
        shared_params=trunk.parameters(),
        task_params={"rul": rul.parameters(), "health": health.parameters()},
    )
    return torch.cat([p.grad.flatten() for part in (trunk, rul, health) for p in part.parameters()])


class Steps(Dataset[Tensor]):
    """What one step of each method writes, computed where the item is loaded."""

    def __init__(self, methods: list[BaseMTLLoss]) -> None:
        self.methods = methods

    def __len__(self) -> int:
        return len(self.methods)

    def __getitem__(self, index: int) -> Tensor:
        return gradient_of_a_step(self.methods[index])


def main(result: str) -> None:
    torch.set_num_threads(1)
    methods = [get_loss(name) for name in WEIGHTING_METHODS]
    for method in methods:
        _step(method)  # so that there is a state to carry over
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        in_pool = list(pool.map(gradient_of_a_step, methods))
    loader = DataLoader(
        Steps(methods), batch_size=None, num_workers=1, multiprocessing_context="spawn"
    )
    in_loader = [gradient.clone() for gradient in loader]
    here = [gradient_of_a_step(method) for method in methods]
    torch.save(
        dict(zip(WEIGHTING_METHODS, zip(here, in_pool, in_loader, strict=True), strict=True)),
        result,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
