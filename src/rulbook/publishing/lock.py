"""One build at a time in a checkout: who comes second waits, and is told for whom."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout
from rich.console import Console

from rulbook.publishing.layout import Layout


@contextmanager
def building(layout: Layout, console: Console) -> Iterator[None]:
    """Hold the lock of ``layout.build``; a process that has it already may take it again.

    The system gives the lock back when the process ends, however it ends.

    Args:
        layout: the checkout that is built.
        console: where a wait is announced.
    """
    layout.build.mkdir(parents=True, exist_ok=True)
    # One object a path, so that building pages inside a build does not wait for itself.
    lock = FileLock(layout.build / "lock", is_singleton=True, thread_local=False)
    owner = layout.build / "lock.owner"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        number = (owner.read_text(encoding="utf-8") if owner.is_file() else "") or "unknown"
        console.print(f"Another build runs here (process {number}): waiting for it to end.")
        lock.acquire()
    try:
        owner.write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        lock.release()
