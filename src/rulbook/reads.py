"""What a chapter reads: data, records and devices come in by three doors, and each notes it here.

A chapter that reads no record need not run again when records come in, and a reader is told which
data each chapter loaded. Whoever executes a chapter names a file in the environment; the chapter
and every process that it starts leave a line there for whatever they let in. Without that file
nothing is noted.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NOTE_VARIABLE = "RULBOOK_READS_NOTE"
"""Name of the environment variable that names the file in which the note is left."""

Door = Literal["data", "device", "records", "version"]

_noted: set[tuple[str, ...]] = set()


@dataclass(frozen=True)
class Reads:
    """What a chapter read, and on what it computed.

    Attributes:
        records: whether it asked for the committed records.
        data: pairs of subset and source (``cmapss`` or ``simulated``) that it loaded.
        devices: types of the devices that it chose; none if it chose none.
        versions: version by name of Python and of the libraries in its process.
    """

    records: bool
    data: tuple[tuple[str, str], ...]
    devices: tuple[str, ...]
    versions: Mapping[str, str]


def note(door: Door, *what: str) -> None:
    """Note what came in by a door: subset and source, a device, a library and its version."""
    file = os.environ.get(NOTE_VARIABLE)
    entry = (file or "", door, *what)
    if file and entry not in _noted:
        _noted.add(entry)
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(entry[1:]) + "\n")


def read_note(file: Path) -> Reads:
    """Return what the note says; nothing was read if there is none."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    entries = [json.loads(line) for line in dict.fromkeys(lines)]
    by_door: dict[Door, list[list[str]]] = {}
    for door, *what in entries:
        by_door.setdefault(door, []).append(what)
    return Reads(
        records="records" in by_door,
        data=tuple(sorted((subset, source) for subset, source in by_door.get("data", ()))),
        devices=tuple(sorted(device for (device,) in by_door.get("device", ()))),
        versions=dict(by_door.get("version", ())),
    )
