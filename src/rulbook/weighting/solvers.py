"""TorchJD, imported when a method that needs it is made."""

from collections.abc import Iterator
from contextlib import contextmanager

from rulbook.errors import RulbookError


@contextmanager
def torchjd_for(method: str) -> Iterator[None]:
    """Turn a missing TorchJD, or one without its solvers, into a sentence that says what to do.

    Raises:
        RulbookError: an import inside the block failed.

    """
    try:
        yield
    except ImportError as error:
        raise RulbookError(
            f"{method} needs TorchJD and its solvers: pip install 'rulbook[solvers]'."
        ) from error
