from rulbook.display.figures.scale import growths
from rulbook.studies.scale import Growth

POWERS = {"engines": 1.0, "claims": 0.5}


def test_every_kind_has_its_points_its_line_and_its_power():
    kinds = {name: Growth.of({"10": 1.0, "100": 10.0**power}) for name, power in POWERS.items()}
    drawn = growths(kinds)
    titles = [axes.get_title(loc="left") for axes in drawn.figure.axes]
    assert titles == ["engines: 1.00", "claims: 0.50"]
    for axes, growth in zip(drawn.figure.axes, kinds.values(), strict=True):
        points, line = (drawing.get_ydata() for drawing in axes.lines)
        assert points.tolist() == growth.seconds.tolist()
        assert abs(line - points).max() < 1e-9
        assert axes.get_xscale() == axes.get_yscale() == "log"
        assert [text.get_text() for text in axes.get_xticklabels()] == ["10", "100"]
        assert len([text for text in axes.get_yticklabels() if text.get_text()]) == 2
    assert "engines 1.00, claims 0.50" in drawn.alt
