"""What the tables compare: named pairs of a weighting and an inner loss, and two sanity rows."""

from dataclasses import dataclass
from functools import cache
from typing import get_args

from rulbook.errors import unknown_name
from rulbook.losses import InnerLoss
from rulbook.training.config import RunConfig
from rulbook.training.networks import Baseline
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING, FIXED_RUL_WEIGHTS, fixed_name


@dataclass(frozen=True)
class Method:
    """One row of a table.

    Attributes:
        name: name in studies and records.
        label: name that readers see.
        weighting: registry name of the weighting method.
        inner_loss: RUL loss before weighting.
        baseline: the model that takes the network's place, for the rows that are not networks.

    """

    name: str
    label: str
    weighting: str = "single_task"
    inner_loss: InnerLoss = "mse"
    baseline: Baseline | None = None

    def applied_to(self, config: RunConfig) -> RunConfig:
        """Return ``config`` with this method's choices."""
        choices: dict[str, object] = {
            "weighting": self.weighting,
            "weighting_options": (),
            "inner_loss": self.inner_loss,
        }
        if self.baseline:
            choices["network"] = self.baseline
        return config.with_changes(**choices)


def _fixed(rul_weight: float) -> Method:
    name = fixed_name(rul_weight)
    return Method(name, f"Fixed {rul_weight:g}/{1 - rul_weight:.3g}", name)


FIXED_METHODS = (*map(fixed_name, FIXED_RUL_WEIGHTS), "fixed_legacy")
"""The methods with fixed weights and the plain inner loss: the sweep, and the legacy 0.7/0.3."""


GRACE = Method("grace", "GRACE", "gaba", "failure_weighted_mse")
"""GABA's weights over the failure-weighted inner loss, GABA's settings unchanged (§21.1-21.2).

Two departures, or what may be ones:

* GABA measures :math:`g_{rul}` on the failure-weighted loss, the one that its weight then
  multiplies, so that the two weighted gradients are what it balances. The passages of §21.2 that
  are known here do not say whether the plain loss is meant.
* The decay of the network's weights is ``RunConfig.weight_decay`` from the first step to the last,
  as for every method. §22.1 lists a schedule of the decay, once an epoch. Its values are not known
  here; the legacy edition (§17.4) says that the decay falls from 1e-4 after epoch 100, which a
  training under the protocol does not reach.
"""

_ROWS = (
    Method("single_task", "Single task (RUL only)"),
    *(_fixed(weight) for weight in FIXED_RUL_WEIGHTS),
    Method("fixed_legacy", "Fixed 0.7/0.3", "fixed_legacy"),
    Method("amnl", "AMNL", EQUAL_WEIGHTING, "failure_weighted_mse"),
    Method("amnl_fixed", "AMNL-fixed", "amnl_fixed"),
    Method("inverse_magnitude", "Inverse magnitude", "inverse_magnitude"),
    Method("uncertainty", "Uncertainty", "uncertainty"),
    Method("dwa", "DWA", "dwa"),
    Method("gradnorm", "GradNorm", "gradnorm"),
    Method("gaba", "GABA", "gaba"),
    Method("gaba_no_floor", "GABA without floor", "gaba_no_floor"),
    GRACE,
    Method("imtl_g", "IMTL-G", "imtl_g"),
    Method("pcgrad", "PCGrad", "pcgrad"),
    Method("upgrad", "UPGrad", "upgrad"),
    Method("gradient_boosting", "Gradient boosting", baseline="gradient_boosting"),
    Method("constant", "Constant predictor", baseline="constant"),
)

METHODS = {method.name: method for method in _ROWS}
"""The methods of the core study, in the order of its tables.

:meta hide-value:
"""


BASELINES = tuple(name for name, row in METHODS.items() if row.baseline)
"""The names of the methods that are no networks."""

_AMNL_ROWS = (
    Method("amnl_060", "AMNL 0.6/0.4", "fixed_060", "failure_weighted_mse"),
    Method("amnl_090", "AMNL 0.9/0.1", "fixed_090", "failure_weighted_mse"),
)

AMNL_SWEEP = {method.name: method for method in _AMNL_ROWS}
"""AMNL with other weights than its own, for the two rows of §24.1's table that are labelled so.

:meta hide-value:
"""

NAMED_METHODS = METHODS | AMNL_SWEEP
"""Every method that has a name, in the order of the tables.

:meta hide-value:
"""


def method(name: str) -> Method:
    """Return the method of that name.

    Raises:
        UsageError: there is none.

    """
    if name not in NAMED_METHODS:
        raise unknown_name("method", name, NAMED_METHODS)
    return NAMED_METHODS[name]


@cache
def method_of(config: RunConfig) -> Method | None:
    """Return the method that ``config`` runs, or ``None`` if the tables have no such row."""
    if config.weighting_options:
        return None
    baseline = config.network if config.network in get_args(Baseline) else None
    return _METHODS_BY_CHOICES.get((config.weighting, config.inner_loss, baseline))


_METHODS_BY_CHOICES: dict[tuple[str, str, str | None], Method] = {
    (row.weighting, row.inner_loss, row.baseline): row for row in NAMED_METHODS.values()
}
