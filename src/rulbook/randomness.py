"""Random numbers of a known seed that leave everybody else's alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Draw PyTorch's global random numbers from ``seed``; restore their state afterwards.

    Args:
        seed: seed of the CPU's generator, and of the GPU's where ``device`` is one.
        device: where random numbers are drawn beside the CPU. No other device's are touched.

    """
    device = torch.device(device)
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        # torch.manual_seed would seed every GPU, and fork_rng restores this one alone.
        torch.default_generator.manual_seed(int(seed))
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(int(seed))
        yield
