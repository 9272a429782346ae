"""Labels of the second task: the health state, or a deliberately wrong one as a control."""

import numpy as np
from numpy.typing import NDArray

from rulbook.data.prepare import HEALTH_STATES, Windows
from rulbook.training.config import Auxiliary


def auxiliary_labels(kind: Auxiliary, windows: Windows, seed: int) -> NDArray[np.int64]:
    """Return one class a training window, (N,) int64, in the number of classes of the health head.

    ``serial_number`` draws a class for each engine once, so that the label can be learned only by
    telling engines apart; ``shuffled`` keeps the shares of the states and nothing else.
    """
    random = np.random.default_rng(seed)
    if kind == "shuffled":
        return random.permutation(windows.health)
    if kind == "serial_number":
        units, index = np.unique(windows.unit, return_inverse=True)
        return random.integers(len(HEALTH_STATES), size=len(units))[index]
    return windows.health
