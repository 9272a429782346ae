"""Fetch the twelve C-MAPSS files into the user cache.

The data are published as one archive of about 12 MB. The files' own hashes decide, not the
archive's: whoever serves the twelve published files, in whatever zip, serves the data.
"""

import hashlib
import struct
import tempfile
import time
import zipfile
import zlib
from functools import partial
from io import BytesIO
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from rulbook import paths
from rulbook.data import cmapss
from rulbook.errors import RulbookError

ARCHIVES = (
    "https://phm-datasets.s3.amazonaws.com/NASA/6.+Turbofan+Engine+Degradation+Simulation+Data+Set.zip",
    "https://zenodo.org/records/15346912/files/CMAPSSData.zip?download=1",
)
"""Where the archive is published, in the order in which ``fetch`` tries: NASA, then Zenodo."""

_TIMEOUT = 30.0
_CHUNK_BYTES = 1 << 16
_ZIP_IN_ZIP = 2

_LONGEST_SECONDS = 600.0
"""For one source; a read that gets nothing at all ends after ``_TIMEOUT``."""

_LARGEST_ARCHIVE_BYTES = 32 << 20
_LARGEST_DIRECTORY_BYTES = 1 << 20
"""The directory of a zip; a member takes at least 46 bytes of it."""

_MOST_INFLATED_BYTES = 256 << 20
"""Of all members of one source together; the twelve files and the zip around them are 60 MB."""

_PLAIN_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Those that can be inflated piece by piece."""

_BAD_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ArithmeticError,
    EOFError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What ``zipfile`` raises on bytes that are no intact zip; a cut one gives a negative offset."""


def fetch(*, progress: bool = True) -> Path:
    """Return a folder with the twelve verified files, fetching them if they are not here.

    The archive is small, so an interrupted download starts over rather than resuming. Files are
    written only after all twelve have their published SHA-256, each under a temporary name first,
    so none is ever half there.

    Args:
        progress: whether to show a progress bar on standard error.

    Returns:
        The folder that ``cmapss.locate`` finds: that of ``RULBOOK_DATA`` if it is set and
        complete, else the user cache.

    Raises:
        RulbookError: ``RULBOOK_DATA`` is set but incomplete, no source gave the twelve files, or
            the cache cannot be written.
    """
    here = cmapss.status()
    if here.folder is not None and here.complete:
        return here.folder
    if here.named_by == paths.DATA_VARIABLE:
        raise RulbookError(next(file.problem for file in here.files if file.problem))
    cache = paths.cache()
    faults = []
    for url in ARCHIVES:
        try:
            files = _twelve_files(_download(url, cache, progress=progress))
        except _SourceError as fault:
            faults.append(f"{url} {fault}")
        else:
            _write(files, cache)
            return cache
    raise RulbookError(
        f"C-MAPSS could not be fetched and nothing was written ({'; '.join(faults)}): try "
        f"{cmapss.FETCH} again later, or set {paths.DATA_VARIABLE} to a folder with the twelve "
        f"files."
    )


class _SourceError(Exception):
    """One source did not give the data; the message ends a sentence that starts with its URL."""


def _download(url: str, cache: Path, *, progress: bool) -> bytes:
    """Return what a source sends, in bounded time and size.

    Pieces are taken as they arrive, so that a server that sends a byte now and then is noticed.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise _cannot_write(cache, fault) from fault
    deadline = time.monotonic() + _LONGEST_SECONDS
    archive = BytesIO()
    try:
        with requests.get(url, stream=True, timeout=_TIMEOUT) as response:
            response.raise_for_status()
            length = response.headers.get("content-length", "")
            total = int(length) if length.isdecimal() else None
            with tqdm(total=total, unit="B", unit_scale=True, disable=not progress) as bar:
                for piece in iter(partial(response.raw.read1, _CHUNK_BYTES), b""):
                    bar.update(archive.write(piece))
                    if archive.tell() > _LARGEST_ARCHIVE_BYTES:
                        raise _SourceError(f"sent more than {_LARGEST_ARCHIVE_BYTES >> 20} MB")
                    if time.monotonic() > deadline:
                        raise _SourceError(f"took longer than {_LONGEST_SECONDS:g} seconds")
    except (OSError, urllib3.exceptions.HTTPError) as fault:
        raise _SourceError(_reason(fault)) from fault
    return archive.getvalue()


def _reason(fault: Exception) -> str:
    """Return why a download failed, in a few words."""
    response = getattr(fault, "response", None)
    if response is not None:
        return f"answered {response.status_code}"
    return f"failed: {getattr(fault, 'strerror', None) or type(fault).__name__}"


def _twelve_files(archive: bytes) -> dict[str, bytes]:
    """Return the content of the twelve files by name, all verified."""
    found: dict[str, bytes] = {}
    try:
        _collect(archive, found, _MOST_INFLATED_BYTES, depth=_ZIP_IN_ZIP)
    except _BAD_ARCHIVE as fault:
        raise _SourceError("gave no intact zip archive") from fault
    absent = [name for name in cmapss.SHA256 if name not in found]
    if absent:
        raise _SourceError(f"gave an archive without the published {absent[0]}")
    return found


def _collect(archive: bytes, found: dict[str, bytes], allowance: int, *, depth: int) -> int:
    """Add the verified files of a zip, and of a zip in it, to ``found``.

    Members are read by their last name and never extracted, so that no member can be written
    outside the cache folder. What the zip says of a member's size is not believed.

    Returns:
        How many bytes of ``allowance`` may still be inflated.

    Raises:
        _SourceError: more would be inflated than that, or the zip has too many members.
    """
    if _directory_bytes(archive) > _LARGEST_DIRECTORY_BYTES:
        raise _SourceError("gave a zip of far too many members")
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        for member in opened.infolist():
            name = member.filename.replace("\\", "/").rsplit("/", 1)[-1]
            is_zip = name.endswith(".zip") and depth > 1
            wanted = name in cmapss.SHA256 and name not in found
            if not (wanted or is_zip) or member.compress_type not in _PLAIN_METHODS:
                continue
            largest = min(
                allowance, _LARGEST_ARCHIVE_BYTES if is_zip else cmapss.LARGEST_FILE_BYTES
            )
            with opened.open(member) as packed:
                content = packed.read(largest + 1)
            if len(content) > largest:
                raise _SourceError(f"gave an archive whose '{name}' is far too large")
            allowance -= len(content)
            if is_zip:
                allowance = _collect(content, found, allowance, depth=depth - 1)
            elif hashlib.sha256(content).hexdigest() == cmapss.SHA256[name]:
                found[name] = content
    return allowance


def _directory_bytes(archive: bytes) -> int:
    """Return the size of a zip's directory as its end record gives it, 0 where there is none.

    A zip of 64-bit sizes gives the largest number there is, and counts as too large.
    """
    end = archive.rfind(b"PK\5\6")
    return int.from_bytes(archive[end + 12 : end + 16], "little") if end >= 0 else 0


def _write(files: dict[str, bytes], cache: Path) -> None:
    try:
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache) as scratch:
            for name, content in files.items():
                (Path(scratch) / name).write_bytes(content)
            for name in files:
                (Path(scratch) / name).replace(cache / name)
    except OSError as fault:
        raise _cannot_write(cache, fault) from fault


def _cannot_write(cache: Path, fault: OSError) -> RulbookError:
    return RulbookError(
        f"The cache '{cache}' cannot be written ({fault.strerror}): make room or give this user "
        f"the right to write there, or set {paths.DATA_VARIABLE} to a folder with the twelve files."
    )
