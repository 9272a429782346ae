"""What more of everything costs: exponents of measured times, and the source's whole programme.

The times are those that ``make bench`` records; nothing is measured here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from rulbook.data.cmapss import FACTS
from rulbook.data.prepare import Recipe
from rulbook.typing import Floats

Row = Mapping[str, float]
"""Measured seconds by what was done."""

EXPERIMENTS = 335
"""How many experiments the programme is taken to have; the five sections print no count."""

EPOCHS = 190
"""How long one of them trains: as the one run whose length is printed, of at most 500 (§22.4)."""

MINUTES_ON_A_GPU = 30.0
"""What the source prints for one of them on one A100 (§22.4)."""

CLUSTER = 64
"""Workers of the cluster that is reckoned with, one processor each."""

TRAINING_WINDOWS: Mapping[str, int] = MappingProxyType(
    {
        subset: facts.training_cycles - (Recipe().window - 1) * facts.training_engines
        for subset, facts in FACTS.items()
    }
)
"""Windows of all training engines by subset: an engine has none that ends before its 30th cycle."""


@dataclass(frozen=True)
class Growth:
    """How the time of one kind of work grew with the number of what it was given.

    Attributes:
        numbers: how many, ascending, (N,).
        seconds: median processor seconds for each, (N,).

    """

    numbers: Floats
    seconds: Floats

    @classmethod
    def of(cls, row: Row) -> "Growth":
        """Return the growth in a row of the record, whose columns are numbers."""
        by_number = sorted((float(number), seconds) for number, seconds in row.items())
        numbers, seconds = np.array(by_number, dtype=np.float64).T
        return cls(numbers, seconds)

    @property
    def exponent(self) -> float:
        """The slope of the line through the points, both axes logarithmic: 1 is proportional."""
        return float(np.polyfit(np.log(self.numbers), np.log(self.seconds), 1)[0])

    @property
    def decades(self) -> float:
        """How many powers of ten the numbers span."""
        return float(np.log10(self.numbers[-1] / self.numbers[0]))


def times_as_fast(sweeps: Row, way: str) -> float:
    """Return how many times as fast as one worker a sweep was with the workers of ``way``."""
    return sweeps["one worker"] / sweeps[way]


def windows_a_second(loops: Mapping[str, Row], network: str, batch: int) -> float:
    """Return at how many windows a second one processor trains, everything in the loop included."""
    return batch / loops[f"{network}, batch {batch}"]["train"]


def hours_of_an_experiment(rate: float) -> float:
    """Return the hours that one processor trains for one experiment.

    Its windows are the mean over the four subsets, seen ``EPOCHS`` times; validation is left out.

    Args:
        rate: windows a second.

    """
    windows = float(np.mean(list(TRAINING_WINDOWS.values())))
    return windows * EPOCHS / rate / 3600


def hours_of_the_programme(hours: float, at_once: float) -> float:
    """Return the hours of all experiments.

    Args:
        hours: what one of them takes.
        at_once: how many run at a time, on average.

    """
    return EXPERIMENTS * hours / at_once


def programme(
    tables: Mapping[str, Mapping[str, Row]], network: str, batch: int
) -> dict[str, float]:
    """Return the hours of the whole programme by where it runs.

    That of the GPU is what the source prints for it, and knows nothing of our network. The cluster
    is taken to lose as little for each worker as two workers of Dask did on one machine.

    Args:
        tables: the record's.
        network: its name.
        batch: windows a step.

    """
    hours = hours_of_an_experiment(windows_a_second(tables["loop"], network, batch))
    sweeps = tables["sweep"]["seconds"]
    return {
        "two cores": hours_of_the_programme(hours, times_as_fast(sweeps, "two workers")),
        "one GPU": hours_of_the_programme(MINUTES_ON_A_GPU / 60, 1),
        f"a Dask cluster of {CLUSTER}": hours_of_the_programme(
            hours, CLUSTER * times_as_fast(sweeps, "two of Dask") / 2
        ),
    }
