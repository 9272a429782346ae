"""Whether a chapter must run again: digests of everything that its outputs were made of."""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from rulbook import paths
from rulbook.errors import RulbookError
from rulbook.libraries import LIBRARIES
from rulbook.options import RequestedSource
from rulbook.publishing import imports
from rulbook.publishing.chapters import Chapter

if TYPE_CHECKING:
    from nbformat import NotebookNode

RECORDS = "records"
"""The one input that only some chapters have."""

_CHANGES_A_RUN = ("parameters", "raises-exception", "skip-execution")
"""The tags of cells that papermill heeds; all others are for the page."""

_LIBRARIES = (*LIBRARIES, "pandas", "optuna", "matplotlib")
"""The libraries whose version changes what a chapter computes or draws."""


@dataclass(frozen=True)
class Inputs:
    """What every chapter of one run is made of, apart from its own code.

    Attributes:
        shared: digest by name of input: parameters, data, ledger, libraries.
        records: digest of the records.
    """

    shared: Mapping[str, str]
    records: str

    @classmethod
    def now(cls, parameters: Mapping[str, object], source: RequestedSource) -> "Inputs":
        """Return the inputs as they are at this moment.

        Raises:
            RulbookError: real data is named and is not there.
        """
        from rulbook import data

        return cls(
            shared={
                "parameters": _digest(json.dumps(parameters, sort_keys=True).encode()),
                "data": _digest(*(data.digest(name, source).encode() for name in data.SUBSETS)),
                "ledger": _digest(paths.ledger().read_bytes()),
                "libraries": _digest(*(version(name).encode() for name in _LIBRARIES)),
            },
            records=records_digest(),
        )

    def of(self, code: "Code", *, reads_records: bool) -> dict[str, str]:
        """Return the digest by name of everything that the outputs of a chapter are made of."""
        inputs = {"code": code.digest, "package": imports.digest(code.imports), **self.shared}
        return inputs | {RECORDS: self.records} if reads_records else inputs


@dataclass(frozen=True)
class Code:
    """The part of a chapter's text that is executed.

    Prose is none of it: a page shows the text as it is, with the outputs of its code.

    Attributes:
        digest: digest of the code cells, in their order.
        imports: names of the modules of this package that they import.
    """

    digest: str
    imports: Sequence[str]

    @classmethod
    def of(cls, notebook: "NotebookNode") -> "Code":
        """Return the code of a notebook."""
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        heeded = [
            (cell.source, [tag for tag in _CHANGES_A_RUN if tag in cell.metadata.get("tags", ())])
            for cell in cells
        ]
        return cls(
            _digest(json.dumps(heeded).encode()), imports.imported(cell.source for cell in cells)
        )


@dataclass(frozen=True)
class Stamp:
    """What is kept beside an executed notebook.

    Attributes:
        inputs: digest by name of what it was made of.
        figures: names of the files that it saved among the figures.
        text: digest of its whole text: while it holds, the code need not be looked at.
        imports: names of the modules of this package that its code imports.
        executed: digest of the executed notebook itself.
    """

    inputs: Mapping[str, str]
    figures: Sequence[str]
    text: str
    imports: Sequence[str]
    executed: str


def text_digest(text: str) -> str:
    """Return the digest of a text."""
    return _digest(text.encode())


def changes(chapter: Chapter, inputs: Inputs) -> list[str]:
    """Return what changed since ``chapter`` was executed; nothing means that it is up to date.

    A text that is no notebook counts as changed: executing it says what is wrong with it.
    """
    stamp = read(chapter)
    if stamp is None:
        return ["not executed yet"]
    if file_digest(chapter.executed) != stamp.executed:
        return ["executed notebook changed"]
    code = _code_now(chapter, stamp)
    if code is None:
        return ["text changed"]
    new = inputs.of(code, reads_records=RECORDS in stamp.inputs)
    return [f"{name} changed" for name in new if stamp.inputs.get(name) != new[name]]


def _code_now(chapter: Chapter, stamp: Stamp) -> Code | None:
    """Return the code of the present text, or ``None`` if the text is no notebook."""
    if text_digest(chapter.text.read_text(encoding="utf-8-sig", errors="replace")) == stamp.text:
        return Code(stamp.inputs.get("code", ""), stamp.imports)
    from rulbook.publishing.pairing import to_notebook  # takes long to import

    try:
        return Code.of(to_notebook(chapter))
    except RulbookError:
        return None


def read(chapter: Chapter) -> Stamp | None:
    """Return the stamp of a chapter, or ``None`` if it was not executed."""
    try:
        stamp = TypeAdapter(Stamp).validate_json(chapter.stamp.read_bytes())
    except (OSError, ValueError):
        return None
    return stamp if chapter.executed.is_file() else None


def write(chapter: Chapter, stamp: Stamp) -> None:
    """Write the stamp of a chapter that was executed."""
    paths.write_atomically(chapter.stamp, json.dumps(asdict(stamp), indent=1) + "\n")


def records_digest() -> str:
    """Return the digest of all records that chapters and pages read, carried and one's own."""
    carried, own = paths.results(), paths.own_results()
    return folder_digest(carried) + (folder_digest(own) if own != carried else "")


def installed_versions() -> list[str]:
    """Return what is installed here, each package with its version, in order."""
    # The names of the folders alone: reading the metadata of all of them takes a tenth of a second.
    return sorted(
        {
            installed.name.removesuffix(".dist-info")
            for place in sys.path
            for installed in Path(place).glob("*.dist-info")
        }
    )


def file_digest(file: Path) -> str:
    """Return the SHA-256 of the content of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of all files under ``folder``.

    What editors and systems leave behind does not count.
    """
    digest = hashlib.sha256()
    for path in paths.files_below(folder):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
