"""The two programs of §4.1, in NumPy and in PyTorch, and what the section says of them.

The functions that end in ``_claims`` return the values that decide claims, by the claim's id; a
value of ``None`` stands for a claim that the text settles.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from rulbook.data import HEALTH_STATES, cmapss
from rulbook.experiments.batches import FEATURES, Batch
from rulbook.gradients import task_gradients
from rulbook.losses import rul_mse
from rulbook.models import DualTaskMLP, count_parameters, shared_parameters, task_parameters

HIDDEN = 32
"""Shared features of both programs."""

PRINTED_TOTAL = 711
"""The number of parameters that the section's explanation arrives at."""

_NUMPY_LINES = 40
_NUMPY_EMPTY = (2, 6, 10, 16, 17, 25, 26, 30, 36)
_NUMPY_COMMENTS = (3, 4, 7, 11, 27, 37, 38, 39, 40)
_NUMPY_DOCSTRING = (19, 20)
_NUMPY_EXPLAINED = (1, 5, 8, 9, *range(12, 16), 18, *range(21, 25), 28, 29, 31, 33, 34)
_TORCH_LINES = 35
_TORCH_EXPLAINED = (
    *(1, 2, 3, 5, 8, 9, 11, 16, 17, *range(19, 24)),
    *(*range(27, 31), 32, 33, 34),
)

_Array = NDArray[np.float32]


def drawn_numbers() -> tuple[dict[str, _Array], dict[str, _Array], _Array]:
    """Return what the NumPy program draws from its seed 0, in its order.

    Returns:
        The weights, (inputs, outputs), and the biases, (outputs,), of ``"shared"``, ``"rul"`` and
        ``"health"``; and the inputs, (4, ``FEATURES``). All in single precision.

    """
    random = np.random.RandomState(0)  # the stream of np.random.seed(0)
    shapes = {
        "shared": (FEATURES, HIDDEN),
        "rul": (HIDDEN, 1),
        "health": (HIDDEN, len(HEALTH_STATES)),
    }
    weights = {
        name: random.randn(*shape).astype(np.float32) * np.float32(0.1)
        for name, shape in shapes.items()
    }
    biases = {name: np.zeros(outputs, np.float32) for name, (_, outputs) in shapes.items()}
    return weights, biases, random.randn(4, FEATURES).astype(np.float32)


def torch_network(weights: Mapping[str, _Array], biases: Mapping[str, _Array]) -> DualTaskMLP:
    """Return the PyTorch program's network with the numbers of the NumPy program.

    PyTorch keeps a layer's weights transposed, (outputs, inputs).
    """
    model = DualTaskMLP(FEATURES, HIDDEN)
    with torch.no_grad():
        for name, layer in _layers(model).items():
            layer.weight.copy_(torch.from_numpy(weights[name].T))
            layer.bias.copy_(torch.from_numpy(biases[name]))
    return model


def same_answers(ours: Sequence[_Array], theirs: Sequence[Tensor]) -> bool:
    """Return whether two programs give the same RUL and the same logits, up to rounding."""
    return all(np.allclose(a, b.numpy(), atol=1e-6) for a, b in zip(ours, theirs, strict=True))


def parameter_counts(model: DualTaskMLP) -> dict[str, int]:
    """Return how many parameters the trunk and either head have."""
    counts = {"shared trunk": count_parameters(shared_parameters(model))}
    for task, parameters in task_parameters(model).items():
        counts[f"{task} head"] = count_parameters(parameters)
    return counts


def count_biases(model: DualTaskMLP) -> int:
    """Return how many of the network's parameters are biases."""
    return sum(layer.bias.numel() for layer in _layers(model).values())


def numpy_program_claims(
    weights: Mapping[str, _Array], x: _Array, h: _Array, rul: _Array, health: _Array
) -> dict[str, object]:
    """Return what decides the NumPy program's shapes and lines, and the numbers behind them.

    Args:
        weights: of the three layers.
        x: the inputs, (batch, features).
        h: the shared representation, (batch, hidden).
        rul: the first answer, (batch,).
        health: the logits, (batch, classes).

    """
    no_code = len({*_NUMPY_EMPTY, *_NUMPY_COMMENTS, *_NUMPY_DOCSTRING})
    return {
        "n4.1-numpy-shared-shape": str(weights["shared"].shape),
        "n4.1-numpy-shared-parameters": weights["shared"].size,
        "n4.1-numpy-rul-shape": str(weights["rul"].shape),
        "n4.1-numpy-health-shape": str(weights["health"].shape),
        "n4.1-numpy-x-shape": str(x.shape),
        "n4.1-numpy-h-shape": str(h.shape),
        "n4.1-numpy-rul-output-shape": str(rul.shape),
        "n4.1-numpy-health-output-shape": str(health.shape),
        "n4.1-numpy-twenty-lines": _NUMPY_LINES - no_code,
        "n4.1-numpy-unexplained-lines": _NUMPY_LINES - len(_NUMPY_EXPLAINED),
        "n4.1-sensor-count": sum(name.startswith("sensor_") for name in cmapss.COLUMNS),
        "n4.1-feature-count": None,
        "n4.1-three-classes": None,
    }


def torch_program_claims(model: DualTaskMLP, x: Tensor) -> dict[str, object]:
    """Return what decides the PyTorch program's counts, shapes and lines.

    Args:
        model: the network.
        x: a batch, (batch, features).

    """
    counts = parameter_counts(model)
    total = count_parameters(list(model.parameters()))
    linear = nn.Linear(5, 7)
    with torch.no_grad():
        rul, logits = model(x)
        h = model.features(x)
    return {
        "n4.1-torch-shared-parameters": counts["shared trunk"],
        "n4.1-torch-rul-head-parameters": counts["rul head"],
        "n4.1-torch-health-head-parameters": counts["health head"],
        "n4.1-torch-total": total,
        "n4.1-torch-printed-total": total,
        "n4.1-torch-two-totals": None,
        "n4.1-torch-biases": count_biases(model),
        "n4.1-torch-comment-sum": _layers(model)["shared"].weight.numel()
        + counts["rul head"]
        + counts["health head"]
        + 35,
        "n4.1-torch-count-is-rounding": total == PRINTED_TOTAL,
        "n4.1-torch-rul-output-shape": str(tuple(rul.shape)),
        "n4.1-torch-health-output-shape": str(tuple(logits.shape)),
        "n4.1-torch-h-shape": h.shape == (len(x), HIDDEN),
        "n4.1-torch-linear-shape": linear.weight.shape == (7, 5) and linear.bias.shape == (7,),
        "n4.1-torch-unexplained-lines": _TORCH_LINES - len(_TORCH_EXPLAINED),
    }


def silent_error_claims(
    rul: Tensor, rul_target: Tensor, logits: Tensor, states: Tensor
) -> dict[str, object]:
    """Return what decides whether the squeeze is needed and the softmax is not.

    Args:
        rul: predictions, (batch,), cycles.
        rul_target: of the same shape.
        logits: (batch, classes).
        states: class indices, (batch,).

    """
    column, batch = rul[:, None], len(rul)
    all_pairs = (column - rul_target).shape == (batch, batch)
    # Our own loss refuses what the section's program broadcasts.
    broadcast = (column - rul_target).square().mean()
    differs = not torch.isclose(rul_mse(rul, rul_target), broadcast)
    by_hand = functional.nll_loss(torch.log(torch.softmax(logits, dim=-1)), states)
    built_in = functional.cross_entropy(logits, states)
    return {
        "n4.1-torch-squeeze-needed": all_pairs and differs,
        "n4.1-torch-cross-entropy-takes-logits": bool(torch.isclose(built_in, by_hand)),
    }


def task_losses(
    model: nn.Module, x: Tensor, rul_target: Tensor, states: Tensor
) -> dict[str, Tensor]:
    """Return the loss of either task, ``"rul"`` in cycles² and ``"health"``, from one pass."""
    rul_loss, health_loss = Batch(x, rul_target, states).losses(model)
    return {"rul": rul_loss, "health": health_loss}


def gradients_add_up(
    losses: Mapping[str, Tensor], weights: Mapping[str, float], parameters: Sequence[nn.Parameter]
) -> bool:
    """Return whether the gradient of the weighted sum is the weighted sum of the gradients."""
    combined = torch.stack([weights[task] * losses[task] for task in weights]).sum()
    of_sum = task_gradients(combined, parameters, retain_graph=True)
    by_task = [
        [weight * part for part in task_gradients(losses[task], parameters, retain_graph=True)]
        for task, weight in weights.items()
    ]
    return all(
        torch.allclose(whole, torch.stack(parts).sum(dim=0), rtol=1e-4, atol=1e-6)
        for whole, *parts in zip(of_sum, *by_task, strict=True)
    )


def reached(model: nn.Module, losses: Mapping[str, Tensor]) -> dict[tuple[str, str], bool]:
    """Return whether each task's loss has a gradient on all parameters of each part.

    Returns:
        By task, ``"rul"`` or ``"health"``, and part, ``"trunk"`` or the task of a head.

    """
    parts = {"trunk": shared_parameters(model), **task_parameters(model)}
    return {
        (task, name): all(
            bool(gradient.abs().sum() > 0)
            for gradient in task_gradients(loss, parameters, retain_graph=True)
        )
        for task, loss in losses.items()
        for name, parameters in parts.items()
    }


def only_own_head(reaches: Mapping[tuple[str, str], bool]) -> bool:
    """Return whether every task reaches the trunk and its own head, and no other head."""
    return all(reach == (part in ("trunk", task)) for (task, part), reach in reaches.items())


def _layers(model: DualTaskMLP) -> dict[str, nn.Linear]:
    shared = model.shared[0]
    assert isinstance(shared, nn.Linear)
    return {"shared": shared, "rul": model.head_rul, "health": model.head_health}
