"""The figure and the explorer of the front page, which is no notebook."""

import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from ipywidgets.embed import dependency_state, embed_data, escape_script
from markupsafe import Markup
from matplotlib.figure import Figure

from rulbook import toy
from rulbook.claims.collect import ClaimRow
from rulbook.claims.ledger import SECTIONS, Verdict
from rulbook.display import plots
from rulbook.display.badges import MARKS
from rulbook.display.explorers import Explorer, Slider, Toggle, explorer
from rulbook.display.markup import html_of
from rulbook.display.svg import svg_of
from rulbook.publishing import web_assets

FIGURE = "index-verdicts"
"""Name of the figure, as those of chapters have names."""

_CIRCLE_POINTS = 46.0
"""Diameter of the largest circle of the figure."""

_NUMBER_POINTS = 12.0
"""Room that a number of one digit takes, nearly."""


def verdicts_by_section(rows: list[ClaimRow]) -> plots.Drawing:
    """Return how many claims of each section have which verdict, for the page."""
    figure, alt = _circles(rows)
    caption = (
        "Number of claims by section of the source and by verdict, and as the area of a circle."
    )
    return plots.Drawing(svg_of(figure, alt, ids=FIGURE), alt, caption)


def save_figure(rows: list[ClaimRow], folder: Path) -> list[Path]:
    """Save the figure of the front page in a folder; return its two files."""
    figure, alt = _circles(rows)
    plots.save_figure(figure, FIGURE, alt, folder=folder)
    return [folder / f"{FIGURE}{suffix}" for suffix in (".png", ".svg")]


def _circles(rows: list[ClaimRow]) -> tuple[Figure, str]:
    """Return the counts by section and verdict as circles, and what they show in words."""
    is_open = any(row["verdict"] is None for row in rows)
    verdicts = (*Verdict, None) if is_open else (*Verdict,)
    counts = {
        section: [
            sum(row["verdict"] == verdict for row in rows if row["section"] == section)
            for verdict in verdicts
        ]
        for section in SECTIONS
    }
    largest = max(max(of_section) for of_section in counts.values())
    figure, axes = _panels(height=4.4)
    for column, of_section in enumerate(counts.values()):
        for row, (verdict, count) in enumerate(zip(verdicts, of_section, strict=True)):
            size = _CIRCLE_POINTS * (count / largest) ** 0.5
            axes.plot(
                column, row, "o", color=MARKS[verdict].on_light, alpha=0.4, mew=0, markersize=size
            )
            # A number that its circle does not hold stands beside it, not on a blot.
            aside = 0.0 if size > _NUMBER_POINTS or not count else (size + _NUMBER_POINTS) / 2
            axes.annotate(
                str(count),
                (column, row),
                (aside, 0),
                textcoords="offset points",
                ha="center",
                va="center",
            )
    words = [f"{MARKS[v].sign} {v.words if v else 'no verdict yet'}" for v in verdicts]
    axes.set_yticks(range(len(verdicts)), words)
    axes.set_xticks(range(len(SECTIONS)), [f"{s.edition}\n§{s.number}" for s in SECTIONS.values()])
    axes.set(xlim=(-0.6, len(SECTIONS) - 0.4), ylim=(len(verdicts) - 0.4, -0.6))
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    described = "; ".join(
        f"{SECTIONS[section].name}: "
        + ", ".join(
            f"{count} {verdict.words if verdict else 'no verdict yet'}"
            for verdict, count in zip(verdicts, of_section, strict=True)
            if count
        )
        for section, of_section in counts.items()
    )
    alt = f"Number of claims by section and verdict. {described}."
    return figure, alt


def _panels(**options: Any) -> Any:
    """Return ``plots.panels``, whatever a matplotlibrc of the builder's says."""
    matplotlib.rcdefaults()
    return plots.panels(**options)


def tug_of_war() -> Explorer:
    """Return the explorer of the front page: two tasks, one shared number, and where it rests."""
    return explorer(
        _two_pulls,
        [
            Slider("rho", "RUL pulls harder by", (1, 3, 10, 30, 100, 500), 10, lambda r: f"{r} ×"),
            Toggle("weights", "weights", ("equal", "balancing")),
        ],
        name="index-tug",
        caption=(
            "Two tasks share one number. Health wants it at −1, remaining useful life (RUL) at +1. "
            "Try: let RUL pull harder and see what is left for health; then switch to the weights "
            "that make both pull alike."
        ),
    )


def _two_pulls(rho: float, weights: str) -> tuple[Figure, str]:
    rul_weight, health_weight = (
        (0.5, 0.5) if weights == "equal" else (1 / (1 + rho), rho / (1 + rho))
    )
    theta = np.linspace(-1.3, 1.3, 131)
    rul = rul_weight * toy.rul_loss(theta, rho)
    health = health_weight * toy.hs_loss(theta)
    optima = [toy.RUL_OPTIMUM, toy.HEALTH_OPTIMUM]
    rest = toy.general_fixed_point([rul_weight * rho, health_weight], optima)[0]
    scale = 1 / (rul + health).max()
    figure, axes = _panels(height=2.9, steady=True)
    axes.plot(theta, scale * rul, "--", color=plots.COLOURS["rul"], label="RUL, weighted")
    axes.plot(theta, scale * health, ":", color=plots.COLOURS["health"], label="health, weighted")
    axes.plot(theta, scale * (rul + health), color=plots.COLOURS["both"], label="their sum")
    lowest = scale * np.interp(rest, theta, rul + health)
    axes.plot(rest, lowest, "o", color=plots.COLOURS["both"], markersize=9)
    axes.set(xlabel="shared number", ylabel="share of the largest sum", ylim=(-0.04, 1.25))
    axes.legend(loc="upper center", ncols=1)
    sentence = (
        f"With {weights} weights and RUL pulling {rho} times as hard, the shared number rests at "
        f"{rest + 0.0:+.3f}, {toy.RUL_OPTIMUM - rest:.3f} from where RUL wants it and "
        f"{rest - toy.HEALTH_OPTIMUM:.3f} from where health does."
    )
    return figure, sentence


def embedded(shown: Explorer) -> str:
    """Return an explorer as HTML for a page that is no notebook, the same for every build."""
    data = embed_data(views=[shown.widget], state=dependency_state([shown.widget]))
    state, views = (json.dumps(data[key]) for key in ("manager_state", "view_specs"))
    for position, model in enumerate(data["manager_state"]["state"]):
        state, views = (text.replace(model, f"index-{position}") for text in (state, views))
    [view] = json.loads(views)
    scripts = (web_assets.REQUIRE, web_assets.WIDGETS_SETUP, web_assets.WIDGETS)
    return html_of(
        "embedded_explorer",
        frame=Markup(shown.default_frame),
        view=Markup(escape_script(json.dumps(view))),
        state=Markup(escape_script(state)),
        scripts=scripts,
    )
