"""A Sphinx extension: the page of the search also finds claims, by the figures that are printed."""

from typing import Any

from sphinx.application import Sphinx

SCRIPT = "claims-search.js"
"""Name of the script, at the root of the site; it holds what it searches."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("html-page-context", _add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _add_script(
    app: Sphinx, page: str, _template: str, _context: dict[str, Any], _doctree: object
) -> None:
    """Load the script on the page of the search, and on no other."""
    if page == "search":
        app.add_js_file(f"../{SCRIPT}")
