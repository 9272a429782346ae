"""Formulas for readers without scripts: MathML beside what MathJax typesets.

With scripts a page is as it was: what ``noscript`` holds is no part of it then. Without, browsers
draw MathML themselves, and the TeX is hidden.
"""

import re
from html import unescape

from latex2mathml.converter import convert

_STYLE = (
    "<noscript><style>"
    "span.math.notranslate { display: none }"
    "div.math.notranslate { font-size: 0; overflow-x: auto }"
    "div.math.notranslate > :is(.eqno, noscript) { font-size: 1rem }"
    "</style></noscript>"
)
"""Hides the TeX, but not the number of an equation."""

_UNKNOWN = re.compile(r"\\arg\b")
"""An operator that the converter takes for a name."""

_MATHS = 'class="math notranslate nohighlight"'
_INLINE = re.compile(rf"<span {_MATHS}>\\\((?P<tex>[^<]*)\\\)</span>")
_DISPLAYED = re.compile(
    rf"<div {_MATHS}[^>]*>\s*(?:<span class=\"eqno\">.*?</span>)?\s*"
    r"\\\[(?P<tex>[^<]*)\\\](?=</div>)",
    re.DOTALL,
)


def without_scripts(body: str) -> tuple[str, str]:
    """Return the body of a page with every formula in MathML too, and what that needs in its head.

    Both are as they were, and empty, for a page without formulas.
    """
    body, inline = _INLINE.subn(lambda found: found[0] + _noscript(found["tex"], "inline"), body)
    body, displayed = _DISPLAYED.subn(
        lambda found: found[0] + _noscript(found["tex"], "block"), body
    )
    return body, _STYLE if inline + displayed else ""


def _noscript(tex: str, display: str) -> str:
    known = _UNKNOWN.sub(r"\\operatorname{arg}", unescape(tex).strip())
    return f"<noscript>{convert(known, display=display)}</noscript>"
