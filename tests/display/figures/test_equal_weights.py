import numpy as np
import pytest

from rulbook.claims.printed import ablation_table
from rulbook.display.figures.equal_weights import (
    divergence,
    sensitivity,
    sensitivity_explorer,
    sensitivity_still,
)
from rulbook.experiments.equal_weights import Divergence
from rulbook.statistics import Estimate
from rulbook.studies.comparison import estimates_by_rul_weight


@pytest.fixture
def recorded(make_record, make_evidence):
    core = make_evidence(make_record(name) for name in ("single_task", "fixed_025", "dwa"))
    return {subset: estimates_by_rul_weight(core, subset) for subset in ("FD002", "FD004")}


LIVE = {
    weight: Estimate(20.0 + weight, 19.0 + weight, 21.0 + weight, 0.5, 6)
    for weight in (0.25, 0.5, 0.8, 1.0)
}


def test_every_source_has_its_series(recorded):
    figure, _ = sensitivity(ablation_table(), recorded, LIVE, 0.5)
    above, below = figure.axes
    labels = [text.get_text() for text in above.get_legend().get_texts()]
    assert labels == ["source, FD002", "source, FD004", "records, FD002"]
    ours = above.containers[0].lines[0]
    np.testing.assert_allclose(ours.get_xdata(), [0.244, 0.994])
    np.testing.assert_allclose(ours.get_ydata(), recorded["FD002"].sort_index()["rmse"])
    np.testing.assert_allclose(below.containers[0].lines[0].get_ydata(), 20 + np.array([*LIVE]))


def test_the_sentence_says_where_the_book_has_no_row_and_where_it_interpolates(recorded):
    table = ablation_table()

    def said(at):
        return sensitivity(table, recorded, LIVE, at)[1]

    row = recorded["FD002"].loc[0.25]
    assert "λ = 0.25. FD002: the source has no row to the left of 0.5, we measure " in said(0.25)
    assert f"{row['rmse']:.2f} [{row['low']:.2f}, {row['high']:.2f}] (1 seed)" in said(0.25)
    assert f"FD004: the source prints {table.loc['050', 'FD004']} cycles. Small" in said(0.5)
    assert "the source interpolates to" in said(0.8)
    assert said(0.8).endswith("FD001: 20.80 [19.80, 21.80].")


def test_the_explorer_and_the_still_begin_at_equal_weights(recorded):
    shown = sensitivity_explorer(ablation_table(), recorded, LIVE)
    assert "λ = 0.5. FD002: the source prints" in shown.default_frame
    figure, alt, _ = sensitivity_still(ablation_table(), recorded, LIVE)
    assert figure.axes[0].get_lines()[-1].get_xdata()[0] == 0.5
    assert "five printed rows" in alt


def test_both_weights_are_drawn_and_the_best_rate_is_marked():
    survival = Divergence(
        np.array([0.002, 0.01, 0.04]), np.array([[1, 1, 0.5], [1, 0.5, 0]]), best=1
    )
    figure, alt, caption = divergence(survival)
    smaller, larger, mark = figure.axes[0].get_lines()
    np.testing.assert_allclose(smaller.get_ydata(), [100, 100, 50])
    np.testing.assert_allclose(larger.get_ydata(), [100, 50, 0])
    assert mark.get_xdata()[0] == 0.01
    assert [smaller.get_label(), larger.get_label()] == ["(0.5, 0.5)", "(0.7, 0.7)"]
    assert "stay finite is" in alt
    assert "lowest validation error" in caption
