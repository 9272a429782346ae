import dataclasses

import numpy as np
import pytest

from rulbook.data.prepare import Recipe, prepare
from rulbook.data.simulate import simulate
from rulbook.metrics import rmse
from rulbook.studies import method
from rulbook.training import RunConfig
from rulbook.training.baselines import boosting_validation_rmse, fit_baseline, window_statistics


@pytest.fixture(scope="module")
def prepared():
    return prepare(simulate("FD001"))


def test_window_statistics_are_those_of_numpy(prepared):
    windows = prepared.test
    found = window_statistics(windows)
    assert found.shape == (len(windows), 4 * prepared.n_features)
    x = windows.x[3].astype(float)
    slope, _ = np.polyfit(np.arange(len(x)), x, 1)
    np.testing.assert_allclose(
        found[3], np.concatenate([x.mean(0), x.std(0), x[-1], slope]), atol=1e-5
    )


@pytest.mark.slow
def test_trees_beat_the_constant_and_both_predict_every_engine(prepared):
    base = RunConfig(subset="FD001", data_digest=prepared.digest)
    errors = {}
    for name in ("gradient_boosting", "constant"):
        record = fit_baseline(method(name).applied_to(base), prepared)
        assert record.test.unit == prepared.test.unit.tolist()
        errors[name] = rmse(record.test.predicted_rul, prepared.test.rul)
    assert errors["gradient_boosting"] < errors["constant"]


@pytest.mark.slow
def test_boosting_is_scored_on_the_validation_engines(prepared):
    found = boosting_validation_rmse(prepared)
    mean = np.full(len(prepared.validation.rul), prepared.train.rul.mean())
    assert 0 < found < rmse(mean, prepared.validation.rul)
    assert boosting_validation_rmse(prepared) == found
    # Of errors moved both ways by c, the mean squares add up to twice that of the errors and c².
    moved = [boosting_validation_rmse(_validated_on(prepared, shift)) for shift in (-30.0, 30.0)]
    assert np.square(moved).sum() == pytest.approx(2 * (found**2 + 30.0**2), rel=1e-5)


def _validated_on(prepared, shift):
    """Return the same data with another RUL, by ``shift`` cycles, of the validation windows."""
    moved = dataclasses.replace(prepared.validation, rul=prepared.validation.rul + shift)
    return dataclasses.replace(prepared, validation=moved)


def test_windows_of_one_cycle_have_no_slope():
    windows = prepare(simulate("FD001"), Recipe(window=1)).test
    mean, deviation, last, slope = np.split(window_statistics(windows), 4, axis=1)
    assert not slope.any()
    assert not deviation.any()
    np.testing.assert_array_equal(mean, last)
