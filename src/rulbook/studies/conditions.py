"""Training conditions: the named changes to the protocol under which claims are decided again.

A claim of the source that names no optimiser, batch or length is not settled by one choice of them.
Each condition is a set of changes to ``RunConfig``; everything else stays as the protocol has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from rulbook.data import cmapss
from rulbook.data.prepare import Recipe
from rulbook.errors import RulbookError, unknown_name
from rulbook.models import ARCHITECTURES
from rulbook.studies.methods import method_of
from rulbook.training.config import PROTOCOL_LABEL, RunConfig
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING

PROTOCOL_CONDITION = "protocol"
"""The name of the training condition without a change."""


@dataclass(frozen=True)
class TrainingCondition:
    """A named set of changes to the protocol.

    Attributes:
        name: name in studies, ledger and tables.
        label: name that readers see.
        changes: fields of ``RunConfig`` and their values under this condition.
        learning_rates: the rates among which each method and subset gets its own, chosen on the
            validation engines of one seed; empty where the protocol's rate stays.
        is_forensic: whether the condition asks where a printed figure may come from, not whether
            it is right; such a condition decides no claim.
        must_arrive: whether a training counts only where its patience ended it: one that was
            still getting better when its epochs ran out has no outcome.

    """

    name: str
    label: str
    changes: Mapping[str, object] = field(default_factory=dict)
    learning_rates: tuple[float, ...] = ()
    is_forensic: bool = False
    must_arrive: bool = False

    def applied_to(self, config: RunConfig, learning_rate: float | None = None) -> RunConfig:
        """Return ``config`` under this condition, at one of its learning rates if it has any."""
        rate = {} if learning_rate is None else {"learning_rate": learning_rate}
        return config.with_changes(**self.changes, **rate)


def searched_on(subset: str) -> str:
    """Return the name of the training condition whose settings were searched on a subset."""
    return f"searched-{subset.lower()}"


def _searched(subset: str, **found: object) -> TrainingCondition:
    """Return what ``competence_search`` found on a subset; a test holds the one to the other."""
    compact = ARCHITECTURES["compact"]
    common = {
        "architecture": replace(compact, convolution_dropout=0.2, recurrent_dropout=0.2),
        "batch_size": 128,
        "max_epochs": 60,
    }
    return TrainingCondition(
        searched_on(subset),
        f"settings searched on {subset}",
        MappingProxyType(common | found),
    )


_ALL = (
    TrainingCondition(PROTOCOL_CONDITION, PROTOCOL_LABEL),
    TrainingCondition(
        "book-batch",
        "batch 64, patience 20",
        MappingProxyType({"batch_size": 64, "patience": 20, "max_epochs": 60}),
    ),
    TrainingCondition(
        "sgd",
        "SGD, clipped",
        MappingProxyType({"optimiser": "sgd", "patience": 10, "max_epochs": 100}),
        learning_rates=(0.03, 0.1, 0.3),
        must_arrive=True,
    ),
    TrainingCondition(
        "sgd-no-clip",
        "SGD, not clipped",
        MappingProxyType(
            {"optimiser": "sgd", "clip_norm": None, "patience": 10, "max_epochs": 100}
        ),
        learning_rates=(1e-4, 3e-4, 1e-3),
        must_arrive=True,
    ),
    TrainingCondition("caps", "target in caps", MappingProxyType({"target_unit": "cap"})),
    TrainingCondition("no-clip", "gradients not clipped", MappingProxyType({"clip_norm": None})),
    _searched("FD001", learning_rate=0.00202, weight_decay=0.00661, clip_norm=None, patience=10),
    _searched("FD003", learning_rate=0.00204, weight_decay=6.09e-5, clip_norm=5.0, patience=20),
    TrainingCondition(
        "window-split",
        "windows held out, not engines",
        MappingProxyType({"recipe": Recipe(split_by="window"), "max_epochs": 90, "patience": None}),
        is_forensic=True,
    ),
)

CONDITIONS = {condition.name: condition for condition in _ALL}
"""The training conditions; the first is the one that the protocol's records were made under.

:meta hide-value:
"""

METHODS_BY_CONDITION = (EQUAL_WEIGHTING, "fixed_0002", "single_task", "amnl", "gaba", "grace")
"""The methods that every training condition is meant for, equal weights first."""

WITH_SGD = tuple(
    name for name, condition in CONDITIONS.items() if condition.changes.get("optimiser") == "sgd"
)
"""The names of the training conditions whose optimiser is SGD."""


def training_condition(name: str) -> TrainingCondition:
    """Return the training condition of that name.

    Raises:
        UsageError: there is none.

    """
    if name not in CONDITIONS:
        raise unknown_name("training condition", name, CONDITIONS)
    return CONDITIONS[name]


def is_setting(name: str) -> bool:
    """Return whether a name is, in words, a setting of an experiment that a chapter makes itself.

    It counts like a training condition where a claim is decided; names of those have no spaces.
    """
    return " " in name


def condition_of(config: RunConfig) -> TrainingCondition | None:
    """Return the training condition that a named method was run under.

    Returns:
        ``None`` where no condition together with the method gives this configuration, as when one
        more choice differs from the protocol, or the data is one's own.

    """
    as_printed = _as_printed(config)
    return next((c for c in CONDITIONS.values() if _is_under(config, c, as_printed)), None)


def _as_printed(config: RunConfig) -> RunConfig | None:
    """Return the same method, subset and seed under the protocol, if it is a named method."""
    row = method_of(config)
    if row is None or config.subset not in cmapss.SUBSETS:
        return None
    return row.applied_to(
        RunConfig(subset=config.subset, data_digest=config.data_digest, seed=config.seed)
    )


def _is_under(
    config: RunConfig, condition: TrainingCondition, as_printed: RunConfig | None
) -> bool:
    rates = condition.learning_rates or (None,)
    return as_printed is not None and any(
        config == condition.applied_to(as_printed, rate) for rate in rates
    )


def require_condition(config: RunConfig, name: str) -> None:
    """Make sure that a run was made under the training condition of that name.

    Raises:
        UsageError: there is no such condition.
        RulbookError: the run was made under another condition, or under none.

    """
    if not _is_under(config, training_condition(name), _as_printed(config)):
        actual = condition_of(config)
        raise RulbookError(
            f"The run {config.key()[:8]} ({config.weighting}, {config.subset}, seed {config.seed}) "
            f"is under {f'the condition {actual.name}' if actual else 'no named condition'}, not "
            f"under {name}; leave it out, or name the condition that it was made under."
        )
