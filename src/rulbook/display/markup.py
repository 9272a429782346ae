"""HTML of the package: every piece comes from a template that escapes what it is given.

The templates lie in the folder ``templates``. A value that is markup on purpose, a drawing or a
style sheet of ours, is passed as ``markupsafe.Markup``; everything else becomes text.
"""

import re
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def html_of(template: str, **values: object) -> str:
    """Return the HTML that a template makes of these values.

    Args:
        template: name of a file in the folder ``templates``, without its suffix.
        values: by the name that the template gives them.

    """
    return _environment().get_template(f"{template}.html").render(values).strip()


@cache
def _environment() -> Environment:
    """Return the one environment: whatever is not there is an error, whatever is, is escaped."""
    return Environment(
        loader=PackageLoader("rulbook.display"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def asset(file: str) -> Markup:
    """Return a style sheet or script of ``rulbook.display``, by its path there, as it is."""
    return Markup(files("rulbook.display").joinpath(file).read_text(encoding="utf-8"))


def raw_html(html: str) -> str:
    """Return a MyST directive with ``html`` as it is.

    The fence is longer than any run of backticks inside, so that words from a ledger or a record
    stay inside, where they were escaped.
    """
    longest = max(map(len, re.findall("`+", html)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{{raw}} html\n{html}\n{fence}"
