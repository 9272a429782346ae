"""The house style of every figure, and how a figure is saved and shown.

In a chapter::

    costs.first_program(histories).save("04-first-program-diverges")

where ``costs`` is a module of ``rulbook.display.figures``, whose functions draw with ``panels`` and
return a ``DescribedFigure``.

A panel is at most five inches wide: on a phone its text is then still ten pixels high. Several
panels stand below each other for the same reason.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from cycler import cycler
from markupsafe import Markup
from matplotlib.figure import Figure

from rulbook import paths
from rulbook.display.markup import html_of
from rulbook.display.svg import INK, svg_of

COLOURS: Mapping[str, str] = {
    "rul": "#1b7fbd",
    "health": "#d1590a",
    "both": "#118a5f",
    "other": "#b0599a",
    "more": "#8a6d00",
    "ink": INK,
}
"""Colours by meaning. All stand out from white and from the dark theme's paper by 3 to 1 and are
told apart by colour-blind readers; lines that share a panel differ in dash or marker as well."""

WIDTH_INCHES = 5.0

_STYLE: Mapping[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.prop_cycle": cycler(color=[c for name, c in COLOURS.items() if name != "ink"]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.unicode_minus": True,
    "font.size": 10.5,
    "grid.alpha": 0.2,
    "grid.color": INK,
    "legend.edgecolor": INK,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.0,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def panels(
    rows: int = 1, columns: int = 1, *, height: float = 2.6, steady: bool = False, **options: Any
) -> Any:
    """Return a figure in the house style and its axes, as ``Figure.subplots`` gives them.

    The style stays in force for what is drawn afterwards.

    Args:
        rows: panels below each other.
        columns: panels side by side; narrow ones only.
        height: height of one row in inches.
        steady: keep the axes in one place whatever their labels, for the frames of an explorer;
            meant for one panel.
        options: passed on to ``Figure.subplots``, for instance ``sharex=True``.

    """
    matplotlib.rcParams.update(_STYLE)  # type: ignore[arg-type]
    figure = Figure(figsize=(WIDTH_INCHES, height * rows), layout=None if steady else "constrained")
    if steady:
        figure.subplots_adjust(left=0.13, right=0.96, bottom=0.5 / height, top=1 - 0.25 / height)
    return figure, figure.subplots(rows, columns, **options)


@dataclass(frozen=True)
class Drawing:
    """A figure as a notebook shows it: an SVG element with a caption, or its description as text.

    Attributes:
        svg: one SVG element.
        alt: what the figure shows.
        caption: text below it; none if empty.

    """

    svg: str
    alt: str
    caption: str = ""

    def _repr_html_(self) -> str:
        return html_of("drawing", svg=Markup(self.svg), caption=self.caption)

    def __repr__(self) -> str:
        return f"[figure: {self.alt}]"


class DescribedFigure(NamedTuple):
    """A figure with its words: what a function of ``rulbook.display.figures`` returns.

    * ``figure``: a figure from ``panels``.
    * ``alt``: what it shows, in a sentence or two.
    * ``caption``: text below it on the page.

    """

    figure: Figure
    alt: str
    caption: str = ""

    def save(self, name: str) -> Drawing:
        """Save it under ``name`` as ``save_figure`` does, and return it for the page."""
        return save_figure(self.figure, name, self.alt, self.caption)


def save_figure(
    figure: Figure, name: str, alt: str, caption: str = "", folder: Path | None = None
) -> Drawing:
    """Write ``figures/<name>.svg`` and ``.png``, and return the figure for the page.

    The files carry no date and no version: a figure that did not change is a file that did not
    change, with the same Matplotlib.

    Args:
        figure: a figure from ``panels``.
        name: chapter number and a few words, for instance ``04-trajectories``; unique.
        alt: what the figure shows, in a sentence or two.
        caption: text below the figure on the page.
        folder: where the files are written, by default the ``figures`` of where one works.

    """
    folder = folder or paths.figures()
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=200, facecolor="white", metadata={"Software": None})
    svg = svg_of(figure, alt, ids=name, themed=False)
    paths.write_atomically(folder / f"{name}.svg", svg + "\n")
    paths.write_atomically(folder / f"{name}.png", png.getvalue())
    return Drawing(svg_of(figure, alt, ids=name), alt, caption)
