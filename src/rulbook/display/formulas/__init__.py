"""Explorers of formulas, computed in the page: any value, without a kernel.

Where a picture is a formula, the page itself computes it: an ``anywidget`` whose script holds the
formula and draws it. It is the same widget in JupyterLab and, through the html-manager, in the
built page, from a web server and from disk. Explorers of records keep their frames
(``rulbook.display.explorers``).

In a chapter, alone in its cell::

    trajectory_explorer(rho=500, rate=0.05, caption="Try: …")

Each formula stands in a script of its own beside this file; a test holds that the scripts give what
``rulbook.toy`` gives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anywidget
import numpy as np
import traitlets
from IPython.display import display
from markupsafe import Markup
from matplotlib.figure import Figure

from rulbook import toy
from rulbook.display import plots
from rulbook.display.glue import publish
from rulbook.display.markup import asset, html_of
from rulbook.display.svg import svg_of

SETTLED_STEPS = 120
"""Steps that the trajectory explorer follows: twice the source's sixty."""


class FormulaWidget(anywidget.AnyWidget):
    """A formula, its controls and its panels.

    Attributes:
        settings: what the controls show at first, by name.
        data: measured values that are drawn beside the formula, by name.

    """

    _esm = traitlets.Unicode().tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)
    data = traitlets.Dict().tag(sync=True)


@dataclass(frozen=True)
class FormulaExplorer:
    """An explorer as a notebook shows it: a still picture, and the widget that takes its place.

    Attributes:
        widget: controls and panels.
        still: HTML that stands there until the widget does, without scripts, and on paper.
        caption: what the figure is and what to try.

    """

    widget: FormulaWidget
    still: str
    caption: str

    def _ipython_display_(self) -> None:
        publish({"text/html": self.still, "text/plain": f"[explorer: {self.caption}]"}, {})
        display(self.widget)


def trajectory_explorer(rho: float = 500.0, rate: float = 0.05, *, caption: str) -> FormulaExplorer:
    """Return θ and both losses by step, under SGD and Adam together, for any ρ and learning rate.

    Args:
        rho: ratio of the two curvatures at first, 1 to 1000.
        rate: learning rate at first, 1e-4 to 1.
        caption: what to try.

    """
    figure, axes = plots.panels()
    for name, colour, dash in (("sgd", "health", "--"), ("adam", "rul", "-")):
        path = [0.0, *toy.run(rho, name, SETTLED_STEPS, rate)["theta"]]
        axes.plot(np.clip(path, -9, 9), dash, color=plots.COLOURS[colour], label=name)
    axes.axhline(toy.fixed_point(rho), linestyle=":", color=plots.COLOURS["both"], label="θ*")
    axes.set(xlabel="step", ylabel="θ", ylim=(-1.6, 2.6))
    axes.legend()
    settings = {"rho": rho, "rate": rate, "steps": SETTLED_STEPS}
    return _explorer("trajectory", settings, {}, figure, caption)


def frontier_explorer(
    weight: float = 0.5, points: Sequence[Mapping[str, float]] = (), *, caption: str
) -> FormulaExplorer:
    """Return the point that a weighted sum selects on a convex and on a concave frontier.

    Args:
        weight: the RUL weight at first, 0 to 1.
        points: trained networks, each with ``weight``, ``rul_loss`` (cycles²) and ``health_loss``
            (nats). They are placed between the least and the largest of each loss.
        caption: what to try.

    """
    front = toy.convex_front()
    figure, axes = plots.panels()
    axes.plot(front[:, 0], front[:, 1], color=plots.COLOURS["rul"])
    axes.set(xlabel="RUL loss", ylabel="health loss")
    return _explorer(
        "frontier", {"weight": weight}, {"points": _between_extremes(points)}, figure, caption
    )


def contribution_explorer(
    rul: float, health: float, weight: float = 0.5, *, caption: str
) -> FormulaExplorer:
    """Return the share of each loss in a weighted sum, and the weight that balances them.

    Args:
        rul: RUL loss at first, cycles², 0.1 to 10,000.
        health: health loss at first, nats, 0.01 to 10.
        weight: the RUL weight at first, 1e-6 to 0.9999.
        caption: what to try.

    """
    weights = np.geomspace(1e-6, 0.9999, 200)
    figure, axes = plots.panels()
    axes.semilogx(weights, weights * rul / (weights * rul + (1 - weights) * health))
    axes.set(xlabel="λ, the RUL weight", ylabel="share of the RUL loss")
    return _explorer(
        "contributions", {"rul": rul, "health": health, "weight": weight}, {}, figure, caption
    )


def knobs_explorer(tasks: int = 3, values: int = 11, *, caption: str) -> FormulaExplorer:
    """Return the size of a grid over the free weights of K tasks.

    Args:
        tasks: number of tasks at first, 2 to 8.
        values: values that the grid has for each free weight, 2 to 21.
        caption: what to try.

    """
    every = np.arange(2, 9)
    figure, axes = plots.panels()
    axes.semilogy(every, float(values) ** (every - 1), "o-")
    axes.set(xlabel="tasks K", ylabel="trainings")
    return _explorer("knobs", {"tasks": tasks, "values": values}, {}, figure, caption)


def script(name: str) -> str:
    """Return the module that a widget runs: the shared kit, the formula, and how to show it."""
    return "\n".join(asset(f"formulas/{part}.js") for part in ("kit", name, "render"))


def _explorer(
    name: str, settings: Mapping[str, Any], data: Mapping[str, Any], still: Figure, caption: str
) -> FormulaExplorer:
    widget = FormulaWidget(_esm=script(name), settings=dict(settings), data=dict(data))
    widget.add_class("rulbook-formula")
    held = html_of(
        "formula_still",
        style=asset("formulas/formulas.css"),
        svg=Markup(svg_of(still, caption, ids=f"formula-{name}")),
        caption=caption,
    )
    return FormulaExplorer(widget, held, caption)


def _between_extremes(points: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Return the points with ``rul`` and ``health``: each loss from 0, its least, to 1."""
    placed = [dict(point) for point in points]
    for loss, place in (("rul_loss", "rul"), ("health_loss", "health")):
        values = [point[loss] for point in points]
        for point in placed:
            point[place] = (point[loss] - min(values)) / ((max(values) - min(values)) or 1.0)
    return placed
