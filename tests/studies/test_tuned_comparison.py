import numpy as np
import pytest

from rulbook.display.readings.tuning import tuned_reading, tuned_shown
from rulbook.display.results import number
from rulbook.statistics import Outcome
from rulbook.studies import SEEDS, sweep
from rulbook.studies.catalogue import base_config
from rulbook.studies.equal_tuning import TRIALS, TUNED_METHODS, tuning_runs
from rulbook.studies.tuned_comparison import TUNED_REFERENCE, tuned_table

from .conftest import believable, epoch

BASES = [base_config("FD002", seed) for seed in SEEDS]


@pytest.fixture
def record_missing(make_record, results):
    """Record what the tuning asks for, once; a setting and a rate are best by validation."""

    def record(offset=None):
        for config in list(tuning_runs(BASES)):
            if sweep.record_file(config.key()):
                continue
            rmse = 12.0 + abs(config.learning_rate - 3e-3) * 1e3
            made = believable(make_record(epochs=(epoch(rmse),)), config)
            bias = (offset or {}).get((config.weighting, config.inner_loss), 0.0)
            noise = np.random.default_rng(config.seed).normal(bias, 0.3, len(made.test.unit))
            predicted = np.minimum(made.test.true_rul, 125) + 10 * (-1) ** np.arange(len(noise))
            test = made.test.model_copy(update={"predicted_rul": (predicted + noise).tolist()})
            made.model_copy(update={"test": test}).write(sweep.runs_folder())

    return record


def test_it_waits_for_the_trials_then_for_the_seeds(record_missing):
    table = tuned_table("FD002").set_index("method")
    assert list(table.index) == list(TUNED_METHODS)
    assert (table["trials"] == 0).all()
    assert table["setting"].isna().all()
    assert "waiting: 0 of 6 trials" in tuned_shown(table.reset_index()).data
    record_missing()
    record_missing()
    table = tuned_table("FD002").set_index("method")
    assert (table["trials"] == TRIALS).all()
    assert (table["learning_rate"] == 3e-3).all()
    assert (table["validation_rmse"] == 12.0).all()
    assert (table["printed_seeds"] == len(SEEDS)).all()
    assert (table["seeds"] == 1).all()
    assert set(table["outcome"].drop(TUNED_REFERENCE)) == {Outcome.TOO_FEW_SEEDS}
    read = tuned_reading(table.reset_index())
    assert "FD002, batch 64, patience 20: 42 of 42 trials are recorded" in read
    assert "Xin" not in read


def test_what_was_tuned_is_compared_with_tuned_fixed_weights(record_missing):
    for _ in range(3):
        record_missing({("gaba", "mse"): 20.0})
    table = tuned_table("FD002").set_index("method")
    assert (table["seeds"] == len(SEEDS)).all()
    assert table.loc["gaba", "outcome"] is Outcome.HIGHER
    assert table.loc["gaba", "difference"] > 5
    assert table.loc["amnl", "outcome"] is Outcome.EQUIVALENT
    assert table.loc[TUNED_REFERENCE, "outcome"] is None
    assert (table["setting"] == [t.settings[0].label for t in TUNED_METHODS.values()]).all()
    html = tuned_shown(table.reset_index()).data
    assert "weights 0.5/0.5, rate 0.003" in html
    read = tuned_reading(table.reset_index())
    assert "5 of 6 tuned methods with five seeds cannot be told from tuned fixed weights" in read
    assert "GABA is higher (difference " in read
    change = table["rmse"] - table["printed_rmse"]
    assert f"changes by {number(change.min())} to {number(change.max())} cycles" in read
    assert "on FD002 no tuned method is shown to go beyond tuned fixed weights" in read


def test_a_method_that_goes_beyond_tuned_fixed_weights_is_named(record_missing):
    for _ in range(3):
        record_missing({("fixed_050", "mse"): 20.0, ("gaba", "mse"): 20.0, ("dwa", "mse"): 20.0})
    read = tuned_reading(tuned_table("FD002"))
    assert "Here the error is lower with AMNL on FD002" in read
    assert "GABA on FD002" not in read
