"""HTML in a MyST text, fenced so that nothing in it can end the fence."""

import re


def raw_html(html: str) -> str:
    """Return a MyST directive with ``html`` as it is.

    The fence is longer than any run of backticks inside, so that words from a ledger or a record
    stay inside, where they were escaped.
    """
    longest = max(map(len, re.findall("`+", html)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{{raw}} html\n{html}\n{fence}"
