"""Figures of what the imbalance costs: their series, labels and words, not their pixels."""

import numpy as np
import pandas as pd
import pytest

from rulbook import toy
from rulbook.data.prepare import HEALTH_STATES, Windows
from rulbook.display.figures import costs
from rulbook.experiments.trunk_maps import TrunkMaps
from rulbook.studies.symptoms import RECALLS, health_by_epoch

from ..conftest import lines_by_label


def test_the_first_program_is_drawn_as_distances_from_the_start_on():
    histories = {rho: toy.simulate_two_task(rho) for rho in (1, 10, 100, 500)}
    (axes,) = costs.first_program(histories).figure.axes
    lines = lines_by_label(axes)
    assert axes.get_yscale() == "log"
    for rho in (10, 100, 500):
        distance = lines[f"ρ = {rho}"].get_ydata()
        assert len(distance) == toy.LISTING_STEPS + 1
        factors = distance[1:6] / distance[:5]
        np.testing.assert_allclose(factors, abs(toy.contraction(rho, 0.05)), rtol=1e-6)
    assert "ρ = 1" not in lines


def test_both_optimisers_are_drawn_against_the_number_of_steps_taken():
    paths = {"adam": np.linspace(0, 1, 600), "sgd": np.linspace(1, 0, 600)}
    (axes,) = costs.optimisers_in_time(paths).figure.axes
    lines = lines_by_label(axes)
    np.testing.assert_array_equal(lines["Adam"].get_ydata(), paths["adam"])
    np.testing.assert_array_equal(lines["SGD, rate 0.0005"].get_ydata(), paths["sgd"])
    assert lines["Adam"].get_xdata()[[0, -1]].tolist() == [1, 600]
    assert {text.get_text() for text in axes.texts} == {"θ*", "the source stops here"}
    legend = axes.get_legend().get_window_extent()
    assert not any(legend.overlaps(text.get_window_extent()) for text in axes.texts)


def test_paths_in_the_plane_start_at_zero_and_the_fixed_point_is_marked():
    paths = {"SGD": np.array([[1.0, 2.0], [3.0, 4.0]]), "Adam": np.array([[5.0, 6.0]])}
    (axes,) = costs.two_parameters(paths, np.array([3.0, 4.0])).figure.axes
    lines = lines_by_label(axes)
    np.testing.assert_array_equal(lines["SGD"].get_xydata(), [[0, 0], [1, 2], [3, 4]])
    np.testing.assert_array_equal(lines["fixed point"].get_xydata(), [[3, 4]])


@pytest.fixture
def norms():
    """Two seeds on two subsets; the second seed has no RUL gradient on FD001."""
    rows = []
    for subset in ("FD001", "FD002"):
        for seed in (42, 123):
            for step in (0, 10, 100):
                norm_rul = 0.0 if (subset, seed) == ("FD001", 123) else 10.0 + step
                rows.append((subset, seed, step, norm_rul, 0.1, norm_rul / 0.1))
    columns = ["subset", "seed", "step", "norm_rul", "norm_health", "ratio"]
    return pd.DataFrame(rows, columns=columns)


def test_ratios_have_a_panel_a_subset_a_line_a_seed_and_no_mark_without_a_gradient(norms):
    described = costs.gradient_ratios(norms)
    first, second = described.figure.axes
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["FD001", "FD002"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["42", "123"]
    marks = lines_by_label(first)
    assert set(marks) == {"after 0 steps", "after 10 steps"}
    np.testing.assert_allclose(marks["after 0 steps"].get_xdata(), [100.0])
    assert len(lines_by_label(second)["after 0 steps"].get_xdata()) == 2
    assert "after 0 and 10 training steps. The ratios go from 100 to 1100;" in described.alt


@pytest.fixture
def epochs():
    rows = [
        (subset, seed, epoch, epoch == 2, *recalls)
        for subset in ("FD001", "FD003")
        for seed, recalls in ((42, (0.9, 0.5, 0.6)), (123, (0.7, 0.3, 0.8)))
        for epoch in (1, 2)
    ]
    return pd.DataFrame(rows, columns=["subset", "seed", "epoch", "selected", *RECALLS])


def test_recalls_are_means_over_seeds_by_epoch(epochs):
    described = costs.recall_by_epoch(epochs, "Study x: 4 of 4.")
    assert [axes.get_title(loc="left") for axes in described.figure.axes] == ["FD001", "FD003"]
    lines = lines_by_label(described.figure.axes[0])
    for state, mean in zip(HEALTH_STATES, (0.8, 0.4, 0.7), strict=True):
        np.testing.assert_allclose(lines[state].get_ydata(), [mean, mean])
        np.testing.assert_array_equal(lines[state].get_xdata(), [1, 2])
    assert described.alt.endswith("FD003: the critical state ends at 0.70.")
    assert described.caption.endswith("Study x: 4 of 4.")


def test_without_a_run_the_recalls_are_an_empty_panel():
    (axes,) = costs.recall_by_epoch(health_by_epoch([]), "Study x: 0 of 4.").figure.axes
    assert len(axes.get_lines()) == 0


def test_maps_mark_every_window_by_its_state():
    health = np.array([0, 1, 2, 0, 1])
    zeros = np.zeros(5, np.float32)
    windows = Windows(
        cycle_features=np.zeros((5, 1), np.float32),
        first_row=np.arange(5),
        length=1,
        rul=zeros,
        rul_uncapped=zeros,
        health=health,
        unit=np.arange(5),
        cycle=np.arange(5),
    )
    points = np.arange(10.0).reshape(5, 2)
    maps = TrunkMaps(
        windows, {"untrained": points, "trained": -points}, {"untrained": 0.4, "trained": 0.9}
    )
    described = costs.feature_maps(maps)
    before, after = described.figure.axes
    assert after.get_title(loc="left") == "trained trunk:\n90% of neighbours agree"
    for number, state in enumerate(HEALTH_STATES):
        drawn = lines_by_label(before)[state].get_xydata()
        np.testing.assert_array_equal(drawn, points[health == number])
        np.testing.assert_array_equal(lines_by_label(after)[state].get_xydata(), -drawn)
    assert "in 0.40 and 0.90 of the cases" in described.alt
