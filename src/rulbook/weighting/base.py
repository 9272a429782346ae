"""The contract that every weighting method keeps with the training loop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rulbook.errors import RulbookError
from rulbook.gradients import GradientGeometry, Gradients, geometry, task_gradients

TASKS = ("rul", "health")
"""The two tasks, in the order in which every function of the package takes them."""


@dataclass(frozen=True)
class StepInfo:
    """What one call of ``backward`` reports to the training loop.

    Attributes:
        total: detached combined loss, 0-dim; ``None`` for methods that combine gradients only.
        geometry: norms and cosine of the unweighted task gradients on the shared parameters;
            ``None`` on a step that did not compute the two gradients apart.

    """

    total: Tensor | None
    geometry: GradientGeometry | None


class NonFiniteLossError(RulbookError):
    """A task loss is NaN or infinite."""


class BaseMTLLoss(nn.Module, ABC):
    """Combine the RUL loss and the health loss (§24.1, ``BaseMTLLoss``).

    ``forward``, ``get_weights`` and ``get_name`` are the book's interface. ``backward`` and
    ``end_epoch`` are ours: the training loop calls them for every method alike and never asks
    which one it runs.
    """

    needs_task_gradients: bool = False
    """Whether the method looks at the two task gradients at every step."""

    def __init__(self) -> None:
        super().__init__()
        self._steps_seen = 0

    @abstractmethod
    def forward(self, rul_loss: Tensor, health_loss: Tensor, **kwargs: Any) -> Tensor:
        """Return the combined loss, 0-dim, from the two 0-dim task losses.

        ``kwargs`` may carry ``shared_params``, as the book calls methods that look at gradients.
        """

    @abstractmethod
    def get_weights(self) -> dict[str, float]:
        """Return the current weights as ``{"rul_weight": …, "health_weight": …}``."""

    @abstractmethod
    def get_name(self) -> str:
        """Return the name for logs and tables, with the settings that matter."""

    def backward(
        self,
        rul_loss: Tensor,
        health_loss: Tensor,
        *,
        shared_params: Sequence[nn.Parameter],
        task_params: Mapping[str, Sequence[nn.Parameter]],
        observe: bool = False,
    ) -> StepInfo:
        """Add the gradient of one step to ``.grad`` of every parameter.

        Args:
            rul_loss: 0-dim RUL loss with its graph.
            health_loss: 0-dim health loss with its graph.
            shared_params: parameters that both losses reach.
            task_params: the parameters of each head, under ``"rul"`` and ``"health"``.
            observe: also report the geometry of the task gradients. A method that does not need
                them anyway then pays one backward pass more.

        Raises:
            NonFiniteLossError: a loss is NaN or infinite; nothing was written to ``.grad``.

        """
        self._check_finite(rul_loss, health_loss)
        if not observe:
            total = self.forward(rul_loss, health_loss)
            total.backward()  # type: ignore[no-untyped-call]
            return StepInfo(total.detach(), None)
        rul, health = split_gradients(rul_loss, health_loss, shared_params, task_params)
        leaves = [loss.detach().requires_grad_() for loss in (rul_loss, health_loss)]
        total = self.forward(*leaves)
        total.backward()  # type: ignore[no-untyped-call]
        weight_rul, weight_health = (_gradient_or_zero(leaf) for leaf in leaves)
        write_gradients(shared_params, task_params, rul, health, weight_rul, weight_health)
        return StepInfo(total.detach(), geometry(rul.shared, health.shared))

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:  # noqa: B027
        """Take the epoch's mean training losses, under ``"rul"`` and ``"health"``."""

    def _check_finite(self, rul_loss: Tensor, health_loss: Tensor) -> None:
        self._steps_seen += 1
        for task, loss in zip(TASKS, (rul_loss, health_loss), strict=True):
            if not torch.isfinite(loss):
                raise NonFiniteLossError(
                    f"The {task} loss is {loss.item()} at step {self._steps_seen} of "
                    f"{self.get_name()}; lower the learning rate or look at that batch."
                )


@dataclass(frozen=True)
class TaskGradients:
    """The gradient of one task's unweighted loss: on the shared parameters and on its own head."""

    shared: Gradients
    head: Gradients


def split_gradients(
    rul_loss: Tensor,
    health_loss: Tensor,
    shared_params: Sequence[nn.Parameter],
    task_params: Mapping[str, Sequence[nn.Parameter]],
) -> tuple[TaskGradients, TaskGradients]:
    """Return both tasks' gradients from two backward passes over one graph."""

    def of(loss: Tensor, task: str, keep: bool) -> TaskGradients:
        found = task_gradients(loss, [*shared_params, *task_params[task]], retain_graph=keep)
        return TaskGradients(found[: len(shared_params)], found[len(shared_params) :])

    return of(rul_loss, "rul", True), of(health_loss, "health", False)


def write_gradients(
    shared_params: Sequence[nn.Parameter],
    task_params: Mapping[str, Sequence[nn.Parameter]],
    rul: TaskGradients,
    health: TaskGradients,
    weight_rul: Tensor | float,
    weight_health: Tensor | float,
) -> None:
    """Add the weighted sum of the task gradients to ``.grad``, each head with its own weight."""
    for parameter, g_rul, g_health in zip(shared_params, rul.shared, health.shared, strict=True):
        add_to_grad(parameter, weight_rul * g_rul + weight_health * g_health)
    for task, found, weight in (("rul", rul, weight_rul), ("health", health, weight_health)):
        for parameter, part in zip(task_params[task], found.head, strict=True):
            add_to_grad(parameter, weight * part)


def add_to_grad(parameter: nn.Parameter, gradient: Tensor) -> None:
    """Add ``gradient`` to ``parameter.grad``, as autograd's own backward would."""
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def learnable(loss: BaseMTLLoss) -> Iterator[nn.Parameter]:
    """Yield the weights a method learns; the optimiser takes them without weight decay."""
    return loss.parameters()


def _gradient_or_zero(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
