"""What pages that are no notebooks say that is computed.

The words are in ``book/``; a page names a value of these as ``{{ name }}``, a substitution of MyST.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from rulbook.checked import first_fault
from rulbook.claims.collect import ClaimRow, claims_table
from rulbook.claims.findings import verdict_counts
from rulbook.claims.ledger import Verdict, read_ledger
from rulbook.data import Recipe
from rulbook.display.markup import raw_html
from rulbook.errors import RulbookError
from rulbook.publishing import front_page, minutes, reading_paths, scale_page, status
from rulbook.publishing.chapters import chapters
from rulbook.publishing.layout import Layout
from rulbook.publishing.site_config import addresses
from rulbook.side_files import read_yaml
from rulbook.studies import SEEDS, STUDIES
from rulbook.studies.sweep import status as study_status
from rulbook.weighting.registry import WEIGHTING_METHODS


def substitutions(layout: Layout) -> dict[str, Any]:
    """Return the value of every substitution by name: a number, text in MyST, or some by name.

    Raises:
        RulbookError: an executed notebook cannot be read, or ``CITATION.cff``, ``_config.yml`` or
            the record of timings is not sound.
    """
    rows, known = claims_table(layout.executed), chapters(layout)
    return {
        "count": dict(_counts(rows)),
        "recipe": Recipe().model_dump(mode="json"),
        "seeds": ", ".join(map(str, SEEDS)),
        "data": status.data_in_words(layout),
        "verdicts_by_section": raw_html(front_page.verdicts_by_section(rows)._repr_html_()),
        "tug_of_war": raw_html(front_page.embedded(front_page.tug_of_war())),
        "reading_paths": {
            name: reading_paths.as_table(path, known)
            for name, path in reading_paths.READING_PATHS.items()
        },
        "minutes_an_exercise": reading_paths.MINUTES_AN_EXERCISE,
        "minutes": {chapter.name: minutes.in_words(chapter) for chapter in known},
        "status": raw_html(status.status_table(layout)),
        "versions": status.versions_in_words(layout),
        "citation": _citation(layout),
        "bibtex": _bibtex(layout),
        "repository": _repository(layout),
        "method_sources": _method_sources(),
        "studies": _studies(),
        "speed": scale_page.substitutions(layout),
    }


def _counts(rows: list[ClaimRow]) -> Iterator[tuple[str, int]]:
    yield "claims", len(rows)
    yield "open", sum(row["verdict"] is None for row in rows)
    for verdict in Verdict:
        yield verdict.value, sum(row["verdict"] == verdict for row in rows)
    for tier in ("exact", "statistical"):
        verdicts = [row["verdict"] for row in rows if row["tier"] == tier]
        yield f"{tier}_claims", len(verdicts)
        yield f"{tier}_reproduced", verdicts.count(Verdict.REPRODUCED)
        yield f"{tier}_open", verdicts.count(None)
    findings = verdict_counts(read_ledger().values())
    yield "findings", findings.total()
    yield "findings_reproduced", findings[Verdict.REPRODUCED]


class _Author(BaseModel):
    name: str


class _Cited(BaseModel):
    """What ``CITATION.cff`` says that pages show."""

    title: str
    version: str
    authors: Annotated[list[_Author], Field(min_length=1)]
    license: list[str]


def _cited(layout: Layout) -> _Cited | None:
    """Return what ``CITATION.cff`` holds, or ``None`` if there is none."""
    file = layout.root / "CITATION.cff"
    if not file.is_file():
        return None
    try:
        return _Cited.model_validate(read_yaml(file))
    except ValidationError as fault:
        raise RulbookError(
            f"'{file}' does not say how the book is cited ({first_fault(fault)}): give it 'title', "
            "'version' in quotes, 'authors' with a 'name' each, and a list 'license'."
        ) from fault


def _citation(layout: Layout) -> str:
    cited = _cited(layout)
    if cited is None:
        return ""
    authors = ", ".join(author.name for author in cited.authors)
    return f"{authors}. *{cited.title}*. Version {cited.version}."


def _bibtex(layout: Layout) -> str:
    """Return the entry for BibTeX, as a block of code; nothing if ``CITATION.cff`` is missing."""
    cited = _cited(layout)
    if cited is None:
        return ""
    url = addresses(layout).site_url or addresses(layout).repository_url
    fields = {
        "author": " and ".join(f"{{{author.name}}}" for author in cited.authors),
        "title": f"{{{cited.title}}}",
        "version": cited.version,
        "license": " and ".join(cited.license),
        "url": url,
    }
    lines = "\n".join(f"  {name} = {{{value}}}," for name, value in fields.items() if value)
    return f"```bibtex\n@software{{rulbook,\n{lines}\n}}\n```"


def _repository(layout: Layout) -> str:
    """Return where the project is and how it is installed, while it has a public address."""
    url = addresses(layout).repository_url
    if not url:
        return ""
    return f"The project is at [{url}]({url}); `pip install git+{url}` installs its package."


def _method_sources() -> str:
    """Return a table of the weighting methods that come from papers, each with its citation."""
    rows = "\n".join(
        f"| {method.title} | `{name}` | {{cite:t}}`{method.citation}` |"
        for name, method in WEIGHTING_METHODS.items()
        if method.citation
    )
    return f"| method | name in the package | paper |\n|---|---|---|\n{rows}"


def _studies() -> str:
    """Return a table of the studies: what each asks, and how many of its runs are recorded."""
    rows = []
    for study in STUDIES.values():
        runs = study_status(study.configs())
        rows.append(f"| `{study.name}` | {study.question} | {runs.done} of {runs.total} |")
    return "| study | question | runs recorded |\n|---|---|---|\n" + "\n".join(rows)
