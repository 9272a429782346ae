"""What a run is: every choice that can move its numbers, and the name that follows from them."""

import hashlib
import json
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from rulbook.data.prepare import Recipe
from rulbook.losses import InnerLoss
from rulbook.models import Architecture, Size
from rulbook.optimisers import Optimiser

PROTOCOL = 1
"""Raised when a change of code moves a run's numbers; records of older protocols are not read.

A change that moves them by rounding alone, as another processor does (a relative 1e-6 a step, shown
by a test), leaves it.
"""

PROTOCOL_LABEL = "the protocol"
"""What tables call the choices that every other one is held against."""

Baseline = Literal["gradient_boosting", "constant"]
Auxiliary = Literal["health", "shuffled", "serial_number"]
Precision = Literal["float32", "bfloat16"]


class RunConfig(BaseModel):
    """One training run under the locked protocol; the defaults are the protocol.

    Attributes:
        protocol: version of the numerics.
        subset: C-MAPSS subset, ``"FD001"`` … ``"FD004"``.
        data_digest: SHA-256 of the subset's files, or of the simulated fleet.
        recipe: how the data are prepared.
        weighting: registry name of the weighting method.
        inner_loss: RUL loss before weighting.
        seed: seed of initialisation, dropout and batch order.
        network: network size, or the name of a baseline that is not a network.
        architecture: widths and dropout rates in place of those of ``network``.
        rul_bias: output bias of the RUL head at the start.
        target_unit: unit of the RUL target inside the loss; metrics are in cycles always.
        auxiliary: labels of the second task: the health state; the same states shuffled over the
            training windows; or a class drawn from the engine's serial number.
        optimiser: update rule.
        learning_rate: peak learning rate.
        weight_decay: decay of the network's weights; weights that a method learns have none.
        batch_size: windows a step.
        batches_per_epoch: batches after which an epoch ends; all of the training windows where
            there is none.
        max_epochs: passes over the training windows at most.
        patience: epochs without a better validation RMSE before the run stops; ``None`` never.
        warm_up: share of all steps over which the learning rate rises linearly.
        plateau_patience: epochs without a better validation RMSE before the rate is halved.
        clip_norm: largest norm of the gradient over all of the network's parameters; not clipped
            where there is none.
        average_decay: largest decay of the running average of the weights.
        observe_every: steps between two measurements of the task gradients, for methods that do
            not compute them anyway.
        watch_test: also evaluate the test set after every epoch (protocol study only).
        precision: of the trunk's activations; weights, heads, losses and gradients of the weights
            are in single precision always (mixed precision, ``torch.autocast``).

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: int = PROTOCOL
    subset: str
    data_digest: str
    recipe: Recipe = Recipe()
    weighting: str = "fixed_050"
    inner_loss: InnerLoss = "mse"
    seed: int = 42
    network: Size | Baseline = "compact"
    architecture: Architecture | None = None
    rul_bias: Literal["default", "training_mean"] = "training_mean"
    target_unit: Literal["cycles", "cap"] = "cycles"
    auxiliary: Auxiliary = "health"
    optimiser: Optimiser = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 256
    batches_per_epoch: int | None = None
    max_epochs: int = 30
    patience: int | None = 5
    warm_up: float = 0.1
    plateau_patience: int = 2
    clip_norm: float | None = 1.0
    average_decay: float = 0.999
    observe_every: int = 10
    watch_test: bool = False
    precision: Precision = "float32"

    @model_validator(mode="after")
    def _cap_is_there_where_it_is_used(self) -> Self:
        in_caps = self.target_unit == "cap" or self.inner_loss == "failure_weighted_mse"
        if in_caps and self.recipe.rul_cap is None:
            raise ValueError("target_unit 'cap' and failure-weighted MSE need recipe.rul_cap")
        return self

    def key(self) -> str:
        """Return the SHA-256 of the canonical JSON of this configuration.

        Choices that are the protocol's own are left out, so that a new field, whose default is what
        was done before, leaves the names of the existing records alone. Changing a default asks for
        a new ``PROTOCOL``.
        """
        choices = self.model_dump(mode="json", exclude_defaults=True) | {"protocol": self.protocol}
        canonical = json.dumps(choices, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
