"""An IPython extension that notes whether a chapter reads records.

A chapter that reads no record need not run again when records come in. Which chapters do is seen,
not declared: the kernel of a chapter loads this extension, which leaves a note as soon as a file
of the results folder is opened or the folder is listed.
"""

import os
import sys
from pathlib import Path
from typing import Any

from rulbook import paths

NOTE_VARIABLE = "RULBOOK_RECORDS_READ_NOTE"
"""Name of the environment variable that names the file to create when a record is read."""


def load_ipython_extension(shell: object) -> None:  # noqa: ARG001 - the signature is IPython's
    """Watch the process that this is called in; there is no way to stop."""
    note = Path(os.environ[NOTE_VARIABLE])
    results = str(paths.results())

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in {"open", "os.listdir", "os.scandir"}:
            return
        opened = arguments[0]
        if isinstance(opened, str | os.PathLike) and _within(os.fspath(opened), results):
            note.touch()

    sys.addaudithook(watch)


def _within(path: str | bytes, folder: str) -> bool:
    absolute = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - cheap, and follows no link
    return absolute == folder or absolute.startswith(folder + os.sep)
