"""The training loop: the same for every weighting method, on CPU, CUDA or MPS."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import ReduceLROnPlateau

from rulbook.data.prepare import Prepared
from rulbook.errors import UsageError
from rulbook.libraries import versions
from rulbook.losses import health_cross_entropy, inner_rul_loss
from rulbook.models import ARCHITECTURES, DualTaskModel, shared_parameters, task_parameters
from rulbook.optimisers import OPTIMISERS
from rulbook.randomness import seeded
from rulbook.training.auxiliary import auxiliary_labels
from rulbook.training.config import RunConfig
from rulbook.training.described import check_describes
from rulbook.training.device import as_device
from rulbook.training.evaluation import Evaluator, cycles_per_unit, rul_cap
from rulbook.training.networks import Baseline, build_own, is_own
from rulbook.training.packing import PackedParameters
from rulbook.training.record import (
    EpochRecord,
    ProbeScores,
    RunRecord,
    TestPredictions,
    source_digest,
    summarise_gradients,
)
from rulbook.weighting.base import TASKS, BaseMTLLoss, NonFiniteLossError, StepInfo
from rulbook.weighting.registry import get_loss


def train(
    config: RunConfig,
    prepared: Prepared,
    *,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[int, EpochRecord], None] | None = None,
) -> RunRecord:
    """Train one network as ``config`` says and return its record; see ``train_network``."""
    return train_network(config, prepared, device=device, on_epoch=on_epoch).record


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training leaves.

    Attributes:
        record: its record.
        network: the network with the averaged weights of the selected epoch, in evaluation mode;
            where the run diverged, with the weights at which it stopped.

    """

    record: RunRecord
    network: nn.Module


def train_network(
    config: RunConfig,
    prepared: Prepared,
    *,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[int, EpochRecord], None] | None = None,
) -> Trained:
    """Train one network as ``config`` says; return its record and the network.

    The epoch with the lowest validation RMSE of the averaged weights is selected, and only then
    are the test engines looked at, once (unless ``config.watch_test``). The global random state is
    left as it was.

    Args:
        config: the run; a network of one's own is added by ``add_network`` and named here.
        prepared: the data, prepared by ``config.recipe``.
        device: where to compute.
        on_epoch: called with the index and a copy of the record of every finished epoch, for
            instance to send them to TensorBoard: ``lambda index, epoch: writer.add_scalar("rmse",
            epoch.validation.rmse, index)``.

    Raises:
        UsageError: ``config`` describes other data than ``prepared``, the training windows do not
            fill one batch or are all of one health state, the run is of a baseline, a network of
            one's own lacks a part that trainings use, or a method of one's own does not name its
            weights so.

    """
    check_describes(config, prepared)
    device = as_device(device)
    started = time.perf_counter()
    with seeded(config.seed, device):
        run = _Run(config, prepared, device)
        message = run.fit(on_epoch)
    selected = run.best_epoch
    completed = not message and selected is not None
    record = RunRecord(
        config=config,
        status="completed" if completed else "diverged",
        message=message,
        epochs=run.epochs,
        selected_epoch=selected,
        test=run.predict_test() if completed else None,
        starts_dead=run.starts_dead,
        raw_validation_rmse=run.raw_validation_rmse,
        probe_at_start=run.probe_at_start,
        probe=run.probe_selected() if completed else None,
        wall_seconds=time.perf_counter() - started,
        device=str(device),
        versions=versions(),
        source_digest=source_digest(),
    )
    return Trained(record, (run.average if completed else run.model).eval())


def watch_first_steps(
    config: RunConfig,
    prepared: Prepared,
    steps: int,
    *,
    device: torch.device | str = "cpu",
    read: Callable[[BaseMTLLoss], Mapping[str, float]] = lambda method: method.get_weights(),
) -> tuple[pd.DataFrame, DualTaskModel]:
    """Train for a number of steps, as ``train`` does; return what each saw, and the network.

    Nothing is validated or selected. The global random state is left as it was.

    Args:
        config: the run; ``observe_every`` is taken as 1.
        prepared: the data, prepared by ``config.recipe``.
        steps: how many steps; with none the network is the one that ``train`` starts from.
        device: where to compute.
        read: what to note of the method after each step; its two weights by default.

    Returns:
        One row a step: ``step`` (from 1), ``rul_loss``, ``health_loss``, ``norm_rul``,
        ``norm_health``, ``ratio``, ``cosine`` (NaN where a gradient is zero), and what ``read``
        returned; and the network after the last step, in training mode, with its current, not its
        averaged weights.

    Raises:
        NonFiniteLossError: a loss stopped being finite.
        UsageError: ``config`` describes other data than ``prepared``, the training windows do not
            fill one batch, or the run is of a baseline.

    """
    check_describes(config, prepared)
    device = as_device(device)
    config = config.with_changes(observe_every=1)
    rows: list[dict[str, float]] = []
    with seeded(config.seed, device):
        run = _Run(config, prepared, device)
        while len(rows) < steps:
            epoch = [
                {"step": run.step + 1, **_as_row(*observed), **read(run.weighting)}
                for observed in islice(run.steps(), steps - len(rows))
            ]
            run.weighting.end_epoch(
                {"rul": _mean(epoch, "rul_loss"), "health": _mean(epoch, "health_loss")}
            )
            rows += epoch
    return pd.DataFrame(rows), run.model


def _as_row(rul: Tensor, health: Tensor, info: StepInfo, _: Tensor) -> dict[str, float]:
    assert info.geometry is not None, "every step is observed"
    norm_rul, norm_health, cosine = info.geometry.tolist()
    return {
        "rul_loss": float(rul.detach()),
        "health_loss": float(health.detach()),
        "norm_rul": norm_rul,
        "norm_health": norm_health,
        "ratio": float(info.geometry.ratio),
        "cosine": cosine,
    }


def _mean(rows: Sequence[Mapping[str, float]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def new_model(config: RunConfig, prepared: Prepared) -> DualTaskModel:
    """Return the network at its start; draws from PyTorch's global random state.

    Raises:
        UsageError: the run is of a baseline, or a network of one's own lacks a part that trainings
            use.

    """
    if config.network in get_args(Baseline):
        raise UsageError(
            f"'{config.network}' is a baseline and no network to train: give its run to "
            f"fit_baseline of rulbook.training.baselines, or choose another network."
        )
    if is_own(config.network):
        model = build_own(config.network, prepared.n_features, config.recipe.window)
    else:
        architecture = config.architecture or ARCHITECTURES[config.network]  # type: ignore[index]
        model = DualTaskModel(architecture, prepared.n_features)
    if config.rul_bias == "training_mean":
        if not hasattr(model, "start_rul_at"):
            raise UsageError(
                f"The network '{config.network}' has no method start_rul_at: give it one, or "
                f"choose rul_bias='default'."
            )
        model.start_rul_at(float(prepared.train.rul.mean()) / cycles_per_unit(config))
    return model


def average_decay(step: int, total_steps: int, largest: float) -> float:
    """Return the decay of the running average of the weights at one step.

    It grows as ``(1 + t) / (10 + t)`` and is held where the average looks back over at most a tenth
    of the run, since a longer memory would still hold the initial weights at the end.
    """
    horizon = max(total_steps / 10, 1.0)
    return min(largest, 1.0 - 1.0 / horizon, (1 + step) / (10 + step))


def check_batch_size(batch_size: int, windows: int) -> None:
    """Check that there are windows enough for one batch.

    Raises:
        UsageError: there are not.

    """
    if batch_size > windows:
        raise UsageError(
            f"A batch of {batch_size} windows is larger than all {windows} training windows: "
            f"choose a batch_size of at most {windows}."
        )


@dataclass
class _Observations:
    """What one epoch's steps report, kept on the device until the epoch ends."""

    rul: list[Tensor] = field(default_factory=list)
    health: list[Tensor] = field(default_factory=list)
    total_norms: list[Tensor] = field(default_factory=list)
    norm_rul: list[Tensor] = field(default_factory=list)
    norm_health: list[Tensor] = field(default_factory=list)
    cosine: list[Tensor] = field(default_factory=list)

    def add(self, rul: Tensor, health: Tensor, info: StepInfo, total_norm: Tensor) -> None:
        self.rul.append(rul.detach())
        self.health.append(health.detach())
        self.total_norms.append(total_norm.detach())
        if info.geometry is not None:
            self.norm_rul.append(info.geometry.norm_rul)
            self.norm_health.append(info.geometry.norm_health)
            self.cosine.append(info.geometry.cosine)


def _to_array(values: list[Tensor]) -> np.ndarray:
    return torch.stack(values).cpu().double().numpy() if values else np.empty(0)


class _Run:
    """The state of one training run."""

    def __init__(self, config: RunConfig, prepared: Prepared, device: torch.device) -> None:
        self.config, self.prepared, self.device = config, prepared, device
        self.unit = cycles_per_unit(config)
        self.evaluator = Evaluator(config, device)
        self.model = new_model(config, prepared).to(device)
        self.shared = shared_parameters(self.model)
        self.heads = task_parameters(self.model)
        options: dict[str, Any] = dict(config.weighting_options)
        self.weighting: BaseMTLLoss = get_loss(config.weighting, **options).to(device)
        self.packed = PackedParameters(self.model.parameters())
        self.optimiser = _optimiser(config, self.packed, self.weighting)
        self.plateau = ReduceLROnPlateau(
            self.optimiser, factor=0.5, patience=config.plateau_patience
        )
        self.batches = torch.Generator().manual_seed(config.seed)
        train_windows = prepared.train
        self.cycle_features = torch.from_numpy(train_windows.cycle_features).to(device)
        self.first_row = torch.from_numpy(train_windows.first_row).to(device)
        self.within_window = torch.arange(train_windows.length, device=device)
        self.rul = torch.from_numpy(train_windows.rul).to(device)
        labels = auxiliary_labels(config.auxiliary, train_windows, config.seed)
        self.health = torch.from_numpy(labels).to(device)
        check_batch_size(config.batch_size, len(train_windows))
        whole_batches = len(train_windows) // config.batch_size
        self.steps_per_epoch = min(whole_batches, config.batches_per_epoch or whole_batches)
        self.total_steps = self.steps_per_epoch * config.max_epochs
        self.step = 0
        self.average = copy.deepcopy(self.model)
        self.packed_average = PackedParameters(self.average.parameters())
        self.starts_dead = self._starts_dead()
        self.probe_at_start: ProbeScores | None = None
        self.epochs: list[EpochRecord] = []
        self.best_epoch: int | None = None
        self.best_state: dict[str, Tensor] = {}
        self.raw_validation_rmse: float | None = None

    def fit(self, on_epoch: Callable[[int, EpochRecord], None] | None) -> str:
        """Train until the last epoch or until patience is out; return what went wrong, if so."""
        best = math.inf
        self.probe_at_start = self.evaluator.probe(self.model, self.prepared)
        for index in range(self.config.max_epochs):
            try:
                record = self._epoch()
            except NonFiniteLossError as error:
                return str(error)
            self.epochs.append(record)
            if on_epoch:
                on_epoch(index, record.model_copy(deep=True))
            found = record.validation.rmse
            if not math.isfinite(found):
                return f"The validation RMSE is {found} after epoch {index + 1}."
            if found < best:
                best, self.best_epoch = found, index
                self.best_state = copy.deepcopy(self.average.state_dict())
            elif self._out_of_patience(index):
                break
            if self.step >= self._warm_up_steps():
                self.plateau.step(found)
        last = self.evaluator.evaluate(self.model, self.prepared.validation)
        self.raw_validation_rmse = last.rmse
        return ""

    def predict_test(self) -> TestPredictions:
        """Return the selected epoch's predictions for the last window of each test engine."""
        test = self.prepared.test
        rul, logits = self.evaluator.predict(self._selected(), test)
        return TestPredictions(
            unit=test.unit.tolist(),
            true_rul=test.rul_uncapped.astype(int).tolist(),
            predicted_rul=rul.tolist(),
            predicted_health=logits.argmax(1).tolist(),
        )

    def probe_selected(self) -> ProbeScores:
        """Return the linear probe on the selected epoch's trunk."""
        return self.evaluator.probe(self._selected(), self.prepared)

    def _averaged_model(self) -> DualTaskModel:
        """Return the network with averaged weights and the current batch statistics."""
        for averaged, current in zip(self.average.buffers(), self.model.buffers(), strict=True):
            averaged.copy_(current)
        return self.average

    def _selected(self) -> DualTaskModel:
        self.average.load_state_dict(self.best_state)
        return self.average

    def _out_of_patience(self, index: int) -> bool:
        patience = self.config.patience
        return (
            patience is not None
            and self.best_epoch is not None
            and index - self.best_epoch >= patience
        )

    def _clip_norm(self) -> float:
        return math.inf if self.config.clip_norm is None else self.config.clip_norm

    def _warm_up_steps(self) -> int:
        return round(self.config.warm_up * self.total_steps)

    def _update_average(self) -> None:
        """Take the current weights into the running average; the first ones are its start."""
        decay = average_decay(self.step, self.total_steps, self.config.average_decay)
        self.packed_average.move_towards(self.packed, 1.0 if self.step == 1 else 1.0 - decay)

    def steps(self) -> Iterator[tuple[Tensor, Tensor, StepInfo, Tensor]]:
        """Train for one epoch; yield losses, task gradients and total norm of every step."""
        self.model.train()
        for rows in self._batches():
            self._warm_up()
            yield self._train_step(rows, observe=self.step % self.config.observe_every == 0)
            self.step += 1
            self._update_average()

    def _epoch(self) -> EpochRecord:
        seen = _Observations()
        for step in self.steps():
            seen.add(*step)
        rul, health = _to_array(seen.rul), _to_array(seen.health)
        self.weighting.end_epoch({"rul": float(rul.mean()), "health": float(health.mean())})
        averaged, prepared = self._averaged_model(), self.prepared
        watch = self.config.watch_test
        evaluate = self.evaluator.evaluate
        return EpochRecord(
            rul_loss=rul.mean(),
            health_loss=health.mean(),
            weights=_checked_weights(self.weighting),
            learning_rate=self.optimiser.param_groups[0]["lr"],
            clipped_share=(_to_array(seen.total_norms) > self._clip_norm()).mean(),
            gradients=summarise_gradients(
                _to_array(seen.norm_rul), _to_array(seen.norm_health), _to_array(seen.cosine)
            ),
            validation=evaluate(averaged, prepared.validation),
            test=evaluate(averaged, prepared.test) if watch else None,
            test_every_window=(evaluate(averaged, prepared.test_every_window) if watch else None),
        )

    def _batches(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self.rul), generator=self.batches).to(self.device)
        size = self.config.batch_size
        for first in range(0, self.steps_per_epoch * size, size):
            yield order[first : first + size]

    def _windows(self, rows: Tensor) -> Tensor:
        """Return training windows, (windows, cycles, features), gathered from their cycles.

        An embedding look-up is PyTorch's fastest gather of rows.
        """
        cycles = self.first_row[rows, None] + self.within_window
        return functional.embedding(cycles, self.cycle_features)

    def _losses(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        with self.evaluator.precision():
            rul, logits = self.model(self._windows(rows))
        rul_loss = inner_rul_loss(
            config.inner_loss, rul, self.rul[rows] / self.unit, rul_cap(config) / self.unit
        )
        return rul_loss, health_cross_entropy(logits, self.health[rows])

    def _train_step(self, rows: Tensor, observe: bool) -> tuple[Tensor, Tensor, StepInfo, Tensor]:
        self.optimiser.zero_grad()
        rul_loss, health_loss = self._losses(rows)
        info = self.weighting.backward(
            rul_loss,
            health_loss,
            shared_params=self.shared,
            task_params=self.heads,
            observe=observe,
        )
        self.packed.collect_gradients(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.packed.tensors, self._clip_norm())
        self.optimiser.step()
        return rul_loss, health_loss, info, norm

    def _warm_up(self) -> None:
        steps = self._warm_up_steps()
        if self.step < steps:
            for group in self.optimiser.param_groups:
                group["lr"] = group["initial_lr"] * (self.step + 1) / steps

    def _starts_dead(self) -> bool:
        """Return whether the final ReLU is shut for every one of a batch of windows."""
        rows = np.linspace(0, len(self.rul) - 1, self.config.batch_size).astype(int)
        model = copy.deepcopy(self.model)  # a pass in training mode moves the batch statistics
        with torch.no_grad(), self.evaluator.precision():
            rul, _ = model(self._windows(torch.from_numpy(rows).to(self.device)))
        return bool((rul == 0).all())


def _checked_weights(method: BaseMTLLoss) -> dict[str, float]:
    weights = method.get_weights()
    wanted = [f"{task}_weight" for task in TASKS]
    if sorted(weights) != sorted(wanted):
        raise UsageError(
            f"get_weights of {method.get_name()} must return {' and '.join(wanted)}, not "
            f"{', '.join(weights) or 'nothing'}."
        )
    return weights


def _optimiser(
    config: RunConfig, network: PackedParameters, weighting: BaseMTLLoss
) -> torch.optim.Optimizer:
    own_rate = weighting.learning_rate
    groups: list[dict[str, Any]] = [
        {
            "params": network.tensors,
            "weight_decay": config.weight_decay,
            "initial_lr": config.learning_rate,
        },
        {
            "params": list(weighting.parameters()),
            "weight_decay": 0.0,
            "initial_lr": config.learning_rate if own_rate is None else own_rate,
        },
    ]
    groups = [group | {"lr": group["initial_lr"]} for group in groups if group["params"]]
    optimiser: torch.optim.Optimizer = OPTIMISERS[config.optimiser](
        groups, lr=config.learning_rate, fused=True
    )
    return optimiser
