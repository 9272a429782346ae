"""Locate, verify and read the twelve C-MAPSS files.

The data are NASA's turbofan run-to-failure sets (Saxena, Goebel, Simon and Eklund, "Damage
propagation modeling for aircraft engine run-to-failure simulation", PHM 2008): four subsets, each
with training engines that run until they fail, test engines that stop earlier, and the remaining
useful life (RUL) of every test engine at its last cycle.
"""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from errno import ENAMETOOLONG, ENOENT, ENOTDIR
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from types import MappingProxyType
from typing import Literal

import pandas as pd

from rulbook import paths
from rulbook.data.identity import tables_digest
from rulbook.errors import RulbookError, unknown_name


@dataclass(frozen=True)
class SubsetFacts:
    """What the real files of one subset hold.

    Attributes:
        operating_conditions: how many its engines fly.
        fault_modes: in how many ways its engines degrade.
        training_engines: engines that run until they fail.
        training_cycles: cycles of all of them, one row each.
        test_engines: engines that stop earlier.
    """

    operating_conditions: int
    fault_modes: int
    training_engines: int
    training_cycles: int
    test_engines: int


FACTS: Mapping[str, SubsetFacts] = MappingProxyType(
    {
        "FD001": SubsetFacts(1, 1, 100, 20_631, 100),
        "FD002": SubsetFacts(6, 1, 260, 53_759, 259),
        "FD003": SubsetFacts(1, 2, 100, 24_720, 100),
        "FD004": SubsetFacts(6, 2, 249, 61_249, 248),
    }
)

SUBSETS = tuple(FACTS)
"""The four subsets, in order."""

SETTINGS = tuple(f"setting_{number}" for number in range(1, 4))
SENSORS = tuple(f"sensor_{number}" for number in range(1, 22))
COLUMNS = ("unit", "cycle", *SETTINGS, *SENSORS)
"""The 26 columns: engine number, cycle number, three operational settings, 21 sensors."""

INFORMATIVE_SENSORS = tuple(
    f"sensor_{number}" for number in (2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21)
)
"""The 14 sensors that change as an engine degrades; the others depend on its operating condition
alone."""

Source = Literal["cmapss", "simulated", "own"]

SOURCE_NAMES: Mapping[str, str] = MappingProxyType(
    {"cmapss": "NASA's C-MAPSS", "simulated": "the simulated fleet"}
)
"""What a reader sees for a source."""

SHA256: Mapping[str, str] = MappingProxyType(
    {
        "train_FD001.txt": "963b5e22825b34d8b21c69e1aeb4af3e647050eb672ee8834ba4b5d91d2de0f8",
        "test_FD001.txt": "3cda7109ce17bafb5443f2ac926cfcf88154b941b8c4cf95eb55d1ddd6f52851",
        "RUL_FD001.txt": "a19c8ec94931949d0485bdc35118206e9c81c4547b422efb9cf86f4ceddbceca",
        "train_FD002.txt": "dac6c4dbc4e7c1bdeb5747da3d313d05c395bb99801b44a002b26a2ba13d788f",
        "test_FD002.txt": "de7b5bf7e998a985c378488480528b7c02cff1406a46740def362dda8d9b4e02",
        "RUL_FD002.txt": "c851dd96a6ea6998d3c4a8f834d3c8013aa90e93a6ed950dc826ad0655b2906b",
        "train_FD003.txt": "2abbe9968cc5e8eb091980f51b20f62bb4127336d3482cb52071d53bf23329e2",
        "test_FD003.txt": "299babd63c8d987cef079c4a425429f33b3a34797d803bbe2ad48c29dbd0d790",
        "RUL_FD003.txt": "df1e0566306b174a2de41c67a3e7a51877889598b78643fc3e5685259091b7cb",
        "train_FD004.txt": "27ef6160b6a1dcb2613a88de9c239f763b223f02cdc41dc5cdedc5dc189b6218",
        "test_FD004.txt": "1dc675fff0624bac10786927c6715b37d1297657137400d2b1a3138d777a3ba5",
        "RUL_FD004.txt": "196b836b85a95ac7fdbbf29c5fdf1657382eafa445644d114ffaaf50dc2975e1",
    }
)
"""SHA-256 of the unpacked bytes of each of the twelve files, by file name."""

LARGEST_FILE_BYTES = 64 << 20
"""More than six times the largest of the twelve files, unpacked; nothing larger is read."""

FETCH = "`rulbook data fetch`"
"""The command that the messages point to."""


@dataclass(frozen=True)
class Fleet:
    """One subset as it is published: nothing scaled, windowed or labelled.

    Attributes:
        subset: one of ``SUBSETS``, or the name of a fleet of one's own.
        source: ``"cmapss"`` for the real files, ``"simulated"`` for the embedded fleet, ``"own"``
            for tables of one's own.
        digest: SHA-256 (64 hexadecimal digits) that identifies the data.
        train: run-to-failure engines, one row a cycle, columns ``COLUMNS`` (``unit`` and ``cycle``
            int64 and counted from 1, the rest float64), sorted by unit and cycle.
        test: test engines, same columns, each cut off before it fails.
        test_rul: RUL in cycles of each test engine at its last row, int64, indexed by unit.
        tables_digest: digest of the three tables as they were read or given (see
            ``identity.tables_digest``), to which ``prepare`` holds them; ``None`` for tables that
            were simulated.
    """

    subset: str
    source: Source
    digest: str
    train: pd.DataFrame
    test: pd.DataFrame
    test_rul: pd.Series
    tables_digest: str | None = None


@dataclass(frozen=True)
class FileStatus:
    """What is known of one of the twelve files.

    Attributes:
        name: unpacked file name, for instance ``train_FD001.txt``.
        path: the file that was found (``.txt`` or ``.txt.gz``), or ``None``.
        verified: whether it was found, can be unpacked and has the published SHA-256.
        problem: one sentence that says what is wrong, or ``None``.
    """

    name: str
    path: Path | None
    verified: bool
    problem: str | None


@dataclass(frozen=True)
class DataStatus:
    """Where real data is looked for, and what is there.

    Attributes:
        folder: the folder that is used, or ``None`` if there is no real data at all.
        named_by: ``RULBOOK_DATA``, ``"cache"`` or ``None``.
        files: one entry for each of the twelve files, in the order of ``SHA256``.
    """

    folder: Path | None
    named_by: str | None
    files: tuple[FileStatus, ...]

    @property
    def complete(self) -> bool:
        """Whether all twelve files are there with their published hashes."""
        return all(file.verified for file in self.files)


def check_subset(subset: str) -> None:
    """Raise ``UsageError`` unless ``subset`` is one of ``SUBSETS``."""
    if subset not in SUBSETS:
        raise unknown_name("subset", subset, SUBSETS)


def file_names(subset: str) -> tuple[str, str, str]:
    """Return the names of the training, test and RUL file of ``subset``, unpacked.

    Raises:
        UsageError: ``subset`` is unknown.
    """
    check_subset(subset)
    return f"train_{subset}.txt", f"test_{subset}.txt", f"RUL_{subset}.txt"


def locate() -> Path | None:
    """Return the folder that holds the real data, or ``None`` if there is none.

    The folder named by ``RULBOOK_DATA`` comes first, then the user cache. A cache counts as soon
    as it holds one of the twelve files, so that a broken one is reported rather than passed over.

    Raises:
        RulbookError: ``RULBOOK_DATA`` names something that is not a folder, or a folder may not be
            looked into.
    """
    named = paths.data_folder_named_by_user()
    if named is not None:
        if not _is(named, S_ISDIR):
            raise RulbookError(
                f"{paths.DATA_VARIABLE} names '{named}', which is not a folder: let it name the "
                f"folder with the twelve C-MAPSS files, or {_fetch_again()}."
            )
        return named
    cache = paths.cache()
    return cache if any(find_file(cache, name) for name in SHA256) else None


def find_file(folder: Path, name: str) -> Path | None:
    """Return ``name`` in ``folder``, plain or else as ``.gz``, or ``None``.

    Raises:
        RulbookError: the folder may not be looked into.
    """
    for candidate in (folder / name, folder / f"{name}.gz"):
        if _is(candidate, S_ISREG):
            return candidate
    return None


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    # Not is_dir and is_file: newer versions of Python call what may not be looked at missing.
    try:
        return kind(path.stat().st_mode)
    except OSError as fault:
        if fault.errno in {ENOENT, ENOTDIR, ENAMETOOLONG}:
            return False
        raise _unreadable(path, fault) from fault


def _unreadable(path: Path, fault: OSError) -> RulbookError:
    return RulbookError(
        f"'{path}' cannot be read ({fault.strerror}): give this user the right to "
        f"read it, or let {paths.DATA_VARIABLE} name another folder."
    )


def digest(subset: str) -> str:
    """Return the SHA-256 that identifies the real ``subset``: that of its three files' hashes.

    Raises:
        UsageError: ``subset`` is unknown.
    """
    listed = "".join(f"{SHA256[name]}  {name}\n" for name in file_names(subset))
    return hashlib.sha256(listed.encode()).hexdigest()


def read(subset: str, folder: Path | str | None = None) -> Fleet:
    """Read and verify one real subset.

    Args:
        subset: one of ``SUBSETS``.
        folder: where the files are; by default the folder that ``locate`` finds.

    Raises:
        UsageError: ``subset`` is unknown.
        RulbookError: there is no real data, or a file is missing, cannot be unpacked, has the
            wrong number of columns or other content than the published one.
    """
    names = file_names(subset)
    folder = Path(folder) if folder else locate()
    if folder is None:
        raise RulbookError(
            f"There is no real C-MAPSS data on this machine: set {paths.DATA_VARIABLE} to the "
            f"folder with the twelve files, or run {FETCH}."
        )
    train_file, test_file, rul_file = (read_verified(folder, name) for name in names)
    train, test = read_engines(train_file), read_engines(test_file)
    test_rul = read_rul(rul_file)
    return Fleet(
        subset=subset,
        source="cmapss",
        digest=digest(subset),
        train=train,
        test=test,
        test_rul=test_rul,
        tables_digest=tables_digest(train, test, test_rul),
    )


def read_engines(content: bytes) -> pd.DataFrame:
    """Return the table of an engine file: one row a cycle, columns ``COLUMNS``.

    Numbers are separated by single spaces, as published, and may be followed by more.

    Raises:
        RulbookError: the content is no such table.
    """
    integers = dict.fromkeys(COLUMNS[:2], "int64")
    floats = dict.fromkeys(COLUMNS[2:], "float64")
    return _parse(content, COLUMNS, integers | floats)


def read_rul(content: bytes) -> pd.Series:
    """Return the RUL of an RUL file, int64, in cycles, indexed by unit from 1.

    Raises:
        RulbookError: the content is no such list.
    """
    rul = _parse(content, ("rul",), {"rul": "int64"})["rul"]
    rul.index = pd.RangeIndex(1, len(rul) + 1, name="unit")
    return rul


def _parse(content: bytes, columns: tuple[str, ...], types: dict[str, str]) -> pd.DataFrame:
    try:
        return pd.read_csv(
            BytesIO(content),
            sep=" ",
            header=None,
            names=list(columns),
            usecols=range(len(columns)),
            index_col=False,
            dtype=types,
        )
    except (ValueError, OverflowError) as fault:
        raise RulbookError(
            f"The content is no table of {len(columns)} columns of numbers separated by single "
            f"spaces: give a file as C-MAPSS publishes it."
        ) from fault


def status() -> DataStatus:
    """Return what is present of the twelve files and whether each hash holds.

    A file that is missing or bad is a ``problem`` of its entry, not an error.

    Raises:
        RulbookError: ``RULBOOK_DATA`` names something that is not a folder.
    """
    folder = locate()
    if folder is None:
        named_by = None
    else:
        named_by = paths.DATA_VARIABLE if paths.data_folder_named_by_user() else "cache"
    return DataStatus(folder, named_by, tuple(_file_status(folder, name) for name in SHA256))


def _file_status(folder: Path | None, name: str) -> FileStatus:
    if folder is None:
        return FileStatus(name, None, False, f"{name} is not on this machine: run {FETCH}.")
    path = find_file(folder, name)
    try:
        verify(folder, name)
    except RulbookError as fault:
        return FileStatus(name, path, False, str(fault))
    return FileStatus(name, path, True, None)


def verify(folder: Path, name: str) -> Path:
    """Return the path of ``name`` in ``folder`` after checking its unpacked bytes.

    Each file is hashed once per process, and again only if it changes.

    Raises:
        RulbookError: the file is missing, cannot be unpacked, has the wrong number of columns or
            other content than the published one.
    """
    path = _found(folder, name)
    state = path.stat()
    if _sha256(path, state.st_mtime_ns, state.st_size) != SHA256[name]:
        raise RulbookError(_what_is_wrong(path, name))
    return path


def _found(folder: Path, name: str) -> Path:
    path = find_file(folder, name)
    if path is None:
        raise RulbookError(
            f"'{folder}' has no {name} (plain or .gz): put the file there, or {_fetch_again()}."
        )
    return path


def _fetch_again() -> str:
    """Return how to get the data anew; a named folder goes before what is fetched."""
    named = paths.data_folder_named_by_user() is not None
    return f"unset {paths.DATA_VARIABLE} and run {FETCH}" if named else f"run {FETCH}"


def read_verified(folder: Path, name: str) -> bytes:
    """Return the content of ``name`` in ``folder``, the very bytes that were hashed.

    Raises:
        RulbookError: as ``verify``.
    """
    path = _found(folder, name)
    content = _unpacked(path)
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise RulbookError(_what_is_wrong(path, name))
    return content


@lru_cache(maxsize=256)
def _sha256(path: Path, mtime_ns: int, size: int) -> str:  # noqa: ARG001 - the key notices changes
    return hashlib.sha256(_unpacked(path)).hexdigest()


def _unpacked(path: Path) -> bytes:
    """Return the bytes of ``path``, decompressed if it is a ``.gz``, up to a bound."""
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise _too_large(path)
        content = path.read_bytes()
    except OSError as fault:
        raise _unreadable(path, fault) from fault
    if path.suffix != ".gz":
        return content
    try:
        with gzip.GzipFile(fileobj=BytesIO(content)) as packed:
            unpacked = packed.read(LARGEST_FILE_BYTES + 1)
    except (EOFError, OSError, zlib.error) as fault:
        raise RulbookError(
            f"'{path}' is truncated or damaged and cannot be unpacked: copy it again, or "
            f"{_fetch_again()}."
        ) from fault
    if len(unpacked) > LARGEST_FILE_BYTES:
        raise _too_large(path)
    return unpacked


def _too_large(path: Path) -> RulbookError:
    return RulbookError(
        f"'{path}' holds more than {LARGEST_FILE_BYTES >> 20} MB, and no file of C-MAPSS does: put "
        f"the published file in its place, or {_fetch_again()}."
    )


def _what_is_wrong(path: Path, name: str) -> str:
    """Return the sentence on a file whose hash is wrong: its columns if they are, else its hash."""
    expected = 1 if name.startswith("RUL_") else len(COLUMNS)
    content = _unpacked(path)
    for number, line in enumerate(content.splitlines(), start=1):
        columns = len(line.split())
        if columns != expected:
            return (
                f"'{path}' has {columns} columns in line {number} where C-MAPSS has {expected}: "
                f"put the published file in its place, or {_fetch_again()}."
            )
    return (
        f"'{path}' is not the published file (its unpacked SHA-256 is "
        f"{hashlib.sha256(content).hexdigest()}, expected {SHA256[name]}): put the original in its "
        f"place, line endings and all, or {_fetch_again()}."
    )
