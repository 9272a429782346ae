import numpy as np
import pandas as pd
import pytest

from rulbook.display.figures import imbalance
from rulbook.training.gradient_bins import binned

STEPS = 60


@pytest.fixture
def traces():
    step = np.arange(1, STEPS + 1)
    ratios = {"cycles": 100.0 + step, "caps": 0.01 * step}
    return {
        unit: pd.DataFrame({"step": step, "ratio": ratio, "cosine": 0.1})
        for unit, ratio in ratios.items()
    }


@pytest.fixture
def no_epochs():
    return pd.DataFrame({"subset": [], "epoch": [], "cosine_50": [], "cosine_05": []})


def test_both_units_are_told_with_where_they_start_and_end(traces):
    drawn = imbalance.unit_of_the_target(traces)
    assert "in cycles it goes from 1e+02 to 1.5e+02" in drawn.alt
    assert "in caps it goes from 0.03 to 0.5" in drawn.alt


def test_without_records_the_live_run_is_drawn(traces, no_epochs):
    empty = pd.DataFrame({"subset": []})
    drawn = imbalance.ratio_through_training(no_epochs, empty, traces["cycles"], "Study core.")
    assert drawn.caption.endswith("Study core.")
    assert "Short live run" in imbalance.cosine_by_epoch(no_epochs, traces["cycles"], "s").caption


def test_parts_of_a_live_run_hold_all_of_its_steps(traces):
    histograms = imbalance.live_histograms(traces)
    for subset in ("FD001", "FD001 in caps"):
        counts = [histograms[subset, part].sum() for part in range(1, 7)]
        assert sum(counts) == STEPS
        assert min(counts) > 0


def test_a_frame_says_the_median_and_the_share_above_the_printed_ratio():
    counts = binned([100.0] * 3 + [1000.0])
    _, sentence = imbalance.ratio_histogram(counts, "FD001", "epoch", 2)
    assert "FD001, epoch 2" in sentence
    assert "4 observed steps, 25 % of them above 500" in sentence


def test_a_frame_without_a_step_says_so():
    _, sentence = imbalance.ratio_histogram(binned([]), "FD001", "epoch", 9)
    assert "no recorded training ran that long" in sentence
