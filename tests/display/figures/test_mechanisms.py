"""Figures of what a second task does for the first: their series and words, not their pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from rulbook.display.figures import mechanisms as figures
from rulbook.experiments import mechanisms
from rulbook.statistics import over_seeds

PRINTED = {"single_task": 8.11, "fixed_050": 7.37, "gaba": 7.53, "grace": 7.72}


def points(axes):
    """Return the points of each series with intervals, and the ends of these, by label."""
    found = {}
    for series in axes.containers:
        line, _, (bars,) = series
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        found[series.get_label()] = (*np.array(line.get_data(), dtype=float), ends)
    return found


def test_few_engines_has_the_error_above_and_the_gap_below():
    rows = [
        {
            "engines": n,
            "training": name,
            "difference": n / 16,
            "low": n / 16 - 1,
            "high": n / 16 + 1,
        }
        for n in (2, 8)
        for name in mechanisms.LABELLINGS[1:]
    ]
    errors = pd.DataFrame(rows)
    gaps = errors.assign(difference=0.25, low=-0.5, high=0.5)
    figure, alt, _ = figures.few_engines(errors, gaps)
    above, below = (points(axes) for axes in figure.axes)
    assert set(above) == set(below) == set(mechanisms.LABELLINGS[1:])
    for _, differences, ends in above.values():
        np.testing.assert_allclose(differences, [2 / 16, 8 / 16])
        np.testing.assert_allclose(ends, [[2 / 16 - 1, 2 / 16 + 1], [8 / 16 - 1, 8 / 16 + 1]])
    np.testing.assert_allclose(above["equal"][0], [2 * 0.93, 8 * 0.93])
    np.testing.assert_allclose(below["balanced"][1], 0.25)
    assert alt.count(" 0.12") == len(mechanisms.LABELLINGS[1:]), "those of the fewest engines"
    upper = figure.axes[0]
    figure.draw_without_rendering()
    assert not upper.get_legend().get_window_extent().overlaps(upper.get_window_extent())


def test_second_tasks_are_drawn_over_their_rul_weights():
    rows = [
        {"auxiliary": name, "rul_weight": weight, "difference": place, "low": -1.0, "high": 4.0}
        for place, name in enumerate(mechanisms.AUXILIARIES)
        for weight in mechanisms.AUXILIARY_RUL_WEIGHTS
    ]
    figure, alt, _ = figures.second_tasks(pd.DataFrame(rows))
    (axes,) = figure.axes
    assert "shuffled 1.00, 1.00, 1.00, 1.00" in alt
    for place, name in enumerate(mechanisms.AUXILIARIES):
        np.testing.assert_array_equal(points(axes)[name][1], [place] * 4)
    np.testing.assert_allclose(points(axes)["shuffled"][0], mechanisms.AUXILIARY_RUL_WEIGHTS)
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "0.5",
        "0.05",
        "0.005",
        "0.0005",
    ]


def test_every_seed_of_every_trunk_is_a_dot():
    heads = pd.DataFrame(
        [
            {"trunk": name, "rmse": 16.0 + place + seed / 10}
            for place, name in enumerate(mechanisms.TRUNKS)
            for seed in range(3)
        ]
    )
    figure, alt, _ = figures.transfer(heads)
    (axes,) = figure.axes
    assert f"{list(mechanisms.TRUNKS)[1]} 17.1" in alt
    dots = [line for line in axes.get_lines() if len(line.get_xdata()) == 3]
    assert len(dots) == len(mechanisms.TRUNKS)
    for place, dot in enumerate(dots):
        np.testing.assert_allclose(dot.get_xdata(), 16.0 + place + np.arange(3) / 10)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(mechanisms.TRUNKS)


def test_the_explorer_says_which_heads_train_and_what_is_not_recorded():
    ours = {"single_task": over_seeds([14.0, 15.0])}
    figure, alone = figures.single_or_multi("single_task", PRINTED, ours)
    assert alone == (
        "single task: only the RUL head is trained. The source prints an RMSE of 8.11 cycles; "
        "ours is 14.50 over 2 of 5 seeds."
    )
    assert len(figure.axes[1].patches) == len(PRINTED) + 1
    _, both = figures.single_or_multi("grace", PRINTED, ours)
    assert both.startswith("GRACE: both heads are trained. The source prints an RMSE of 7.72")
    assert both.endswith("ours is not recorded yet.")
    plt.close("all")
