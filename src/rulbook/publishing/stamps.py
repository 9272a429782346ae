"""Whether a chapter must run again: digests of everything that its outputs were made of."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rulbook import paths
from rulbook.publishing.chapters import Chapter

if TYPE_CHECKING:
    from rulbook.data import RequestedSource

RECORDS = "records"
"""The one input that only some chapters have."""


@dataclass(frozen=True)
class Inputs:
    """What every chapter of one run is made of, apart from its own text.

    Attributes:
        shared: Digest by name of input: package, parameters, data, ledger.
        records: Digest of the committed records.
    """

    shared: Mapping[str, str]
    records: str

    @classmethod
    def now(cls, parameters: Mapping[str, object], source: "RequestedSource") -> "Inputs":
        """Return the inputs as they are at this moment.

        Raises:
            RulbookError: Real data is named and is not there.
        """
        from rulbook import data, display
        from rulbook.training.record import source_digest

        return cls(
            shared={
                "package": _digest(
                    source_digest().encode(), *_carried(Path(display.__file__).parent)
                ),
                "parameters": _digest(json.dumps(parameters, sort_keys=True).encode()),
                "data": _digest(*(data.digest(name, source).encode() for name in data.SUBSETS)),
                "ledger": _digest(paths.ledger().read_bytes()),
            },
            records=folder_digest(paths.results()),
        )

    def of(self, chapter: Chapter, *, reads_records: bool) -> dict[str, str]:
        """Return the digest by name of everything that ``chapter`` is made of."""
        inputs = {"text": _digest(chapter.text.read_bytes()), **self.shared}
        return inputs | {RECORDS: self.records} if reads_records else inputs


@dataclass(frozen=True)
class Stamp:
    """What is kept beside an executed notebook.

    Attributes:
        inputs: Digest by name of what it was made of.
        figures: Names of the files that it saved among the figures.
    """

    inputs: Mapping[str, str]
    figures: Sequence[str]


def changes(chapter: Chapter, inputs: Inputs) -> list[str]:
    """Return what changed since ``chapter`` was executed; nothing means that it is up to date."""
    stamp = read(chapter)
    if stamp is None:
        return ["not executed yet"]
    new = inputs.of(chapter, reads_records=RECORDS in stamp.inputs)
    return [f"{name} changed" for name in new if stamp.inputs.get(name) != new[name]]


def read(chapter: Chapter) -> Stamp | None:
    """Return the stamp of a chapter, or ``None`` if it was not executed."""
    try:
        stamp = Stamp(**json.loads(chapter.stamp.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return stamp if chapter.executed.is_file() else None


def write(chapter: Chapter, stamp: Stamp) -> None:
    """Write the stamp of a chapter that was executed."""
    paths.write_atomically(chapter.stamp, json.dumps(asdict(stamp), indent=1) + "\n")


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of all files under ``folder``."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def _carried(folder: Path) -> list[bytes]:
    """Return the styles and scripts in ``folder``, which outputs carry in full."""
    return [
        path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in {".css", ".js"}
    ]


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
