"""Many trainings at once: an ensemble of the one-layer network of §4.1 on single cycles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from rulbook.data import HEALTH_STATES, Fleet, Prepared, Recipe, Windows
from rulbook.data.prepare import prepare
from rulbook.models import DualTaskMLP
from rulbook.optimisers import OPTIMISERS, Optimiser
from rulbook.randomness import seeded
from rulbook.threads import one_thread
from rulbook.training.config import RunConfig
from rulbook.typing import Floats, Integers

STEPS = 800
"""Steps of a training."""

BATCH_SIZE = 32
"""Rows a step."""

LEARNING_RATE = 0.03
"""Learning rate at the first step; it falls linearly to zero. With the 1e-3 of §4.3 the networks
are still far from trained after ``STEPS``."""

ENSEMBLE_SEEDS = tuple(range(10))
"""Seeds of initialisation, of the batches and, where engines are drawn, of the draw."""

Weights = tuple[float, float]
"""Weight of the RUL loss and weight of the other loss."""

RUL_ONLY: Weights = (1.0, 0.0)

EQUAL_WEIGHTS: Weights = (0.5, 0.5)


Watch = Callable[[int, Tensor, Tensor, Mapping[str, Tensor]], None]
"""Called before every update with the number of the step, counted from 0; the RUL loss and the
loss of the second task, each (seeds, weights), with their graph; and the stacked parameters."""


@dataclass(frozen=True)
class UpdateRule:
    """How a training moves its parameters.

    Attributes:
        optimiser: update rule.
        learning_rate: learning rate at the first step; it falls linearly to zero.
        weight_decay: decay of the optimiser; the protocol's by default.
        clip_norm: largest norm of each network's gradient; not clipped if left out.
    """

    optimiser: Optimiser = "adamw"
    learning_rate: float = LEARNING_RATE
    weight_decay: float = RunConfig.model_fields["weight_decay"].default
    clip_norm: float | None = None

    def with_rate(self, learning_rate: float) -> "UpdateRule":
        """Return this rule at another learning rate."""
        return replace(self, learning_rate=learning_rate)


ADAMW = UpdateRule()
"""The rule of every experiment that names none."""


def single_cycles(fleet: Fleet) -> Prepared:
    """Return a fleet prepared by the locked protocol with a window of one cycle, one row a cycle.

    ``x`` of the windows is (rows, 1, features).
    """
    return prepare(fleet, Recipe(window=1))


def pairs(rul_weights: npt.ArrayLike) -> Floats:
    """Return RUL weights of any shape (…) beside what is missing to 1, (…, 2)."""
    of_rul = np.asarray(rul_weights, dtype=np.float64)
    return np.stack([of_rul, 1.0 - of_rul], axis=-1)


@dataclass(frozen=True)
class Networks:
    """Trained networks, one for every seed and pair of weights.

    Attributes:
        template: a network whose modules say how parameters are used; its own values do not count.
        parameters: every parameter of the network, stacked: (seeds, weights, …).
    """

    template: DualTaskMLP
    parameters: Mapping[str, Tensor]

    def flat(self) -> Floats:
        """Return all parameters of each network in one row, (seeds, weights, numbers)."""
        rows = [value.flatten(2) for value in self.parameters.values()]
        return torch.cat(rows, dim=-1).numpy().astype(np.float64)

    def predict(self, windows: Windows) -> tuple[npt.NDArray[np.float32], Integers]:
        """Return RUL in cycles and class, each (seeds, weights, rows)."""
        with torch.no_grad(), one_thread():
            rul, logits = _forward(self.template, self.parameters, last_cycle(windows))
            return rul.numpy(), logits.argmax(-1).numpy()

    def features(self, windows: Windows) -> npt.NDArray[np.float32]:
        """Return the shared representation, (seeds, weights, rows, hidden)."""
        prefix = "shared."
        trunk = {
            name.removeprefix(prefix): value
            for name, value in self.parameters.items()
            if name.startswith(prefix)
        }

        def one(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(self.template.shared, parameters, (x,))  # type: ignore[no-any-return]

        with torch.no_grad(), one_thread():
            every = vmap(vmap(one, (0, None)), (0, None), chunk_size=1)
            found: npt.NDArray[np.float32] = every(trunk, last_cycle(windows)).numpy()
            return found

    def losses(self, windows: Windows) -> "Losses":
        """Return the two losses and the share of right health states on some rows."""
        x, rul = last_cycle(windows), torch.from_numpy(windows.rul)
        health = torch.from_numpy(windows.health)
        found = []
        # Seed by seed: the logits of a thousand networks would fill the memory.
        for seed in range(len(next(iter(self.parameters.values())))):
            of_seed = {name: value[seed, None] for name, value in self.parameters.items()}
            with torch.no_grad(), one_thread():
                predicted, logits = _forward(self.template, of_seed, x)
                found.append(
                    (
                        (predicted - rul).square().mean(-1)[0].numpy(),
                        _cross_entropy(logits, health[None])[0].numpy(),
                        (logits.argmax(-1) == health).float().mean(-1)[0].numpy(),
                    )
                )
        return Losses(*(np.stack(column) for column in zip(*found, strict=True)))


@dataclass(frozen=True)
class Losses:
    """What networks do on some rows, each (seeds, weights).

    Attributes:
        rul: mean squared error in cycles².
        health: mean cross-entropy in nats.
        health_accuracy: share of right health states.
    """

    rul: npt.NDArray[np.float32]
    health: npt.NDArray[np.float32]
    health_accuracy: npt.NDArray[np.float32]


def train_networks(
    windows: Windows,
    weights: Sequence[Weights] | Floats,
    seeds: Sequence[int] = ENSEMBLE_SEEDS,
    *,
    labels: Integers | None = None,
    engines: Sequence[int] | None = None,
    label_every_engine: bool = False,
    steps: int = STEPS,
    rule: UpdateRule = ADAMW,
    watch: Watch | None = None,
) -> Networks:
    """Train one ``DualTaskMLP`` for every seed and pair of weights, all at once.

    Networks of one seed start from the same parameters and see the same rows in the same order,
    so that their weights alone tell them apart. The output bias of the RUL head starts at the mean
    RUL of the rows that it may see.

    Args:
        windows: rows to train on, each a window of one cycle or more, of which the last is used.
        weights: pairs of weights, (weights, 2), or other ones for every seed, (seeds, weights, 2).
        seeds: see ``ENSEMBLE_SEEDS``.
        labels: classes of the second task, (rows,); the health state if left out.
        engines: how many engines each of the seeds draws to be trained on; all if left out.
        label_every_engine: whether the second task sees the rows of all engines, not only of those
            drawn; each step then takes another batch for it.
        steps: steps of each training.
        rule: how the parameters are moved.
        watch: looks on; it may differentiate the losses if it retains their graph.
    """
    labels = windows.health if labels is None else labels
    n_classes = max(len(HEALTH_STATES), int(labels.max()) + 1)
    x, rul, label = last_cycle(windows), torch.from_numpy(windows.rul), torch.from_numpy(labels)
    numbers: Sequence[int | None] = engines or [None] * len(seeds)
    pools = [_pool(windows, *drawn) for drawn in zip(seeds, numbers, strict=True)]
    start = [
        untrained_network(x.shape[1], n_classes, seed, float(windows.rul[pool].mean()))
        for seed, pool in zip(seeds, pools, strict=True)
    ]
    everything = np.arange(len(windows))
    for_rul = row_batches(seeds, pools, steps)
    for_label = (
        row_batches(seeds, [everything] * len(seeds), steps) if label_every_engine else for_rul
    )

    weight_rul, weight_label = torch.as_tensor(np.asarray(weights), dtype=torch.float32).unbind(-1)
    stacked, _ = stack_module_state(start)
    parameters = {
        name: value.detach()[:, None].repeat_interleave(weight_rul.shape[-1], 1).requires_grad_()
        for name, value in stacked.items()
    }
    with one_thread():
        optimiser, schedule = _optimiser(list(parameters.values()), steps, rule)
        for step, (rows, label_rows) in enumerate(zip(for_rul, for_label, strict=True)):
            predicted, logits = _forward(start[0], parameters, x[rows])
            if label_every_engine:
                logits = _forward(start[0], parameters, x[label_rows])[1]
            rul_loss = (predicted - rul[rows][:, None]).square().mean(-1)
            label_loss = _cross_entropy(logits, label[label_rows])
            if watch:
                watch(step, rul_loss, label_loss, parameters)
            optimiser.zero_grad()
            # Each network's loss depends on its own slice alone: the gradient of the sum is
            # the stack of their gradients.
            (weight_rul * rul_loss + weight_label * label_loss).sum().backward()  # type: ignore[no-untyped-call]
            if rule.clip_norm is not None:
                _clip(list(parameters.values()), rule.clip_norm)
            optimiser.step()
            schedule.step()
    return Networks(start[0], {name: value.detach() for name, value in parameters.items()})


def drawn_engines(windows: Windows, seed: int, number: int) -> Integers:
    """Return the engines that a seed draws, (number,)."""
    found: Integers = np.random.default_rng(seed).choice(
        np.unique(windows.unit), number, replace=False
    )
    return found


def _pool(windows: Windows, seed: int, engines: int | None) -> npt.NDArray[np.intp]:
    if engines is None:
        return np.arange(len(windows))
    return np.flatnonzero(np.isin(windows.unit, drawn_engines(windows, seed, engines)))


def untrained_network(in_dim: int, n_classes: int, seed: int, mean_rul: float) -> DualTaskMLP:
    """Return the untrained network of a seed, with its RUL bias at ``mean_rul``, cycles."""
    with seeded(seed):
        network = DualTaskMLP(in_dim, n_classes=n_classes)
    nn.init.constant_(network.head_rul.bias, mean_rul)
    return network


def row_batches(seeds: Sequence[int], pools: Sequence[npt.NDArray[np.intp]], steps: int) -> Tensor:
    """Return rows drawn with replacement from each seed's pool, (steps, seeds, BATCH_SIZE)."""
    drawn = [
        pool[np.random.default_rng(seed).integers(len(pool), size=(steps, BATCH_SIZE))]
        for seed, pool in zip(seeds, pools, strict=True)
    ]
    return torch.from_numpy(np.stack(drawn, axis=1))


def _optimiser(
    parameters: list[Tensor] | list[nn.Parameter], steps: int, rule: UpdateRule
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser: torch.optim.Optimizer = OPTIMISERS[rule.optimiser](
        parameters, lr=rule.learning_rate, weight_decay=rule.weight_decay, fused=True
    )
    return optimiser, torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=steps)


def _clip(parameters: list[Tensor], clip_norm: float) -> None:
    """Scale the gradient of each network of a stack down to ``clip_norm``, as PyTorch does one."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    parts = [torch.linalg.vector_norm(g.flatten(2), dim=-1) for g in gradients]
    norms = torch.linalg.vector_norm(torch.stack(parts), dim=0)
    factors = (clip_norm / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factors.view(*factors.shape, *[1] * (gradient.ndim - 2)))


def _forward(
    template: DualTaskMLP, parameters: Mapping[str, Tensor], x: Tensor
) -> tuple[Tensor, Tensor]:
    """Return RUL (seeds, weights, rows) and logits (seeds, weights, rows, classes).

    ``x`` is (rows, features) for all networks, or (seeds, rows, features).
    """

    def one(parameters: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = functional_call(template, parameters, (x,))
        return found

    every_weight = vmap(one, (0, None))
    shared_rows = x.ndim == 2
    # Many rows are predicted seed by seed, so that memory does not grow with the seeds.
    every = vmap(
        every_weight, (0, None if shared_rows else 0), chunk_size=1 if shared_rows else None
    )
    rul, logits = every(dict(parameters), x)
    return rul, logits


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over rows, (seeds, weights), of logits (seeds, weights, rows, classes)."""
    every = labels[:, None].expand(logits.shape[:-1])
    found = functional.cross_entropy(logits.flatten(0, 2), every.flatten(), reduction="none")
    return found.view(logits.shape[:-1]).mean(-1)


def last_cycle(windows: Windows) -> Tensor:
    """Return the features of the last cycle of each window, float32, (windows, features)."""
    return torch.from_numpy(windows.x[:, -1])
