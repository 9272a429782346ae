"""An IPython extension that notes with which Python and which libraries a chapter is executed."""

import platform
from importlib.metadata import version

from rulbook import reads

LIBRARIES = ("rulbook", "numpy", "scipy", "scikit-learn", "torch", "torchjd")
"""The libraries that compute, as they are installed."""


def load_ipython_extension(shell: object) -> None:  # noqa: ARG001 - the signature is IPython's
    """Note the versions in the process that this is called in."""
    reads.note("version", "python", platform.python_version())
    for name in LIBRARIES:
        reads.note("version", name, version(name))
