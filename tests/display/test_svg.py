"""The SVG of a figure: small, its own, the same every time, readable on any paper."""

import re
import xml.etree.ElementTree as ET

import pytest

from rulbook.display import plots
from rulbook.display.svg import INK, PAPER, svg_of


def drawn(last: float = 3.0, **options):
    figure, axes = plots.panels(**options)
    axes.plot([0.0, 1.0, 2.0], [0.123456, 2.0, last], marker="o", label="θ at ρ = 5")
    axes.set(xlabel="step & <more>", ylabel="loss", title="title")
    axes.legend()
    return figure


@pytest.fixture(scope="module")
def svg():
    return svg_of(drawn(), 'a "line" & its <end>', ids="04-x")


def test_it_is_one_element_of_valid_xml_that_says_what_it_shows(svg):
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'a "line" & its <end>'
    assert not {"width", "height"} & set(root.attrib)
    assert svg.startswith("<svg ")


def test_text_stays_text(svg):
    texts = {
        element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    }
    assert {"step & <more>", "loss", "title", "θ at ρ = 5"} <= texts


def test_the_same_figure_gives_the_same_characters_and_another_does_not(svg):
    assert svg_of(drawn(), 'a "line" & its <end>', ids="04-x") == svg
    assert svg_of(drawn(last=5.0), 'a "line" & its <end>', ids="04-x") != svg


def test_it_carries_no_date_no_version_and_no_style_sheet(svg):
    for unwanted in ("metadata", "<style", "matplotlib", "doctype", "date"):
        assert unwanted not in svg.lower()


def test_every_reference_has_its_target_and_no_other_identifier_is_left(svg):
    targets = set(re.findall(r' id="([^"]+)"', svg))
    references = set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg))
    assert targets == references
    assert targets
    assert all(target.startswith("04-x-") for target in targets)


def test_two_figures_on_a_page_share_no_identifier(svg):
    other = svg_of(drawn(), "the same", ids="04-y")
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (svg, other)]
    assert not ids[0] & ids[1]


def test_on_a_page_ink_follows_the_text_and_in_a_file_it_lies_on_white(svg):
    alone = svg_of(drawn(), "alone", ids="x", themed=False)
    assert INK not in svg
    assert "currentColor" in svg
    assert "background" not in svg
    assert INK in alone
    assert "currentColor" not in alone
    assert "background:#fff" in alone


def test_on_a_page_a_white_face_takes_the_colour_of_the_page():
    figure, axes = plots.panels()
    axes.plot([1, 2], marker="o", markerfacecolor="white")
    svg = svg_of(figure, "open marks", ids="x")
    assert PAPER not in svg
    assert "fill:var(--pst-color-background,var(--jp-layout-color0,#fff))" in svg
    assert f"fill:{PAPER}" in svg_of(figure, "open marks", ids="x", themed=False)


def test_no_text_keeps_the_browsers_black(svg):
    for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        assert "fill:" in text.get("style", "")


def test_coordinates_keep_a_tenth_of_a_point(svg):
    paths = re.findall(r' d="([^"]+)"', svg)
    assert paths
    assert not re.search(r"\d\.\d\d", " ".join(paths))


def test_data_are_where_they_belong():
    figure = drawn(steady=True)
    svg = svg_of(figure, "line", ids="x")
    figure.dpi = 72
    axes = figure.axes[0]
    height = figure.get_figheight() * 72
    wanted = axes.transData.transform([(0.0, 0.123456), (1.0, 2.0), (2.0, 3.0)])
    path = re.search(r' d="M([^"]+)" clip-path="[^"]+" style="fill:none;stroke:#1b7fbd', svg)
    assert path
    points = [tuple(map(float, point.split())) for point in path[1].split("L")]
    for (x, y), (want_x, want_y) in zip(points, wanted, strict=True):
        assert x == pytest.approx(want_x, abs=0.1)
        assert y == pytest.approx(height - want_y, abs=0.1)


def test_it_is_much_smaller_than_what_matplotlib_writes(svg, tmp_path):
    drawn().savefig(tmp_path / "raw.svg")
    assert len(svg) < 0.5 * (tmp_path / "raw.svg").stat().st_size


def test_what_shines_through_stays_and_what_is_clear_goes():
    figure, axes = plots.panels()
    axes.axis("off")
    for place, alpha in enumerate((0.0, 0.04, 0.25, 0.5)):
        axes.barh(place, 1.0, color=plots.COLOURS["rul"], alpha=alpha, linewidth=0)
    bars = re.findall(
        rf"fill:{plots.COLOURS['rul']};opacity:([\d.]+)", svg_of(figure, "bars", ids="b")
    )
    assert sorted(map(float, bars)) == [0.04, 0.25, 0.5]
