"""Figures in the house style, and their files."""

import colorsys
import itertools
import re

import pytest
from PIL import Image

from rulbook import paths
from rulbook.display import plots

from .conftest import contrast


@pytest.fixture
def figures(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "figures", lambda: tmp_path / "figures")
    return tmp_path / "figures"


def drawn():
    figure, axes = plots.panels()
    axes.plot([1, 2, 3])
    return figure


def test_figures_land_where_one_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert paths.figures() == tmp_path / "figures"
    root = paths.checkout()
    monkeypatch.chdir(root / "notebooks")
    assert paths.figures() == root / "figures"
    monkeypatch.setattr(paths, "checkout", lambda: None)
    assert paths.figures() == root / "notebooks" / "figures"


def test_saving_writes_both_files_and_returns_what_the_page_shows(figures):
    drawing = plots.save_figure(drawn(), "04-x", alt="A rising line.", caption="Rises < falls.")
    assert sorted(path.name for path in figures.iterdir()) == ["04-x.png", "04-x.svg"]
    html = drawing._repr_html_()
    assert 'aria-label="A rising line."' in html
    assert "<figcaption>Rises &lt; falls.</figcaption>" in html
    assert "<figcaption>" not in plots.Drawing("<svg/>", "alt")._repr_html_()
    assert repr(drawing) == "[figure: A rising line.]"


def test_a_figure_that_did_not_change_is_a_file_that_did_not_change(figures):
    before, after = [], []
    for found in (before, after):
        plots.save_figure(drawn(), "04-x", alt="A rising line.")
        found += [path.read_bytes() for path in sorted(figures.iterdir())]
    assert before == after


def test_the_picture_file_is_opaque_and_carries_no_metadata(figures):
    plots.save_figure(drawn(), "04-x", alt="A rising line.")
    with Image.open(figures / "04-x.png") as image:
        assert image.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
        assert set(image.info) == {"dpi"}


@pytest.mark.parametrize("name", [name for name in plots.COLOURS if name != "ink"])
@pytest.mark.parametrize("paper", ["#ffffff", "#121212"])
def test_colours_stand_out_from_both_papers(name, paper):
    assert contrast(plots.COLOURS[name], paper) >= 3


def as_seen_without(cone, colour):
    """Simulate dichromacy after Viénot, Brettel and Mollon (1999); linear RGB."""
    rgb = [(int(colour[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    matrices = {
        "l": ((0.1121, 0.8853, -0.0005), (0.1127, 0.8897, -0.0001), (0.0045, 0.0001, 1.0019)),
        "m": ((0.2920, 0.7054, -0.0003), (0.2934, 0.7089, 0.0000), (-0.0210, 0.0256, 1.0000)),
    }
    seen = [sum(m * c for m, c in zip(row, rgb, strict=True)) for row in matrices[cone]]
    return [max(0.0, min(1.0, value)) ** (1 / 2.2) for value in seen]


@pytest.mark.parametrize("cone", ["l", "m"])
def test_the_two_tasks_are_told_apart_by_colour_blind_readers(cone):
    seen = [as_seen_without(cone, plots.COLOURS[task]) for task in ("rul", "health")]
    distance = sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5
    assert distance > 0.4


def test_all_colours_differ():
    hues = [
        colorsys.rgb_to_hsv(*[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        for name, c in plots.COLOURS.items()
        if name != "ink"
    ]
    for first, second in itertools.combinations(hues, 2):
        assert abs(first[0] - second[0]) > 0.04


def test_steady_panels_keep_their_axes_whatever_the_labels():
    boxes = []
    for label in ("", "a very long label\nof two lines"):
        figure, axes = plots.panels(steady=True)
        axes.set_ylabel(label)
        figure.canvas.draw()
        boxes.append(axes.get_position().bounds)
    assert boxes[0] == boxes[1]


def test_several_panels_stand_below_each_other():
    figure, axes = plots.panels(2, height=2.0, sharex=True)
    assert axes.shape == (2,)
    assert tuple(figure.get_size_inches()) == (plots.WIDTH_INCHES, 4.0)


def test_the_style_reaches_what_is_drawn(figures):
    drawing = plots.save_figure(drawn(), "04-x", alt="line")
    assert plots.COLOURS["rul"] in drawing.svg
    assert not re.search(r"stroke:#(000000|262626)", drawing.svg)
