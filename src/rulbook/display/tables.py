"""Tables as a reader meets them: captioned, one precision a column, wide ones scroll sideways."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from numbers import Real

import pandas as pd
from IPython.display import HTML

from rulbook.display.markup import html_of

_ROOM = 18
"""How many characters a column of words has room for, at least, where the table is squeezed."""

_LETTER = re.compile(r"[^\W\d_]")
_MINUS = re.compile(r"(?<![\w.])-(?=\d)|(?<=\de)-")
_MINUS_ZERO = re.compile(r"^-(?=0+(\.0*)?(e[-+]\d+)?%?$)")


def table(
    frame: pd.DataFrame,
    caption: str,
    formats: Mapping[str, str] | None = None,
    maths: Collection[str] = (),
) -> HTML:
    """Return a table for the page.

    Columns of figures stand to the right, columns with words in them to the left. A hyphen before a
    figure becomes a minus sign, at which no line breaks.

    Args:
        frame: one row a line; its index is not shown.
        caption: what the table holds; also its name for screen readers.
        formats: format specification by column, for instance ``{"θ": "+.3f"}``; other columns are
            shown as ``str`` shows them.
        maths: columns that hold LaTeX without dollar signs, to be typeset.

    """
    columns, texts = [], []
    for name, values in frame.items():
        shown = [_shown(value, (formats or {}).get(str(name), "")) for value in values]
        has_words = any(
            _LETTER.search(text) and not isinstance(value, Real)
            for value, text in zip(values, shown, strict=True)
        )
        columns.append(
            _Column(
                name=str(name),
                is_maths=name in maths,
                in_words=name in maths or has_words,
                width=f"{min(max(map(len, shown), default=0), _ROOM) / 2:g}",
            )
        )
        texts.append(shown)
    rows = [list(zip(columns, row, strict=True)) for row in zip(*texts, strict=True)]
    return HTML(html_of("table", caption=caption, columns=columns, rows=rows))


@dataclass(frozen=True)
class _Column:
    name: str
    is_maths: bool
    """Whether its cells are LaTeX, which the built page and Jupyter both typeset."""
    in_words: bool
    width: str
    """Width in em below which it is not squeezed."""


def _shown(value: object, specification: str) -> str:
    """Return a value as text, with no sign before a zero."""
    text = _MINUS_ZERO.sub("", format(value, specification) if specification else str(value))
    return _MINUS.sub("\N{MINUS SIGN}", text)
