"""The update rules that runs, small experiments and the toy may name."""

from collections.abc import Mapping
from typing import Any, Literal

import torch

Optimiser = Literal["adamw", "adam", "sgd"]

OPTIMISERS: Mapping[Optimiser, Any] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
"""PyTorch's class of each name; what a caller does not set is as PyTorch has it."""

OPTIMISER_NAMES: Mapping[str, str] = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
"""What a reader sees for each of them."""
