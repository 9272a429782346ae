"""The libraries whose versions move numbers."""

import platform
from importlib.metadata import version

LIBRARIES = ("rulbook", "numpy", "scikit-learn", "scipy", "torch", "torchjd")
"""The libraries that compute, by the names that they are installed under."""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that compute, as they are installed."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
