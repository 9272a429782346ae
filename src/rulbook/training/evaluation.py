"""What a network predicts for windows, how far off it is, and what its trunk can be read for."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rulbook.data.prepare import HEALTH_STATES, Prepared, Windows
from rulbook.errors import UsageError
from rulbook.losses import health_cross_entropy, rul_mse
from rulbook.metrics import health_accuracy, linear_probe, mean_error, recall_per_class, rmse
from rulbook.models import DualTaskModel
from rulbook.training.config import RunConfig
from rulbook.training.record import ProbeScores, RulHealthMetrics
from rulbook.typing import Floats

_BATCH = 1024
_PROBE_WINDOWS = 4000
"""Training windows that the linear probe is fitted on, taken at equal distances."""


def cycles_per_unit(config: RunConfig) -> float:
    """Return how many cycles one unit of the network's RUL output stands for."""
    return rul_cap(config) if config.target_unit == "cap" else 1.0


def rul_cap(config: RunConfig) -> float:
    """Return the cap in cycles; infinite where there is none, which only plain MSE goes with."""
    return math.inf if config.recipe.rul_cap is None else float(config.recipe.rul_cap)


@dataclass(frozen=True)
class Evaluator:
    """How the networks of one run are called outside of training.

    Attributes:
        config: the run; its precision and target unit are used.
        device: where the networks are.

    """

    config: RunConfig
    device: torch.device

    def precision(self) -> torch.autocast:
        """Return the context in which a network is to be called, and nothing else."""
        lower = self.config.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=lower)

    def predict(self, model: nn.Module, windows: Windows) -> tuple[Floats, Floats]:
        """Return RUL in cycles, (N,), and health logits, (N, 3); leaves ``model`` in eval mode."""
        with self.precision():
            parts = _batchwise(model, model, windows, self.device)
        rul = _to_floats([part[0] for part in parts]) * cycles_per_unit(self.config)
        return rul, _to_floats([part[1] for part in parts])

    def evaluate(self, model: nn.Module, windows: Windows) -> RulHealthMetrics:
        """Return how well ``model`` predicts ``windows``."""
        rul, logits = self.predict(model, windows)
        predicted = logits.argmax(1)
        return RulHealthMetrics(
            rmse=rmse(rul, windows.rul),
            mean_error=mean_error(rul, windows.rul),
            rul_loss=float(rul_mse(rul, windows.rul.astype(np.float64))),
            health_loss=float(health_cross_entropy(logits, windows.health)),
            health_accuracy=health_accuracy(predicted, windows.health),
            health_recall=recall_per_class(predicted, windows.health).tolist(),
        )

    def features(self, model: DualTaskModel, windows: Windows) -> Floats:
        """Return ``trunk_features`` in the precision of the run."""
        with self.precision():
            return trunk_features(model, windows)

    def probe(self, model: DualTaskModel, prepared: Prepared) -> ProbeScores:
        """Return how well a linear classifier reads the health state of validation windows off z.

        It is fitted on training windows.

        Raises:
            UsageError: they are all of one health state.
        """
        fit, score = prepared.train, prepared.validation
        rows = np.linspace(0, len(fit) - 1, min(_PROBE_WINDOWS, len(fit))).astype(int)
        if len(np.unique(fit.health[rows])) < 2:
            raise UsageError(
                f"The training windows are all '{HEALTH_STATES[fit.health[0]]}', and there is no "
                f"health state to tell from another: choose other health_thresholds."
            )
        scores = linear_probe(
            self.features(model, fit.take(rows)),
            fit.health[rows],
            self.features(model, score),
            score.health,
        )
        return ProbeScores(
            accuracy=scores.accuracy,
            balanced_accuracy=scores.balanced_accuracy,
            recall=scores.recall.tolist(),
            majority_share=scores.majority_share,
        )


def trunk_features(model: DualTaskModel, windows: Windows) -> Floats:
    """Return z of each window, (N, 32), from a network in evaluation mode; it is left as it was."""
    was_training = model.training
    parts = _batchwise(model, model.features, windows, next(model.parameters()).device)
    model.train(was_training)
    return _to_floats(parts)


@torch.no_grad()
def _batchwise(
    model: nn.Module, call: Callable[[Tensor], Any], windows: Windows, device: torch.device
) -> list[Any]:
    """Return what a network in evaluation mode gives for each batch; leaves it in that mode."""
    model.eval()
    batches = (
        torch.from_numpy(windows.gather(slice(first, first + _BATCH)))
        for first in range(0, len(windows), _BATCH)
    )
    return [call(batch.to(device)) for batch in batches]


def _to_floats(parts: Sequence[Tensor]) -> Floats:
    values: Floats = torch.cat(list(parts)).cpu().double().numpy()
    return values
