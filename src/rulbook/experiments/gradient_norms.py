"""Gradient norms of the two tasks on the shared trunk, batch by batch, early in a training."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rulbook.data.prepare import HEALTH_STATES, Prepared, Windows
from rulbook.errors import UsageError
from rulbook.experiments.batches import Batch
from rulbook.gradients import GradientGeometry, Gradients, geometry, norm, task_gradients
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.models import DualTaskModel, Size, shared_parameters
from rulbook.randomness import seeded
from rulbook.training.config import RunConfig
from rulbook.training.evaluation import cycles_per_unit
from rulbook.training.loop import check_batch_size, watch_first_steps


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

    Raises:
        UsageError: there are fewer windows than in a batch, or the numbers of steps do not ascend.

    """
    if any(later < earlier for earlier, later in pairwise((0, *after_steps))):
        raise UsageError(f"after_steps must ascend from 0 or more, and is {after_steps}.")
    protocol = RunConfig(subset=prepared.subset, data_digest=prepared.digest)
    rows = []
    with seeded(seed, device):
        model = DualTaskModel.of_size(network, prepared.n_features).to(device).train()
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=protocol.learning_rate, weight_decay=protocol.weight_decay
        )
        training = _random_batches(prepared, seed, batch_size, device)
        measured = [next(training) for _ in range(batches)]
        taken = 0
        for stop in after_steps:
            for _ in range(stop - taken):
                rul_loss, health_loss = next(training).losses(model)
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


def ratios_by_step(norms: pd.DataFrame) -> pd.DataFrame:
    """Summarise the batches that have a RUL gradient, by subset and number of training steps.

    Args:
        norms: rows of ``early_gradient_norms``, with the columns ``subset`` and ``seed`` added.

    Returns:
        ``subset``, ``step``, ``seeds`` and ``batches`` (numbers of them), ``norm_rul``,
        ``norm_health`` and ``ratio`` (medians over batches), ``ratio_low`` and ``ratio_high``
        (quartiles).

    """
    groups = norms[norms["norm_rul"] > 0].groupby(["subset", "step"])
    return groups.agg(
        seeds=("seed", "nunique"),
        batches=("batch", "size"),
        norm_rul=("norm_rul", "median"),
        norm_health=("norm_health", "median"),
        ratio=("ratio", "median"),
        ratio_low=("ratio", lambda ratios: ratios.quantile(0.25)),
        ratio_high=("ratio", lambda ratios: ratios.quantile(0.75)),
    ).reset_index()


def seeds_without_rul_gradient(norms: pd.DataFrame) -> pd.Series:
    """Return, by subset, how many seeds start with a batch that has no RUL gradient at all.

    Args:
        norms: rows of ``early_gradient_norms``, with the columns ``subset`` and ``seed`` added.

    """
    shut = norms[(norms["norm_rul"] == 0) & (norms["step"] == 0)]
    return shut.groupby("subset")["seed"].nunique().reindex(norms["subset"].unique(), fill_value=0)


def _random_batches(
    prepared: Prepared, seed: int, batch_size: int, device: torch.device | str
) -> Iterator[Batch]:
    """Yield batches of training windows drawn without replacement, without end.

    Raises:
        UsageError: there are not so many windows.

    """
    random = np.random.default_rng(seed)
    windows = prepared.train
    check_batch_size(batch_size, len(windows))
    while True:
        order = random.permutation(len(windows))
        for start in range(0, len(order) - batch_size + 1, batch_size):
            batch = windows.take(order[start : start + batch_size])
            parts = (batch.x, batch.rul, batch.health)
            yield Batch(*(torch.from_numpy(part).to(device) for part in parts))


def _geometry(model: DualTaskModel, batch: Batch) -> GradientGeometry:
    shared = shared_parameters(model)
    rul_loss, health_loss = batch.losses(model)
    return geometry(
        task_gradients(rul_loss, shared, retain_graph=True), task_gradients(health_loss, shared)
    )


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
    with seeded(config.seed, device):
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


def ratio_on_outputs(windows: Windows, constant: float, cycles: float) -> tuple[float, float]:
    """Return the ratio of the gradients on the outputs where every window gets the same prediction.

    Args:
        windows: the batch.
        constant: RUL predicted for all, cycles; the classes are equally probable.
        cycles: cycles in one unit of the target.

    Returns:
        The ratio from ``2 rms(r) / rms‖p − e‖``, and the one that PyTorch's derivatives give.

    Raises:
        AssertionError: PyTorch's derivatives are not ``2r/B`` and ``(p − e)/B``.

    """
    size = len(windows)
    true_rul = torch.from_numpy(windows.rul) / cycles
    health = torch.from_numpy(windows.health)
    rul = torch.full((size,), constant / cycles, requires_grad=True)
    logits = torch.zeros((size, len(HEALTH_STATES)), requires_grad=True)
    (rul_gradient,) = torch.autograd.grad(rul_mse(rul, true_rul), rul)
    (health_gradient,) = torch.autograd.grad(health_cross_entropy(logits, health), logits)
    residual = rul.detach() - true_rul
    p_minus_e = logits.detach().softmax(1) - torch.eye(len(HEALTH_STATES))[health]
    torch.testing.assert_close(rul_gradient, 2 * residual / size)
    torch.testing.assert_close(health_gradient, p_minus_e / size, rtol=0, atol=1e-7)
    formula = 2 * residual.square().mean().sqrt() / p_minus_e.square().sum(1).mean().sqrt()
    return float(formula), float(rul_gradient.norm() / health_gradient.norm())


def ratios_on_outputs(
    windows: Windows, predictions: Mapping[str, float], units: Mapping[str, float]
) -> pd.DataFrame:
    """Return ``ratio_on_outputs`` for each prediction, cycles, in each unit, cycles.

    Returns:
        ``predicted RUL``, ``unit``, ``by the formula``, ``by PyTorch``.

    """
    rows = [
        [words, unit, *ratio_on_outputs(windows, constant, cycles)]
        for words, constant in predictions.items()
        for unit, cycles in units.items()
    ]
    return pd.DataFrame(rows, columns=["predicted RUL", "unit", "by the formula", "by PyTorch"])


def short_runs_by_unit(
    prepared: Prepared, *, steps: int, seed: int, device: torch.device | str = "cpu"
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Train the compact network for a few steps with the target in cycles and in caps.

    Learning-rate warm-up is left out, so that a short run gets somewhere.

    Returns:
        The trace of each run by its unit, ``"cycles"`` and ``"caps"``; and the median ratio at
        each of ``PLACES``, one row a unit and moment: ``target in``, ``after steps`` (0 and
        ``steps``).

    """
    traces, rows = {}, []
    for target_unit, words in (("cycles", "cycles"), ("cap", "caps")):
        config = short_run(prepared, seed, target_unit)
        for stop in (0, steps):
            trace, network = watch_first_steps(config, prepared, stop, device=device)
            ratios = ratio_by_place(network, config, prepared, batches=4)
            medians = ratios.groupby("place")["ratio"].median()
            places = {place: medians[place] for place in PLACES}
            rows.append({"target in": words, "after steps": stop, **places})
        traces[words] = trace
    return traces, pd.DataFrame(rows)


def short_run(prepared: Prepared, seed: int, target_unit: str) -> RunConfig:
    """Return the run of ``short_runs_by_unit``: batches of 64, no warm-up."""
    return RunConfig.model_validate(
        {
            "subset": prepared.subset,
            "data_digest": prepared.digest,
            "seed": seed,
            "batch_size": 64,
            "target_unit": target_unit,
            "warm_up": 0.0,
        }
    )


def starts_by_subset(
    prepared: Mapping[str, Prepared],
    seeds: Sequence[int],
    batches: int,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Return the ratio on the trunk before the first step, default output bias, batches of 64.

    Returns:
        One row a subset: ``subset``, ``seeds``, ``started shut``, and over the living networks the
        ``lowest``, ``median`` and ``highest`` ratio.

    """
    rows = []
    for subset, windows in prepared.items():
        measured = pd.concat(
            early_gradient_norms(
                windows, seed=seed, batch_size=64, batches=batches, device=device
            ).assign(seed=seed)
            for seed in seeds
        )
        alive = measured[measured["norm_rul"] > 0]
        rows.append(
            {
                "subset": subset,
                "seeds": len(seeds),
                "started shut": len(seeds) - alive["seed"].nunique(),
                **_spread(alive["ratio"]),
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Start:
    """One way to start a network: its size, batch, output bias, and the seeds it is tried with."""

    network: Size
    batch_size: int
    rul_bias: str
    seeds: Sequence[int]


def starts_by_setting(
    prepared: Prepared, starts: Iterable[Start], device: torch.device | str = "cpu"
) -> pd.DataFrame:
    """Return the ratio on the trunk before the first step, by size, batch and output bias.

    Returns:
        One row a start: ``network``, ``batch``, ``output bias``, ``seeds``, ``started shut``, and
        over the living networks ``lowest``, ``median`` and ``highest``, NaN where none lives.

    """
    rows = []
    for start in starts:
        by_seed = [_start_ratios(prepared, start, seed, device) for seed in start.seeds]
        living = [ratios for ratios in by_seed if max(ratios) > 0]
        rows.append(
            {
                "network": start.network,
                "batch": start.batch_size,
                "output bias": start.rul_bias.replace("_", " "),
                "seeds": len(start.seeds),
                "started shut": len(start.seeds) - len(living),
                **_spread(chain.from_iterable(living)),
            }
        )
    return pd.DataFrame(rows)


def _spread(ratios: Iterable[float]) -> dict[str, float]:
    """Return the ``lowest``, ``median`` and ``highest`` of ratios; NaN without one."""
    found = pd.Series(list(ratios), dtype=float)
    return {"lowest": found.min(), "median": found.median(), "highest": found.max()}


def _start_ratios(
    prepared: Prepared, start: Start, seed: int, device: torch.device | str
) -> list[float]:
    config = RunConfig.model_validate(
        {
            "subset": prepared.subset,
            "data_digest": prepared.digest,
            "seed": seed,
            "batch_size": start.batch_size,
            "network": start.network,
            "rul_bias": start.rul_bias,
        }
    )
    _, model = watch_first_steps(config, prepared, 0, device=device)
    ratios = ratio_by_place(model, config, prepared, batches=2)
    on_trunk: list[float] = ratios[ratios["place"] == "shared trunk"]["ratio"].tolist()
    return on_trunk


def _gradient(loss: Tensor, inputs: list[Tensor] | list[torch.nn.Parameter]) -> Gradients:
    return task_gradients(loss, inputs, retain_graph=True)  # type: ignore[arg-type]


def _norms(rul: Gradients, health: Gradients) -> dict[str, float]:
    norm_rul, norm_health = float(norm(rul)), float(norm(health))
    return {"norm_rul": norm_rul, "norm_health": norm_health, "ratio": norm_rul / norm_health}
