"""Interactive figures that answer without a kernel.

An explorer draws one frame for every combination of its controls' values, once, when the chapter
runs. The frames lie in nested ``ipywidgets.Stack`` widgets; the ``index`` of each control is linked
in the browser (``jslink``) to the ``selected_index`` of the stacks of its level. That works in
JupyterLab and, through the html-manager, in the built page, from a web server and from disk.

In a chapter, alone in its cell::

    explorer(
        draw,                                  # draw(rho, opt_name) -> (figure, sentence)
        [Slider("rho", "ρ", (1, 10, 100)), Toggle("opt_name", "optimiser", ("sgd", "adam"))],
        name="06-lambda",
        caption="Try: …",
    )
"""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ipywidgets as widgets
from IPython.display import display
from markupsafe import Markup
from matplotlib.figure import Figure

from rulbook.display.glue import publish
from rulbook.display.markup import asset, html_of
from rulbook.display.svg import same_height, svg_of
from rulbook.errors import RulbookError, unknown_name

Render = Callable[..., tuple[Figure, str]]
"""Takes one keyword argument a control; returns the figure and a sentence on what it shows."""


@dataclass(frozen=True)
class _Control:
    """One control: the argument it sets, its label and the values it goes through.

    Attributes:
        name: keyword argument of the render function.
        label: what the reader sees beside it, and hears.
        values: at least two values, in order.
        default: the value shown first; the first one if left out.
        shown: turns a value into what the reader sees.

    """

    name: str
    label: str
    values: Sequence[Any]
    default: Any = None
    shown: Callable[[Any], str] = field(default=str)

    def __post_init__(self) -> None:
        if self.default is not None and self.default not in self.values:
            raise unknown_name(f"value of {self.name}", str(self.default), self.values)

    @property
    def first_index(self) -> int:
        """Position of the value shown first."""
        return 0 if self.default is None else list(self.values).index(self.default)

    @property
    def options(self) -> list[tuple[str, int]]:
        """What the reader sees for each value, and its position."""
        return [(self.shown(value), position) for position, value in enumerate(self.values)]

    @property
    def first_shown(self) -> str:
        """What the reader sees for the value shown first."""
        return self.options[self.first_index][0]


class Slider(_Control):
    """A control for an ordered quantity."""

    def widget(self) -> widgets.SelectionSlider:
        """Return a slider that goes from value to value."""
        return widgets.SelectionSlider(
            options=self.options, index=self.first_index, description=self.label, layout=_full()
        )


class Toggle(_Control):
    """A control for a few kinds."""

    def widget(self) -> widgets.ToggleButtons:
        """Return one button a kind."""
        return widgets.ToggleButtons(
            options=self.options,
            index=self.first_index,
            description=self.label,
            style={"button_width": "auto"},
        )

    @property
    def kinds(self) -> list[str]:
        """What the reader sees for each value, also on paper."""
        return [shown for shown, _ in self.options]


@dataclass(frozen=True)
class Explorer:
    """An explorer as a notebook shows it: the default frame, and the widget that takes its place.

    Attributes:
        widget: controls, frames and caption.
        default_frame: HTML that holds the place until the widget is there, and is printed.
        caption: what the figure is and what to try.

    """

    widget: widgets.VBox
    default_frame: str
    caption: str

    def _ipython_display_(self) -> None:
        publish({"text/html": self.default_frame, "text/plain": f"[explorer: {self.caption}]"}, {})
        display(self.widget)


def explorer(
    render: Render, controls: Sequence[Slider | Toggle], *, name: str, caption: str
) -> Explorer:
    """Draw every frame and return the explorer.

    Args:
        render: called once for every combination of values, in the order of ``controls``.
        controls: the controls, in the order in which the reader meets them; one to three.
        name: chapter number and a few words; unique among all chapters.
        caption: what the figure is and what to try.

    Raises:
        RulbookError: two controls set the same argument, or there is none.

    """
    names = [control.name for control in controls]
    if not names or len(set(names)) < len(names):
        raise RulbookError(
            f"Explorer {name} needs one control for each argument of its render function; "
            f"it has {', '.join(names) or 'none'}."
        )
    drawn: list[tuple[str, str]] = []
    for values in itertools.product(*(control.values for control in controls)):
        figure, sentence = render(**dict(zip(names, values, strict=True)))
        drawn.append((svg_of(figure, sentence, ids=f"{name}-{len(drawn)}"), sentence))
    sentences = [sentence for _, sentence in drawn]
    longest = max(sentences, key=len)
    places = itertools.product(*(control.options for control in controls))
    frames = [
        _frame(svg, sentence, longest, _labels(controls, place))
        for svg, sentence, place in zip(
            same_height([svg for svg, _ in drawn]), sentences, places, strict=True
        )
    ]
    shown = [control.widget() for control in controls]
    widget = widgets.VBox(
        [
            widgets.VBox(shown, layout=_full()).add_class("rulbook-explorer-controls"),
            _stack(frames, controls, shown),
            widgets.HTML(html_of("explorer_caption", caption=caption), layout=_full()),
        ]
    ).add_class("rulbook-explorer")
    return Explorer(widget, _default_frame(frames, controls, name, caption), caption)


def _full() -> widgets.Layout:
    return widgets.Layout(width="100%")


def _labels(controls: Sequence[_Control], place: Sequence[tuple[str, int]]) -> str:
    """Return what the controls show at one frame, by label, as JSON."""
    shown = {control.label: text for control, (text, _) in zip(controls, place, strict=True)}
    return json.dumps(shown, ensure_ascii=False)


def _frame(svg: str, sentence: str, longest: str, labels: str) -> str:
    """Return a frame, marked with the values it belongs to.

    The drawing is hidden from those who hear the page: the sentence below says what it shows. The
    room of the longest sentence is kept in every frame, so that nothing below an explorer moves.
    """
    return html_of(
        "explorer_frame", svg=Markup(svg), sentence=sentence, longest=longest, labels=labels
    )


def _stack(
    frames: Sequence[str], controls: Sequence[_Control], shown: Sequence[widgets.DOMWidget]
) -> widgets.DOMWidget:
    """Return the frames, stacked by the first control, each in a stack for the other controls."""
    if not controls:
        return widgets.HTML(frames[0], layout=_full())
    share = len(frames) // len(controls[0].values)
    stack = widgets.Stack(
        [
            _stack(frames[start : start + share], controls[1:], shown[1:])
            for start in range(0, len(frames), share)
        ],
        selected_index=controls[0].first_index,
        layout=_full(),
    )
    widgets.jslink((shown[0], "index"), (stack, "selected_index"))
    return stack


def _default_frame(
    frames: Sequence[str], controls: Sequence[Slider | Toggle], name: str, caption: str
) -> str:
    position = 0
    for control in controls:
        position = position * len(control.values) + control.first_index
    # Its own identifiers: the same frame is on the page once more, inside the widget.
    frame = frames[position].replace(f"{name}-{position}-", f"{name}-default-")
    return html_of(
        "explorer_static",
        style=asset("explorer.css"),
        controls=controls,
        frame=Markup(frame),
        caption=caption,
        script=asset("explorer.js"),
    )
