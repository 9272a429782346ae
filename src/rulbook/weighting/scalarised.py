"""Baselines that combine the losses through TorchJD's scalarizers."""

from collections.abc import Sequence
from functools import partial
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from rulbook.errors import UsageError
from rulbook.randomness import seeded
from rulbook.weighting.base import TASKS, BaseMTLLoss, LossWeightedLoss, as_weights, weighted_sum
from rulbook.weighting.method import WeightingMethod
from rulbook.weighting.processes import from_first_process, is_distributed
from rulbook.weighting.solvers import torchjd_for


class RandomLoss(BaseMTLLoss):
    r"""Weights drawn anew at every step (Lin et al. 2022, random loss weighting).

    .. math:: \lambda = \mathrm{softmax}(z), \qquad z_k \sim N(0, 1)

    through TorchJD's ``Random``. The draws come from a seed and the count of the steps, so that
    they leave PyTorch's global generator alone and go on where a checkpoint left off; in training,
    every process takes the first one's seed. In evaluation mode the weights stay those of the last
    step. Step n of seed s draws what step 0 of seed s + n does: for trainings to be independent,
    their seeds must be further apart than one of them has steps.

    Args:
        seed: by default the one that ``torch.manual_seed`` was last given.
        tasks: names of the tasks.

    State: buffers ``seed`` and ``step_count``. The weights sum to 1.

    >>> method = RandomLoss(seed=0)
    >>> total = method(torch.tensor(1.0), torch.tensor(1.0))
    >>> round(total.item(), 6), round(sum(method.get_weights().values()), 6)
    (1.0, 1.0)
    """

    seed: Tensor
    step_count: Tensor

    def __init__(self, seed: int | None = None, *, tasks: Sequence[str] = TASKS) -> None:
        super().__init__(tasks)
        if isinstance(seed, bool) or not isinstance(seed, Integral | None):
            raise UsageError(f"Random loss weighting takes a whole number for seed, not {seed!r}.")
        with torchjd_for("Random loss weighting"):
            from torchjd.scalarization import Random

            self._scalarizer = Random()
        chosen = torch.initial_seed() if seed is None else int(seed)
        # Within the range of a signed 64-bit integer, which a buffer holds.
        self.register_buffer("seed", torch.tensor(chosen % 2**62, dtype=torch.long))
        self.register_buffer("step_count", torch.zeros((), dtype=torch.long))
        self._last_weights = torch.full((len(self.tasks),), torch.nan)

    def combine(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the weighted sum, 0-dim."""
        if self.training and is_distributed():
            # Each process may have been seeded apart, as samplers and dropout want it.
            self.seed.copy_(from_first_process([self.seed.to(losses[0].device)])[0])
        if self.training or self._last_weights.isnan().any():
            self._last_weights = self._draw(self.step_count)
        if self.training:
            self.step_count += 1
        return weighted_sum(self._last_weights.to(losses[0]), losses)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        """Take a checkpoint, whose last weights are drawn again."""
        super()._load_from_state_dict(*arguments)
        self._last_weights = (
            self._draw(self.step_count - 1)
            if self.step_count > 0
            else torch.full_like(self._last_weights, torch.nan)
        )

    def get_weights(self) -> dict[str, float]:
        """Return the weights of the last step; they sum to 1."""
        return as_weights(self._last_weights, self.tasks)

    def get_name(self) -> str:
        """Return ``Random``."""
        return "Random"

    def _draw(self, steps_before: Tensor) -> Tensor:
        """Return the weights of the step after so many others, (K,) float64, on the CPU."""
        parts = []
        for unit in torch.eye(len(self.tasks), dtype=torch.float64, device="cpu"):
            with seeded(int(self.seed) + int(steps_before)):
                parts.append(self._scalarizer(unit))
        return torch.stack(parts)


class GeometricMeanLoss(LossWeightedLoss):
    r"""The geometric mean of the losses (Chennupati et al. 2019).

    .. math:: L = \Bigl(\prod_k L_k\Bigr)^{1/K}, \qquad
              \lambda_k = \frac{\partial L}{\partial L_k} = \frac{L}{K L_k}

    through TorchJD's ``GeometricMean``. A loss of exactly zero, where the derivative has no bound,
    has weight 0. It makes the product zero, so that a batch without labels of one task trains
    hardly anything.

    >>> method = GeometricMeanLoss()
    >>> round(method(torch.tensor(400.0), torch.tensor(1.0)).item(), 3)
    20.0
    """

    needs_positive_losses = True

    def __init__(self, *, tasks: Sequence[str] = TASKS) -> None:
        super().__init__(tasks)
        with torchjd_for("The geometric mean"):
            from torchjd.scalarization import GeometricMean

            self._scalarizer = GeometricMean()

    def combine(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the geometric mean, 0-dim."""
        stacked = torch.stack(list(losses))
        least = torch.finfo(stacked.dtype).tiny
        total: Tensor = self._scalarizer(stacked.clamp_min(least))
        values = stacked.detach()
        self._keep(torch.where(values > 0, total.detach() / len(losses) / values, 0.0))
        return total

    def get_name(self) -> str:
        """Return ``GeometricMean``."""
        return "GeometricMean"


class IMTLLLoss(BaseMTLLoss):
    r"""IMTL-L: one learned scale a task (Liu et al. 2021, loss balance).

    .. math:: L = \sum_k \bigl(e^{s_k} L_k - s_k\bigr)

    through TorchJD's ``IMTLL``; twice the uncertainty loss at :math:`-s_k`.

    State: the parameter ``scalarizer.log_scale`` (K,), 0 at first, to be learned without weight
    decay.

    >>> IMTLLLoss()(torch.tensor(3.0), torch.tensor(1.0)).item()
    4.0
    """

    def __init__(self, *, tasks: Sequence[str] = TASKS) -> None:
        super().__init__(tasks)
        with torchjd_for("IMTL-L"):
            from torchjd.scalarization import IMTLL

            self.scalarizer: nn.Module = IMTLL(len(self.tasks))

    def combine(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the scaled losses less the regularising terms, 0-dim."""
        return self.scalarizer(torch.stack(list(losses)))  # type: ignore[no-any-return]

    def get_weights(self) -> dict[str, float]:
        """Return the factors of the losses."""
        return as_weights(self.scalarizer.get_parameter("log_scale").detach().exp(), self.tasks)

    def get_name(self) -> str:
        """Return ``IMTL-L``."""
        return "IMTL-L"


_scalarised = partial(WeightingMethod, needs="losses")

RANDOM = _scalarised(
    title="Random loss weighting",
    build=RandomLoss,
    formula=r"\lambda = \mathrm{softmax}(z),\ z_k \sim N(0, 1)",
    source="Lin et al. 2022",
    citation="lin2022",
    needs="nothing",
    state="seed, step count",
    weight_sum="1",
)

GEOMETRIC_MEAN = _scalarised(
    title="Geometric mean",
    build=GeometricMeanLoss,
    formula=r"\lambda_k = \frac{1}{K L_k}\Bigl(\prod_j L_j\Bigr)^{1/K}",
    source="Chennupati et al. 2019",
    citation="chennupati2019",
    weight_sum="any",
)

IMTL_L = _scalarised(
    title="IMTL-L",
    build=IMTLLLoss,
    formula=r"\lambda_k = e^{s_k},\ s_k \text{ learned}",
    source="Liu et al. 2021",
    citation="liu2021imtl",
    state="one learned scale a task",
    weight_sum="any",
)
