"""The figure of the page on scale: measured times against numbers, both axes logarithmic."""

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import NullLocator

from rulbook.display import plots
from rulbook.display.plots import DescribedFigure
from rulbook.studies.scale import Growth


def growths(by_kind: Mapping[str, Growth]) -> DescribedFigure:
    """Draw the time of each kind of work against the number that it was given, with its line.

    Args:
        by_kind: growth by what there is more of, for instance ``engines``; even in number.

    """
    figure, axes = plots.panels((len(by_kind) + 1) // 2, 2, height=2.2, squeeze=False)
    for panel, (kind, growth) in zip(axes.flat, by_kind.items(), strict=False):
        panel.plot(growth.numbers, growth.seconds, "o", color=plots.COLOURS["rul"])
        middle = np.exp(np.log(growth.numbers).mean()), np.exp(np.log(growth.seconds).mean())
        line = middle[1] * (growth.numbers / middle[0]) ** growth.exponent
        panel.plot(growth.numbers, line, color=plots.COLOURS["ink"], linewidth=1.0)
        panel.set(xscale="log", yscale="log", title=f"{kind}: {growth.exponent:.2f}")
        for axis, values in ((panel.xaxis, growth.numbers), (panel.yaxis, growth.seconds)):
            ends = [values.min(), values.max()]
            axis.set_ticks(
                ends, labels=[f"{end:,.2g}" if end < 1 else f"{end:,.0f}" for end in ends]
            )
            axis.set_minor_locator(NullLocator())
    for panel in axes[:, 0]:
        panel.set_ylabel("seconds")
    said = ", ".join(f"{kind} {growth.exponent:.2f}" for kind, growth in by_kind.items())
    return DescribedFigure(
        figure,
        f"{len(by_kind)} panels of seconds against numbers on logarithmic axes, with lines of "
        f"slope: {said}.",
        "Processor seconds against the number of each, both axes logarithmic. Above each panel is "
        "the slope of the line; 1 means proportional.",
    )
