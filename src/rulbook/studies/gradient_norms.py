"""Gradient norms of the two tasks on the shared trunk, batch by batch, early in a training."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from rulbook.data.prepare import Prepared
from rulbook.gradients import GradientGeometry, geometry, task_gradients
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import DualTaskModel, Size, shared_parameters
from rulbook.training.config import RunConfig

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def early_gradient_norms(
    prepared: Prepared,
    *,
    network: Size = "compact",
    seed: int = 42,
    batch_size: int = 256,
    batches: int = 20,
    after_steps: tuple[int, ...] = (0,),
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Return the norms of both task gradients on the shared parameters, one row a batch.

    The network starts from PyTorch's default initialisation, the output bias of the RUL head
    included, and is trained on the plain sum of the two losses with the protocol's AdamW, without
    warm-up or clipping. After each number of steps in ``after_steps`` training stops, and the same
    ``batches`` random training batches are measured, as §12.3 does: in training mode, one backward
    pass a task. The global random state is left as it was.

    Args:
        prepared: the data.
        network: ``"compact"`` or ``"paper"``.
        seed: seed of initialisation, dropout and batches.
        batch_size: windows a batch.
        batches: batches measured at each stop.
        after_steps: numbers of training steps, ascending; 0 is the initialisation.
        device: where to compute.

    Returns:
        Columns ``step``, ``batch``, ``norm_rul`` (cycles² a parameter unit), ``norm_health`` (nats
        a parameter unit), ``ratio`` (RUL over health) and ``cosine``; the last is NaN where a
        gradient is zero.

    """
    protocol = RunConfig(subset=prepared.subset, data_digest=prepared.digest)
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    rows = []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        model = DualTaskModel.of_size(network, prepared.n_features).to(device).train()
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=protocol.learning_rate, weight_decay=protocol.weight_decay
        )
        training = _random_batches(prepared, seed, batch_size, device)
        measured = [next(training) for _ in range(batches)]
        taken = 0
        for stop in after_steps:
            for _ in range(stop - taken):
                rul_loss, health_loss = _losses(model, next(training))
                optimiser.zero_grad()
                (rul_loss + health_loss).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            taken = stop
            for number, batch in enumerate(measured):
                found = _geometry(model, batch)
                rows.append(
                    {
                        "step": stop,
                        "batch": number,
                        "norm_rul": float(found.norm_rul),
                        "norm_health": float(found.norm_health),
                        "ratio": float(found.ratio),
                        "cosine": float(found.cosine),
                    }
                )
    return pd.DataFrame(rows)


def _random_batches(
    prepared: Prepared, seed: int, batch_size: int, device: torch.device | str
) -> Iterator[Batch]:
    """Yield batches of training windows drawn without replacement, without end."""
    random = np.random.default_rng(seed)
    windows = prepared.train
    while True:
        order = random.permutation(len(windows))
        for start in range(0, len(order) - batch_size + 1, batch_size):
            batch = windows.take(order[start : start + batch_size])
            yield tuple(  # type: ignore[misc]
                torch.from_numpy(part).to(device) for part in (batch.x, batch.rul, batch.health)
            )


def _losses(model: DualTaskModel, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    x, rul, health = batch
    predicted, logits = model(x)
    return rul_mse(predicted, rul), health_cross_entropy(logits, health)


def _geometry(model: DualTaskModel, batch: Batch) -> GradientGeometry:
    shared = shared_parameters(model)
    rul_loss, health_loss = _losses(model, batch)
    return geometry(
        task_gradients(rul_loss, shared, retain_graph=True), task_gradients(health_loss, shared)
    )
