"""Tables as a reader meets them: captioned, one precision a column, wide ones scroll sideways."""

import re
from collections.abc import Collection, Mapping
from html import escape
from numbers import Real

import pandas as pd
from IPython.display import HTML

_ROOM = 18
"""How many characters a column of words has room for, at least, where the table is squeezed."""

_LETTER = re.compile(r"[^\W\d_]")
_MINUS = re.compile(r"(?<![\w.])-(?=\d)|(?<=\de)-")
_MINUS_ZERO = re.compile(r"^-(?=0*\.?0*$)")


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
    heads, columns = [], []
    for name, values in frame.items():
        texts = [_shown(value, (formats or {}).get(str(name), "")) for value in values]
        in_words = name in maths or any(
            _LETTER.search(text) and not isinstance(value, Real)
            for value, text in zip(values, texts, strict=True)
        )
        room = min(max(map(len, texts), default=0), _ROOM)
        kind = (
            f' class="words" style="min-width:{room / 2:g}em;text-align:left"' if in_words else ""
        )
        heads.append(f'<th scope="col"{kind}>{escape(str(name))}</th>')
        cells = map(_typeset if name in maths else str, map(escape, texts))
        columns.append([f"<td{kind}>{cell}</td>" for cell in cells])
    rows = "\n".join(f"<tr>{''.join(row)}</tr>" for row in zip(*columns, strict=True))
    return HTML(
        '<div class="rulbook-table" style="overflow-x:auto" tabindex="0" role="group" '
        f'aria-label="{escape(caption, quote=True)}"><table class="dataframe">\n'
        f"<caption>{escape(caption)}</caption>"
        f'<thead><tr style="text-align:right">{"".join(heads)}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _shown(value: object, specification: str) -> str:
    """Return a value as text, with no sign before a zero."""
    text = _MINUS_ZERO.sub("", format(value, specification) if specification else str(value))
    return _MINUS.sub("\N{MINUS SIGN}", text)


def _typeset(latex: str) -> str:
    """Return LaTeX as the built page and Jupyter both typeset it."""
    return f'<span class="math notranslate nohighlight">\\({latex}\\)</span>'
