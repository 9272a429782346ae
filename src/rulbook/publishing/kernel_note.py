"""An IPython extension that notes with which Python and which libraries a chapter is executed."""

from rulbook import reads
from rulbook.libraries import versions


def load_ipython_extension(shell: object) -> None:  # noqa: ARG001 - the signature is IPython's
    """Note the versions in the process that this is called in."""
    for name, number in versions().items():
        reads.note("version", name, number)
