"""Locks on runs: two sweeps on one folder, on one machine or on many, share the work."""

import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from rulbook.errors import RulbookError

STALE_AFTER = 600.0
"""Seconds without a sign of life after which a lock counts for nothing.

The number of a process that has ended may be that of another one now.
"""

_WRITTEN_AFTER = 5.0
"""Seconds after which a lock that names nobody is that of a sweep that was killed."""

_SIGN_EVERY = 60.0
"""Seconds between two signs of life."""


def check_writable(folder: Path) -> None:
    """Make a folder if there is none, and check that files can be written to it.

    Raises:
        RulbookError: they cannot.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"probe-{os.getpid()}"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise RulbookError(
            f"Records cannot be written beside '{folder}' ({error.strerror}); name another "
            f"folder with RULBOOK_RESULTS."
        ) from None


def _host() -> str:
    """Return the name of this machine, with what tells its containers' process numbers apart."""
    try:
        return f"{socket.gethostname()}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # no such file on other systems
        return socket.gethostname()


class RunLocks:
    """The locks of one sweep: a file a run, made by one process alone.

    While it is used in ``with``, a thread shows other machines that this sweep is still at work,
    however long a run takes.

    Raises:
        RulbookError: nothing can be written to the folder.

    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: set[str] = set()
        self._owner = f"{_host()} {os.getpid()}"
        check_writable(folder)

    def __enter__(self) -> Self:
        self._ended = threading.Event()
        self._signs = threading.Thread(target=self._show_life, daemon=True)
        self._signs.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._signs.join()
        self.give_all_back()

    def take(self, key: str) -> bool:
        """Return whether the run is this sweep's now.

        Raises:
            OSError: the lock cannot be written; none is left.

        """
        lock = self._folder / key
        for _ in range(3):
            try:
                descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileNotFoundError:  # another sweep has ended and left no folder
                self._folder.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                stale = self._stale_content(lock)
                if stale is None:
                    return False
                self._remove_stale(lock, stale)
            else:
                try:
                    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                        file.write(self._owner)
                except OSError:
                    lock.unlink(missing_ok=True)
                    raise
                self._held.add(key)
                return True
        return False

    def give_back(self, key: str) -> None:
        """Let another sweep take the run."""
        self._held.discard(key)
        lock = self._folder / key
        with suppress(FileNotFoundError):
            # After a long sleep of this process the lock can be another sweep's.
            if _content(lock) == self._owner:
                lock.unlink()

    def give_all_back(self) -> None:
        """Leave no lock and, if nobody else has one, no folder."""
        for key in tuple(self._held):
            self.give_back(key)
        with suppress(OSError):  # not empty, or gone already
            self._folder.rmdir()

    def _show_life(self) -> None:
        while not self._ended.wait(_SIGN_EVERY):
            for key in tuple(self._held):
                with suppress(OSError):  # given back meanwhile
                    os.utime(self._folder / key)

    def _stale_content(self, lock: Path) -> str | None:
        """Return what a lock says that counts for nothing, ``None`` for one that counts."""
        try:
            age = abs(time.time() - lock.stat().st_mtime)  # the clock may have been put back
            content = _content(lock)
        except FileNotFoundError:
            return ""
        host, _, process = content.partition(" ")
        if host == _host() and process.isdigit() and not _is_alive(int(process)):
            return content
        # Without a name, its sweep was killed before it could write who it is.
        return content if age > (STALE_AFTER if host else _WRITTEN_AFTER) else None

    def _remove_stale(self, lock: Path, content: str) -> None:
        """Move the lock away first: of two sweeps that find it stale, one does.

        A lock that another sweep has made meanwhile says something else, and is put back.
        """
        moved = lock.with_name(f"{lock.name}.stale-{os.getpid()}")
        try:
            lock.rename(moved)
        except FileNotFoundError:
            return
        if _content(moved) != content:
            with suppress(FileExistsError):
                os.link(moved, lock)
        moved.unlink()


def _content(lock: Path) -> str:
    return lock.read_text(encoding="utf-8", errors="replace")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):  # no process can have so large a number
        return False
    except PermissionError:
        pass
    return True
