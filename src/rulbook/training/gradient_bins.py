"""At which quantiles and in which bins a record keeps the gradients of an epoch."""

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles kept of each epoch's gradient ratios and cosines."""

RATIO_BIN_EDGES: NDArray[np.float64] = np.logspace(-4, 5, 61)
"""Edges of the 60 logarithmic bins of the gradient ratio; what falls outside is in the end bins."""
