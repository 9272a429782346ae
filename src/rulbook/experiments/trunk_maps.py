"""Maps of the shared features in the plane, and how well neighbours share a health state."""

import numpy as np
import numpy.typing as npt
import torch
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from rulbook.data.prepare import Windows
from rulbook.metrics import balanced_accuracy
from rulbook.models import DualTaskModel
from rulbook.typing import Floats


def trunk_features(model: DualTaskModel, windows: Windows) -> Floats:
    """Return z of each window, (N, 32), from a network in evaluation mode; it is left as it was."""
    was_training = model.training
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        z = model.features(torch.from_numpy(windows.x).to(device))
    model.train(was_training)
    features: Floats = z.cpu().double().numpy()
    return features


def tsne_map(features: Floats, seed: int) -> Floats:
    """Return a t-SNE of the z-scored features, (N, 2); perplexity 30, started from PCA."""
    scaled = StandardScaler().fit_transform(features)
    placed: Floats = TSNE(perplexity=30, init="pca", random_state=seed).fit_transform(scaled)
    return placed.astype(np.float64)


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
