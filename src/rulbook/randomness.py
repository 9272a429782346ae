"""Random numbers of a known seed that leave everybody else's alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Draw PyTorch's global random numbers from ``seed``; restore their state afterwards.

    Args:
        seed: seed of the CPU's generator, and of the GPU's where ``device`` is one.
        device: where random numbers are drawn beside the CPU.

    """
    device = torch.device(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
