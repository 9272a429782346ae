"""The errors a reader can meet, each one clear sentence that says what to do."""

from collections.abc import Iterable


class RulbookError(Exception):
    """The work could not be done; the message names the thing and says what to do."""

    exit_code = 1


class UsageError(RulbookError):
    """What was asked for does not exist; the message lists what does."""

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        """Let a notebook show the sentence alone: the choice is wrong, not the code."""
        return [f"{type(self).__name__}: {self}"]


def place_of(fault: OSError) -> str:
    """Return what the system would not let be used: a file, or the two of a move, in quotes."""
    named = [f"'{name}'" for name in (fault.filename, fault.filename2) if name]
    return " or ".join(named) or "A file or connection"


def one_line(fault: BaseException) -> str:
    """Return what an error says in one line, or its name where it says nothing."""
    return " ".join(str(fault).split()) or type(fault).__name__


def unknown_name(kind: str, name: str, known: Iterable[object]) -> UsageError:
    """Return the error for a ``name`` that is not one of the ``known`` names of its ``kind``."""
    listed = ", ".join(str(item) for item in known)
    return UsageError(f"Unknown {kind} '{name}'; choose one of: {listed}.")
