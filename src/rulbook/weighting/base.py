"""The contract that every weighting method keeps with the training loop."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import torch
from torch import Tensor, nn

from rulbook.errors import RulbookError, UsageError
from rulbook.gradients import GradientGeometry, Gradients, geometry
from rulbook.weighting.inputs import (
    as_scalar,
    check_graphs,
    check_once,
    check_whole,
    checked_scale,
    counted,
    listed_parameters,
    on_one_device,
    shapes,
)
from rulbook.weighting.options import checked_tasks
from rulbook.weighting.processes import from_first_process, is_distributed, mean_over_processes
from rulbook.weighting.steps import (
    Parameters,
    TaskGradients,
    moved_by,
    split_gradients,
    trained_leaves,
    write_gradients,
)

TASKS = ("rul", "health")
"""The source's two tasks, in the order in which every function of the package takes them."""

_SINGLE = torch.float32.itemsize
"""Bytes of a number in single precision."""

STEPS_BETWEEN_CHECKS = 10
"""Steps after which ``backward`` looks again at what the losses train and where that is listed.

A layer may be unfrozen in the middle of a training, and a gate between two heads that starts at
zero may open. The look walks the graph (about a hundredth of a step of the compact network), so not
every step pays for it; a step with other lists than the last one's looks at once.
"""


@dataclass(frozen=True)
class StepInfo:
    """What one call of ``backward`` reports to the training loop.

    Attributes:
        total: detached combined loss, 0-dim; ``None`` for methods that combine gradients only, and
            on a step whose task gradients overflowed under a scale above 1.
        geometry: norms and cosines of the unweighted task gradients on the shared parameters;
            ``None`` on a step that did not compute the gradients apart.

    """

    total: Tensor | None
    geometry: GradientGeometry | None


@dataclass(frozen=True)
class MeasuredStep:
    """What a method that looks at the task gradients is given at one step.

    Attributes:
        gradients: for each of the K tasks the gradient of its unweighted loss, one tensor a shared
            parameter that is trained.
        geometry: norms and cosines of these.
        losses: the detached losses, (K,).

    """

    gradients: tuple[Gradients, ...]
    geometry: GradientGeometry
    losses: Tensor


class NonFiniteLossError(RulbookError):
    """A task loss, the gradient of one, or a weight is NaN or infinite."""


class BaseMTLLoss(nn.Module, ABC):
    """Combine the losses of K tasks, by default the RUL and the health loss (§24.1).

    ``forward``, ``get_weights`` and ``get_name`` are the source's interface. ``backward`` and
    ``end_epoch`` are ours: the training loop calls them for every method alike and never asks
    which one it runs. State that must survive a checkpoint is a registered buffer or a parameter.
    Casting the module to half precision, by itself or within another, casts its parameters and
    leaves its buffers as they are.

    A method is a subclass with ``combine``, ``get_weights`` and ``get_name``. Losses are given in
    the order of ``tasks``, as one mapping, or by the keywords ``rul_loss`` and ``health_loss``
    (``NAME_loss`` for each task). A loss of shape (1,) counts as 0-dim.

    Args:
        tasks: two names or more, distinct, each a Python identifier.

    """

    needs_task_gradients: bool = False
    """Whether the method looks at the task gradients at every step."""

    needs_positive_losses: bool = False
    """Whether the formula divides by a loss, or takes its logarithm or a power of it."""

    learning_rate: float | None = None
    """Rate that the optimiser should use for ``parameters()``; ``None``: the network's own."""

    def __init__(self, tasks: Sequence[str] = TASKS) -> None:
        super().__init__()
        self.tasks = checked_tasks(tasks)
        self._steps_seen = 0
        self._listed: tuple[tuple[int, ...], ...] = ()

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Move and cast as every module does, but leave the buffers their precision.

        In half precision a running average whose beta is near 1 would stand still.
        """
        before = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            moved = self._buffers[name]
            if moved is not None and moved.element_size() < min(buffer.element_size(), _SINGLE):
                self._buffers[name] = buffer.to(moved.device)
        return self

    @abstractmethod
    def combine(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the combined loss, 0-dim, from the K checked losses in the order of ``tasks``."""

    @abstractmethod
    def get_weights(self) -> dict[str, float]:
        """Return the current weights as ``{"rul_weight": …, "health_weight": …}``.

        They are the weights of the last step, NaN before the first one where they depend on it. A
        method that trains under the weights of before a step and then moves them gives the moved
        ones.
        """

    @abstractmethod
    def get_name(self) -> str:
        """Return the name for logs and tables, with the settings that matter."""

    def forward(self, *losses: Any, **kwargs: Any) -> Tensor:
        """Return the combined loss, 0-dim, from the 0-dim task losses.

        ``kwargs`` may carry ``shared_params``, as the source calls methods that look at gradients;
        other keywords are ignored, as in the source.

        Where ``torch.distributed`` runs more than one process, the combined loss in training mode
        is that of the joint batch, and its gradient what ``DistributedDataParallel`` averages to
        that of the joint batch: each process must call it at every step. In evaluation mode and
        under ``torch.no_grad()`` it is of the process's own losses.

        Raises:
            UsageError: a loss is missing, not 0-dim, or negative where the formula divides by it.

        """
        values = self._take(losses, kwargs)
        if self.training and torch.is_grad_enabled() and is_distributed():
            return self._combined_of_all(values)
        if self.needs_positive_losses:
            self._check_sign(torch.stack([loss.detach() for loss in values]))
        return self._combined(values)

    def backward(
        self,
        *losses: Any,
        shared_params: Parameters,
        task_params: Mapping[str, Parameters],
        observe: bool = False,
        scale: Tensor | float | None = None,
        **named_losses: Tensor,
    ) -> StepInfo:
        """Add the gradient of one step to ``.grad`` of every parameter.

        Methods that look at the task gradients, and every method with ``observe``, write ``.grad``
        themselves, and then call the hooks of ``register_post_accumulate_grad_hook``; those of
        ``DistributedDataParallel`` are not called. Where ``torch.distributed`` runs more than one
        process, losses and task gradients are averaged over all of them first, so that every
        process has the weights and the state of the joint batch; each process must then call
        ``backward`` at every step. Where the gradients are taken apart, every process has the
        gradient of the joint batch too. Where they are not, it is left to autograd, whose gradients
        ``DistributedDataParallel`` averages: without that wrapper each process keeps its own.

        Under ``torch.autocast`` each gradient is in the precision of the forward pass, and the
        weights are computed without it, as if ``backward`` were called outside.

        In evaluation mode (``eval()``) no buffer of the method moves, and ``get_weights`` stays at
        the last step of training.

        Args:
            losses: the K losses with their graphs, or one mapping of them. A loss without a graph,
                as of a batch in which a task has no labels, has gradient zero.
            shared_params: parameters that more than one task reaches. A sparse gradient (of an
                embedding) is made dense where the task gradients are looked at.
            task_params: the parameters of each head, under the names of the tasks: those that its
                loss alone reaches. Every trained parameter of the losses must be in exactly one of
                the lists. That is looked at when the lists change, and every
                ``STEPS_BETWEEN_CHECKS`` steps; a layer thawed in between and listed nowhere stands
                still until then. Frozen ones are left out, and one that no loss reaches keeps its
                ``.grad``. An input that needs gradients, for derivatives in a loss, may be listed
                with any task.
            observe: also report the geometry of the task gradients. A method that does not need
                them anyway then pays K - 1 backward passes more.
            scale: positive factor for all that is written to ``.grad``, for losses that are given
                as they are: ``1 / n`` to accumulate over n batches, each of which is a step of the
                method (GABA's warm-up of 100 is then 100 batches);
                ``scaler.scale(torch.ones(()))`` with a ``torch.amp.GradScaler``, whose ``step``
                then unscales as ever. Losses that are scaled before they come here would change
                the weights of methods that look at them. With a scale above 1, a task gradient
                that overflows, on the trunk or on a head, writes NaN and moves no state of methods
                that look at the gradients: it is the scaler's to skip. Methods that look at the
                losses alone have seen a batch like any other.
            named_losses: the losses by keyword.

        Raises:
            NonFiniteLossError: a loss is NaN or infinite; nothing was written to ``.grad``, and
                no state of the method moved.
            UsageError: the losses or the lists of parameters are not as said above, no loss has a
                graph, or gradients are switched off; likewise nothing happened.

        """
        values = self._take(losses, named_losses)
        scale = checked_scale(scale)
        if unknown := [name for name in named_losses if name not in self._keywords()]:
            raise UsageError(
                f"backward has no argument '{unknown[0]}'; the losses are called "
                f"{', '.join(self._keywords())}."
            )
        with _full_precision(values[0]):
            check_graphs(values)
            detached = mean_over_processes([loss.detach() for loss in values])
            self._check_losses(torch.stack(detached))
            shared, heads = self._checked_parameters(values, shared_params, task_params)
            return self._step(values, detached, shared, heads, observe, scale)

    def end_epoch(self, mean_losses: Mapping[str, float]) -> None:
        """Take the epoch's mean training losses, under the names of the tasks.

        Where there are several processes, each must be given the means over all of them.
        """

    def _step(
        self,
        losses: Sequence[Tensor],
        detached: Sequence[Tensor],
        shared: Sequence[nn.Parameter],
        heads: Sequence[Sequence[nn.Parameter]],
        observe: bool,
        scale: Tensor | float | None,
    ) -> StepInfo:
        """Do ``backward`` on what it checked; ``detached`` are the losses of the joint batch."""
        if not observe and not is_distributed():
            total = self._combined(losses)
            _scaled(total, scale).backward()  # type: ignore[no-untyped-call]
            return StepInfo(total.detach(), None)
        leaves = [loss.clone().requires_grad_() for loss in detached]
        total = self._combined(leaves)
        _scaled(total, scale).backward()  # type: ignore[no-untyped-call]
        weights = from_first_process(
            [torch.zeros_like(x) if x.grad is None else _unscaled(x.grad, scale) for x in leaves]
        )
        if not observe:
            # Through autograd, whose hooks DistributedDataParallel averages by.
            _scaled(weighted_sum(weights, losses), scale).backward()  # type: ignore[no-untyped-call]
            return StepInfo(total.detach(), None)
        gradients = split_gradients(losses, shared, heads, scale)
        check_whole(chain(shared, *heads))
        write_gradients(shared, heads, gradients, weights, weights)
        return StepInfo(total.detach(), _measured(gradients, scale)[1])

    def _combined_of_all(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the combined loss of the joint batch, with the graph of this process's losses.

        What the method learns has the gradient of the joint batch in every process.
        """
        leaves = [loss.requires_grad_() for loss in mean_over_processes(losses)]
        if self.needs_positive_losses:
            self._check_sign(torch.stack(leaves).detach())
        total = self._combined(leaves)
        slopes = torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True)
        weights = from_first_process(
            [
                torch.zeros_like(leaf) if slope is None else slope
                for leaf, slope in zip(leaves, slopes, strict=True)
            ]
        )
        return total + weighted_sum(weights, [loss - loss.detach() for loss in losses])

    def _combined(self, losses: Sequence[Tensor]) -> Tensor:
        """Return what ``combine`` does, which may be a method of the user's own."""
        total = self.combine(losses)
        if not isinstance(total, Tensor) or total.shape != ():
            given = f"shape {tuple(total.shape)}" if isinstance(total, Tensor) else repr(total)
            raise UsageError(
                f"combine of {self.get_name()} returned {given}; it must return one 0-dim tensor, "
                "the combined loss."
            )
        return total

    def _keywords(self) -> tuple[str, ...]:
        return tuple(f"{task}_loss" for task in self.tasks)

    def _take(self, losses: Sequence[Any], named: Mapping[str, Any]) -> list[Tensor]:
        """Return the K losses in the order of the tasks, each a 0-dim tensor, on one device."""
        values = zip(self.tasks, self._in_order(losses, named), strict=True)
        return on_one_device([as_scalar(task, value) for task, value in values])

    def _in_order(self, losses: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        """Return the K losses, whatever they are, in the order of the tasks."""
        if len(losses) == 1 and isinstance(losses[0], Mapping):
            by_task = dict(losses[0])
        else:
            by_task = dict(zip(self.tasks, losses, strict=False))
        for task, keyword in zip(self.tasks, self._keywords(), strict=True):
            if keyword in named:
                if task in by_task:
                    raise UsageError(f"The {task} loss is given twice, once as {keyword}: once.")
                by_task[task] = named[keyword]
        if set(by_task) != set(self.tasks) or len(losses) > len(self.tasks):
            names = ", ".join(map(str, by_task)) or "none"
            given = len(losses) if len(losses) > len(self.tasks) else names
            raise UsageError(
                f"{self.get_name()} takes {len(self.tasks)} losses ({', '.join(self.tasks)}); "
                f"given: {given}."
            )
        return [by_task[task] for task in self.tasks]

    def _checked_parameters(
        self,
        losses: Sequence[Tensor],
        shared_params: Parameters,
        task_params: Mapping[str, Parameters],
    ) -> tuple[list[nn.Parameter], list[list[nn.Parameter]]]:
        """Return the trained shared parameters and those of each head, checked."""
        if not isinstance(task_params, Mapping | nn.ModuleDict):
            raise UsageError(
                f"task_params must be a mapping from {', '.join(self.tasks)} to the parameters of "
                f"each head, not a {type(task_params).__name__}."
            )
        if set(task_params) != set(self.tasks):
            raise UsageError(
                f"task_params must hold the parameters of {', '.join(self.tasks)}; it holds: "
                f"{', '.join(map(str, task_params)) or 'nothing'}."
            )
        lists = [
            listed_parameters("shared_params", shared_params),
            *(
                listed_parameters(f"task_params['{task}']", task_params[task])
                for task in self.tasks
            ),
        ]
        shared, *heads = ([p for p in part if p.requires_grad] for part in lists)
        # Which list holds a parameter matters too, and how often.
        listed = tuple(tuple(map(id, part)) for part in (shared, *heads))
        is_new = listed != self._listed
        if is_new or self._steps_seen % STEPS_BETWEEN_CHECKS == 1:
            check_once(listed)
            check_whole(chain(shared, *heads))
            by_task = [trained_leaves(loss) for loss in losses]
            self._check_all_listed(by_task, {identity for part in listed for identity in part})
            if not is_distributed():
                self._check_heads(losses, by_task, shared, heads)
            self._listed = listed
        return shared, heads

    def _check_all_listed(self, by_task: Sequence[Mapping[int, Tensor]], listed: Set[int]) -> None:
        leaves = {identity: leaf for found in by_task for identity, leaf in found.items()}
        if left_out := [leaf for identity, leaf in leaves.items() if identity not in listed]:
            if inputs := [leaf for leaf in left_out if not isinstance(leaf, nn.Parameter)]:
                raise UsageError(
                    f"An input that needs gradients, of shape {shapes(inputs)}, is in neither "
                    "shared_params nor task_params: list it with any task, or, where only "
                    "checkpointing asks for them, call checkpoint(…, use_reentrant=False)."
                )
            raise UsageError(
                f"{counted(left_out)} that the losses train, of shape {shapes(left_out)}, are in "
                "neither shared_params nor task_params and would stand still: list them, or "
                "freeze them with requires_grad_(False)."
            )

    def _check_heads(
        self,
        losses: Sequence[Tensor],
        by_task: Sequence[Mapping[int, Tensor]],
        shared: Sequence[nn.Parameter],
        heads: Sequence[Sequence[nn.Parameter]],
    ) -> None:
        """Raise where a loss trains a parameter that is listed under another task."""
        for task, loss, leaves, head in zip(self.tasks, losses, by_task, heads, strict=True):
            own = {id(p) for p in (*shared, *head)}
            # Inputs that need gradients are no parameters: no step moves them.
            elsewhere = [
                leaf
                for identity, leaf in leaves.items()
                if identity not in own and isinstance(leaf, nn.Parameter)
            ]
            # Heads that were put side by side and taken apart again share a graph, not gradients.
            if elsewhere and (lost := moved_by(loss, elsewhere)):
                raise UsageError(
                    f"{counted(lost)} that the {task} loss trains, of shape {shapes(lost)}, are "
                    "listed in task_params under another task and would miss its gradient: list "
                    "in shared_params what more than one loss reaches, all else under its own task."
                )

    def _check_losses(self, losses: Tensor) -> None:
        """Raise unless the losses, (K,), are finite and of the sign that the formula asks for."""
        self._steps_seen += 1
        self._check_finite("loss", losses)
        self._check_sign(losses)

    def _check_finite(self, kind: str, values: Tensor) -> None:
        """Raise unless ``values``, (K,), are finite; one transfer where the device is a GPU."""
        if torch.isfinite(values).all():
            return
        for task, value in zip(self.tasks, values.tolist(), strict=True):
            if not math.isfinite(value):
                raise NonFiniteLossError(
                    f"The {task} {kind} is {value} at step {self._steps_seen} of "
                    f"{self.get_name()}; lower the learning rate or look at that batch (a mean "
                    "over no labels is NaN: the loss of that task is then torch.zeros(()))."
                )

    def _check_sign(self, losses: Tensor) -> None:
        if self.needs_positive_losses and (losses < 0).any():
            task, value = next(
                (task, value)
                for task, value in zip(self.tasks, losses.tolist(), strict=True)
                if value < 0
            )
            raise UsageError(
                f"{self.get_name()} divides by the losses, and the {task} loss is {value:g}: add a "
                "constant that keeps it positive, or choose a method that does not."
            )


class LossWeightedLoss(BaseMTLLoss):
    """A method whose weights are those that its last batch of losses gave it."""

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__(tasks)
        self._last_weights = torch.full((len(self.tasks),), torch.nan)

    def get_weights(self) -> dict[str, float]:
        """Return the factors that the losses of the last step were multiplied with.

        A batch of losses in evaluation mode is no step and leaves them as they are.
        """
        return as_weights(self._last_weights, self.tasks)

    def _keep(self, weights: Tensor) -> None:
        if self.training:
            self._last_weights = weights.detach()


class GradientBasedLoss(BaseMTLLoss):
    """A method whose weights come from the task gradients of the same step.

    ``backward`` measures and combines the K task gradients of one graph: K backward passes.
    """

    needs_task_gradients = True

    clip_apart: float | None = None
    """Largest norm of the trunk's gradient, and of each head's, written by one step."""

    @abstractmethod
    def weigh(self, step: MeasuredStep) -> Tensor:
        """Move the method's state by one step and return the trunk weights of this step, (K,)."""

    def _weights_of(self, step: MeasuredStep) -> Tensor:
        return self.weigh(step)

    def _check_weights(self, weights: Tensor | Sequence[float]) -> None:
        """Raise unless there is one finite weight a task; they may come from one's own method.

        Weights with a graph would be constants all the same: nothing is trained through them.
        """
        shape = tuple(weights.shape) if isinstance(weights, Tensor) else (len(weights),)
        if shape != (len(self.tasks),):
            raise UsageError(
                f"The weights of {self.get_name()} have shape {shape}; there must be one a task, "
                f"shape ({len(self.tasks)},)."
            )
        if not torch.as_tensor(weights).isfinite().all():
            raise NonFiniteLossError(
                f"The weights of {self.get_name()} are {[float(weight) for weight in weights]}, of "
                "finite losses and gradients: nothing was written. Keep what it divides by away "
                "from zero."
            )
        if isinstance(weights, Tensor) and weights.requires_grad:
            raise UsageError(
                f"The weights of {self.get_name()} carry a graph, and no step would train what "
                "they are computed from: move it in weigh, and return the weights detached."
            )

    def _head_weights(self, weights: Tensor) -> Tensor:
        return weights

    def _total(self, weights: Tensor, losses: Sequence[Tensor]) -> Tensor | None:
        return weighted_sum(weights, losses)

    def _step(
        self,
        losses: Sequence[Tensor],
        detached: Sequence[Tensor],
        shared: Sequence[nn.Parameter],
        heads: Sequence[Sequence[nn.Parameter]],
        observe: bool,  # noqa: ARG002
        scale: Tensor | float | None,
    ) -> StepInfo:
        gradients = split_gradients(losses, shared, heads, scale)
        check_whole(chain(shared, *heads))
        step = MeasuredStep(*_measured(gradients, scale), torch.stack(list(detached)))
        if _overflowed(gradients, step.geometry.norms, scale):
            missing = torch.full_like(step.geometry.norms, torch.nan)
            write_gradients(shared, heads, gradients, missing, missing)
            return StepInfo(None, step.geometry)
        self._check_finite("gradient norm", step.geometry.norms)
        weights = self._weights_of(step)
        self._check_weights(weights)
        write_gradients(
            shared,
            heads,
            gradients,
            weights,
            self._head_weights(weights),
            largest_norm=self.clip_apart,
            scale=scale,
        )
        return StepInfo(self._total(weights, detached), step.geometry)


class GradientWeightedLoss(GradientBasedLoss):
    """A weighted sum of the losses whose weights come from the task gradients of the same step.

    ``forward`` with ``shared_params`` is the source's form, which measures with
    ``torch.autograd.grad(retain_graph=True)`` and leaves one more pass to the caller; it gives the
    same weights and the same gradients as ``backward``. Where nothing is to be trained (in
    evaluation mode, under ``torch.no_grad()``, with losses that have no graph) ``forward`` measures
    nothing, moves no state, and combines under the weights of the last step. In evaluation mode
    ``backward`` still measures, for its report, but moves no state and combines under those weights
    too.
    """

    @abstractmethod
    def current_weights(self) -> Tensor:
        """Return the detached weights of the last step, (K,)."""

    def combine(self, losses: Sequence[Tensor]) -> Tensor:
        """Return the weighted sum, 0-dim, under the weights of the last step."""
        return weighted_sum(self.current_weights(), losses)

    def forward(self, *losses: Any, **kwargs: Any) -> Tensor:
        """Return the weighted sum, 0-dim, under weights measured on ``shared_params``.

        Raises:
            NonFiniteLossError: a loss or its gradient is NaN or infinite; no state moved.
            UsageError: losses to train on were given without ``shared_params``, so that no weight
                could ever move; or as ``backward``.

        """
        values = self._take(losses, kwargs)
        is_trained = torch.is_grad_enabled() and any(loss.requires_grad for loss in values)
        if not (self.training and is_trained):
            return self._combined(values)
        if kwargs.get("shared_params") is None:
            given = ", ".join(self._keywords())
            raise UsageError(
                f"{self.get_name()} measures gradients, and would stay at its first weights: call "
                f"method.backward({given}, shared_params=…, task_params=…), or "
                f"method({given}, shared_params=…).backward()."
            )
        shared = self._shared_to_measure(kwargs["shared_params"])
        with _full_precision(values[0]):
            detached = mean_over_processes([loss.detach() for loss in values])
            self._check_losses(torch.stack(detached))
            split = split_gradients(values, shared, [()] * len(values), keep_graph=True)
            self._check_reached(shared, split)
            gradients = tuple(task.shared for task in split)
            step = MeasuredStep(gradients, geometry(*gradients), torch.stack(detached))
            self._check_finite("gradient norm", step.geometry.norms)
            weights = self._weights_of(step)
            self._check_weights(weights)
            return weighted_sum(weights, values)

    def _shared_to_measure(self, given: Parameters) -> list[nn.Parameter]:
        """Return the trained ones of ``shared_params``, checked."""
        listed = listed_parameters("shared_params", given)
        if not listed:
            raise UsageError(
                "shared_params is empty: give a list. A generator, as of parameters(), is used up "
                "after one step."
            )
        shared = [parameter for parameter in listed if parameter.requires_grad]
        check_once([[id(p) for p in shared]])
        check_whole(shared)
        return shared

    def _check_reached(
        self, shared: Sequence[nn.Parameter], gradients: Sequence[TaskGradients]
    ) -> None:
        if shared and not any(any(task.reached) for task in gradients):
            raise UsageError(
                f"None of the losses reaches any of the {counted(shared)} in shared_params: list "
                "the parameters of the network that the losses are computed with."
            )

    def get_weights(self) -> dict[str, float]:
        """Return the weights of the last step."""
        return as_weights(self.current_weights(), self.tasks)

    def _weights_of(self, step: MeasuredStep) -> Tensor:
        return self.weigh(step) if self.training else self.current_weights()


def weighted_sum(weights: Tensor | Sequence[Tensor | float], losses: Sequence[Tensor]) -> Tensor:
    """Return the sum of each loss times its weight, 0-dim, added in the order of the tasks."""
    total: Tensor
    total, *rest = [weight * loss for weight, loss in zip(weights, losses, strict=True)]
    for part in rest:
        total = total + part
    return total


def as_weights(weights: Tensor | Sequence[float], tasks: Sequence[str] = TASKS) -> dict[str, float]:
    """Return one weight a task in the form of ``get_weights``."""
    values = weights.tolist() if isinstance(weights, Tensor) else weights
    return {f"{task}_weight": value for task, value in zip(tasks, values, strict=True)}


def learnable(loss: BaseMTLLoss) -> Iterator[nn.Parameter]:
    """Yield the weights a method learns; the optimiser takes them without weight decay."""
    return loss.parameters()


def _full_precision(loss: Tensor) -> torch.autocast:
    """Return a context without autocast, as a backward pass wants it.

    Lightning's mixed precision puts one around a whole training step, and gradients that are
    computed in it overflow half precision.
    """
    return torch.autocast(loss.device.type, enabled=False)


def _scaled(value: Tensor, scale: Tensor | float | None) -> Tensor:
    return value if scale is None else value * scale


def _unscaled(value: Tensor, scale: Tensor | float | None) -> Tensor:
    return value if scale is None else value / scale


def _measured(
    gradients: Sequence[TaskGradients], scale: Tensor | float | None
) -> tuple[tuple[Gradients, ...], GradientGeometry]:
    # A 0-dim gradient must not take on the precision of a scale that is a tensor.
    unscaled = tuple(
        tuple(_unscaled(g, scale).to(g.dtype) for g in task.shared) for task in gradients
    )
    return unscaled, geometry(*unscaled)


def _overflowed(
    gradients: Sequence[TaskGradients], norms: Tensor, scale: Tensor | float | None
) -> bool:
    """Return whether the scale took a task gradient, on the trunk or on a head, out of range."""
    if scale is None or float(scale) <= 1:
        return False
    of_heads = [part for task in gradients for part in task.head]
    # One transfer where the device is a GPU.
    finite = [torch.isfinite(part).all().to(norms.device) for part in (norms, *of_heads)]
    return not torch.stack(finite).all()
