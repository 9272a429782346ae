"""What the texts of chapters refer to, for readers without the pages: numbers, titles, papers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pybtex.database import Entry, parse_string
from pybtex.exceptions import PybtexError

from rulbook import paths
from rulbook.errors import RulbookError, one_line
from rulbook.publishing import recorded_values
from rulbook.publishing.chapters import Chapter, chapters
from rulbook.publishing.layout import Layout
from rulbook.publishing.site_config import addresses
from rulbook.side_files import read_text

_EXERCISE = re.compile(r"^:{3,}\{exercise\}.*\n:label: (\S+)$", re.MULTILINE)
_EQUATION = re.compile(r"^\$\$ \(([\w-]+)\)$", re.MULTILINE)
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class References:
    """What roles of MyST and links stand for.

    Attributes:
        numbers: ``4.2`` by the label of an exercise or equation, as on the pages.
        pages: title and address by the name of a page; an address is empty where nobody can go.
        papers: authors with year, and address, by key of the bibliography.
        values: what texts quote, see ``recorded_values``.
    """

    numbers: Mapping[str, str]
    pages: Mapping[str, tuple[str, str]]
    papers: Mapping[str, tuple[str, str]]
    values: recorded_values.Values

    @classmethod
    def of(cls, layout: Layout) -> "References":
        """Return what the texts of a checkout refer to.

        Raises:
            RulbookError: the bibliography, the recorded values or ``_config.yml`` are not sound.
        """
        known = chapters(layout)
        return cls(
            numbers={
                label: number for chapter in known for label, number in _numbers(chapter).items()
            },
            pages=_pages(layout, {chapter.name for chapter in known}),
            papers=_papers(layout),
            values=recorded_values.read(layout),
        )


def _numbers(chapter: Chapter) -> dict[str, str]:
    text = chapter.text.read_text(encoding="utf-8-sig", errors="replace")
    return {
        label: f"{int(chapter.number)}.{position}"
        for kind in (_EXERCISE, _EQUATION)
        for position, label in enumerate(kind.findall(text), start=1)
    }


def _pages(layout: Layout, chapter_names: set[str]) -> dict[str, tuple[str, str]]:
    site = addresses(layout).site_url
    pages = {}
    for path in paths.files_in(layout.book, "*.md"):
        title = _TITLE.search(path.read_text(encoding="utf-8", errors="replace"))
        if path.stem in chapter_names:
            address = f"{path.stem}.ipynb"
        else:
            address = f"{site.rstrip('/')}/{path.stem}.html" if site else ""
        pages[path.stem] = (title[1] if title else path.stem, address)
    return pages


def _papers(layout: Layout) -> dict[str, tuple[str, str]]:
    file = layout.book / "references.bib"
    if not file.is_file():
        return {}
    try:
        entries = parse_string(read_text(file), bib_format="bibtex").entries
    except PybtexError as fault:
        raise RulbookError(
            f"'{file}' cannot be read as BibTeX ({one_line(fault)}): correct that entry."
        ) from fault
    return {key: (_authors(entry), _address(entry)) for key, entry in entries.items()}


def _authors(entry: Entry) -> str:
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [" ".join(person.prelast_names + person.last_names) for person in people]
    plain = [name.replace("{", "").replace("}", "") for name in names]
    words = {0: "", 1: "{}", 2: "{} and {}"}.get(len(plain), "{} et al.").format(*plain)
    return f"{words}, {entry.fields.get('year', '')}".strip(", ")


def _address(entry: Entry) -> str:
    if "doi" in entry.fields:
        return f"https://doi.org/{entry.fields['doi']}"
    if "eprint" in entry.fields:
        return f"https://arxiv.org/abs/{entry.fields['eprint']}"
    return str(entry.fields.get("url", ""))
