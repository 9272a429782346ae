"""Find figures that were typed into the prose of chapters instead of being computed or quoted.

A figure with a decimal point, a percent or multiplication sign or a unit, per cent in words among
them, has three ways into a page: a ``{glue}`` role that shows what a cell computed, or a printed
figure of the ledger, which is free in the chapter that decides its claim and elsewhere after a
comment line that names it::

    % quotes: n24.1-table-050-fd002

Code, maths, roles, links and front matter are left alone, and so are section and version numbers.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from rulbook import paths
from rulbook.claims.ledger import Claim, read_ledger

_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_UNITS = (
    r"cycles?|parameters?|seconds?|minutes?|hours?|milliseconds?|ms|s|[KMG]i?B|nats?|bits?|degrees?"
    r"|per\s?cent(?:age)?"
)
_FIGURE = re.compile(
    rf"(?<![\w.])(?:\d[\d,]*\.\d+(?:e[-−+]?\d+)?|{_NUMBER}(?=\s?[%×]|\s?M?[\s-](?:{_UNITS})\b))"
)
_NUMBER_ANYWHERE = re.compile(rf"(?<![\w.]){_NUMBER}")
_NOT_A_FIGURE = re.compile(
    r"§+\s?[\d.]*\d|\b(?:[Ss]ections?|[Cc]hapters?|Python|PyTorch|[Vv]ersions?)\s\d+(?:\.\d+)*"
)
_CODE_DIRECTIVES = (
    *("bibliography", "code", "code-block", "code-cell", "glue", "glue:figure", "literalinclude"),
    *("math", "mermaid", "raw", "tableofcontents", "toctree"),
)
_NO_WORDS = re.compile(
    r"<!--.*?-->|<(code|pre|script|style)\b.*?</\1\s*>|</?[a-z][^>]*>", re.DOTALL | re.IGNORECASE
)
_OPTION = re.compile(r"^:([\w-]+):\s*(.*)$")
_QUOTES = re.compile(r"\s*quotes:\s*(.*)")


@dataclass(frozen=True)
class StrayNumber:
    """A typed figure that nothing stands behind, or a comment that names no claim."""

    page: str
    line: int
    """Line at which the paragraph, cell or caption begins."""
    complaint: str

    def __str__(self) -> str:
        """Return place and complaint in one sentence."""
        return f"{self.page}:{self.line}: {self.complaint}."


def typed_figures(
    text: str, page: str, ledger: Mapping[str, Claim] | None = None
) -> list[StrayNumber]:
    """Return the typed figures of a page that nothing stands behind.

    Args:
        text: the page as MyST text.
        page: its name without suffix; figures of the claims that it decides may be quoted.
        ledger: claims by id; by default those of this companion.

    """
    ledger = read_ledger() if ledger is None else ledger
    tokens = _parser().parse(text)
    named = dict(_quoted_ids(tokens))
    allowed = {
        number
        for claim in ledger.values()
        if claim.chapter == page or claim.id in named
        for number in _numbers(claim)
    }
    unknown = [
        StrayNumber(page, line, f"the comment names '{claim_id}', which is no claim of the ledger")
        for claim_id, line in named.items()
        if claim_id not in ledger
    ]
    return unknown + [
        StrayNumber(page, line, f"the figure in “{around}” is neither glued nor in the ledger")
        for line, prose in _prose(tokens)
        for figure, around in _figures(prose)
        if figure not in allowed
    ]


def lint_book(folder: Path) -> list[StrayNumber]:
    """Return the findings of every page directly in a folder."""
    return [
        finding
        for page in paths.files_in(folder, "*.md")
        for finding in typed_figures(page.read_text(encoding="utf-8"), page.stem)
    ]


def _numbers(claim: Claim) -> Iterable[str]:
    places = [claim.statement, str(claim.printed)]
    if claim.other:
        places += [claim.other.statement, str(claim.other.printed)]
    return _NUMBER_ANYWHERE.findall(" ".join(places))


def _parser() -> MarkdownIt:
    extensions = {"amsmath", "colon_fence", "deflist", "dollarmath", "substitution", "tasklist"}
    return create_md_parser(MdParserConfig(enable_extensions=extensions), RendererHTML)


def _figures(prose: str) -> Iterator[tuple[str, str]]:
    """Yield every figure of a run of prose with a few words around it."""
    text = _NOT_A_FIGURE.sub(lambda found: " " * len(found[0]), prose)
    for found in _FIGURE.finditer(text):
        yield found[0], prose[max(found.start() - 25, 0) : found.end() + 15].strip()


def _quoted_ids(tokens: list[Token]) -> Iterator[tuple[str, int]]:
    for token in tokens:
        comment = _QUOTES.fullmatch(token.content) if token.type == "myst_line_comment" else None
        if comment:
            line = token.map[0] + 1 if token.map else 0
            yield from ((name, line) for name in re.split(r"[,\s]+", comment[1].strip()))


def _prose(tokens: list[Token], first_line: int = 1) -> Iterator[tuple[int, str]]:
    """Yield line number and text of every run of prose, that inside directives included."""
    for token in tokens:
        line = first_line + (token.map[0] if token.map else 0)
        if token.type == "inline":
            yield line, _text(token.children or [])
        elif token.type == "html_block":
            yield line, _words(token.content)
        elif token.type in ("fence", "colon_fence"):
            yield from _prose_of_directive(token, line)


def _prose_of_directive(token: Token, line: int) -> Iterator[tuple[int, str]]:
    directive = re.match(r"\{([^}]+)\}\s*(.*)", token.info.strip())
    if directive and directive.groups() == ("raw", "html"):
        yield line, _words(token.content)
    if not directive or directive[1] in _CODE_DIRECTIVES:
        return
    options = [_OPTION.match(row) for row in token.content.splitlines()]
    shown = [found[2] for found in options if found and found[1] in ("alt", "caption")]
    titled = directive[1] not in ("figure", "image", "include")
    for words in (*shown, directive[2] if titled else ""):
        yield from _prose(_parser().parse(words), line)
    body = "\n".join(
        "" if found else row for row, found in zip(token.content.splitlines(), options, strict=True)
    )
    yield from _prose(_parser().parse(body), line + 1)


def _words(html: str) -> str:
    """Return the words of HTML as a reader sees them, with a space where code or a tag stands."""
    return unescape(_NO_WORDS.sub(" ", html))


def _text(children: list[Token]) -> str:
    """Return the plain text of a run, with a mark where code, maths, a role or a link stands."""
    parts, depth = [], 0
    for child in children:
        depth += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        if child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif child.type == "text" and not depth:
            parts.append(child.content)
        elif child.type in ("code_inline", "math_inline", "myst_role"):
            parts.append("\N{OBJECT REPLACEMENT CHARACTER}")
    return "".join(parts)
