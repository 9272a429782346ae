"""What pages that are no notebooks say that is computed.

The words are in ``book/``; a page names a value of these as ``{{ name }}``, a substitution of MyST.
"""

from collections.abc import Iterator
from typing import Any

import yaml

from rulbook.claims.collect import ClaimRow, claims_table
from rulbook.claims.ledger import Verdict
from rulbook.data import Recipe
from rulbook.display.markup import raw_html
from rulbook.publishing import front_page, status
from rulbook.publishing.chapters import chapters
from rulbook.publishing.layout import Layout
from rulbook.studies import SEEDS, STUDIES
from rulbook.studies.sweep import status as study_status
from rulbook.weighting.registry import METHODS


def substitutions(layout: Layout) -> dict[str, Any]:
    """Return the value of every substitution by name: a number, text in MyST, or some by name.

    Raises:
        RulbookError: An executed notebook cannot be read.
    """
    rows = claims_table(layout.executed)
    return {
        "count": dict(_counts(rows)),
        "recipe": Recipe().model_dump(mode="json"),
        "seeds": ", ".join(map(str, SEEDS)),
        "data": status.data_in_words(layout),
        "verdicts_by_section": raw_html(front_page.verdicts_by_section(rows)._repr_html_()),
        "tug_of_war": raw_html(front_page.embedded(front_page.tug_of_war())),
        "chapters": "\n".join(f"1. {{doc}}`{chapter.name}`" for chapter in chapters(layout)),
        "status": raw_html(status.status_table(layout)),
        "versions": status.versions_in_words(layout),
        "citation": _citation(layout),
        "method_sources": _method_sources(),
        "studies": _studies(),
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


def _citation(layout: Layout) -> str:
    file = layout.root / "CITATION.cff"
    if not file.is_file():
        return ""
    cited: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    authors = ", ".join(author["name"] for author in cited["authors"])
    return f"{authors}. *{cited['title']}*. Version {cited['version']}."


def _method_sources() -> str:
    """Return a table of the weighting methods that come from papers, each with its citation."""
    rows = "\n".join(
        f"| {method.title} | `{name}` | {{cite:t}}`{method.citation}` |"
        for name, method in METHODS.items()
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
