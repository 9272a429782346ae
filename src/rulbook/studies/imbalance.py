"""The gradient imbalance: read from records epoch by epoch, and followed down a network, live."""

import copy
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from rulbook.data.prepare import Prepared
from rulbook.gradients import Gradients, norm, task_gradients
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import DualTaskModel, shared_parameters
from rulbook.studies.catalogue import base_config
from rulbook.training.config import RunConfig
from rulbook.training.loop import cycles_per_unit
from rulbook.training.record import QUANTILES, RATIO_BIN_EDGES, RunRecord

Counts = npt.NDArray[np.int64]

QUANTILE_NAMES = tuple(f"{quantile:.2f}"[2:] for quantile in QUANTILES)
"""Endings of the quantile columns of ``gradients_by_epoch``: 05, 25, 50, 75, 95."""


def protocol_runs(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the trainings of fixed 0.5/0.5 under the locked protocol, one a subset and seed.

    They may have observed every step or every tenth; where there is one of each, the closer look
    is returned.
    """
    chosen: dict[tuple[str, int], RunRecord] = {}
    for record in records:
        config = record.config
        base = base_config(config.subset, config.seed)
        if config.model_copy(update={"observe_every": base.observe_every}) != base:
            continue
        key = (config.subset, config.seed)
        if key not in chosen or config.observe_every < chosen[key].config.observe_every:
            chosen[key] = record
    return list(chosen.values())


def gradients_by_epoch(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return what each epoch of each run recorded of the two gradients on the shared trunk.

    Returns:
        ``subset``, ``network``, ``seed``, ``starts_dead``, ``epoch`` (from 1), ``steps``
        (observed), ``ratio_05`` … ``ratio_95`` and ``cosine_05`` … ``cosine_95`` (quantiles over
        the observed steps), ``norm_rul`` and ``norm_health`` (medians), ``rul_loss`` and
        ``health_loss`` (means over all steps of the epoch). Epochs without an observation are left
        out.

    """
    rows = [
        {
            "subset": record.config.subset,
            "network": record.config.network,
            "seed": record.config.seed,
            "starts_dead": record.starts_dead,
            "epoch": number,
            "steps": seen.steps,
            **_named("ratio", seen.ratio_quantiles),
            **_named("cosine", seen.cosine_quantiles),
            "norm_rul": seen.median_norm_rul,
            "norm_health": seen.median_norm_health,
            "rul_loss": epoch.rul_loss,
            "health_loss": epoch.health_loss,
        }
        for record in records
        for number, epoch in enumerate(record.epochs, start=1)
        if (seen := epoch.gradients) is not None
    ]
    columns = ["subset", "network", "seed", "starts_dead", "epoch", "steps"]
    columns += [f"{what}_{name}" for what in ("ratio", "cosine") for name in QUANTILE_NAMES]
    columns += ["norm_rul", "norm_health", "rul_loss", "health_loss"]
    return pd.DataFrame(rows, columns=columns)


def ratio_counts(records: Iterable[RunRecord], epoch: int | None = None) -> Counts:
    """Return how many observed steps had a ratio in each bin of ``RATIO_BIN_EDGES``, (60,).

    Args:
        records: runs.
        epoch: count this epoch only, from 1; every epoch if left out.

    """
    total: Counts = np.zeros(len(RATIO_BIN_EDGES) - 1, dtype=np.int64)
    for record in records:
        for number, of_epoch in enumerate(record.epochs, start=1):
            if of_epoch.gradients is not None and epoch in (None, number):
                total += np.asarray(of_epoch.gradients.ratio_counts, dtype=np.int64)
    return total


def ratio_quantile(counts: Counts, quantile: float) -> float:
    """Return a quantile of binned ratios, interpolated on the logarithm within its bin.

    Args:
        counts: what ``ratio_counts`` returns, with at least one step in it.
        quantile: between 0 and 1.

    Raises:
        ValueError: there is no step.

    """
    if not counts.sum():
        raise ValueError("a quantile of no steps")
    cumulative = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
    return float(10 ** np.interp(quantile, cumulative, np.log10(RATIO_BIN_EDGES)))


def share_above(counts: Counts, ratio: float) -> float:
    """Return the share of binned steps whose ratio is above ``ratio``, interpolated likewise.

    Raises:
        ValueError: there is no step.

    """
    if not counts.sum():
        raise ValueError("a share of no steps")
    cumulative = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
    return float(1 - np.interp(np.log10(ratio), np.log10(RATIO_BIN_EDGES), cumulative))


PLACES = ("outputs", "z", "shared trunk")
"""Where ``ratio_by_place`` looks, from the losses down."""


def ratio_by_place(
    model: DualTaskModel, config: RunConfig, prepared: Prepared, *, batches: int = 1
) -> pd.DataFrame:
    """Follow both gradients of a network from its outputs down to the shared trunk.

    Batches are drawn at random with the seed of ``config``. The network is measured in training
    mode, on a copy, so that its batch statistics stay as they are; the global random state does
    too.

    Args:
        model: the network, at the start of a training or later.
        config: the run that it belongs to: batch size, seed and unit of the target.
        prepared: the data, prepared by ``config.recipe``.
        batches: how many batches.

    Returns:
        One row a batch and place: ``batch``, ``place``, ``norm_rul``, ``norm_health`` and
        ``ratio``. The gradients on the outputs are those by the (B,) predictions and by the (B, 3)
        logits; those on z, by the (B, 32) shared representation; those on the shared trunk, by all
        parameters before the heads.

    """
    model = copy.deepcopy(model).train()
    shared = shared_parameters(model)
    device = shared[0].device
    random = np.random.default_rng(config.seed)
    rows = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        for number in range(batches):
            drawn = prepared.train.take(
                random.choice(len(prepared.train), config.batch_size, replace=False)
            )
            x, true_rul, health = (
                torch.from_numpy(part).to(device) for part in (drawn.x, drawn.rul, drawn.health)
            )
            z = model.features(x)
            rul, logits = model.head_rul(z).squeeze(-1), model.head_health(z)
            rul_loss = rul_mse(rul, true_rul / cycles_per_unit(config))
            health_loss = health_cross_entropy(logits, health)
            found = {
                "outputs": (_gradient(rul_loss, [rul]), _gradient(health_loss, [logits])),
                "z": (_gradient(rul_loss, [z]), _gradient(health_loss, [z])),
                "shared trunk": (_gradient(rul_loss, shared), _gradient(health_loss, shared)),
            }
            rows += [
                {"batch": number, "place": place, **_norms(*gradients)}
                for place, gradients in found.items()
            ]
    return pd.DataFrame(rows)


def _gradient(loss: Tensor, inputs: list[Tensor] | list[torch.nn.Parameter]) -> Gradients:
    return task_gradients(loss, inputs, retain_graph=True)  # type: ignore[arg-type]


def _norms(rul: Gradients, health: Gradients) -> dict[str, float]:
    norm_rul, norm_health = float(norm(rul)), float(norm(health))
    return {"norm_rul": norm_rul, "norm_health": norm_health, "ratio": norm_rul / norm_health}


def _named(what: str, quantiles: list[float]) -> dict[str, float]:
    return {f"{what}_{name}": q for name, q in zip(QUANTILE_NAMES, quantiles, strict=True)}
