"""Fuzz what reads foreign bytes: data files, archives, ledger and records.

``make fuzz`` runs each target for ``FUZZ_SECONDS`` (600) under atheris. A reader may refuse its
input by a ``RulbookError``; anything else that it raises is a fault, and its input becomes a test.
Each target starts from a few inputs that its reader takes, so that what lies behind the first
checks is reached too.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["rulbook", "gzip", "pandas.io", "yaml", "zipfile"]):
    import gzip
    import zipfile

    from rulbook.claims.ledger import read_ledger
    from rulbook.data import cmapss, fetch
    from rulbook.errors import RulbookError
    from rulbook.training.record import read_record

ROOT = Path(__file__).parents[2]
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

ENGINES = b"1 1 -0.0007 -0.0004 100.0" + b" 21.61" * 21 + b"  \n"
RUL = b"112 \n98 \n"


def _zipped(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def _rows_of_the_ledger() -> list[bytes]:
    """Return ledgers of the first row and of all rows with another verdict than it."""
    head, *rows = (ROOT / "book" / "claims.yml").read_bytes().split(b"\n  - ")
    by_verdict = {row.split(b"expected: ")[-1].split(b"\n")[0]: row for row in reversed(rows)}
    return [head + b"\n  - " + row for row in by_verdict.values()]


def _small_records() -> list[bytes]:
    """Return the smallest record that there is, and the smallest of a network with epochs."""
    paths = (ROOT / "results" / "runs").glob("*.json")
    smallest_first = [
        path.read_bytes() for path in sorted(paths, key=lambda path: (path.stat().st_size, path))
    ]
    with_epochs = next(record for record in smallest_first if b'"epochs":[{' in record)
    return [smallest_first[0], with_epochs]


def seeds(target: str) -> list[bytes]:
    """Return inputs that the reader takes, or that reach the last of its checks."""
    inner = _zipped("RUL_FD001.txt", RUL)
    return {
        "engines": [ENGINES, ENGINES * 2],
        "rul": [RUL],
        "packed": [gzip.compress(RUL, mtime=0)],
        "archive": [inner, _zipped("CMAPSSData.zip", inner)],
        "ledger": _rows_of_the_ledger(),
        "record": _small_records(),
    }[target]


def main() -> None:
    """Fuzz the target that the first argument names; the others are libFuzzer's."""
    name = sys.argv.pop(1)
    target = TARGETS[name]
    corpus = SCRATCH / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)

    def one_input(content: bytes) -> None:
        try:
            target(content)
        except RulbookError:
            return

    atheris.Setup([*sys.argv, str(corpus)], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
