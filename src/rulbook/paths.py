"""Where the ledger, the records and the data are, in a checkout and in an installed wheel."""

import os
from pathlib import Path

import pooch

DATA_VARIABLE = "RULBOOK_DATA"
"""Name of the environment variable that names the folder with the twelve C-MAPSS files."""

_PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """Return the root of the checkout that this package runs from, or ``None`` for a wheel."""
    root = _PACKAGE.parents[1]
    return root if (root / "book" / "claims.yml").is_file() else None


def _carried(*parts: str) -> Path:
    """Return a file of the checkout, or the copy of it that the wheel carries."""
    root = checkout()
    return root.joinpath(*parts) if root else _PACKAGE / "_package_data" / Path(*parts[-1:])


def ledger() -> Path:
    """Return the path of the claims ledger."""
    return _carried("book", "claims.yml")


def results() -> Path:
    """Return the folder of the committed records of the long experiments."""
    return _carried("results")


def figures() -> Path:
    """Return the folder that figures are saved to: of the checkout, else of the working folder."""
    return (checkout() or Path.cwd()) / "figures"


def cache() -> Path:
    """Return the user's cache folder, where fetched data is kept."""
    return Path(pooch.os_cache("rulbook"))


def data_folder_named_by_user() -> Path | None:
    """Return the folder that ``RULBOOK_DATA`` names, whether it exists or not."""
    named = os.environ.get(DATA_VARIABLE)
    return Path(named).expanduser() if named else None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path`` so that a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
