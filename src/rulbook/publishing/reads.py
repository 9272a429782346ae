"""An IPython extension that notes what a chapter reads and where it computes.

A chapter that reads no record need not run again when records come in, and a reader is told which
data each chapter loaded. Both are seen, not declared: the kernel of a chapter loads this extension,
which leaves a note of every file of the results folder that is opened, of the data that is loaded
and of the devices that are chosen. What worker processes of a chapter do is not seen.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rulbook import paths

NOTE_VARIABLE = "RULBOOK_READS_NOTE"
"""Name of the environment variable that names the file in which the note is left."""

_RECORDS = "records"
_AUDITED = {"rulbook.data.load": "data", "rulbook.training.device": "device"}


@dataclass(frozen=True)
class Reads:
    """What a chapter read, and where it computed.

    Attributes:
        records: Whether it opened or listed the committed records.
        data: Pairs of subset and source (``cmapss`` or ``simulated``) that it loaded.
        devices: Types of the devices that it chose; none if it chose none.
    """

    records: bool
    data: tuple[tuple[str, str], ...]
    devices: tuple[str, ...]


def load_ipython_extension(shell: object) -> None:  # noqa: ARG001 - the signature is IPython's
    """Watch the process that this is called in; there is no way to stop."""
    note = Path(os.environ[NOTE_VARIABLE])
    results = str(paths.results())
    noted: set[tuple[str, ...]] = set()

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _AUDITED:
            entry = (_AUDITED[event], *arguments)
        elif event in {"open", "os.listdir", "os.scandir"} and _is_within(arguments[0], results):
            entry = (_RECORDS,)
        else:
            return
        if entry not in noted:
            noted.add(entry)
            with note.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(entry) + "\n")

    sys.addaudithook(watch)


def read_note(note: Path) -> Reads:
    """Return what the note says; nothing was read if there is none."""
    lines = note.read_text(encoding="utf-8").splitlines() if note.is_file() else []
    entries = sorted(json.loads(line) for line in lines)
    return Reads(
        records=[_RECORDS] in entries,
        data=tuple((entry[1], entry[2]) for entry in entries if entry[0] == "data"),
        devices=tuple(entry[1] for entry in entries if entry[0] == "device"),
    )


def _is_within(opened: object, folder: str) -> bool:
    if not isinstance(opened, str | os.PathLike):
        return False
    absolute = os.path.abspath(os.fsdecode(opened))  # noqa: PTH100 - cheap, and follows no link
    return absolute == folder or absolute.startswith(folder + os.sep)
