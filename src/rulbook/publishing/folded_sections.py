"""A Sphinx extension that closes sections: their heading stays, and opens what it stands above.

A section is closed whose text begins with the comment ``% fold``, on the line below its heading::

    ### Weight decay moves it, by next to nothing
    % fold

In the notebooks, which know no such comment, it is a section like any other.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_MARK = "fold"


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("doctree-resolved", _close)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _close(_app: Sphinx, page: nodes.document, _name: str) -> None:
    for mark in list(page.findall(nodes.comment)):
        section = mark.parent
        if mark.astext().strip() == _MARK and isinstance(section, nodes.section):
            section.remove(mark)
            title, *contents = section.children
            section.children = []
            section += [
                _html('<details class="rulbook-fold rulbook-section"><summary>'),
                title,
                _html("</summary>"),
                *contents,
                _html("</details>"),
            ]


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")
