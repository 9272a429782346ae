"""A content-security policy on every finished page: what it may load and run, and nothing else.

No page asks another host for anything. Scripts are the site's own files and the inline ones that
were there when the pages were built, known by their digests; what a ledger, a record or an output
might smuggle in later does not run. Pages with widgets also need ``eval`` and ``blob:``: the
validator of html-manager compiles its schemas, and anywidget imports modules from memory. Styles
may be inline, MathJax and Matplotlib write them so.
"""

import base64
import hashlib
import re
from importlib.resources import files
from pathlib import Path

from rulbook import paths
from rulbook.errors import RulbookError
from rulbook.publishing import web_assets

ACTIONS = "_static/page_actions.js"
"""Our script in place of the handlers that the theme writes into attributes."""

_KNOWN_HANDLER = re.compile(r'\sonclick="(window\.print\(\)|toggleFullScreen\(\))"')
_ANY_HANDLER = re.compile(r"<[a-z][^<>]*\s(on[a-z]+)\s*=\s*[\"']", re.IGNORECASE)
_SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_TYPE = re.compile(r"\btype=[\"']([^\"']*)[\"']")
_HEAD = re.compile(r"<head\b[^>]*>")
_RUNS = ("", "text/javascript", "application/javascript", "module")


def protect(html: Path) -> None:
    """Give every page in a folder its policy.

    Raises:
        RulbookError: a page has a handler in an attribute for which there is no script of ours.
    """
    for page in paths.files_in(html, "*.html"):
        page.write_text(protected(page.read_text(encoding="utf-8"), page.name), encoding="utf-8")
    actions = html / ACTIONS
    actions.parent.mkdir(exist_ok=True)
    actions.write_bytes(files("rulbook.publishing").joinpath("page_actions.js").read_bytes())


def protected(page: str, name: str) -> str:
    """Return a page with its policy first in its head, and no script in an attribute.

    Raises:
        RulbookError: a handler in an attribute has no script of ours; ``name`` is in the message.
    """
    page, handlers = _KNOWN_HANDLER.subn(r' data-action="\1"', page)
    left = _ANY_HANDLER.search(_SCRIPT.sub("", page))
    if left:
        raise RulbookError(
            f"The page {name} has a handler '{left[1]}' in an attribute, which its policy forbids: "
            "add what it does to page_actions.js."
        )
    tags = f'<meta http-equiv="Content-Security-Policy" content="{policy(page)}">'
    if handlers:
        tags += f'<script defer src="{ACTIONS}"></script>'
    return _HEAD.sub(lambda head: head[0] + tags, page, count=1)


def policy(page: str) -> str:
    """Return the policy of a page, from the inline scripts and the widgets that it has."""
    digests = dict.fromkeys(
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for attributes, script in _SCRIPT.findall(page)
        if "src=" not in attributes and _type(attributes) in _RUNS
    )
    scripts = ["'self'", *(f"'sha256-{digest}'" for digest in digests)]
    if web_assets.WIDGETS in page:
        scripts += ["'unsafe-eval'", "blob:"]
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src {' '.join(scripts)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )


def _type(attributes: str) -> str:
    found = _TYPE.search(attributes)
    return found[1].lower() if found else ""
