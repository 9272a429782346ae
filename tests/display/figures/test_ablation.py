from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from IPython.display import Markdown

from rulbook.display.figures.ablation import (
    METRIC_WORDS,
    gaba_floor,
    methods_explorer,
    methods_in_order,
    specification_curve,
    weight_sweep,
)
from rulbook.studies.comparison import estimates_table
from rulbook.studies.methods import METHODS
from rulbook.weighting.gaba import GABALoss


@pytest.fixture
def evidence(make_record, make_evidence):
    spreads = {"fixed_050": 10.0, "single_task": 10.5, "gaba": 25.0}
    return make_evidence(
        make_record(name, "FD002", seed, noise=noise)
        for seed in (42, 123)
        for name, noise in spreads.items()
    )


@pytest.mark.parametrize("metric", METRIC_WORDS)
def test_the_methods_are_drawn_in_order(evidence, metric):
    figure, sentence = methods_in_order(evidence, "FD002", metric)
    (axes,) = figure.axes
    values = axes.collections[-1].get_offsets()[:, 0]
    assert (np.diff(values) >= 0).all()
    assert len(values) == (2 if metric == "health_accuracy" else 3)
    assert f"{len(values)} of {len(METHODS)} methods, 2 seeds each" in sentence


def test_a_method_with_fewer_seeds_has_a_hollow_mark(evidence, make_evidence):
    figure, sentence = methods_in_order(make_evidence(evidence.records[:-1]), "FD002", "rmse")
    filled = figure.axes[0].collections[-1].get_facecolors()
    assert [*map(tuple, filled)].count((1.0, 1.0, 1.0, 1.0)) == 1
    assert "1 to 2 seeds each (hollow: fewer than 2): lowest" in sentence


def test_methods_that_are_not_recorded_leave_an_empty_figure(make_evidence):
    _, sentence = methods_in_order(make_evidence(), "FD002", "rmse")
    assert sentence == "Nothing is recorded on FD002 yet."


def test_the_explorer_offers_the_subsets_that_are_recorded(evidence, make_evidence):
    nothing = make_evidence(study="core-b")
    shown = methods_explorer({"FD001": nothing, "FD002": evidence, "FD004": evidence})
    assert "FD002" in shown.default_frame
    assert "FD001" not in shown.default_frame
    assert "FD004" not in shown.default_frame
    assert shown.caption.endswith(f"{evidence.sentence()} {nothing.sentence()}")
    assert isinstance(methods_explorer({"FD001": nothing}), Markdown)


def test_the_sweep_shows_the_anchors_and_breaks_where_a_run_is_missing(evidence):
    weights = {0.5: "fixed_050", 0.9: "fixed_090", 1.0: "single_task"}
    anchors = {"fixed_050": Decimal("6.33"), "single_task": Decimal("26.92")}
    figure, alt, caption = weight_sweep(evidence, weights, {"FD002": anchors})
    drawn = {
        tuple(line.get_ydata()) for line in figure.axes[0].get_lines() if line.get_marker() in "oD"
    }
    ours, book = (next(np.array(y) for y in drawn if len(y) == length) for length in (3, 2))
    estimates = estimates_table(evidence.records, "FD002").set_index("method")["rmse"]
    np.testing.assert_allclose(ours, [estimates["fixed_050"], np.nan, estimates["single_task"]])
    np.testing.assert_allclose(book, [6.33, 26.92])
    assert "FD002: the source's anchors go from 6.3 to 26.9 cycles, our recorded ones" in alt
    assert f"to {max(estimates[['fixed_050', 'single_task']]):.1f}." in alt
    assert caption.endswith(evidence.sentence())
    upper = figure.axes[0]
    figure.draw_without_rendering()
    assert not upper.get_legend().get_window_extent().overlaps(upper.get_window_extent())


def test_the_curve_has_every_network_with_an_interval_in_rising_order():
    compared = pd.DataFrame(
        {
            "subset": ["FD002"] * 4 + ["FD001"] * 2,
            "condition_label": ["the protocol"] * 4 + ["plain SGD"] * 2,
            "method": ["gaba", "fixed_0002", "gradient_boosting", "dwa", "grace", "imtl_g"],
            "label": ["GABA", "0.002", "Boosting", "DWA", "GRACE", "IMTL-G"],
            "difference": [0.5, -1.0, -4.0, -3.0, 2.0, -0.5],
            "difference_low": [0.0, -2.0, -5.0, np.nan, 1.0, -1.0],
            "difference_high": [1.0, 0.0, -3.0, np.nan, 3.0, 0.0],
            "outcome": ["tie", "equivalent", "lower", "waiting", "higher", "tie"],
        }
    )
    figure, alt, _ = specification_curve(compared)
    curve, choices = figure.axes
    drawn, told = curve.lines[:2]
    assert list(drawn.get_ydata()) == [-1.0, -0.5, 0.5, 2.0]
    assert list(told.get_xdata()) == [3]
    labels = [label.get_text() for label in choices.get_yticklabels()]
    marked = {label: set() for label in labels}
    for line in choices.lines:
        for place, height in zip(line.get_xdata(), line.get_ydata(), strict=True):
            marked[labels[height]].add(int(place))
    assert marked == {
        "FD001": {1, 3},
        "FD002": {0, 2},
        "the protocol": {0, 2},
        "plain SGD": {1, 3},
        "fixed weights": {0},
        "adaptive weights": {2, 3},
        "combined gradients": {1},
        "failure-weighted loss": {3},
    }
    assert alt.startswith("4 differences")
    assert "from -1.00 to 2.00 cycles" in alt
    assert "1 of them are told from zero." in alt
    assert specification_curve(compared[:0]).alt.startswith("0 differences")


@pytest.mark.parametrize("bound_at", [None, 3])
def test_gabas_trace_marks_the_warm_up_and_the_step_at_which_the_floor_binds(bound_at):
    steps = np.arange(1, 6)
    trace = pd.DataFrame(
        {
            "step": steps,
            "ratio": 500.0,
            "wanted": 1 / 501,
            "average": np.linspace(0.5, 0.04, 5),
            "weight": np.linspace(0.5, 0.05, 5),
            "bound": [bound_at is not None and step >= bound_at for step in steps],
        }
    )
    figure, alt, caption = gaba_floor(trace, "FD002, seed 1", "A network")
    top, bottom = figure.axes
    upright = [line.get_xdata()[0] for line in top.get_lines() if len(line.get_xdata()) == 2]
    assert upright == [GABALoss().warmup_steps, *([bound_at] if bound_at else [])]
    assert {line.get_label() for line in bottom.get_lines()} >= {
        "wanted, 1/(1+ρ)",
        "moving average",
        "weight used",
        "floor",
    }
    assert "500 at the start and 500 at the end" in alt
    assert "the average ends at 0.0400, the weight at 0.0500." in alt
    assert f"({bound_at or 'not within this trace'}). A network." in caption
    figure.draw_without_rendering()
    assert not bottom.get_legend().get_window_extent().overlaps(bottom.get_window_extent())
