"""Choose where to compute."""

from typing import get_args

import torch

from rulbook import reads
from rulbook.errors import RulbookError, unknown_name
from rulbook.options import RequestedDevice


def choose_device(name: RequestedDevice = "auto") -> torch.device:
    """Return the device called ``name``; ``"auto"`` is CUDA, else MPS, else the CPU.

    Its type is noted, so that the status page knows where a chapter computed.

    Raises:
        UsageError: ``name`` is unknown.
        RulbookError: this machine, or this build of PyTorch, has no such device.
    """
    if name not in get_args(RequestedDevice):
        raise unknown_name("device", name, get_args(RequestedDevice))
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    chosen = next(device for device in available if available[device]) if name == "auto" else name
    if not available[chosen]:
        raise RulbookError(
            f"PyTorch finds no {name} device on this machine: choose --device auto or --device cpu."
        )
    reads.note("device", chosen)
    return torch.device(chosen)


def as_device(device: torch.device | str) -> torch.device:
    """Return a device of PyTorch; ``"auto"`` and a bare name are looked for on this machine.

    Raises:
        UsageError: PyTorch knows no such device.
        RulbookError: this machine, or this build of PyTorch, has no such device.
    """
    for name in get_args(RequestedDevice):
        if device == name != "cpu":
            return choose_device(name)
    try:
        return torch.device(device)
    except (RuntimeError, TypeError):
        raise unknown_name("device", str(device), get_args(RequestedDevice)) from None
