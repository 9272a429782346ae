"""A tiny two-head network that every test of a weighting method can run a step on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from rulbook.gradients import geometry
from rulbook.weighting.base import BaseMTLLoss, MeasuredStep, StepInfo

from ..gradient_samples import Pair


@dataclass
class TinyNetwork:
    """One shared layer pair, one linear head a task, one batch; float64."""

    trunk: nn.Module
    heads: nn.ModuleDict
    x: Tensor
    rul: Tensor
    health: Tensor

    @classmethod
    def build(cls, seed: int = 0, rul_scale: float = 100.0) -> "TinyNetwork":
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # as in `_fixed_seeds`
            trunk = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 4), nn.Tanh())
            heads = nn.ModuleDict({"rul": nn.Linear(4, 1), "health": nn.Linear(4, 3)})
        return cls(
            trunk.double(),
            heads.double(),
            torch.randn(16, 5, generator=generator, dtype=torch.float64),
            rul_scale * torch.rand(16, generator=generator, dtype=torch.float64),
            torch.randint(0, 3, (16,), generator=generator),
        )

    def to(self, device: str) -> "TinyNetwork":
        """Return the same network in float32 on the device."""
        return TinyNetwork(
            self.trunk.float().to(device),
            self.heads.float().to(device),
            self.x.float().to(device),
            self.rul.float().to(device),
            self.health.to(device),
        )

    @property
    def shared_params(self) -> Sequence[nn.Parameter]:
        return list(self.trunk.parameters())

    @property
    def task_params(self) -> Mapping[str, Sequence[nn.Parameter]]:
        return {task: list(head.parameters()) for task, head in self.heads.items()}

    @property
    def parameters(self) -> list[nn.Parameter]:
        heads = self.task_params
        return [*self.shared_params, *heads["rul"], *heads["health"]]

    def losses(self) -> tuple[Tensor, Tensor]:
        z = self.trunk(self.x)
        rul = nn.functional.mse_loss(self.heads["rul"](z).squeeze(-1), self.rul)
        return rul, nn.functional.cross_entropy(self.heads["health"](z), self.health)

    def step(self, loss: BaseMTLLoss, *, observe: bool = False) -> StepInfo:
        """Run one forward and the method's backward on zeroed gradients."""
        self.clear()
        return loss.backward(
            *self.losses(),
            shared_params=self.shared_params,
            task_params=self.task_params,
            observe=observe,
        )

    def clear(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def gradients(self) -> list[Tensor]:
        """Return a copy of every ``.grad``, zeros where there is none."""
        return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in self.parameters]


def measured_step(sample: Pair, losses: Tensor) -> MeasuredStep:
    """Return what a gradient-based method is given for one pair of task gradients."""
    gradients = (sample.rul, sample.health)
    return MeasuredStep(gradients, geometry(*gradients), losses)


def last_layer_norms(sample: Pair) -> Tensor:
    """Return the norms of both gradients on the last shared layer, (2,).

    The last of the shapes with more than one dimension stands for it.
    """
    layers = (next(g for g in reversed(task) if g.ndim > 1) for task in (sample.rul, sample.health))
    return torch.stack([torch.linalg.vector_norm(layer) for layer in layers])


@pytest.fixture
def network() -> TinyNetwork:
    return TinyNetwork.build()


def tensor(*values: float) -> Tensor:
    """Return these numbers in float64."""
    return torch.tensor(values, dtype=torch.float64)


def leaves(values: Sequence[float]) -> list[Tensor]:
    """Return a loss each, 0-dim and float64, that gradients can be taken by."""
    return [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in values]
