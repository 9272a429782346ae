"""Fetch the twelve C-MAPSS files into the user cache.

The data are published as one archive of about 12 MB. The files' own hashes decide, not the
archive's: whoever serves the twelve published files, in whatever zip, serves the data.
"""

import hashlib
import tempfile
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import pooch

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
_LARGEST_MEMBER_BYTES = 64 << 20
_ZIP_IN_ZIP = 2
_BAD_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def fetch(*, progress: bool = True) -> Path:
    """Return a folder with the twelve verified files, fetching them if they are not here.

    The archive is small, so an interrupted download starts over rather than resuming. Files are
    written only after all twelve have their published SHA-256, each under a temporary name first,
    so none is ever half there.

    Args:
        progress: Whether to show a progress bar on standard error.

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
    try:
        cache.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix="fetch-", dir=cache)
    except OSError as fault:
        raise _cannot_write(cache, fault) from fault
    downloader = pooch.HTTPDownloader(
        progressbar=progress, chunk_size=_CHUNK_BYTES, timeout=_TIMEOUT
    )
    with scratch as folder:
        archive = Path(folder) / "archive.zip"
        try:
            downloader(url, archive, None)
            return archive.read_bytes()
        except OSError as fault:
            raise _SourceError(_reason(fault)) from fault


def _reason(fault: OSError) -> str:
    """Return why a download failed, in a few words; network errors are ``OSError`` as well."""
    response = getattr(fault, "response", None)
    if response is not None:
        return f"answered {response.status_code}"
    return f"failed: {fault.strerror or type(fault).__name__}"


def _twelve_files(archive: bytes) -> dict[str, bytes]:
    """Return the content of the twelve files by name, all verified."""
    found: dict[str, bytes] = {}
    try:
        _collect(archive, found, depth=_ZIP_IN_ZIP)
    except _BAD_ARCHIVE as fault:
        raise _SourceError("gave no intact zip archive") from fault
    absent = [name for name in cmapss.SHA256 if name not in found]
    if absent:
        raise _SourceError(f"gave an archive without the published {absent[0]}")
    return found


def _collect(archive: bytes, found: dict[str, bytes], *, depth: int) -> None:
    """Add the verified files of a zip, and of a zip in it, to ``found``.

    Members are read by their last name and never extracted, so that no member can be written
    outside the cache folder.
    """
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        for member in opened.infolist():
            name = member.filename.replace("\\", "/").rsplit("/", 1)[-1]
            is_zip = name.endswith(".zip") and depth > 1
            if (
                name not in cmapss.SHA256 and not is_zip
            ) or member.file_size > _LARGEST_MEMBER_BYTES:
                continue
            content = opened.read(member)
            if is_zip:
                _collect(content, found, depth=depth - 1)
            elif hashlib.sha256(content).hexdigest() == cmapss.SHA256[name]:
                found[name] = content


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
