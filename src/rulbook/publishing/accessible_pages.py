"""A Sphinx extension that corrects what theme and writer get wrong.

For assistive technology, names and roles; for readers without scripts, formulas; for everyone, a
line that begins with the comma after a formula, or with the percent sign after a glued figure.
"""

import re
from collections.abc import Mapping
from itertools import count
from typing import Any

from sphinx.application import Sphinx

from rulbook.publishing import mathml
from rulbook.publishing.site_config import AFTER_THE_THEME

_FORMULA = re.compile(
    r"([(\[]*)(<span class=\"math notranslate nohighlight\">[^<]*</span>)([)\].,:;!?]*)"
)
_PERCENT = re.compile(r'(<span class="pasted-text">[^<]*</span>) %')
_FOLD = re.compile(
    r'<summary aria-label="Toggle hidden content">\n'
    r'<p class="collapsed admonition-title">Show code cell (source|content|output|outputs)</p>\n'
    r'<p class="expanded admonition-title">Hide code cell \1</p>'
)
_FOLDED: Mapping[str, str] = {"source": "code", "content": "code and output"}
_FOLDED_PAGES = re.compile(r"(>([^<]+)</a><details[^>]*><summary)>")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("html-page-context", _correct, priority=AFTER_THE_THEME)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _correct(
    _app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Correct one page before it is written."""
    if "body" in context:
        # Docutils gives entries of bibliographies a role that is deprecated, and no list's item.
        body = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
        context["body"], style = mathml.without_scripts(named_folds(unbroken(body)))
        context["metatags"] += style
    contents_without_names = context["generate_toctree_html"]

    def contents(*args: Any, **kwargs: Any) -> str:
        """Name the button that unfolds the pages below a page after that page."""
        html = str(contents_without_names(*args, **kwargs))
        return _FOLDED_PAGES.sub(r'\1 aria-label="Pages below \2">', html)

    context["generate_toctree_html"] = contents


def unbroken(body: str) -> str:
    """Return HTML in which no line breaks between a formula and its comma, or before ``%``."""

    def kept_together(formula: re.Match[str]) -> str:
        before, maths, after = formula.groups()
        if not before + after:
            return maths
        return f'<span class="unbroken">{before}{maths}{after}</span>'

    return _PERCENT.sub("\\1\N{NO-BREAK SPACE}%", _FORMULA.sub(kept_together, body))


def named_folds(body: str) -> str:
    """Return HTML in which every folded cell has a name of its own, ``Show code 3``."""
    numbers = count(1)

    def named(fold: re.Match[str]) -> str:
        words = f"{_FOLDED.get(fold[1], 'output')} {next(numbers)}"
        return (
            f'<summary>\n<p class="collapsed admonition-title">Show {words}</p>\n'
            f'<p class="expanded admonition-title">Hide {words}</p>'
        )

    return _FOLD.sub(named, body)
