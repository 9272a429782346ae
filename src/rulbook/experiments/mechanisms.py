"""Experiments behind the words of §4.1: why a second task should help, and when it does not.

The trainings are those of ``ensemble``, every variant of an experiment from the same starts and on
the same rows, so that differences are paired by seed.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from rulbook.data import Windows
from rulbook.experiments.ensemble import (
    ENSEMBLE_SEEDS,
    EQUAL_WEIGHTS,
    RUL_ONLY,
    STEPS,
    Networks,
    Weights,
    drawn_engines,
    pairs,
    train_networks,
)
from rulbook.experiments.weight_trade_off import balancing_weights
from rulbook.metrics import linear_probe, rmse
from rulbook.statistics import CONFIDENCE, MARGIN, Comparison, compare_over_seeds, holm
from rulbook.training.auxiliary import auxiliary_labels
from rulbook.typing import Integers

HEALTH_ONLY: Weights = (0.0, 1.0)
"""Weights that leave the second task alone."""

SERIAL_NUMBER = "serial number"
"""The second task that names the engine that a row comes from, one class an engine."""

TRUNKS: Mapping[str, Weights | None] = {
    "untrained": None,
    "serial number only": HEALTH_ONLY,
    "health only": HEALTH_ONLY,
    "RUL only": RUL_ONLY,
    "both": EQUAL_WEIGHTS,
}
"""What a frozen trunk was trained on, and the weights of that training; the serial number stands
in the place of the health state."""

LABELLINGS = ("single task", "equal", "balanced", "balanced, health labels of every engine")
"""Ways to train on few engines."""

AUXILIARIES = ("health", "shuffled", SERIAL_NUMBER)
"""Second tasks: the health state; the same labels dealt out to the rows at random; the engine."""

AUXILIARY_RUL_WEIGHTS = (0.5, 0.05, 0.005, 0.0005)
"""RUL weights at which the second tasks are compared."""


LONGER = 3000
"""Steps of the trainings that ask whether a verdict turns with the length."""

ENGINES_LONGER = (8, 16, 32)
"""How many engines those trainings are given."""


def label_efficiency(
    train: Windows,
    test: Windows,
    engines: Sequence[int] = (2, 4, 8, 16, 32),
    seeds: Sequence[int] = ENSEMBLE_SEEDS,
    *,
    steps: int = STEPS,
) -> pd.DataFrame:
    """Train on few engines, alone and with the health task, and measure the RUL error.

    Each seed draws its engines and trains on them in four ways: single task; equal weights; the
    weights of ``balancing_weights``; and those weights with health labels for the rows of *every*
    engine.

    Returns:
        Columns ``engines``, ``training`` (see ``LABELLINGS``), ``seed``, ``train_rmse`` (on the
        drawn engines, cycles), ``test_rmse`` (cycles) and ``gap``, their difference.

    """
    balanced = balancing_weights(train, seeds)
    draws = [(number, seed) for number in engines for seed in seeds]
    numbers, drawing = zip(*draws, strict=True)
    weights = [RUL_ONLY, EQUAL_WEIGHTS, balanced]
    same = train_networks(train, weights, drawing, engines=numbers, steps=steps)
    more = train_networks(
        train, [balanced], drawing, engines=numbers, label_every_engine=True, steps=steps
    )
    rows = []
    for networks, names in ((same, LABELLINGS[:3]), (more, LABELLINGS[3:])):
        on_train, on_test = networks.predict(train)[0], networks.predict(test)[0]
        for i, (number, seed) in enumerate(draws):
            drawn = np.isin(train.unit, drawn_engines(train, seed, number))
            rows += [
                {
                    "engines": number,
                    "training": name,
                    "seed": seed,
                    "train_rmse": rmse(on_train[i, j, drawn], train.rul[drawn]),
                    "test_rmse": rmse(on_test[i, j], test.rul),
                }
                for j, name in enumerate(names)
            ]
    found = pd.DataFrame(rows)
    return found.assign(gap=found["test_rmse"] - found["train_rmse"])


def representation_transfer(
    train: Windows, test: Windows, seeds: Sequence[int] = ENSEMBLE_SEEDS
) -> pd.DataFrame:
    """Freeze trunks that were trained on different tasks and fit a linear head to each.

    The RUL head is fitted by least squares, the health head by logistic regression on every tenth
    training row.

    Returns:
        Columns ``trunk`` (see ``TRUNKS``), ``seed``, ``rmse`` (of the RUL head on the test rows,
        cycles) and ``balanced_accuracy`` (of the health head on the test rows).

    """
    alone = ("untrained", "serial number only")
    together = [name for name in TRUNKS if name not in alone]
    networks = train_networks(train, [TRUNKS[name] or EQUAL_WEIGHTS for name in together], seeds)
    untrained = train_networks(train, [EQUAL_WEIGHTS], seeds, steps=0)
    of_serial = train_networks(train, [HEALTH_ONLY], seeds, labels=serial_numbers(train))
    rows = []
    for name in TRUNKS:
        source = dict(zip(alone, (untrained, of_serial), strict=True)).get(name, networks)
        column = together.index(name) if name in together else 0
        on_train, on_test = (source.features(windows)[:, column] for windows in (train, test))
        for z, z_test, seed in zip(on_train, on_test, seeds, strict=True):
            # On a busy machine the threads of fits this small wait for each other, for seconds.
            with threadpool_limits(1):
                head = LinearRegression().fit(z, train.rul)
                probe = linear_probe(z[::10], train.health[::10], z_test, test.health)
            rows.append(
                {
                    "trunk": name,
                    "seed": seed,
                    "rmse": rmse(head.predict(z_test), test.rul),
                    "balanced_accuracy": probe.balanced_accuracy,
                }
            )
    return pd.DataFrame(rows)


def serial_numbers(windows: Windows) -> Integers:
    """Return the engine of each row as a class, counted from 0, (rows,)."""
    found: Integers = np.unique(windows.unit, return_inverse=True)[1].astype(np.int64)
    return found


def auxiliary_tasks(
    train: Windows,
    test: Windows,
    seeds: Sequence[int] = ENSEMBLE_SEEDS,
    *,
    auxiliaries: Sequence[str] = AUXILIARIES,
    steps: int = STEPS,
) -> pd.DataFrame:
    """Train the RUL task beside the health task and beside two controls that say nothing of it.

    Returns:
        Columns ``auxiliary`` (see ``AUXILIARIES``), ``rul_weight`` (1 is the single task), ``seed``
        and ``rmse`` on the test rows in cycles.

    """
    labels = {
        "health": train.health,
        "shuffled": auxiliary_labels("shuffled", train, seed=0),
        SERIAL_NUMBER: serial_numbers(train),
    }
    rul_weights = (1.0, *AUXILIARY_RUL_WEIGHTS)
    frames = []
    for auxiliary in auxiliaries:
        networks = train_networks(
            train, pairs(rul_weights), seeds, labels=labels[auxiliary], steps=steps
        )
        predicted = networks.predict(test)[0]
        frames += [
            {
                "auxiliary": auxiliary,
                "rul_weight": weight,
                "seed": seed,
                "rmse": rmse(predicted[i, j], test.rul),
            }
            for i, seed in enumerate(seeds)
            for j, weight in enumerate(rul_weights)
        ]
    return pd.DataFrame(frames)


def paired_differences(
    found: pd.DataFrame, column: str, *, variant: str, reference: object, within: str | None = None
) -> pd.DataFrame:
    """Compare every variant of an experiment with a reference, seed by seed.

    Args:
        found: one row a training, with a column ``seed``.
        column: what is compared.
        variant: column that tells the variants apart.
        reference: the variant that the others are compared with.
        within: column of the groups inside which variants are compared; none if left out.

    Returns:
        One row a comparison: ``within`` (where given), ``variant``, ``difference`` (variant minus
        reference, mean over seeds), ``low``, ``high``, ``p_value``, and with a correction over all
        rows ``smallest_detectable`` and ``p_holm``.

    """
    groups = found.groupby(within, sort=False) if within else [(None, found)]
    pairs = [
        (group, name, by_seed[name], by_seed[reference])
        for group, part in groups
        for by_seed in [part.pivot(index="seed", columns=variant, values=column)]
        for name in part.loc[part[variant] != reference, variant].unique()
    ]
    rows = []
    for group, name, values, of_reference in pairs:
        compared = compare_over_seeds(values, of_reference, len(pairs))
        rows.append(
            ({within: group} if within else {})
            | {
                variant: name,
                "difference": compared.difference,
                "low": compared.low,
                "high": compared.high,
                "smallest_detectable": compared.smallest_detectable,
                "p_value": compared.p_value,
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p_value"].tolist()))


def time_heads(
    features: Callable[[Tensor], Tensor], x: Tensor, heads: Sequence[int] = (1, 10, 100)
) -> pd.DataFrame:
    """Time a forward pass of one trunk with many linear heads, and of as many whole networks.

    Args:
        features: the trunk, from ``x`` to the shared representation, (batch, width).
        x: a batch.
        heads: numbers of heads.

    Returns:
        Columns ``heads``, ``shared_seconds`` and ``separate_seconds``: processor time of one pass,
        so that other work of the machine does not count.

    """
    with torch.no_grad():
        width = features(x).shape[-1]
        layers = [nn.Linear(width, 1) for _ in range(max(heads))]

        def shared(number: int) -> None:
            z = features(x)
            for head in layers[:number]:
                head(z)

        def separate(number: int) -> None:
            for head in layers[:number]:
                head(features(x))

        rows = [(n, _seconds(shared, n), _seconds(separate, n)) for n in heads]
    return pd.DataFrame(rows, columns=["heads", "shared_seconds", "separate_seconds"])


def as_multiples(timed: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the times of many heads as multiples.

    Args:
        timed: what ``time_heads`` returns, by trunk; one row has a single head.

    Returns:
        Columns ``trunk``, ``heads``, ``one trunk, against one head`` and ``separate, against one
        trunk``.

    """
    frames = []
    for trunk, times in timed.items():
        shared, separate = times["shared_seconds"], times["separate_seconds"]
        one_head = shared[times["heads"] == 1].item()
        frames.append(
            pd.DataFrame(
                {
                    "trunk": trunk,
                    "heads": times["heads"],
                    "one trunk, against one head": shared / one_head,
                    "separate, against one trunk": separate / shared,
                }
            )
        )
    return pd.concat(frames)


def new_rul_head_rmse(networks: Networks, train: Windows, test: Windows) -> float:
    """Return the error of RUL heads that are fitted to frozen trunks, cycles, mean over seeds.

    Args:
        networks: trained with one pair of weights.
        train: rows that the heads are fitted to, by least squares.
        test: rows that the error is measured on.

    """
    on_train, on_test = networks.features(train)[:, 0], networks.features(test)[:, 0]
    errors = [
        rmse(LinearRegression().fit(z, train.rul).predict(z_test), test.rul)
        for z, z_test in zip(on_train, on_test, strict=True)
    ]
    return float(np.mean(errors))


def _seconds(work: Callable[[int], None], argument: int, at_least: float = 0.1) -> float:
    """Return processor seconds of one call, from as many calls as fill ``at_least`` seconds."""
    calls, elapsed = 0, 0.0
    started = time.process_time()
    while elapsed < at_least:
        work(argument)
        calls += 1
        elapsed = time.process_time() - started
    return elapsed / calls


def helps(differences: pd.DataFrame) -> bool:
    """Return whether some variant is below its reference, by more than may be called nothing.

    It is where the corrected p-value says so and the interval does not say that the difference is
    smaller than the margin, half a cycle.

    Args:
        differences: what ``paired_differences`` returns of an error in cycles, or a part of it.

    """
    below = (differences["difference"] < 0) & (differences["p_holm"] < 1 - CONFIDENCE)
    return bool((below & (differences["low"] <= -MARGIN)).any())


def is_no_help(differences: pd.DataFrame) -> bool:
    """Return whether every variant is shown not to be below its reference by the margin or more.

    Args:
        differences: as for ``helps``.

    """
    return bool((differences["low"] > -MARGIN).all())


def helps_or_not(differences: pd.DataFrame) -> bool | None:
    """Return whether some variant helps, or ``None`` where neither that nor no help is shown.

    Args:
        differences: as for ``helps``.

    """
    return False if is_no_help(differences) else (helps(differences) or None)


def hurts_or_not(differences: pd.DataFrame) -> bool | None:
    """Return whether some variant is above its reference, by however little.

    Args:
        differences: as for ``helps``.

    Returns:
        True where the corrected p-value says so of one; False where every interval excludes that it
        is above by the margin, half a cycle; ``None`` where neither is shown.

    """
    above = differences["difference"] > 0
    if (above & (differences["p_holm"] < 1 - CONFIDENCE)).any():
        return True
    return False if (differences["high"] < MARGIN).all() else None


def share_of_the_gain(heads: pd.DataFrame) -> float:
    """Return how much of what training on the RUL gains a trunk trained on health gains, %.

    Args:
        heads: what ``representation_transfer`` returns; the gain is in RMSE of a new RUL head.

    """
    rmse_by_trunk = heads.groupby("trunk")["rmse"].mean()
    gain = rmse_by_trunk["untrained"] - rmse_by_trunk
    return float(100 * gain["health only"] / gain["RUL only"])


def shuffling_effects(auxiliary: pd.DataFrame) -> dict[float, Comparison]:
    """Return true minus shuffled health labels, cycles, paired by seed, by RUL weight below 1.

    Args:
        auxiliary: what ``auxiliary_tasks`` returns.

    """
    beside = auxiliary[auxiliary["rul_weight"] < 1]
    by_seed = beside.pivot(index=["rul_weight", "seed"], columns="auxiliary", values="rmse")
    return {
        float(str(weight)): compare_over_seeds(part["health"], part["shuffled"])
        for weight, part in by_seed.groupby(level="rul_weight")
    }


def few_engines_summary(
    trainings: pd.DataFrame, error_difference: pd.DataFrame, gap_difference: pd.DataFrame
) -> dict[str, float]:
    """Return the figures that the text on few engines gives, in cycles if not said otherwise.

    Args:
        trainings: what ``label_efficiency`` returns.
        error_difference: what ``paired_differences`` returns of its test error.
        gap_difference: the same of test minus training error.

    Returns:
        ``excluded``, the largest fall of the error that an interval leaves room for, from four
        engines on with labels of the same rows, and ``gap-excluded``, the same of the gap;
        ``excluded-two``, that of the error with two engines; ``comparisons``, how many there are of
        the error; ``closest``, the smallest corrected p-value; ``largest-equal``, the largest
        difference of the error at equal weights; ``gap-two`` and ``gap-sixteen``, the single
        task's gap.

    """
    same_rows = error_difference["training"].isin(LABELLINGS[1:3])
    many, two = error_difference["engines"] >= 4, error_difference["engines"] == 2
    at_equal = error_difference.query("training == 'equal'")
    gap = trainings.query("training == 'single task'").groupby("engines")["gap"].mean()
    return {
        "excluded": -error_difference.loc[same_rows & many, "low"].min(),
        "gap-excluded": -gap_difference.loc[same_rows & many, "low"].min(),
        "excluded-two": -error_difference.loc[same_rows & two, "low"].min(),
        "comparisons": len(error_difference),
        "closest": min(error_difference["p_holm"].min(), gap_difference["p_holm"].min()),
        "largest-equal": at_equal["difference"].abs().max(),
        "gap-two": gap[2],
        "gap-sixteen": gap[16],
    }


def serial_number_summary(serial: pd.DataFrame) -> dict[str, float]:
    """Return where the serial number hurts most and where it helps most, in cycles.

    Args:
        serial: what ``paired_differences`` returns of the serial number, indexed by RUL weight.

    Returns:
        ``negative-transfer`` and its RUL weight ``negative-transfer-weight``; ``serial-gain`` with
        its interval from ``serial-gain-low`` to ``serial-gain-high``, and ``serial-best-weight``.

    """
    rul_weight = serial.index.to_numpy(dtype=np.float64)
    difference, low, high = (
        serial[name].to_numpy(dtype=np.float64) for name in ("difference", "low", "high")
    )
    worst, best = difference.argmax(), difference.argmin()
    return {
        "negative-transfer": float(difference[worst]),
        "negative-transfer-weight": float(rul_weight[worst]),
        "serial-gain": float(-difference[best]),
        "serial-gain-low": float(-high[best]),
        "serial-gain-high": float(-low[best]),
        "serial-best-weight": float(rul_weight[best]),
    }
