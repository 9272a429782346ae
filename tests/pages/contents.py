"""Which pages the book has."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_IN_THE_CONTENTS = ("404", "genindex", "py-modindex", "search")
EXPLORER = re.compile(
    r"^ *(?:\w+ = )?(?:explorer\($|figures\.\w+_explorer\()|^\{\{ tug_of_war \}\}$", re.MULTILINE
)
"""What brings an explorer to a page, in a cell or in text."""


def explorers_called(name: str) -> int:
    """Return how many explorers the text of a page asks for; written pages have none."""
    text = ROOT / "book" / f"{name}.md"
    return len(EXPLORER.findall(text.read_text(encoding="utf-8"))) if text.is_file() else 0


_CONTENTS = (ROOT / "_toc.yml").read_text(encoding="utf-8")
NAMES = [*re.findall(r"(?:root|file): (\S+)", _CONTENTS), *NOT_IN_THE_CONTENTS]
CHAPTERS = [name for name in NAMES if re.match(r"\d\d-", name)]
WITH_EXPLORERS = [name for name in NAMES if explorers_called(name)]


def page_of(nodeid: str) -> str:
    """Return the page that a test looks at, or nothing; tests of pages name theirs in brackets."""
    file, _, test = nodeid.partition("::")
    values = test.partition("[")[2] if file.startswith("tests/pages/") else ""
    return max((name for name in NAMES if name in values), key=len, default="")


def turn(nodeid: str) -> tuple[bool, int, str]:
    """Return when a test's turn is: pages come last, and first of them those that take longest."""
    if not nodeid.startswith("tests/pages/"):
        return False, 0, ""
    page = page_of(nodeid)
    return True, -2 * explorers_called(page) - (page in CHAPTERS) if page else 1, page
