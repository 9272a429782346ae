"""Three steps of every method on half a batch: run once in each of two processes.

``python two_processes.py RANK STORE RESULT`` meets the other process through the file STORE and
writes to RESULT what it ended with, by method.
"""

import sys

import torch
from torch import distributed, nn
from torch.distributed.fsdp import fully_shard

from rulbook.errors import UsageError
from rulbook.weighting.base import GradientBasedLoss, GradientWeightedLoss
from rulbook.weighting.registry import WEIGHTING_METHODS, get_loss
from rulbook.weighting.steps import split_gradients

STEPS = 3


def gives_a_loss(name):
    """Return whether a method has a combined loss, which surgery on gradients has not."""
    loss = get_loss(name)
    return isinstance(loss, GradientWeightedLoss) or not isinstance(loss, GradientBasedLoss)


CASES = tuple(
    (name, call)
    for name in WEIGHTING_METHODS
    for call in ("backward", "observe", *(["forward"] if gives_a_loss(name) else []))
)
"""Every method and each way to take a step with it."""


class TwoHeads(nn.Module):
    """A trunk and two heads that return both predictions."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 4), nn.Tanh())
        self.rul = nn.Linear(4, 1)
        self.health = nn.Linear(4, 3)

    def forward(self, x):
        z = self.trunk(x)
        return self.rul(z).squeeze(-1), self.health(z)


def batch():
    """Return the joint batch: inputs, RUL and health state of 16 windows."""
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(16, 5, generator=draws, dtype=torch.float64)
    rul = 10 * torch.rand(16, generator=draws, dtype=torch.float64)
    return x, rul, torch.randint(0, 3, (16,), generator=draws)


def trained(name, rows, wrap, call):
    """Return parameters, state and weights after three steps on some rows of the batch.

    ``call`` is how a step is taken: by ``backward``, with ``observe``, or by ``forward``, as the
    book calls it.
    """
    torch.manual_seed(0)
    network = TwoHeads().double()
    wrapped = wrap(network)
    # Each process has a seed of its own, as is usual; the first's is that of a single process.
    torch.manual_seed(rows.start or 0)
    loss = get_loss(name).double()
    if name.startswith("gaba"):
        loss.warmup_steps = 1
    learned = list(loss.parameters())
    optimiser = torch.optim.SGD([*network.parameters(), *learned], lr=1e-2)
    x, rul, health = (values[rows] for values in batch())
    for _ in range(STEPS):
        optimiser.zero_grad()
        predicted, logits = wrapped(x)
        losses = nn.functional.mse_loss(predicted, rul), nn.functional.cross_entropy(logits, health)
        if call == "forward":
            loss(*losses, shared_params=network.trunk.parameters()).backward()
        else:
            heads = {"rul": network.rul.parameters(), "health": network.health.parameters()}
            loss.backward(
                *losses,
                shared_params=network.trunk.parameters(),
                task_params=heads,
                observe=call == "observe",
            )
        optimiser.step()
    return {
        "parameters": [p.detach() for p in network.parameters()],
        "state": loss.state_dict(),
        "weights": loss.get_weights(),
    }


def reached(rank):
    """Return what a loss reaches of three parameters: one here, one in the first alone, none."""
    parameters = [nn.Parameter(torch.ones(())) for _ in range(3)]
    loss = parameters[0] + parameters[1] if rank == 0 else parameters[0] * 1
    return split_gradients([loss], parameters, [[]])[0].reached


def without_labels(rank):
    """Return the gradients in double precision where the second process has no health labels."""
    torch.manual_seed(0)
    network = TwoHeads().double()
    x, rul, health = batch()
    predicted, logits = network(x)
    cross_entropy = nn.functional.cross_entropy(logits, health)
    get_loss("gaba").backward(
        nn.functional.mse_loss(predicted, rul),
        cross_entropy if rank == 0 else torch.zeros(()),
        shared_params=network.trunk.parameters(),
        task_params={"rul": network.rul.parameters(), "health": network.health.parameters()},
    )
    return [p.grad for p in network.parameters()]


def without_graph(rank):
    """Return what both processes say where the second one has a graph for no loss."""
    network = TwoHeads()
    x, rul, _ = (values.float() for values in batch())
    predicted, logits = network(x)
    losses = (predicted - rul).square().mean(), logits.square().mean()
    try:
        get_loss("gaba").backward(
            *(losses if rank == 0 else (torch.zeros(()), torch.zeros(()))),
            shared_params=network.trunk.parameters(),
            task_params={"rul": network.rul.parameters(), "health": network.health.parameters()},
        )
    except UsageError as error:
        return str(error)
    return "nothing"


def evaluated_by_the_first(rank):
    """Return the combined loss that the first process evaluates while the other does nothing."""
    if rank:
        return None
    loss, values = get_loss("uncertainty"), (torch.ones(()), torch.ones(()))
    with torch.no_grad():
        without_gradients = loss(*values)
    return without_gradients.item(), loss.eval()(*values).item()


def sharded(name, *, nested, observe=False, as_the_book_calls=False):
    """Return what a step says under FSDP, which puts the parameters away after each pass."""
    network = TwoHeads()
    if nested:
        fully_shard(network.trunk)
    fully_shard(network)
    x, rul, health = (values.float() for values in batch())
    predicted, logits = network(x)
    losses = (
        nn.functional.mse_loss(predicted, rul),
        nn.functional.cross_entropy(logits, health.long()),
    )
    try:
        if as_the_book_calls:
            get_loss(name)(*losses, shared_params=network.trunk.parameters())
            return "nothing"
        get_loss(name).backward(
            *losses,
            shared_params=network.trunk.parameters(),
            task_params={"rul": network.rul.parameters(), "health": network.health.parameters()},
            observe=observe,
        )
    except UsageError as error:
        return str(error)
    return "nothing"


def main(rank, store, result):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=int(rank), world_size=2
    )
    rows = slice(8 * int(rank), 8 * int(rank) + 8)
    ended = {
        (name, call): trained(name, rows, nn.parallel.DistributedDataParallel, call)
        for name, call in CASES
    }
    ended["reached"] = reached(int(rank))
    ended["without labels"] = without_labels(int(rank))
    ended["without graph"] = without_graph(int(rank))
    ended["alone"] = evaluated_by_the_first(int(rank))
    ended["sharded"] = [
        sharded("gaba", nested=False),
        sharded("cagrad", nested=True),
        sharded("fixed_050", nested=False, observe=True),
        sharded("fixed_050", nested=True),
        sharded("gradnorm", nested=True, as_the_book_calls=True),
        sharded("fixed_050", nested=False),
    ]
    torch.save(ended, result)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
