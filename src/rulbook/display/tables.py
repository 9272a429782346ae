"""Tables as a reader meets them: captioned, one precision a column, wide ones scroll sideways."""

from collections.abc import Collection, Mapping
from html import escape

import pandas as pd
from IPython.display import HTML


def table(
    frame: pd.DataFrame,
    caption: str,
    formats: Mapping[str, str] | None = None,
    maths: Collection[str] = (),
) -> HTML:
    """Return a table for the page.

    Args:
        frame: one row a line; its index is not shown.
        caption: what the table holds; also its name for screen readers.
        formats: format specification by column, for instance ``{"θ": "+.3f"}``; other columns are
            shown as ``str`` shows them.
        maths: columns that hold LaTeX without dollar signs, to be typeset.

    """
    shown = frame.copy().astype(object)
    for column, specification in (formats or {}).items():
        shown[column] = [format(value, specification) for value in frame[column]]
    for name in shown:
        texts = [escape(str(value)) for value in shown[name]]
        shown[name] = [_typeset(text) for text in texts] if name in maths else texts
    shown.columns = [escape(str(name)) for name in shown.columns]
    with pd.option_context("display.max_colwidth", None):
        body = shown.to_html(
            index=False, border=0, classes="dataframe", justify="right", escape=False
        )
    body = body.replace("<th>", '<th scope="col">').replace(
        "<thead>", f"<caption>{escape(caption)}</caption><thead>", 1
    )
    return HTML(  # type: ignore[no-untyped-call]
        '<div class="rulbook-table" style="overflow-x:auto" tabindex="0" role="region" '
        f'aria-label="{escape(caption, quote=True)}">{body}</div>'
    )


def _typeset(latex: str) -> str:
    """Return LaTeX as the built page and Jupyter both typeset it."""
    return f'<span class="math notranslate nohighlight">\\({latex}\\)</span>'
