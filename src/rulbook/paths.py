"""Where the ledger, the records and the data are, in a checkout and in an installed wheel."""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import platformdirs

from rulbook import reads
from rulbook.errors import UsageError

DATA_VARIABLE = "RULBOOK_DATA"
"""Name of the environment variable that names the folder with the twelve C-MAPSS files."""

RESULTS_VARIABLE = "RULBOOK_RESULTS"
"""Name of the environment variable that names the folder for records of one's own."""

_PACKAGE = Path(__file__).resolve().parent
_LEFT_BY_SYSTEMS = ("desktop.ini", "Thumbs.db", "__MACOSX", "__pycache__")


def checkout() -> Path | None:
    """Return the root of the checkout that this package runs from, or ``None`` for a wheel."""
    root = _PACKAGE.parents[1]
    return root if (root / "book" / "claims.yml").is_file() else None


def _carried(*parts: str) -> Path:
    """Return a file of the checkout, or the copy of it that the wheel carries."""
    root = checkout()
    return root.joinpath(*parts) if root else _PACKAGE / "_package_data" / Path(*parts[-1:])


def ledger() -> Path:
    """Return the path of the claims ledger.

    Raises:
        UsageError: the working folder lies in another checkout, whose ledger may be another.

    """
    refuse_other_checkout()
    return _carried("book", "claims.yml")


def results() -> Path:
    """Return the folder of the committed records of the long experiments; asking is noted.

    Raises:
        UsageError: the working folder lies in another checkout, which has records of its own.

    """
    refuse_other_checkout()
    reads.note("records")
    return _carried("results")


def own_results() -> Path:
    """Return the folder that new records go to.

    ``RULBOOK_RESULTS`` names it; else it is the committed one in a checkout, and a folder of the
    user's for an installed package.

    Raises:
        UsageError: no folder is named, and the working folder lies in another checkout.

    """
    if named := os.environ.get(RESULTS_VARIABLE):
        return expanded(named)
    return results() if checkout() else platformdirs.user_data_path("rulbook") / "results"


def refuse_results_of_the_book() -> None:
    """Raise ``UsageError`` where records of a study of one's own would go among ours."""
    if own_results().resolve() == results().resolve():
        raise UsageError(
            "The results/ of a checkout are this companion's: name a folder for your own with "
            f"--results FOLDER or {RESULTS_VARIABLE}."
        )


def figures() -> Path:
    """Return the folder that figures are saved to.

    It is that of the checkout for whoever works inside it, its notebooks included, and else one of
    the working folder: a notebook that was taken elsewhere writes nothing into the checkout.
    """
    root, here = checkout(), Path.cwd()
    return (root if root and here.is_relative_to(root) else here) / "figures"


def cache() -> Path:
    """Return the user's cache folder, where fetched data is kept."""
    import pooch  # takes long to import, and most commands need no cache

    return Path(pooch.os_cache("rulbook"))


def data_folder_named_by_user() -> Path | None:
    """Return the folder that ``RULBOOK_DATA`` names, whether it exists or not."""
    named = os.environ.get(DATA_VARIABLE)
    return expanded(named) if named else None


def make_relative_paths_absolute() -> None:
    """Let ``RULBOOK_DATA`` and ``RULBOOK_RESULTS`` name the same folder from every working folder.

    Chapters run in the root of the checkout, whatever folder a command was given in.
    """
    for variable in (DATA_VARIABLE, RESULTS_VARIABLE):
        if named := os.environ.get(variable):
            os.environ[variable] = str(expanded(named).absolute())


def expanded(named: str | Path) -> Path:
    """Return a folder as a shell would read its name, ``~`` and ``~user`` for their homes.

    Raises:
        UsageError: there is no such user.

    """
    try:
        return Path(named).expanduser()
    except RuntimeError:
        raise UsageError(f"'{named}' names the home of a user that there is not.") from None


def refuse_other_checkout() -> None:
    """Raise ``UsageError`` where the working folder lies in a checkout that is not this package's.

    Its chapters would be decided by this checkout's ledger and records.
    """
    if other := _other_checkout():
        raise UsageError(
            f"This folder is in the checkout '{other}', but this `rulbook` works on "
            f"'{checkout()}': use that checkout's own (`make doctor` there installs it), or "
            "change into the other folder."
        )


def _other_checkout() -> Path | None:
    """Return the checkout in which the working folder lies, if it is not this package's."""
    own = checkout()
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the working folder was deleted
        return None
    for folder in (here, *here.parents):
        if (folder / "book" / "claims.yml").is_file() and (folder / "src" / "rulbook").is_dir():
            return folder if own is not None and folder.resolve() != own else None
    return None


def is_in_the_way(name: str) -> bool:
    """Whether a file or folder of this name is an editor's or the system's, and no one's work.

    Locks and backups (``.#a.md``, ``#a.md#``, ``a.md~``), what macOS and Windows leave behind, and
    everything hidden.
    """
    return name.startswith((".", "#")) or name.endswith("~") or name in _LEFT_BY_SYSTEMS


def files_in(folder: Path, pattern: str) -> list[Path]:
    """Return the files directly in ``folder`` that match, sorted, without those in the way."""
    found = (path for path in folder.glob(pattern) if not is_in_the_way(path.name))
    return sorted(path for path in found if path.is_file())


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file below ``folder`` in the order of names, without what is in the way."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(map(is_in_the_way, parts)):
            yield path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path`` so that a reader sees the old file or the whole new one.

    A link keeps its place, and what it names is written. A device or a pipe gets the content as it
    is: it cannot be replaced by a file and still be one.

    Raises:
        OSError: it cannot be written; the error names ``path``.

    """
    encoded = content.encode() if isinstance(content, str) else content
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        path.write_bytes(encoded)
        return
    if path.is_symlink():
        path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        partial.write_bytes(encoded)
        partial.replace(path)
    except OSError as error:
        # Nobody knows the partial file's name.
        raise type(error)(error.errno, error.strerror, str(path)) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
