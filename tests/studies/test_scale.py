"""The arithmetic of the page on scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulbook.data.cmapss import SUBSETS
from rulbook.studies import scale
from rulbook.studies.scale import Growth


@given(power=st.floats(0, 3), factor=st.floats(1e-6, 1e3))
def test_the_exponent_of_a_power_is_that_power(power, factor):
    numbers = (10, 18, 32, 56, 100)
    growth = Growth.of({str(number): factor * number**power for number in numbers})
    assert growth.exponent == pytest.approx(power, abs=1e-9)
    assert growth.decades == pytest.approx(1)


def test_the_numbers_are_in_order_whatever_order_they_are_recorded_in():
    growth = Growth.of({"100": 3.0, "9": 1.0, "20": 2.0})
    assert growth.numbers.tolist() == [9, 20, 100]
    assert growth.seconds.tolist() == [1, 2, 3]


def test_an_experiment_takes_its_windows_as_often_as_it_has_epochs():
    windows = np.mean([scale.TRAINING_WINDOWS[subset] for subset in SUBSETS])
    assert scale.hours_of_an_experiment(rate=windows / 3600) == pytest.approx(scale.EPOCHS)


def test_twice_as_many_at_once_take_half_the_time():
    one, two = (scale.hours_of_the_programme(hours=2.0, at_once=n) for n in (1.0, 2.0))
    assert one == scale.EXPERIMENTS * 2.0
    assert two == one / 2


def test_the_programme_is_reckoned_from_what_was_measured():
    sweep = {"one worker": 30.0, "two workers": 15.0, "two of Dask": 16.0}
    tables = {
        "loop": {"compact, batch 256": {"bare": 0.05, "train": 0.06}},
        "sweep": {"seconds": sweep},
    }
    hours = scale.hours_of_an_experiment(256 / 0.06)
    found = scale.programme(tables, "compact", 256)
    assert found["two cores"] == pytest.approx(scale.EXPERIMENTS * hours / 2)
    assert found["one GPU"] == scale.EXPERIMENTS * scale.MINUTES_ON_A_GPU / 60
    (cluster,) = [hours for place, hours in found.items() if "64" in place]
    assert cluster == pytest.approx(scale.EXPERIMENTS * hours / (64 * (30 / 16) / 2))
