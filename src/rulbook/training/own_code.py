"""Code of one's own in runs: a file that adds methods and networks, known to every worker."""

import hashlib
import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Self

from rulbook.errors import RulbookError, UsageError
from rulbook.options import RequestedDevice
from rulbook.side_files import read_text
from rulbook.training.config import RunConfig
from rulbook.training.record import EpochRecord, RunRecord
from rulbook.training.workers import run_one


@dataclass(frozen=True)
class OwnCode:
    """A Python file as it was read; workers get its text, whatever disks they see.

    Attributes:
        name: path of the file, for messages.
        source: its text.

    """

    name: str
    source: str

    @classmethod
    def read(cls, file: Path | str) -> Self:
        """Read a file.

        Raises:
            UsageError: it cannot be read.

        """
        try:
            return cls(str(file), read_text(Path(file)))
        except RulbookError as error:
            raise UsageError(str(error)) from None

    def load(self) -> ModuleType:
        """Execute the file, once a process, and return it as a module.

        Raises:
            RulbookError: it raised; the sentence says what.

        """
        return _load(self)

    def on_epoch(self) -> Callable[[RunConfig, int, EpochRecord], None] | None:
        """Return the file's ``on_epoch``, or ``None`` where it has none.

        Raises:
            UsageError: it is nothing that can be called, or a generator, whose body never runs.
            RulbookError: the file cannot be executed.

        """
        on_epoch = getattr(self.load(), "on_epoch", None)
        if on_epoch is not None and (
            not callable(on_epoch)
            or any(is_never_run(called) for called in (on_epoch, type(on_epoch).__call__))
        ):
            raise UsageError(
                f"`on_epoch` of '{self.name}' must be a plain function of config, index and epoch."
            )
        if on_epoch is not None and not _takes(on_epoch, arguments=3):
            raise UsageError(
                f"`on_epoch` of '{self.name}' must take three arguments: config, index and epoch."
            )
        return on_epoch

    def fault(self, error: BaseException) -> RulbookError:
        """Return the sentence for what its code raised."""
        said = textwrap.shorten(str(error)[:_LONGEST_SAID], _LONGEST_SAID, placeholder=" …")
        return RulbookError(
            f"'{self.name}' cannot be executed: {type(error).__name__}{said and ': '}{said}."
        )


def _takes(function: Callable[..., object], arguments: int) -> bool:
    """Return whether a function can be called with so many; one that does not say so may be."""
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def is_never_run(function: object) -> bool:
    """Return whether calling a function only makes a generator or coroutine of its body."""
    return (
        inspect.isgeneratorfunction(function)
        or inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
    )


_LONGEST_SAID = 500
"""Characters of what somebody's code raised that a sentence quotes."""


@cache
def _load(code: OwnCode) -> ModuleType:
    digest = hashlib.sha256(code.source.encode()).hexdigest()
    module = ModuleType(f"rulbook_own_{digest[:16]}")
    module.__file__ = code.name
    sys.modules[module.__name__] = module  # dataclasses look there
    try:
        exec(compile(code.source, code.name, "exec"), module.__dict__)
    except (RulbookError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise code.fault(error) from error
    return module


def run_with(code: OwnCode, device: RequestedDevice, config: RunConfig) -> RunRecord:
    """Do one run on the real data with the methods, networks and ``on_epoch`` of a file."""
    on_epoch = code.on_epoch()
    return run_one(config, device, partial(on_epoch, config) if on_epoch else None)
