"""The machine that chapters are executed on, by name."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

_LINUX = Path("/proc/cpuinfo")
_MODEL = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)
_MACOS = ("sysctl", "-n", "machdep.cpu.brand_string")


def names(devices: Sequence[str]) -> tuple[str, ...]:
    """Return the processor of this machine, and its GPU if ``devices`` has ``cuda``."""
    found = [f"{processor()}, {_cores()}"]
    if "cuda" in devices:
        import torch

        found.append(torch.cuda.get_device_name())
    return tuple(found)


def processor() -> str:
    """Return the name of the processor as its maker gives it, or else its kind, as ``x86_64``."""
    if _LINUX.is_file():
        model = _MODEL.search(_LINUX.read_text(encoding="utf-8", errors="replace"))
        name = model[1] if model else ""
    elif platform.system() == "Darwin":
        name = subprocess.run(_MACOS, capture_output=True, text=True, check=False).stdout
    else:
        name = platform.processor()
    return " ".join(name.split()) or platform.machine()


def _cores() -> str:
    count = os.cpu_count() or 1
    return "1 core" if count == 1 else f"{count} cores"
