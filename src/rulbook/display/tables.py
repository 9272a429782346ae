"""Tables as a reader meets them: captioned, one precision a column, wide ones scroll sideways."""

from collections.abc import Mapping
from html import escape

import pandas as pd
from IPython.display import HTML


def table(frame: pd.DataFrame, caption: str, formats: Mapping[str, str] | None = None) -> HTML:
    """Return a table for the page.

    Args:
        frame: one row a line; its index is not shown.
        caption: what the table holds; also its name for screen readers.
        formats: format specification by column, for instance ``{"θ": "+.3f"}``; other columns are
            shown as ``str`` shows them.

    """
    shown = frame.copy().astype(object)
    for column, specification in (formats or {}).items():
        shown[column] = [format(value, specification) for value in frame[column]]
    body = shown.to_html(index=False, border=0, classes="dataframe", justify="right")
    body = body.replace("<th>", '<th scope="col">').replace(
        "<thead>", f"<caption>{escape(caption)}</caption><thead>", 1
    )
    return HTML(  # type: ignore[no-untyped-call]
        '<div class="rulbook-table" style="overflow-x:auto" tabindex="0" role="region" '
        f'aria-label="{escape(caption, quote=True)}">{body}</div>'
    )
