"""What a run is: every choice that can move its numbers, and the name that follows from them."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from rulbook.checked import Choices, RealNumber, WholeNumber
from rulbook.data.prepare import Recipe, operating_conditions
from rulbook.errors import UsageError, unknown_name
from rulbook.losses import InnerLoss
from rulbook.models import Architecture
from rulbook.optimisers import Optimiser
from rulbook.options import LARGEST_RANDOM_STATE
from rulbook.training.networks import is_own, network_names
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING
from rulbook.weighting.registry import get_loss

PROTOCOL = 1
"""Raised when a change of code moves a run's numbers; records of older protocols are not read.

A change that moves them by rounding alone, as another processor does (a relative 1e-6 a step, shown
by a test), leaves it.
"""

PROTOCOL_LABEL = "the protocol"
"""What tables call the choices that every other one is held against."""

Auxiliary = Literal["health", "shuffled", "serial_number"]
Precision = Literal["float32", "bfloat16"]

OptionValue = bool | int | float | str | tuple[float, ...] | tuple[str, ...] | None
"""What an option of a weighting method may be."""


def _as_pairs(options: object) -> object:
    """Return a mapping as pairs; JSON and the command line give lists for tuples."""
    if not isinstance(options, Mapping):
        return options
    return tuple(
        (name, tuple(value) if isinstance(value, list) else value)
        for name, value in options.items()
    )


def _in_order(pairs: tuple[tuple[str, OptionValue], ...]) -> tuple[tuple[str, OptionValue], ...]:
    names = [name for name, _ in pairs]
    if again := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"the option {min(again)} is given twice")
    return tuple(sorted(pairs, key=itemgetter(0)))


Options = Annotated[
    tuple[tuple[str, OptionValue], ...],
    BeforeValidator(_as_pairs),
    AfterValidator(_in_order),
    PlainSerializer(dict, return_type=dict[str, Any]),
]
"""Options by name: given and written as a mapping, kept as pairs, which can be hashed."""


class RunConfig(Choices):
    """One training run under the locked protocol; the defaults are the protocol.

    Names are checked: a subset of C-MAPSS, a weighting method and its options. ``with_changes``
    gives another configuration and checks it in the same way.

    Attributes:
        protocol: version of the numerics.
        subset: C-MAPSS subset, ``"FD001"`` … ``"FD004"``.
        data_digest: SHA-256 of the subset's files, or of the simulated fleet.
        recipe: how the data are prepared.
        weighting: registry name of the weighting method.
        weighting_options: the method's options that are not at their default, by name, for
            instance ``{"beta": 0.9}`` of GABA.
        inner_loss: RUL loss before weighting.
        seed: seed of initialisation, dropout and batch order.
        network: network size, the name of a baseline that is not a network, or of a network of
            one's own that ``add_network`` knows.
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
        plateau_patience: epochs without a better validation RMSE that are let pass; the next one
            halves the rate.
        clip_norm: largest norm of the gradient over all of the network's parameters; not clipped
            where there is none.
        average_decay: largest decay of the running average of the weights.
        observe_every: steps between two measurements of the task gradients, for methods that do
            not compute them anyway.
        watch_test: also evaluate the test set after every epoch (protocol study only).
        precision: of the trunk's activations; weights, heads, losses and gradients of the weights
            are in single precision always (mixed precision, ``torch.autocast``).

    """

    _noun: ClassVar[str] = "run"

    protocol: WholeNumber = PROTOCOL
    subset: str
    data_digest: str
    recipe: Recipe = Recipe()
    weighting: str = EQUAL_WEIGHTING
    weighting_options: Options = ()
    inner_loss: InnerLoss = "mse"
    seed: WholeNumber = Field(default=42, ge=0, le=LARGEST_RANDOM_STATE)
    network: str = "compact"
    architecture: Architecture | None = None
    rul_bias: Literal["default", "training_mean"] = "training_mean"
    target_unit: Literal["cycles", "cap"] = "cycles"
    auxiliary: Auxiliary = "health"
    optimiser: Optimiser = "adamw"
    learning_rate: RealNumber = Field(default=1e-3, ge=0, allow_inf_nan=False)
    weight_decay: RealNumber = Field(default=1e-4, ge=0, allow_inf_nan=False)
    batch_size: WholeNumber = Field(default=256, ge=1)
    batches_per_epoch: WholeNumber | None = Field(default=None, ge=1)
    max_epochs: WholeNumber = Field(default=30, ge=1)
    patience: WholeNumber | None = Field(default=5, ge=1)
    warm_up: RealNumber = Field(default=0.1, ge=0, le=1)
    plateau_patience: WholeNumber = Field(default=2, ge=0)
    clip_norm: RealNumber | None = Field(default=1.0, gt=0, allow_inf_nan=False)
    average_decay: RealNumber = Field(default=0.999, ge=0, le=1)
    observe_every: WholeNumber = Field(default=10, ge=1)
    watch_test: bool = False
    precision: Precision = "float32"

    @model_validator(mode="after")
    def _cap_is_there_where_it_is_used(self) -> Self:
        in_caps = self.target_unit == "cap" or self.inner_loss == "failure_weighted_mse"
        if in_caps and self.recipe.rul_cap is None:
            raise ValueError("target_unit 'cap' and failure-weighted MSE need recipe.rul_cap")
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        """Raise ``UsageError`` for a subset, a method or an option that does not exist.

        A fleet of one's own has a recipe that says how many operating conditions it flies.
        """
        operating_conditions(self.subset, self.recipe)
        if self.network not in network_names():
            raise unknown_name("network", self.network, network_names())
        if self.architecture is not None and is_own(self.network):
            raise UsageError(
                f"An architecture is of the networks of the source, not of '{self.network}'."
            )
        _check_weighting(self.weighting, **dict(self.weighting_options))
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


@lru_cache(maxsize=None, typed=True)
def _check_weighting(weighting: str, /, **options: OptionValue) -> None:
    """Raise ``UsageError`` unless the method can be built; a name that is refused is not kept.

    Options that are equal and of two types, as 1 and ``True`` are, are told apart.
    """
    arguments: dict[str, Any] = options
    for name in ("name", "tasks"):
        if name in options:
            raise UsageError(f"'{name}' is no option of a weighting method in a run.")
    get_loss(weighting, **arguments)
