import json
import re
import shutil
import subprocess
from html import unescape

import pytest
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ..ledger_fixtures import make_claim, use_ledger, write_ledger
from ..studies.conftest import epoch, make_evidence, make_record, on_every_seed

__all__ = [
    "epoch",
    "make_claim",
    "make_evidence",
    "make_record",
    "on_every_seed",
    "use_ledger",
    "write_ledger",
]


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")


def value_in_node(script: str, expression: str) -> object:
    """Return the value that an expression has after a script of the pages has run."""
    done = subprocess.run(
        ["node", "--input-type=module", "-"],
        input=f"{script}\nconsole.log(JSON.stringify({expression}));",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def cells_of(html: HTML) -> list[list[str]]:
    """Return the text of each cell, row by row, the head first."""
    rows = re.findall(r"<tr.*?</tr>", html.data, re.DOTALL)
    cells = [re.findall(r"<t[dh].*?</t[dh]>", row) for row in rows]
    return [[unescape(re.sub(r"<[^>]+>", "", cell)) for cell in of_row] for of_row in cells]


def lines_by_label(axes: Axes) -> dict[str, Line2D]:
    """Return the lines that are drawn, by their label."""
    return {str(line.get_label()): line for line in axes.get_lines()}


def _luminance(colour: str) -> float:
    """Return the relative _luminance of WCAG 2.2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of WCAG 2.2 of two colours, ``#rrggbb``."""
    low, high = sorted([_luminance(first), _luminance(second)])
    return (high + 0.05) / (low + 0.05)
