"""At which quantiles and in which bins a record keeps the gradients of an epoch."""

import numpy as np
from numpy.typing import ArrayLike

from rulbook.typing import Floats, Integers

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles kept of each epoch's gradient ratios and cosines."""

RATIO_BIN_EDGES: Floats = np.logspace(-4, 5, 61)
"""Edges of the 60 logarithmic bins of the gradient ratio; what falls outside is in the end bins."""


def binned(ratios: ArrayLike) -> Integers:
    """Return how many of ``ratios`` fall into each bin of ``RATIO_BIN_EDGES``, (60,)."""
    inside = np.clip(ratios, RATIO_BIN_EDGES[0], RATIO_BIN_EDGES[-1])
    counts: Integers = np.histogram(inside, RATIO_BIN_EDGES)[0]
    return counts
