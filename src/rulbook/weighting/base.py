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
    """A task loss, or the gradient of one, is NaN or infinite."""


class BaseMTLLoss(nn.Module, ABC):
    """Combine the RUL loss and the health loss (§24.1, ``BaseMTLLoss``).

    ``forward``, ``get_weights`` and ``get_name`` are the book's interface. ``backward`` and
    ``end_epoch`` are ours: the training loop calls them for every method alike and never asks
    which one it runs. State that must survive a checkpoint is a registered buffer or a parameter.
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
        """Return the current weights as ``{"rul_weight": …, "health_weight": …}``.

        They are the weights of the last step, NaN before the first one where they depend on it.
        """

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
            NonFiniteLossError: a loss is NaN or infinite; nothing was written to ``.grad``, and
                no state of the method moved.

        """
        self._check_finite("loss", rul_loss, health_loss)
        if not observe:
            total = self.forward(rul_loss, health_loss)
            total.backward()  # type: ignore[no-untyped-call]
            return StepInfo(total.detach(), None)
        rul, health = split_gradients(rul_loss, health_loss, shared_params, task_params)
        leaves = [loss.detach().requires_grad_() for loss in (rul_loss, health_loss)]
        total = self.forward(*leaves)
        total.backward()  # type: ignore[no-untyped-call]
        weights = [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]
        write_gradients(shared_params, task_params, rul, health, weights, weights)
        return StepInfo(total.detach(), geometry(rul.shared, health.shared))

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:
        """Take the epoch's mean training losses, under ``"rul"`` and ``"health"``."""

    def _check_finite(self, kind: str, rul: Tensor, health: Tensor) -> None:
        """Raise unless both 0-dim tensors are finite; one transfer where the device is a GPU."""
        if kind == "loss":
            self._steps_seen += 1
        both = torch.stack([rul.detach(), health.detach()])
        if torch.isfinite(both).all():
            return
        for task, value in zip(TASKS, both.tolist(), strict=True):
            if not torch.isfinite(torch.tensor(value)):
                raise NonFiniteLossError(
                    f"The {task} {kind} is {value} at step {self._steps_seen} of "
                    f"{self.get_name()}; lower the learning rate or look at that batch."
                )


class GradientWeightedLoss(BaseMTLLoss):
    """A weighted sum of the losses whose weights come from the task gradients of the same step.

    ``backward`` measures and combines the two task gradients of one graph: two backward passes.
    ``forward`` with ``shared_params`` is the book's form, which measures with
    ``torch.autograd.grad(retain_graph=True)`` and leaves a third pass to the caller; both give
    the same weights and the same gradients. ``forward`` without ``shared_params`` measures
    nothing, moves no state, and combines under the weights of the last step.
    """

    needs_task_gradients = True

    @abstractmethod
    def current_weights(self) -> Tensor:
        """Return the detached weights of the last step, (2,), RUL first."""

    @abstractmethod
    def weigh(
        self, rul: Gradients, health: Gradients, measured: GradientGeometry, losses: Tensor
    ) -> Tensor:
        """Move the method's state by one step and return the weights of this step, (2,).

        Args:
            rul: gradient of the unweighted RUL loss, one tensor a shared parameter.
            health: gradient of the unweighted health loss, likewise.
            measured: norms and cosine of the two.
            losses: the two detached losses, (2,).

        """

    def forward(self, rul_loss: Tensor, health_loss: Tensor, **kwargs: Any) -> Tensor:
        """Return the weighted sum, 0-dim, under weights measured on ``shared_params``.

        Raises:
            NonFiniteLossError: a loss or its gradient is NaN or infinite; no state moved.

        """
        shared_params = kwargs.get("shared_params")
        if shared_params is None:
            weights = self.current_weights()
        else:
            self._check_finite("loss", rul_loss, health_loss)
            rul = task_gradients(rul_loss, shared_params, retain_graph=True)
            health = task_gradients(health_loss, shared_params, retain_graph=True)
            weights = self._measure(rul, health, rul_loss, health_loss)[0]
        return weights[0] * rul_loss + weights[1] * health_loss

    def backward(
        self,
        rul_loss: Tensor,
        health_loss: Tensor,
        *,
        shared_params: Sequence[nn.Parameter],
        task_params: Mapping[str, Sequence[nn.Parameter]],
        observe: bool = False,  # noqa: ARG002
    ) -> StepInfo:
        """Add the gradient of one step to ``.grad``; the geometry costs nothing and is reported."""
        self._check_finite("loss", rul_loss, health_loss)
        rul, health = split_gradients(rul_loss, health_loss, shared_params, task_params)
        weights, measured = self._measure(rul.shared, health.shared, rul_loss, health_loss)
        write_gradients(shared_params, task_params, rul, health, weights, weights)
        total = weights[0] * rul_loss.detach() + weights[1] * health_loss.detach()
        return StepInfo(total, measured)

    def get_weights(self) -> dict[str, float]:
        """Return the weights of the last step."""
        return as_weights(self.current_weights())

    def _measure(
        self, rul: Gradients, health: Gradients, rul_loss: Tensor, health_loss: Tensor
    ) -> tuple[Tensor, GradientGeometry]:
        measured = geometry(rul, health)
        self._check_finite("gradient norm", measured.norm_rul, measured.norm_health)
        losses = torch.stack([rul_loss.detach(), health_loss.detach()])
        return self.weigh(rul, health, measured, losses), measured


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
    weights: Sequence[Tensor | float] | Tensor,
    head_weights: Sequence[Tensor | float] | Tensor,
) -> None:
    """Add ``weights`` times the task gradients to ``.grad`` of the shared parameters.

    Each head gets its own gradient times its entry of ``head_weights``.
    """
    weight_rul, weight_health = weights
    for parameter, g_rul, g_health in zip(shared_params, rul.shared, health.shared, strict=True):
        add_to_grad(parameter, (weight_rul * g_rul).add_(weight_health * g_health))
    for task, found, weight in zip(TASKS, (rul, health), head_weights, strict=True):
        for parameter, part in zip(task_params[task], found.head, strict=True):
            add_to_grad(parameter, weight * part)


def add_to_grad(parameter: nn.Parameter, gradient: Tensor) -> None:
    """Add ``gradient`` to ``parameter.grad``, as autograd's own backward would."""
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def as_weights(weights: Tensor | Sequence[float]) -> dict[str, float]:
    """Return two weights, RUL first, in the form of ``get_weights``."""
    rul, health = weights.tolist() if isinstance(weights, Tensor) else weights
    return {"rul_weight": rul, "health_weight": health}


def learnable(loss: BaseMTLLoss) -> Iterator[nn.Parameter]:
    """Yield the weights a method learns; the optimiser takes them without weight decay."""
    return loss.parameters()
