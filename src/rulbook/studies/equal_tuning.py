"""Equal tuning: every method gets the same six trials before methods are compared.

A method that was tuned is no fair opponent of one that was not (Kurin et al. 2022, Xin et al.
2022). So on one seed and on the validation engines alone each method is tried with four settings
of what it leaves open, the one as printed among them, at the rate of the settings that all share,
and the best of them at two other rates. The best of the six then trains on every seed. The setting
as printed trains on every seed beside it.

Each trial is a recorded run, so the tuning is resumed by asking again: the rates follow once the
four settings are recorded, the seeds once all six trials are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rulbook.studies.conditions import training_condition
from rulbook.studies.methods import METHODS, method
from rulbook.studies.tuning import chosen_config
from rulbook.training.config import OptionValue, RunConfig
from rulbook.training.rounding import to_three_digits
from rulbook.weighting.fixed_names import EQUAL_WEIGHTING, fixed_name

TRIALS = 6
"""Trials a method: four settings, then two more rates for the best of them."""

RATE_FACTORS = (0.3, 3.0)
"""The two other learning rates, as multiples of the first one."""

TUNED_UNDER = {"FD001": "searched-fd001", "FD002": "book-batch"}
"""The training condition that all methods share in their trials, by subset.

The subsets are one of one operating condition and one of six. On the first the search found
settings with a lower validation RMSE than ``book-batch`` has; on the second nothing was searched.
"""


@dataclass(frozen=True)
class Setting:
    """One choice of what a method leaves open.

    Attributes:
        label: what readers see.
        weighting: registry name of the weighting method.
        options: its options, in the form of ``RunConfig.weighting_options``.

    """

    label: str
    weighting: str
    options: tuple[tuple[str, OptionValue], ...] = ()


@dataclass(frozen=True)
class TunedMethod:
    """A method and the settings that it is tried with.

    Attributes:
        name: its name in ``METHODS``, as printed.
        label: name that readers see.
        option: what the settings are settings of.
        settings: four, the first one as printed.

    """

    name: str
    label: str
    option: str
    settings: tuple[Setting, ...]

    def applied_to(self, config: RunConfig, setting: Setting) -> RunConfig:
        """Return ``config`` with this method under one of its settings."""
        return (
            method(self.name)
            .applied_to(config)
            .with_changes(weighting=setting.weighting, weighting_options=setting.options)
        )

    def setting_of(self, config: RunConfig) -> Setting:
        """Return the setting that a run of this method was made with.

        Raises:
            ValueError: it is none of them.

        """
        for setting in self.settings:
            if (config.weighting, config.weighting_options) == (setting.weighting, setting.options):
                return setting
        raise ValueError(f"{config.weighting} is no setting of {self.label}")


_RUL_WEIGHTS = tuple(
    Setting(f"{weight:g}/{1 - weight:.3g}", fixed_name(weight))
    for weight in (0.5, 0.002, 0.05, 0.9)
)
_FLOORS = (
    Setting("0.05", "gaba"),
    Setting("none", "gaba_no_floor"),
    Setting("0.01", "gaba", (("min_weight", 0.01),)),
    Setting("0.2", "gaba", (("min_weight", 0.2),)),
)

_ALL = (
    TunedMethod(EQUAL_WEIGHTING, "Fixed weights", "weights", _RUL_WEIGHTS),
    TunedMethod("amnl", METHODS["amnl"].label, "weights", _RUL_WEIGHTS),
    TunedMethod("gaba", METHODS["gaba"].label, "floor", _FLOORS),
    TunedMethod("grace", METHODS["grace"].label, "floor", _FLOORS),
    TunedMethod(
        "dwa",
        METHODS["dwa"].label,
        "temperature",
        (
            Setting("2", "dwa"),
            *(Setting(f"{t:g}", "dwa", (("temperature", t),)) for t in (0.5, 1.0, 5.0)),
        ),
    ),
    TunedMethod(
        "uncertainty",
        METHODS["uncertainty"].label,
        "rate of the log-variances",
        (
            Setting("the network's", "uncertainty"),
            *(
                Setting(f"{rate:g}", "uncertainty", (("log_var_lr", rate),))
                for rate in (0.01, 0.03, 0.1)
            ),
        ),
    ),
    TunedMethod(
        "gradnorm",
        METHODS["gradnorm"].label,
        "form and α",
        (
            Setting("as printed, 1.5", "gradnorm"),
            *(
                Setting(
                    f"Chen et al.'s, {alpha:g}",
                    "gradnorm_original",
                    (("alpha", alpha), ("descent", "adam")),
                )
                for alpha in (0.12, 0.5, 1.5)
            ),
        ),
    ),
)

TUNED_METHODS: Mapping[str, TunedMethod] = {tuned.name: tuned for tuned in _ALL}
"""The methods that are tuned, in the order in which they are run.

Uncertainty gets a rate of its own for its log-variances, and GradNorm the form that its authors
ran, since with the printed ones neither moves as its formula asks.

:meta hide-value:
"""


def option_trials(tuned: TunedMethod, settings: RunConfig) -> list[RunConfig]:
    """Return the runs of a method under its four settings, the one as printed first."""
    return [tuned.applied_to(settings, setting) for setting in tuned.settings]


def trials(tuned: TunedMethod, settings: RunConfig) -> list[RunConfig]:
    """Return a method's trials: four, and all six once the four are recorded."""
    first = option_trials(tuned, settings)
    best = chosen_config(first)
    if best is None:
        return first
    rates = (to_three_digits(best.learning_rate * factor) for factor in RATE_FACTORS)
    return first + [best.with_changes(learning_rate=rate) for rate in rates]


def tuned_config(tuned: TunedMethod, settings: RunConfig) -> RunConfig | None:
    """Return the trial with the lowest validation RMSE, ``None`` until all six are recorded."""
    tried = trials(tuned, settings)
    return chosen_config(tried) if len(tried) == TRIALS else None


def tuning_settings(base: RunConfig) -> RunConfig:
    """Return what every method shares in its trials: network, batch, rate, patience and the like.

    Args:
        base: the protocol on one of the tuned subsets.

    """
    return training_condition(TUNED_UNDER[base.subset]).applied_to(base)


def tuning_runs(bases: Sequence[RunConfig]) -> Iterator[RunConfig]:
    """Yield the runs of every method as far as they are known: trials, then seeds.

    Args:
        bases: the protocol on one subset, a seed each; the trials are on the first.

    """
    settings = [tuning_settings(bases[0]).with_changes(seed=base.seed) for base in bases]
    yielded = set()
    for tuned in TUNED_METHODS.values():
        known = trials(tuned, settings[0])
        if chosen := tuned_config(tuned, settings[0]):
            known += [chosen.with_changes(seed=base.seed) for base in bases]
        for config in known:
            if config not in yielded:
                yielded.add(config)
                yield config
    for tuned in TUNED_METHODS.values():
        for of_seed in settings:
            config = tuned.applied_to(of_seed, tuned.settings[0])
            if config not in yielded:
                yielded.add(config)
                yield config
