"""Random numbers of a known seed that leave everybody else's alone."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Draw PyTorch's global random numbers from ``seed``; restore their state afterwards.

    Args:
        seed: seed of the CPU's generator, and of the GPU's (CUDA or MPS) where ``device`` is one.
        device: where random numbers are drawn beside the CPU. No other device's are touched.

    """
    device = torch.device(device)
    # torch.manual_seed would seed every GPU, and nothing would restore the others.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(int(seed))
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(int(seed))
        with _seeded_mps(int(seed)) if device.type == "mps" else nullcontext():
            yield


@contextmanager
def _seeded_mps(seed: int) -> Iterator[None]:
    before = torch.mps.get_rng_state()
    torch.mps.manual_seed(seed)
    try:
        yield
    finally:
        torch.mps.set_rng_state(before)
