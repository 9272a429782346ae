"""The print edition: the finished page of every chapter as a PDF, printed by a browser.

The pages' own styles leave out what is folded, solutions with it, and show explorers at rest.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rulbook import paths
from rulbook.errors import RulbookError
from rulbook.publishing.chapters import Chapter
from rulbook.publishing.doctor import BROWSER_VARIABLE, find_browser
from rulbook.publishing.layout import Layout

_SECONDS = 300
_MILLISECONDS_OF_THE_PAGE = 60_000
"""How long formulas and explorers may take, in the time of the page, which runs ahead of ours."""


def print_chapters(layout: Layout, chapters: Sequence[Chapter]) -> Iterator[Path]:
    """Print the page of each chapter, and yield its PDF when it is written.

    Raises:
        RulbookError: there is no browser, a page was not built, or the browser printed nothing.
    """
    browser = find_browser()
    if browser is None:
        raise RulbookError(
            "There is no browser to print with: install chromium, or let "
            f"{BROWSER_VARIABLE} name one."
        )
    for chapter in chapters:
        page = layout.html / f"{chapter.name}.html"
        if not page.is_file():
            raise RulbookError(f"The page of {chapter.name} was not built: run `rulbook build`.")
    layout.printed.mkdir(parents=True, exist_ok=True)
    for chapter in chapters:
        pdf = layout.printed / f"{chapter.name}.pdf"
        _print(browser, (layout.html / f"{chapter.name}.html").as_uri(), pdf)
        yield pdf


def _print(browser: Path, address: str, pdf: Path) -> None:
    """Print a page, in a profile of its own."""
    with tempfile.TemporaryDirectory(
        prefix="rulbook-print-", ignore_cleanup_errors=True
    ) as profile:
        partial = Path(profile) / pdf.name
        command = [
            str(browser),
            "--headless",
            f"--user-data-dir={profile}",
            "--no-pdf-header-footer",
            f"--virtual-time-budget={_MILLISECONDS_OF_THE_PAGE}",
            f"--print-to-pdf={partial}",
            address,
        ]
        if getattr(os, "geteuid", lambda: 1)() == 0:
            command.insert(1, "--no-sandbox")  # Chromium's own does not start for root
        try:
            subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
            content = partial.read_bytes()
        except (subprocess.SubprocessError, OSError) as fault:
            raise RulbookError(
                f"'{browser}' did not print {address}: open that page in a browser and print it "
                "there."
            ) from fault
        paths.write_atomically(pdf, content)
