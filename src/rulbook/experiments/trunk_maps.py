"""Maps of the shared features in the plane, and how well neighbours share a health state."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from rulbook.data.prepare import Prepared, Windows
from rulbook.metrics import balanced_accuracy
from rulbook.training.config import RunConfig
from rulbook.training.evaluation import trunk_features
from rulbook.training.loop import watch_first_steps
from rulbook.typing import Floats


def tsne_map(features: Floats, seed: int) -> Floats:
    """Return a t-SNE of the z-scored features, (N, 2); perplexity 30, started from PCA."""
    scaled = StandardScaler().fit_transform(features)
    placed: Floats = TSNE(perplexity=30, init="pca", random_state=seed).fit_transform(scaled)
    return placed.astype(np.float64)


@dataclass(frozen=True)
class TrunkMaps:
    """t-SNE maps of one trunk before and after a short training.

    Attributes:
        windows: the windows that are mapped, N of them.
        points: a point a window, (N, 2), by ``"untrained"`` and ``"trained"``.
        agreement: ``neighbour_recall`` of each map.

    """

    windows: Windows
    points: Mapping[str, Floats]
    agreement: Mapping[str, float]


def trunk_maps(
    config: RunConfig,
    prepared: Prepared,
    steps: int,
    *,
    n_windows: int = 600,
    device: torch.device | str = "cpu",
) -> TrunkMaps:
    """Train for a few steps and map the shared features of validation windows before and after.

    Args:
        config: the training; its seed also draws the windows and seeds the map.
        prepared: the data; there are at least ``n_windows`` validation windows.
        steps: steps of the training.
        n_windows: how many windows are mapped.
        device: where to compute.

    """
    drawn = np.random.default_rng(config.seed).choice(
        len(prepared.validation), n_windows, replace=False
    )
    windows = prepared.validation.take(np.sort(drawn))
    points, agreement = {}, {}
    for trunk, steps_taken in (("untrained", 0), ("trained", steps)):
        _, network = watch_first_steps(config, prepared, steps_taken, device=device)
        points[trunk] = tsne_map(trunk_features(network, windows), config.seed)
        agreement[trunk] = neighbour_recall(points[trunk], windows.health, windows.unit)
    return TrunkMaps(windows, points, agreement)


def neighbour_recall(points: Floats, health: npt.ArrayLike, unit: npt.ArrayLike) -> float:
    """Return how well the nearest point of another engine tells a window's health state.

    It is the mean over the states of the share of windows whose neighbour has their state: 1/3 for
    points that lie anywhere, 1 for states that lie apart. Windows of the same engine are passed
    over, since neighbouring windows share all cycles but one and lie together for that alone.

    Args:
        points: (N, 2) or (N, features).
        health: health state of each point, (N,).
        unit: engine of each point, (N,), at least two of them.

    Raises:
        ValueError: all points are of one engine.

    """
    states, engines = np.asarray(health), np.asarray(unit)
    if len(np.unique(engines)) < 2:
        raise ValueError("a neighbour of another engine needs two engines")
    order = NearestNeighbors(n_neighbors=len(points)).fit(points).kneighbors(points)[1]
    of_another = engines[order] != engines[:, None]
    nearest = order[np.arange(len(points)), of_another.argmax(axis=1)]
    return balanced_accuracy(states[nearest], states)
