"""Fold what not every reader needs behind a line that names it.

In a chapter::

    folded("Table: the six sizes tried; the kept one has the lowest error", readings.sizing(runs))
"""

from collections.abc import Iterable

from IPython.display import HTML, Markdown
from markupsafe import Markup

from rulbook.display.markup import html_of
from rulbook.display.plots import Drawing

Shown = HTML | Markdown | Drawing
"""What a cell shows: a table, words in place of one, or a figure."""


def folded(name: str, *contents: Shown) -> HTML:
    """Return tables and figures behind one line.

    A link to something inside opens the fold, and paper shows what is in it.

    Args:
        name: the line: what is folded, and what it shows. Unique on its page.
        contents: what is folded, in its order.

    """
    return HTML(html_of("fold", name=name, contents=_pieces(contents)))


def _pieces(contents: Iterable[Shown]) -> list[Markup]:
    """Return the HTML of each; words become a paragraph."""
    return [
        Markup("<p>{}</p>").format(one.data)
        if isinstance(one, Markdown)
        else Markup(one._repr_html_())
        for one in contents
    ]
