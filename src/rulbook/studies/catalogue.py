"""The long experiments, by name: which runs each of them consists of."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from rulbook.data import cmapss
from rulbook.data.prepare import Recipe
from rulbook.errors import unknown_name
from rulbook.models import ARCHITECTURES, Architecture
from rulbook.studies.competence_search import SEARCHED_SUBSETS, competence_trials
from rulbook.studies.conditions import (
    METHODS_BY_CONDITION,
    TrainingCondition,
    searched_on,
    training_condition,
)
from rulbook.studies.equal_tuning import TUNED_UNDER, tuning_runs
from rulbook.studies.methods import AMNL_SWEEP, METHODS, method
from rulbook.studies.tuning import chosen_config
from rulbook.training.config import RunConfig
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING

SEEDS = (42, 123, 456, 789, 1024)
"""Seeds of initialisation, dropout and batch order; the source's five."""

BOOK_DROPOUT = 0.3
"""The source's uniform dropout rate (§15.4)."""

_WIDER = Architecture(
    convolutions=(32, 64, 32),
    recurrent_units=48,
    attention_heads=4,
    funnel=(64, 48, 32),
    convolution_dropout=0.05,
    recurrent_dropout=0.0,
    attention_dropout=0.0,
    funnel_dropout=0.0,
)
_NARROWER = replace(
    ARCHITECTURES["compact"], recurrent_units=16, attention_heads=2, funnel=(32, 32)
)


def seeds_from(first: int, count: int = len(SEEDS)) -> tuple[int, ...]:
    """Return ``count`` distinct seeds, or as many as there are: ``first``, then the source's."""
    return (first, *(seed for seed in SEEDS if seed != first))[:count]


@dataclass(frozen=True)
class Study:
    """A named experiment on the real data.

    Attributes:
        name: name on the command line.
        question: what it answers, in one sentence.
        configs: the runs, in the order in which they should be done.

    """

    name: str
    question: str
    configs: Callable[[], Iterator[RunConfig]]


def base_config(subset: str, seed: int = SEEDS[0]) -> RunConfig:
    """Return the locked protocol on the real ``subset``."""
    return RunConfig(subset=subset, data_digest=cmapss.digest(subset), seed=seed)


def _core(subsets: tuple[str, ...]) -> Iterator[RunConfig]:
    """Yield every method, each seed complete over all methods before the next one begins."""
    for seed in SEEDS:
        for row in METHODS.values():
            for subset in subsets:
                yield row.applied_to(base_config(subset, seed))


def _with(
    names: tuple[str, ...], subsets: tuple[str, ...], **changes: object
) -> Iterator[RunConfig]:
    for seed in SEEDS:
        for subset in subsets:
            for name in names:
                config = method(name).applied_to(base_config(subset, seed))
                yield config.with_changes(**changes)


def _long() -> Iterator[RunConfig]:
    for subset in ("FD001", "FD002"):
        changes = {"max_epochs": 100, "patience": None, "observe_every": 1}
        yield base_config(subset).with_changes(**changes)


def _wrong_auxiliary() -> Iterator[RunConfig]:
    for labels in ("shuffled", "serial_number"):
        yield from _with((EQUAL_WEIGHTING, "fixed_0002"), ("FD002",), auxiliary=labels)


def _target_unit() -> Iterator[RunConfig]:
    yield from _with((EQUAL_WEIGHTING, "gaba", "single_task"), ("FD002",), target_unit="cap")


def _optimisers() -> Iterator[RunConfig]:
    for optimiser in ("sgd", "adam"):
        yield from _with((EQUAL_WEIGHTING,), ("FD002",), optimiser=optimiser)


def _recipes() -> Iterator[RunConfig]:
    for recipe in (
        Recipe(features="sensors"),
        Recipe(split_by="window"),
        Recipe(cap_training_rul=False),
    ):
        yield from _with((EQUAL_WEIGHTING,), ("FD002",), recipe=recipe)


def _test_selection() -> Iterator[RunConfig]:
    yield from _with((EQUAL_WEIGHTING, "single_task"), ("FD002", "FD004"), watch_test=True)


def _sizing() -> Iterator[RunConfig]:
    """Yield three widths and three dropout rates of the compact network on one seed."""
    compact = ARCHITECTURES["compact"]
    rates = [replace(compact, convolution_dropout=rate) for rate in (0.0, 0.1)]
    yield base_config("FD002")
    for architecture in (*rates, _NARROWER, _WIDER):
        yield base_config("FD002").with_changes(architecture=architecture)


def _dropout() -> Iterator[RunConfig]:
    yield from _with(
        (EQUAL_WEIGHTING, "fixed_075", "fixed_090", "single_task"),
        ("FD002",),
        architecture=ARCHITECTURES["compact"].with_dropout(BOOK_DROPOUT),
    )


def _default_bias() -> Iterator[RunConfig]:
    yield from _with((EQUAL_WEIGHTING, "single_task"), ("FD002",), rul_bias="default")


def _imbalance() -> Iterator[RunConfig]:
    for seed in SEEDS:
        for subset in cmapss.SUBSETS:
            yield base_config(subset, seed).with_changes(observe_every=1)


_AT_START = {"learning_rate": 0.0, "max_epochs": 1, "observe_every": 1, "batches_per_epoch": 50}
"""A learning rate of zero keeps the network where it starts while batch after batch is measured."""


def _initial_imbalance() -> Iterator[RunConfig]:
    """Yield the gradients at the start, with the default output bias, as the source has it."""
    for network, batch_size in (("compact", 256), ("paper", 64)):
        for seed in SEEDS:
            for subset in cmapss.SUBSETS:
                changes = {"network": network, "batch_size": batch_size, "rul_bias": "default"}
                yield base_config(subset, seed).with_changes(**_AT_START | changes)


def _precision() -> Iterator[RunConfig]:
    yield from _with((EQUAL_WEIGHTING, "single_task"), ("FD002",), precision="bfloat16")


_PAPER_SIZE = {
    "network": "paper",
    "batch_size": 64,
    "max_epochs": 15,
    "patience": None,
    "precision": "bfloat16",
}
"""Mixed precision halves the time of this network."""


def _paper_size() -> Iterator[RunConfig]:
    for subset in ("FD001", "FD002"):
        for name in ("single_task", EQUAL_WEIGHTING):
            yield method(name).applied_to(base_config(subset)).with_changes(**_PAPER_SIZE)


def _book_network() -> Iterator[RunConfig]:
    """Yield the book's network under both splits, the test engines watched, longer than it needs.

    Engines held out come first: what a figure is worth is asked before where it may come from.
    """
    changes = _PAPER_SIZE | {"max_epochs": 60, "watch_test": True}
    for recipe in (Recipe(), Recipe(split_by="window")):
        for name in (EQUAL_WEIGHTING, "single_task"):
            for seed in SEEDS[:3]:
                config = method(name).applied_to(base_config("FD001", seed))
                yield config.with_changes(recipe=recipe, **changes)


def _with_operating_conditions(number: int) -> tuple[str, ...]:
    return tuple(
        subset for subset, facts in cmapss.FACTS.items() if facts.operating_conditions == number
    )


_ONE_OPERATING_CONDITION = _with_operating_conditions(1)
_SIX_OPERATING_CONDITIONS = _with_operating_conditions(6)

_OTHER_BOOK_BATCH_METHODS: dict[tuple[str, ...], tuple[str, ...]] = {
    _ONE_OPERATING_CONDITION: (
        *("fixed_005", "fixed_075", "fixed_090", "amnl_fixed", "dwa", "gaba_no_floor"),
        *("uncertainty", "gradnorm", "imtl_g", "pcgrad"),
    ),
    _SIX_OPERATING_CONDITIONS: ("fixed_060", "fixed_075", "fixed_090", "uncertainty"),
}
"""The methods by subsets beside those that most claims name."""

_LEAK_METHODS = (EQUAL_WEIGHTING, "amnl", "single_task", "amnl_060", "amnl_090", "fixed_075")
_THREE_METHODS = (EQUAL_WEIGHTING, "fixed_0002", "single_task")


def _under(
    condition: str,
    methods: tuple[str, ...],
    subsets: tuple[str, ...],
    seeds: tuple[int, ...] = SEEDS,
) -> Iterator[RunConfig]:
    """Yield runs under a training condition, subset by subset, and there method by method.

    A table is about one subset, so this order completes a table soonest.
    """
    applied = training_condition(condition).applied_to
    for subset in subsets:
        for name in methods:
            for seed in seeds:
                yield applied(method(name).applied_to(base_config(subset, seed)))


def _at_chosen_rates(
    condition: TrainingCondition, methods: tuple[str, ...], subsets: tuple[str, ...]
) -> Iterator[RunConfig]:
    """Yield one seed at every rate, then the other seeds at the rate chosen, once there is one."""
    for name in methods:
        for subset in subsets:
            first, *others = (method(name).applied_to(base_config(subset, s)) for s in SEEDS)
            tried = [condition.applied_to(first, rate) for rate in condition.learning_rates]
            yield from tried
            if chosen := chosen_config(tried):
                for other in others:
                    yield condition.applied_to(other, chosen.learning_rate)


def _sgd(subsets: tuple[str, ...]) -> Iterator[RunConfig]:
    return _at_chosen_rates(training_condition("sgd"), (*_THREE_METHODS, "gaba"), subsets)


def _competence(subset: str) -> Iterator[RunConfig]:
    """Yield the runs of the recorded trials and of the next one."""
    for runs in competence_trials(base_config(subset)):
        yield from runs


def _tuned(subset: str) -> Iterator[RunConfig]:
    """Yield every method's trials, and its seeds once they are known."""
    return tuning_runs([base_config(subset, seed) for seed in SEEDS])


def _book_batch(subsets: tuple[str, ...]) -> Iterator[RunConfig]:
    """Yield the methods that most claims name, on every subset, before the others."""
    for methods in (METHODS_BY_CONDITION, _OTHER_BOOK_BATCH_METHODS[subsets]):
        yield from _under("book-batch", methods, subsets)


_ALL = (
    Study("sizing", "Which width and dropout does the compact network get?", _sizing),
    Study(
        "core-a",
        "How do the weighting methods compare on FD002 and FD004?",
        lambda: _core(("FD002", "FD004")),
    ),
    Study(
        "core-b",
        "How do the weighting methods compare on FD001 and FD003?",
        lambda: _core(("FD001", "FD003")),
    ),
    Study(
        "core",
        "How do the weighting methods compare on all four subsets?",
        lambda: chain(_core(("FD002", "FD004")), _core(("FD001", "FD003"))),
    ),
    Study(
        "amnl-weights",
        "How do AMNL's weights 0.6/0.4 and 0.9/0.1 compare with its own?",
        lambda: _with(tuple(AMNL_SWEEP), ("FD002", "FD004")),
    ),
    Study("long", "How do losses and gradients move over a hundred epochs?", _long),
    Study(
        "imbalance",
        "How large is the gradient imbalance at every step of a training?",
        _imbalance,
    ),
    Study(
        "initial-imbalance",
        "How large is the gradient imbalance before the first step?",
        _initial_imbalance,
    ),
    Study(
        "book-batch-fd001-fd003",
        "What do the verdicts on FD001 and FD003 become at a batch of 64?",
        lambda: _book_batch(_ONE_OPERATING_CONDITION),
    ),
    Study(
        "book-batch-fd002-fd004",
        "What do the verdicts on FD002 and FD004 become at a batch of 64?",
        lambda: _book_batch(_SIX_OPERATING_CONDITIONS),
    ),
    Study(
        "sgd-fd001-fd003",
        "What do the verdicts on FD001 and FD003 become under SGD until early stopping?",
        lambda: _sgd(_ONE_OPERATING_CONDITION),
    ),
    Study(
        "sgd-fd002-fd004",
        "What do the verdicts on FD002 and FD004 become under SGD until early stopping?",
        lambda: _sgd(_SIX_OPERATING_CONDITIONS),
    ),
    Study(
        "sgd-no-clip",
        "Is it SGD or clipping that starves the health head of FD001?",
        lambda: _at_chosen_rates(
            training_condition("sgd-no-clip"), (EQUAL_WEIGHTING,), _ONE_OPERATING_CONDITION
        ),
    ),
    *(
        Study(
            f"competence-{subset.lower()}",
            f"Under which settings is the network worth its training on {subset}?",
            partial(_competence, subset),
        )
        for subset in SEARCHED_SUBSETS
    ),
    *(
        Study(
            searched_on(subset),
            f"What do the verdicts on {subset} become where its network is worth its training?",
            partial(_under, searched_on(subset), METHODS_BY_CONDITION, (subset,)),
        )
        for subset in SEARCHED_SUBSETS
    ),
    *(
        Study(
            f"tuned-{subset.lower()}",
            f"How do the weighting methods compare on {subset} when all are tuned alike?",
            partial(_tuned, subset),
        )
        for subset in TUNED_UNDER
    ),
    Study(
        "window-split-fd002",
        "Which errors does FD002 report when windows are held out instead of engines?",
        lambda: _under("window-split", _LEAK_METHODS, ("FD002",), SEEDS[:3]),
    ),
    Study(
        "window-split-fd004",
        "Which errors does FD004 report when windows are held out instead of engines?",
        lambda: _under("window-split", _LEAK_METHODS, ("FD004",), SEEDS[:3]),
    ),
    Study(
        "caps",
        "What does a RUL target in units of the cap change?",
        lambda: _under("caps", _THREE_METHODS, ("FD001", "FD002")),
    ),
    Study(
        "no-clip",
        "What does leaving the gradients unclipped change?",
        lambda: _under("no-clip", _THREE_METHODS, ("FD001", "FD002")),
    ),
    Study("auxiliary", "Does a wrong second task help as much as health does?", _wrong_auxiliary),
    Study("target-unit", "What does scaling the RUL target to [0, 1] change?", _target_unit),
    Study("optimisers", "Do SGD and Adam end where AdamW ends?", _optimisers),
    Study("recipes", "What do the choices of data preparation do to the RMSE?", _recipes),
    Study("test-selection", "What does selecting the epoch on the test set gain?", _test_selection),
    Study("dropout", "What does the source's dropout rate do to a short training?", _dropout),
    Study("default-bias", "How many seeds start with a dead RUL head?", _default_bias),
    Study(
        "precision-fd001",
        "Does mixed precision move the RMSE of FD001?",
        lambda: _with((EQUAL_WEIGHTING, "single_task"), ("FD001",), precision="bfloat16"),
    ),
    Study("precision", "Does mixed precision move the RMSE?", _precision),
    Study(
        "book-network",
        "Which errors does the source's own network report on FD001, by split and selection?",
        _book_network,
    ),
    Study("paper-size", "Does the source's own network size change the picture?", _paper_size),
)

STUDIES = {item.name: item for item in _ALL}
"""The studies, in the order in which they are worth running.

:meta hide-value:
"""


def study(name: str) -> Study:
    """Return the study of that name.

    Raises:
        UsageError: there is none.

    """
    if name not in STUDIES:
        raise unknown_name("study", name, STUDIES)
    return STUDIES[name]
