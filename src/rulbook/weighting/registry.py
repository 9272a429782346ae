"""Every weighting method by name, with the facts that a reader compares them by."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rulbook.errors import UsageError, unknown_name
from rulbook.weighting import (
    dwa,
    fixed,
    gaba,
    gradnorm,
    magnitude,
    scalarised,
    surgery,
    uncertainty,
)
from rulbook.weighting.base import TASKS, BaseMTLLoss
from rulbook.weighting.fixed import ABLATION_CONFIGS, FixedWeightLoss
from rulbook.weighting.fixed_names import FIXED_RUL_WEIGHTS, fixed_name, fixed_weights
from rulbook.weighting.method import WeightingMethod
from rulbook.weighting.options import checked_tasks

WEIGHTING_METHODS: Mapping[str, WeightingMethod] = {
    "single_task": fixed.SINGLE_TASK,
    "fixed": fixed.FIXED,
    "fixed_legacy": fixed.FIXED_LEGACY,
    "inverse_magnitude": magnitude.INVERSE_MAGNITUDE,
    "amnl_fixed": magnitude.AMNL_FIXED,
    "amnl_legacy": magnitude.AMNL_LEGACY,
    "amnl_legacy_ema": magnitude.AMNL_LEGACY_EMA,
    "uncertainty": uncertainty.UNCERTAINTY,
    "dwa": dwa.DWA,
    "gradnorm": gradnorm.GRADNORM,
    "gradnorm_legacy": gradnorm.GRADNORM_LEGACY,
    "gradnorm_original": gradnorm.GRADNORM_ORIGINAL,
    "gaba": gaba.GABA,
    "gaba_no_floor": gaba.GABA_NO_FLOOR,
    "gaba_closed_form": gaba.GABA_CLOSED_FORM,
    "imtl_g": surgery.IMTL_G,
    "nash_mtl": surgery.NASH_MTL,
    "pcgrad": surgery.PCGRAD,
    "upgrad": surgery.UPGRAD,
    "cagrad": surgery.CAGRAD,
    "mgda": surgery.MGDA,
    "aligned_mtl": surgery.ALIGNED_MTL,
    "random": scalarised.RANDOM,
    "geometric_mean": scalarised.GEOMETRIC_MEAN,
    "imtl_l": scalarised.IMTL_L,
}
"""Every method by its registry name; ``fixed_…`` names are a rule, see ``get_loss``.

:meta hide-value:
"""

FIXED_NAMES = (
    *map(fixed_name, FIXED_RUL_WEIGHTS),
    "fixed_070_070",
    *ABLATION_CONFIGS,
)
"""The fixed weightings that the source or our studies name."""

_OWN: dict[str, Callable[..., BaseMTLLoss]] = {}


def names() -> tuple[str, ...]:
    """Return every registered name, the fixed weightings first and one's own last."""
    return (*FIXED_NAMES, *WEIGHTING_METHODS, *_OWN)


def is_own(name: str) -> bool:
    """Return whether a method of that name was added in this process."""
    return name in _OWN


def add_method(name: str, build: Callable[..., BaseMTLLoss]) -> None:
    """Let ``get_loss`` of this process know a method of one's own, and with it every training.

    Adding it once more takes the place of the first. Records name it: give it another name when it
    changes.

    Args:
        name: one that no method of the package has.
        build: its class, or a function that returns one; keyword arguments are its options, and it
            takes ``tasks`` if it is to be used for other tasks than the source's two.

    Raises:
        UsageError: the name is taken.

    """
    if name in WEIGHTING_METHODS or name in ABLATION_CONFIGS or fixed_weights(name) is not None:
        raise UsageError(f"'{name}' is a method of the package: choose another name.")
    _OWN[name] = build


def get_loss(name: str, *, tasks: Sequence[str] | None = None, **options: Any) -> BaseMTLLoss:
    """Build the weighting method called ``name``.

    Args:
        name: a key of ``WEIGHTING_METHODS``; a legacy key of ``ABLATION_CONFIGS``; or ``fixed_``
            and a RUL weight without its point, the health weight being the rest to 1
            (``fixed_050`` is 0.50/0.50, ``fixed_0002`` 0.002/0.998) unless a second number gives
            it (``fixed_070_070``).
        tasks: names of the K tasks; by default the source's two. ``fixed`` then gives each 1/K
            unless its option ``weights`` says otherwise, and ``single_task`` all to the first.
        options: what ``method_options(name)`` lists.

    Raises:
        UsageError: no such method, it has no such option or not for such a value, or it has no
            form for so many tasks.
        RulbookError: it needs TorchJD's solvers, and they are not installed.

    >>> get_loss("dwa", tasks=("depth", "edges", "normals"), temperature=1.0).get_name()
    'DWA(T=1)'
    """
    build, defaults = _constructor(name)
    known = method_options(name)
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise UsageError(f"'{name}' has no option '{option}'; it has: {listed}.")
    if tasks is None or (tasks := checked_tasks(tasks)) == TASKS:
        return _checked_method(name, build(**{**defaults, **options}))
    if why := _two_tasks_only(name):
        raise UsageError(f"'{name}' has a form for {' and '.join(TASKS)} alone: {why}.")
    if name == "fixed":
        return _fixed_for(tasks, options)
    return _checked_method(name, build(tasks=tasks, **options))


def _checked_method(name: str, built: object) -> BaseMTLLoss:
    if not isinstance(built, BaseMTLLoss):
        raise UsageError(
            f"What was added as '{name}' gives a {type(built).__name__}: it must give a "
            "BaseMTLLoss."
        )
    return built


def method_options(name: str) -> dict[str, Any]:
    """Return the options of the method called ``name`` with their defaults.

    Raises:
        UsageError: no such method.

    >>> method_options("cagrad")
    {'c': 0.5, 'clip_apart': None}
    """
    build, defaults = _constructor(name)
    parameters = inspect.signature(build).parameters
    return {
        option: defaults.get(option, parameter.default)
        for option, parameter in parameters.items()
        if option != "tasks"
    }


def _constructor(name: str) -> tuple[Callable[..., BaseMTLLoss], Mapping[str, Any]]:
    """Return what builds the method, and what its name alone says of its options."""
    if not isinstance(name, str):
        raise UsageError(f"A weighting method is called by its name, not by {name!r}.")
    if name in ABLATION_CONFIGS:
        return FixedWeightLoss.legacy, ABLATION_CONFIGS[name]["changes"]
    if (weights := fixed_weights(name)) is not None:
        return FixedWeightLoss, weights
    if name in WEIGHTING_METHODS:
        return WEIGHTING_METHODS[name].build, {}
    if name in _OWN:
        return _OWN[name], {}
    raise unknown_name("weighting method", name, names())


def _two_tasks_only(name: str) -> str:
    if name in _OWN:
        parameters = inspect.signature(_OWN[name]).parameters
        takes_tasks = "tasks" in parameters or any(
            parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
        )
        return "" if takes_tasks else "what was added under that name takes no tasks"
    return (
        WEIGHTING_METHODS[name].two_tasks_only
        if name in WEIGHTING_METHODS
        else "its name spells their weights"
    )


def _fixed_for(tasks: Sequence[str], options: Mapping[str, Any]) -> FixedWeightLoss:
    weights = options.get("weights")
    if weights is None and not options:
        return FixedWeightLoss.equal(tasks)
    if not isinstance(weights, Mapping) or set(weights) != set(tasks):
        raise UsageError(
            f"'fixed' takes the option weights with one number for each of {', '.join(tasks)}."
        )
    return FixedWeightLoss(weights={task: weights[task] for task in tasks})
