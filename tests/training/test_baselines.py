import numpy as np
import pytest

from rulbook.data.prepare import prepare
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
    features = prepared.n_features
    found = window_statistics(windows)
    assert found.shape == (len(windows), 4 * features)
    line = np.polyfit(np.arange(windows.x.shape[1]), windows.x[3].astype(float), 1)
    np.testing.assert_allclose(found[3, -features:], line[0], atol=1e-5)
    np.testing.assert_allclose(found[3, :features], windows.x[3].mean(0), atol=1e-6)


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
