"""Fuzz what reads foreign bytes: data files, archives, ledger and records.

``make fuzz`` runs each target for ``FUZZ_SECONDS`` (600) under atheris. A reader may refuse its
input by a ``RulbookError``; anything else that it raises is a fault, and its input becomes a test.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["rulbook"]):
    from rulbook.claims.ledger import read_ledger
    from rulbook.data import cmapss, fetch
    from rulbook.errors import RulbookError
    from rulbook.training.record import read_record

SCRATCH = Path(tempfile.mkdtemp(prefix="fuzz-"))


def _from_file(read: Callable[[Path], object], name: str) -> Callable[[bytes], object]:
    def target(content: bytes) -> object:
        path = SCRATCH / name
        path.write_bytes(content)
        return read(path)

    return target


def archive(content: bytes) -> object:
    """Collect the files of a zip; a source's fault is caught by ``fetch`` like this."""
    try:
        return fetch._twelve_files(content)
    except fetch._SourceError:
        return None


TARGETS: dict[str, Callable[[bytes], object]] = {
    "engines": cmapss.read_engines,
    "rul": cmapss.read_rul,
    "packed": _from_file(cmapss._unpacked, "packed.gz"),
    "archive": archive,
    "ledger": _from_file(read_ledger, "claims.yml"),
    "record": _from_file(read_record, "record.json"),
}


def main() -> None:
    """Fuzz the target that the first argument names; the others are libFuzzer's."""
    target = TARGETS[sys.argv.pop(1)]

    def one_input(content: bytes) -> None:
        try:
            target(content)
        except RulbookError:
            return

    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
