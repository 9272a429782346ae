import numpy as np
import pandas as pd
import pytest

from rulbook.display.figures.protocol import (
    CAPS,
    cap_explorer,
    one_model_eight_choices,
    predicted_against_true,
    selection_by_trees,
)
from rulbook.metrics import rmse


@pytest.fixture
def predictions():
    true = np.array([10, 60, 120, 150, 180])
    return pd.DataFrame({"true_rul": true, "predicted_rul": np.minimum(true, 125) + 2.0})


def test_every_choice_has_a_bar_and_every_printed_error_a_line():
    choices = pd.DataFrame(
        {
            "choice": ["the protocol", "uncapped test targets", "validation windows"],
            "rmse": [13.2, 27.8, 7.6],
            "low": [12.0, 26.0, np.nan],
            "high": [15.0, 30.0, np.nan],
        }
    )
    figure, alt, caption = one_model_eight_choices(choices, [6.33, 8.11], "a fleet")
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [7.6, 27.8, 13.2]
    assert [label.get_text() for label in axes.get_yticklabels()] == choices["choice"].tolist()[
        ::-1
    ]
    assert [line.get_xdata()[0] for line in axes.get_lines()] == [6.33, 8.11]
    assert sorted(map(tuple, (s[:, 0] for s in axes.collections[0].get_segments()))) == [
        (12.0, 15.0),
        (26.0, 30.0),
    ]
    assert "13 cycles, that of uncapped test targets at 28, that of windows drawn" in alt
    assert "a fleet" in caption


@pytest.mark.parametrize("limit", CAPS)
def test_the_cap_moves_the_truth_and_never_the_predictions(predictions, limit):
    figure, sentence = predicted_against_true(predictions, limit)
    below, above = figure.axes[0].get_lines()[1:]
    assert sorted([*below.get_ydata(), *above.get_ydata()]) == sorted(predictions["predicted_rul"])
    assert set(above.get_xdata()) <= {limit}
    true = predictions["true_rul"].clip(upper=limit)
    assert f"RMSE {rmse(predictions['predicted_rul'], true):.1f} cycles over 5" in sentence
    assert ("not capped" in sentence) == (limit is None)


def test_the_explorer_starts_at_the_cap_of_the_protocol(predictions):
    shown = cap_explorer({"trees": predictions, "network": predictions})
    assert "trees: true RUL held at 125 cycles" in shown.default_frame
    assert shown.caption.startswith("Try: move the cap")


def test_both_choices_of_the_trees_are_marked_on_the_test_curve():
    by_trees = pd.DataFrame(
        {
            "trees": [1, 2, 3, 4],
            "validation_rmse": [30.0, 20.0, 21.0, 22.0],
            "test_rmse": [31.0, 18.0, 17.0, 19.0],
        }
    )
    figure, alt, caption = selection_by_trees(by_trees, "a fleet")
    (axes,) = figure.axes
    marked = {text.get_text(): tuple(float(x) for x in text.xy) for text in axes.texts}
    assert marked == {"chosen on validation": (2.0, 18.0), "best on test": (3.0, 17.0)}
    assert "number of trees" in alt
    assert caption.startswith("Gradient boosting on FD002, a fleet: ")
