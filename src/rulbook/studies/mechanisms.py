"""Experiments behind the words of §4.1: why a second task should help, and when it does not.

The trainings are those of ``small``, every variant of an experiment from the same starts and on the
same rows, so that differences are paired by seed.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LinearRegression
from torch import Tensor, nn

from rulbook.data import Windows
from rulbook.metrics import linear_probe, rmse
from rulbook.studies.small import (
    EQUAL,
    SEEDS,
    SINGLE_TASK,
    Weights,
    balancing_weights,
    drawn_engines,
    pairs,
    train_networks,
)
from rulbook.training.auxiliary import auxiliary_labels

TRUNKS: Mapping[str, Weights | None] = {
    "untrained": None,
    "health only": (0.0, 1.0),
    "RUL only": SINGLE_TASK,
    "both": EQUAL,
}
"""What a frozen trunk was trained on, and the weights of that training."""

LABELLINGS = ("single task", "equal", "balanced", "balanced, health labels of every engine")
"""Ways to train on few engines."""

AUXILIARIES = ("health", "shuffled", "serial number")
"""Second tasks: the health state; the same labels dealt out to the rows at random; the engine that
a row comes from, one class an engine."""

AUXILIARY_RUL_WEIGHTS = (0.5, 0.05, 0.005, 0.0005)
"""RUL weights at which the second tasks are compared."""


def label_efficiency(
    train: Windows,
    test: Windows,
    engines: Sequence[int] = (2, 4, 8, 16, 32),
    seeds: Sequence[int] = SEEDS,
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
    same = train_networks(train, [SINGLE_TASK, EQUAL, balanced], drawing, engines=numbers)
    more = train_networks(train, [balanced], drawing, engines=numbers, label_every_engine=True)
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
    train: Windows, test: Windows, seeds: Sequence[int] = SEEDS
) -> pd.DataFrame:
    """Freeze trunks that were trained on different tasks and fit a linear head to each.

    The RUL head is fitted by least squares, the health head by logistic regression on every tenth
    training row.

    Returns:
        Columns ``trunk`` (see ``TRUNKS``), ``seed``, ``rmse`` (of the RUL head on the test rows,
        cycles) and ``balanced_accuracy`` (of the health head on the test rows).

    """
    trained = {name: weights for name, weights in TRUNKS.items() if weights is not None}
    networks = train_networks(train, list(trained.values()), seeds)
    untrained = train_networks(train, [EQUAL], seeds, steps=0)
    rows = []
    for name in TRUNKS:
        source = networks if name in trained else untrained
        column = list(trained).index(name) if name in trained else 0
        on_train, on_test = (source.features(windows)[:, column] for windows in (train, test))
        for z, z_test, seed in zip(on_train, on_test, seeds, strict=True):
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


def auxiliary_tasks(train: Windows, test: Windows, seeds: Sequence[int] = SEEDS) -> pd.DataFrame:
    """Train the RUL task beside the health task and beside two controls that say nothing of it.

    Returns:
        Columns ``auxiliary`` (see ``AUXILIARIES``), ``rul_weight`` (1 is the single task), ``seed``
        and ``rmse`` on the test rows in cycles.

    """
    engines = np.unique(train.unit, return_inverse=True)[1]
    labels = {
        "health": train.health,
        "shuffled": auxiliary_labels("shuffled", train, seed=0),
        "serial number": engines.astype(np.int64),
    }
    rul_weights = (1.0, *AUXILIARY_RUL_WEIGHTS)
    frames = []
    for auxiliary in AUXILIARIES:
        networks = train_networks(train, pairs(rul_weights), seeds, labels=labels[auxiliary])
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


def time_heads(
    features: Callable[[Tensor], Tensor],
    x: Tensor,
    heads: Sequence[int] = (1, 10, 100),
    repeats: int = 5,
) -> pd.DataFrame:
    """Time a forward pass of one trunk with many linear heads, and of as many whole networks.

    Args:
        features: the trunk, from ``x`` to the shared representation, (batch, width).
        x: a batch.
        heads: numbers of heads.
        repeats: passes of each kind, interleaved, so that a change in load meets both.

    Returns:
        Columns ``heads``, ``shared_seconds`` and ``separate_seconds``, medians.

    """
    rows = []
    with torch.no_grad():
        width = features(x).shape[-1]
        for number in heads:
            layers = [nn.Linear(width, 1) for _ in range(number)]
            shared, separate = [], []
            for _ in range(repeats):
                started = time.perf_counter()
                z = features(x)
                for head in layers:
                    head(z)
                shared.append(time.perf_counter() - started)
                started = time.perf_counter()
                for head in layers:
                    head(features(x))
                separate.append(time.perf_counter() - started)
            rows.append(
                {
                    "heads": number,
                    "shared_seconds": statistics.median(shared),
                    "separate_seconds": statistics.median(separate),
                }
            )
    return pd.DataFrame(rows)
