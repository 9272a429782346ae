"""Markup of a ledger, a record or a parameter is text on every page that shows it."""

from collections.abc import Callable
from html.parser import HTMLParser
from unittest.mock import patch

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from rulbook.claims import Claim
from rulbook.claims.collect import Decided
from rulbook.claims.decision import Decision
from rulbook.display import badges
from rulbook.display.explorers import Slider, Toggle, explorer
from rulbook.display.markup import html_of, raw_html
from rulbook.display.plots import Drawing, panels
from rulbook.display.report import report_text
from rulbook.display.tables import table

from ..ledger_rows import make_row

CHAPTER = "06-equal-weights"
PIECES = [
    *(
        "<",
        ">",
        "</",
        "/>",
        '"',
        "'",
        "&",
        "&lt;",
        "=",
        "`",
        "```",
        "{{ 7 * 7 }}",
        "{% raw %}",
        "$",
    ),
    *("script", "details", "td", "tr", "table", "img src=x onerror=alert(1)", "<!--", "-->", "]]>"),
    *("a", " ", "\n", "\n\n", "é", "λ", "</script>", "</style>", "{raw} html"),
]
hostile = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), min_size=1, max_size=12).map(
    lambda pieces: f"x{''.join(pieces)}x"
)


class _Skeleton(HTMLParser):
    """Collects the tags of some HTML with the names of their attributes, and what it says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.said: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))
        self.said += [value or "" for _, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(("/", tag))

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", data))

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def says_only(build: Callable[[str], str], words: str) -> None:
    """Hold that ``words`` changes no tag of what ``build`` returns, and is there as it is."""
    plain, built = _Skeleton(build("plain")), _Skeleton(build(words))
    assert built.tags == plain.tags
    assert any(words in said for said in built.said)


def row_with(words: str) -> tuple[Claim, Decision]:
    """Return a claim with these words in every field of text, and a decision on it."""
    every = ("where", "statement", "printed", "unit", "reason", "conditions")
    row = make_row(id="n24.1-hostile", expected="inconsistent", chapter=CHAPTER)
    other = {"where": words, "statement": words, "printed": words}
    claim = Claim.model_validate(row | dict.fromkeys(every, words) | {"other": other})
    return claim, Decision(claim.id, "inconsistent", measured=words, shown=words, note=words)


def shown(cell: Callable[[], None], claim: Claim) -> str:
    """Return the HTML of what a cell publishes about the one claim of the ledger."""
    with (
        patch.object(badges, "find", lambda _: claim),
        patch.object(badges, "claims_in", lambda _: [claim]),
        patch.object(badges, "glue"),
        patch.object(badges, "publish") as publish,
    ):
        cell()
    return str(publish.call_args.args[0]["text/html"])


def badge(words: str) -> str:
    claim, _ = row_with(words)
    return shown(lambda: badges.check(claim.id, f"not {words}", note=words), claim)


def checked_claims(words: str) -> str:
    claim, _ = row_with(words)
    return shown(lambda: badges.check_all({claim.id: f"not {words}"}), claim)


def claims_of(words: str) -> str:
    claim, _ = row_with(words)
    return shown(lambda: badges.claims_of(words), claim)


def frame_table(words: str) -> str:
    return str(table(pd.DataFrame({words: [words], "maths": [words]}), words, maths=["maths"]).data)


def drawing(words: str) -> str:
    return Drawing("<svg></svg>", words, words)._repr_html_()


def no_runs(words: str) -> str:
    return html_of("no_runs", subset=words, study=words, sentence=words)


def status(words: str) -> str:
    return html_of("status", heads=[words], marks=[(words, words)], rows=[(words, [words])])


@pytest.mark.parametrize(
    "build", [badge, checked_claims, claims_of, frame_table, drawing, no_runs, status]
)
@given(words=hostile)
def test_text_never_becomes_markup(build: Callable[[str], str], words: str) -> None:
    says_only(build, words)


@given(words=hostile)
def test_text_never_becomes_markup_of_the_report(words: str) -> None:
    def raw_parts(given_words: str) -> str:
        claim, decision = row_with(given_words)
        text = report_text([claim], [Decided(CHAPTER, decision)], given_words)
        tokens = create_md_parser(MdParserConfig(), RendererHTML).parse(text)
        assert not any(token.type.startswith("html") for token in tokens)
        fences = [token for token in tokens if token.type == "fence"]
        assert [token.info for token in fences] == ["{raw} html"] * 3
        return "".join(token.content for token in fences)

    # Markdown has one kind of line end and no NUL.
    says_only(raw_parts, words.replace("\r", "\n").replace("\0", ""))


def test_text_never_becomes_markup_of_an_explorer() -> None:
    words = "</p><script>alert(1)</script>\"'&"

    def static(said: str) -> str:
        controls = [Slider(said, said, (said, "b")), Toggle("kind", said, (said, "b"))]
        shown = explorer(
            lambda **_: (panels(steady=True)[0], said), controls, name="x", caption=said
        )
        return shown.default_frame

    says_only(static, words)


def test_a_value_that_a_template_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="caption"):
        html_of("drawing", svg="")


@given(st.text(alphabet="`a\n{} ~:<>"))
def test_nothing_ends_the_fence_of_raw_html(html: str) -> None:
    [token] = create_md_parser(MdParserConfig(), RendererHTML).parse(raw_html(html))
    assert (token.type, token.info, token.content) == ("fence", "{raw} html", html + "\n")
