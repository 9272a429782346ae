"""Turn the executed chapters and the other pages into HTML, unless nothing changed."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import TypeAdapter
from rich.console import Console

from rulbook import paths
from rulbook.errors import RulbookError
from rulbook.publishing import content_security, web_assets
from rulbook.publishing.chapters import chapters
from rulbook.publishing.layout import Layout
from rulbook.publishing.lock import building
from rulbook.publishing.stamps import file_digest, folder_digest, installed_versions, records_digest

_COLOURS_OF_A_TERMINAL = re.compile(r"\x1b\[[0-9;]*m")
_LAST_LINES = 3


def build_site(layout: Layout) -> bool:
    """Build the pages from the executed chapters, unless they are up to date.

    The finished pages are moved aside for the new ones, and only for pages built without a warning.
    Another build of the same checkout is waited for.

    Returns:
        Whether they had to be built.

    Raises:
        RulbookError: a chapter was not executed, the table of contents and the pages differ,
            npm is not reachable, or Jupyter Book reports an error or a warning.
    """
    console = Console(stderr=True)
    with building(layout, console):
        return _build_site(layout, console)


def _build_site(layout: Layout, console: Console) -> bool:
    stamp = layout.build / "html.stamp"
    assets = layout.build / "web-assets"
    made_of = _made_of(layout, assets)
    if (
        web_assets.is_provided(assets)
        and layout.index.is_file()
        and _is_whole(layout.html)
        and stamp.is_file()
        and stamp.read_text(encoding="utf-8") == made_of
    ):
        return False
    from rulbook.publishing.staging import stage

    with console.status("Staging the pages"):
        web_assets.provide(assets)
        made_of = _made_of(layout, assets)
        stage(layout, assets)
    stamp.unlink(missing_ok=True)
    with console.status("Building the pages"), _emptied(layout.unfinished_html) as out:
        _run_jupyter_book(layout, out)
        made = out / "_build" / "html"
        content_security.protect(made)
        for moved in replace_folder(made, layout.html):
            console.print(f"Not made by the build, and kept as '{moved}'.", markup=False)
    _write_faults(layout)
    paths.write_atomically(stamp, made_of)
    return True


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    """Give an empty folder, and remove it with what is left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def claim_faults(layout: Layout) -> list[str]:
    """Return where ledger and executed chapters disagree, as of the pages that stand.

    They are looked for when the pages are built, and kept beside them: looking takes seconds.
    """
    kept = TypeAdapter(list[str])
    try:
        return kept.validate_json(layout.faults.read_bytes())
    except (OSError, ValueError):  # not looked for yet, or emptied
        _write_faults(layout)
        return kept.validate_json(layout.faults.read_bytes())


def _write_faults(layout: Layout) -> None:
    from rulbook.claims.collect import faults_of  # takes long to import

    found = json.dumps(faults_of(layout.executed), indent=1)
    paths.write_atomically(layout.faults, found)


def _made_of(layout: Layout, assets: Path) -> str:
    """Return the digests of everything that the pages are made of, as text."""
    of_chapters = (chapter.executed for chapter in chapters(layout) if chapter.executed.is_file())
    at_the_root = (layout.root / name for name in ("_toc.yml", "_config.yml", "CITATION.cff"))
    files = (*of_chapters, *(file for file in at_the_root if file.is_file()))
    pins = web_assets.stamp_of(assets)
    return json.dumps(
        {
            "files": {file.name: file_digest(file) for file in files},
            "book": folder_digest(layout.book),
            "records": records_digest(),
            # Its docstrings are pages too.
            "package": folder_digest(Path(paths.__file__).parent),
            "assets": pins.read_text(encoding="utf-8") if pins.is_file() else "",
            "libraries": installed_versions(),
        },
        indent=1,
    )


def _listing(pages: Path) -> Path:
    """Return the file that lists what was made of a folder."""
    return pages.with_name(f"{pages.name}.files")


def _is_whole(pages: Path) -> bool:
    """Return whether all files that were made of a folder are there."""
    listing = _listing(pages)
    if not listing.is_file():
        return False
    names = listing.read_text(encoding="utf-8").splitlines()
    return all((pages / name).is_file() for name in names)


def replace_folder(made: Path, place: Path) -> list[Path]:
    """Put the folder ``made`` in the place of the one made before, and lose no other file.

    What was made is listed beside the folder. A file that is not in that list is a reader's: it is
    moved to a folder of its own, whose name ends in ``.kept``. Where ``place`` is a link, as to
    what a server shows, it stays one; what is behind it before there is a list is a reader's too.

    Returns:
        Where the files that were not made here have been moved to.
    """
    listing = _listing(place)
    kept = []
    if place.is_dir() and (listing.is_file() or place.is_symlink()):
        listed = listing.read_text(encoding="utf-8") if listing.is_file() else ""
        known = set(listed.splitlines())
        for file in _every_file(place):
            name = file.relative_to(place)
            if name.as_posix() not in known:
                safe = _unused(place.with_name(f"{place.name}.kept") / name)
                safe.parent.mkdir(parents=True, exist_ok=True)
                kept.append(Path(shutil.move(file, safe)))
    names = (file.relative_to(made).as_posix() for file in _every_file(made))
    paths.write_atomically(listing, "\n".join(sorted(names)) + "\n")
    pages = place.resolve()
    pages.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(
        prefix=f"{pages.name}.old-", dir=pages.parent, ignore_cleanup_errors=True
    ) as old:
        if pages.exists():
            pages.rename(Path(old) / pages.name)
        shutil.move(made, pages)
    return kept


def _every_file(folder: Path) -> list[Path]:
    """Return every file below ``folder``, hidden ones and those of editors too."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _unused(path: Path) -> Path:
    """Return ``path``, or with a number before its suffix if there is such a file already."""
    candidates = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    return path if not path.exists() else next(one for one in candidates if not one.exists())


def _run_jupyter_book(layout: Layout, out: Path) -> None:
    """Run a strict build into ``out``; keep what Jupyter Book said in a log."""
    log = layout.build / "pages.log"
    program = "import rulbook.publishing; from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", program, "build", str(layout.staged)]
    options = ["--path-output", str(out), "-n", "-W", "--keep-going"]
    result = subprocess.run(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    said = _COLOURS_OF_A_TERMINAL.sub("", result.stdout)
    paths.write_atomically(log, said)
    if result.returncode:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        complaints = [line for line in lines if "WARNING" in line or "ERROR" in line]
        if not complaints:
            raise RulbookError(
                f"Jupyter Book ended with {result.returncode} and no warning; its last words: "
                f"{' / '.join(lines[-_LAST_LINES:]) or 'none'}; all of them are in '{log}'."
            )
        raise RulbookError(
            f"Jupyter Book reported {len(complaints)} warnings or errors, the first: "
            f"{complaints[0]}; all of them are in '{log}'."
        )
