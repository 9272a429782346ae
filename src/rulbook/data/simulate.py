"""The embedded fleet: simulated turbofan engines in the schema of C-MAPSS.

It stands in where the real data is absent, so that every chapter runs anywhere. It shares the
shape of the real subsets (operating conditions that drown the trend, one or two fault modes,
exponential damage, sensors that never change), not their numbers: nothing measured on it says
anything about C-MAPSS.
"""

import hashlib
import json

import numpy as np
import numpy.typing as npt
import pandas as pd

from rulbook.data.cmapss import (
    COLUMNS,
    FACTS,
    INFORMATIVE_SENSORS,
    SENSORS,
    SUBSETS,
    Fleet,
    SubsetFacts,
    check_subset,
)

VERSION = 1
"""Raised whenever the simulated numbers change; part of the digest."""

TRAINING_ENGINES = 40
TEST_ENGINES = 32
SHORT_TEST_ENGINES = 2
"""Test engines that stop before 30 cycles, as a few do in the real FD002 and FD004."""

_Array = npt.NDArray[np.float64]

_FLIGHT_CONDITIONS = np.array(
    [
        [0.0, 0.00, 100.0],
        [10.0, 0.25, 100.0],
        [20.0, 0.70, 100.0],
        [25.0, 0.62, 60.0],
        [35.0, 0.84, 100.0],
        [42.0, 0.84, 100.0],
    ]
)
"""Altitude (thousands of feet), Mach number and throttle resolver angle of each condition."""

_SETTING_NOISE = np.array([0.002, 0.0003, 0.0])

_LEVEL_RANGE = (20.0, 2000.0)
_CONDITION_SPREAD = 0.3
_NOISE_SHARE = 0.002
_DAMAGE_IN_NOISE_UNITS = (3.0, 6.0)
_OPPOSED_SHARE = 0.4
_HEALTHY_CYCLES = (20, 110)
_DEGRADING_CYCLES = (70, 130)
_GROWTH = (2.0, 4.0)
_DECIMALS = 4


def simulate(subset: str, seed: int = 0) -> Fleet:
    """Return a small simulated fleet in the schema of one C-MAPSS subset.

    Engines run healthy until a random onset; from there damage grows exponentially to 1 at the
    failure cycle and shifts the informative sensors along the direction of the engine's fault mode
    (one mode in FD001 and FD002, two in FD003 and FD004). FD002 and FD004 visit six operating
    conditions at random, whose effect on every sensor is far larger than the damage; the other
    subsets stay at sea level. Test engines stop at a random cycle before failure.

    Args:
        subset: one of ``cmapss.SUBSETS``.
        seed: fleets with the same seed are equal on every call.

    Raises:
        UsageError: ``subset`` is unknown.
    """
    check_subset(subset)
    # The gauges (levels, gains, fault directions) belong to the engine type, the same for every
    # subset and seed; the engines themselves differ by both.
    gauges = _Gauges(np.random.default_rng(VERSION))
    random = np.random.default_rng([SUBSETS.index(subset), seed])
    lives = [_draw_life(random) for _ in range(TRAINING_ENGINES + TEST_ENGINES)]
    engines = [
        _run_engine(unit, onset, failure, FACTS[subset], gauges, random)
        for unit, (onset, failure) in enumerate(lives, start=1)
    ]
    train = pd.concat(engines[:TRAINING_ENGINES], ignore_index=True)
    stopped = [
        _stop_early(engine, number, random)
        for number, engine in enumerate(engines[TRAINING_ENGINES:])
    ]
    test = pd.concat(stopped, ignore_index=True)
    test["unit"] -= TRAINING_ENGINES
    observed = test.groupby("unit")["cycle"].max()
    failures = pd.Series([failure for _, failure in lives[TRAINING_ENGINES:]], index=observed.index)
    return Fleet(
        subset=subset,
        source="simulated",
        digest=digest(subset, seed),
        train=train,
        test=test,
        test_rul=(failures - observed).rename("rul"),
    )


def digest(subset: str, seed: int = 0) -> str:
    """Return the SHA-256 that identifies the simulated fleet: that of its version and seed.

    Raises:
        UsageError: ``subset`` is unknown.
    """
    check_subset(subset)
    identity = {"fleet": "simulated", "version": VERSION, "subset": subset, "seed": seed}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


class _Gauges:
    """How the 21 sensors answer to flight condition, fault and noise."""

    def __init__(self, random: np.random.Generator) -> None:
        sensors = len(SENSORS)
        changes = np.array([sensor in INFORMATIVE_SENSORS for sensor in SENSORS])
        self.level = random.uniform(*_LEVEL_RANGE, size=sensors)
        self.gain = random.normal(0.0, _CONDITION_SPREAD, size=(3, sensors))
        self.noise = _NOISE_SHARE * self.level * changes
        size = random.uniform(*_DAMAGE_IN_NOISE_UNITS, size=sensors)
        first = random.choice([-1.0, 1.0], size=sensors) * size
        opposed = np.where(random.random(sensors) < _OPPOSED_SHARE, -1.0, 1.0)
        self.fault_modes = np.stack([first, first * opposed]) * self.noise

    def read(
        self, flight: _Array, damage: _Array, fault_mode: int, random: np.random.Generator
    ) -> _Array:
        """Return sensor readings, shape (cycles, 21), for conditions (cycles, 3)."""
        relative = flight / np.array([42.0, 0.84, 100.0]) - np.array([0.0, 0.0, 1.0])
        clean = self.level * (1.0 + relative @ self.gain)
        trend = damage[:, None] * self.fault_modes[fault_mode]
        readings: _Array = clean + trend + random.normal(size=clean.shape) * self.noise
        return readings


def _draw_life(random: np.random.Generator) -> tuple[int, int]:
    """Return the cycle at which damage sets in and the cycle of failure."""
    onset = int(random.integers(*_HEALTHY_CYCLES))
    return onset, onset + int(random.integers(*_DEGRADING_CYCLES))


def _run_engine(
    unit: int,
    onset: int,
    failure: int,
    facts: SubsetFacts,
    gauges: _Gauges,
    random: np.random.Generator,
) -> pd.DataFrame:
    cycles = np.arange(1, failure + 1)
    progress = np.clip((cycles - onset) / (failure - onset), 0.0, None)
    growth = random.uniform(*_GROWTH)
    damage = np.expm1(growth * progress) / np.expm1(growth)
    fault_mode = int(random.integers(facts.fault_modes)) if facts.fault_modes > 1 else 0
    visited = (
        random.integers(facts.operating_conditions, size=failure)
        if facts.operating_conditions > 1
        else np.zeros(failure, dtype=np.int64)
    )
    condition = _FLIGHT_CONDITIONS[visited]
    settings = condition + random.normal(size=condition.shape) * _SETTING_NOISE
    readings = gauges.read(condition, damage, fault_mode, random)
    measured = np.round(np.hstack([settings, readings]), _DECIMALS)
    table = pd.DataFrame(measured, columns=list(COLUMNS[2:]))
    table.insert(0, "unit", np.full(failure, unit, dtype=np.int64))
    table.insert(1, "cycle", cycles.astype(np.int64))
    return table


def _stop_early(engine: pd.DataFrame, number: int, random: np.random.Generator) -> pd.DataFrame:
    """Return the first cycles of a test engine; the first few engines stop before 30 cycles."""
    failure = len(engine)
    earliest, latest = (10, 30) if number < SHORT_TEST_ENGINES else (40, failure)
    return engine.head(int(random.integers(earliest, latest)))
